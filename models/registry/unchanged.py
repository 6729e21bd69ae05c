"""Whether there is a reason to train: the data, the code and the settings of a training as one fingerprint."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mlflow import MlflowClient

import features
import models
from models.alarms import Alarm
from models.registry.run_log import alarms_of
from models.registry.runs import PACKAGES
from models.registry.store_faults import guarded

TAG = "training.fingerprint"


@dataclass(frozen=True)
class Earlier:
    """A finished training of the same fingerprint: its run, the version that it registered, and its alarms."""

    run: str
    version: str
    alarms: tuple[Alarm, ...]


def training_fingerprint(
    data: Mapping[str, str], given: Mapping[str, Collection[str]], settings: Mapping[str, Any]
) -> str:
    """SHA-256, in hex, of all that a training follows from.

    data: fingerprint by table. given: by table, the columns that DATA has. settings: JSON values of everything that may
    be chosen, such as the seed.
    """
    columns = {table: sorted(names) for table, names in given.items()}
    parts = {"data": dict(data), "columns": columns, "settings": dict(settings), "code": code_fingerprint()}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def code_fingerprint() -> str:
    """SHA-256, in hex, of the code that trains, and of the versions of Python and of the packages that it uses."""
    found = hashlib.sha256(platform.python_version().encode())
    for package in PACKAGES:
        found.update(f"\n{package} {version(package)}".encode())
    for folder in (_folder(features), _folder(models)):
        for path in sorted(folder.rglob("*.py")):
            found.update(f"\n{path.relative_to(folder.parent).as_posix()}\n".encode() + path.read_bytes())
    return found.hexdigest()


def _folder(package: Any) -> Path:
    return Path(package.__path__[0])


@guarded
def mark(client: MlflowClient, run: str, fingerprint: str) -> None:
    """Let a run bear its fingerprint; it counts once the run has finished."""
    client.set_tag(run, TAG, fingerprint)


@guarded
def earlier_training(client: MlflowClient, experiment: str, fingerprint: str) -> Earlier | None:
    """The newest finished training of the experiment with this fingerprint whose version is still registered."""
    found = client.get_experiment_by_name(experiment)
    if found is None:
        return None
    wanted = f"attributes.status = 'FINISHED' and tags.`{TAG}` = '{fingerprint}'"
    for run in client.search_runs([found.experiment_id], wanted, order_by=["attributes.start_time DESC"]):
        # a name may hold a quote, which the filter's language cannot express
        versions = client.search_model_versions(f"run_id = '{run.info.run_id}'")
        if numbers := [int(one.version) for one in versions if one.name == experiment]:
            return Earlier(run.info.run_id, str(max(numbers)), alarms_of(run))
    return None
