"""Results that the newest look at DATA kept out, for whatever scores with any version of a model.

A model remembers what was kept out of its own training (`TrainingFacts.kept_out`). A later training that was stopped at
the door, or whose version was not promoted, may have found more, or rows that were corrected since. So every training
that has looked at DATA writes how many results it keeps out, and a digest of their ids, into its run's tags `kept_out`
and `kept_out.rows`. The tag `kept_out.run` of the registered model names the run of the newest look, also where nothing
is kept out, or an earlier run with the same rows; the run's intake.json has them.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Collection
from dataclasses import replace
from typing import NoReturn

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from features.secrets import mask
from models.registry.artifacts import fetch_file
from models.registry.registry import ABSENT, Model
from models.registry.run_log import INTAKE
from models.registry.store_faults import guarded, insist, refuse
from models.scorer import FilesMissingError

COUNT, ROWS = "kept_out", "kept_out.rows"  # tags of a run
RUN = "kept_out.run"  # of a registered model
GONE = "RESOURCE_DOES_NOT_EXIST"


@guarded
def record(client: MlflowClient, run: str, rows: Collection[str]) -> None:
    """Let a run bear which results it keeps out, by id; nobody follows it before `announce`."""
    client.set_tag(run, COUNT, str(len(rows)))
    client.set_tag(run, ROWS, hashlib.sha256(json.dumps(sorted(rows)).encode()).hexdigest())


@guarded
def announce(client: MlflowClient, name: str, run: str) -> None:
    """Have all versions of a model leave out the results that a run keeps out.

    Nothing is written where the run that is named keeps out the same ones, or where no version is registered yet.
    """
    now = announced(client, name)
    if now == run or (now is not None and _rows(client, now) == client.get_run(run).data.tags.get(ROWS, run)):
        return
    try:
        insist(client.set_registered_model_tag, name, RUN, run)
    except MlflowException as error:
        if error.error_code not in ABSENT:
            raise


@guarded
def announced(client: MlflowClient, name: str) -> str | None:
    """The run whose kept-out results are to be left out; None where no run is named, or there is no such model."""
    try:
        return client.get_registered_model(name).tags.get(RUN)
    except MlflowException as error:
        if error.error_code not in ABSENT:
            raise
        return None


@guarded
def without_announced(client: MlflowClient, model: Model, run: str | None) -> tuple[Model, tuple[str, ...]]:
    """The model, whose features go without what `run` kept out, and notes. run: as `announced` gave it.

    Where the run or its file is gone the model is as it was trained, and a note says so. Raises StoreError for rows
    that cannot be read for another reason: it may pass, and scores with the rows would be wrong.
    """
    if run is None or run == model.run:
        return model, ()
    try:
        found = _kept_out(client, run)
    except (FileNotFoundError, FilesMissingError, MlflowException) as error:
        if not _gone(client, run, error):
            _refuse(client, run, error)
        note = (
            f"what a training after that of {model.label} kept out is not known any more ({INTAKE} of the run {run} is "
            "not there); the features are made without what was kept out of the model's own training"
        )
        return model, (note,)
    except (OSError, ValueError, KeyError, TypeError) as error:
        _refuse(client, run, error)
    facts = replace(model.scorer.facts, kept_out=tuple(sorted(set(found))))
    return replace(model, scorer=replace(model.scorer, facts=facts)), ()


def followed(model: Model, run: str | None, notes: Collection[str]) -> str | None:
    """The run that decides what a model of `without_announced` leaves out. run, notes: as that took and gave them."""
    return (None if notes else run) or model.run


def _rows(client: MlflowClient, run: str) -> str | None:
    """The digest of what a run keeps out; None where the run is gone, or has none."""
    try:
        return client.get_run(run).data.tags.get(ROWS)
    except MlflowException as error:
        if error.error_code != GONE:
            raise
        return None


def _kept_out(client: MlflowClient, run: str) -> list[str]:
    found = client.get_run(run)
    if found.data.tags.get(COUNT) == "0":  # with --force intake.json lists rows all the same
        return []
    with tempfile.TemporaryDirectory() as scratch:
        file = fetch_file(client, found.info.artifact_uri, INTAKE, scratch)
        intake = json.loads(file.read_text(encoding="utf-8"))
    return [str(row["collaboration_id"]) for row in intake["kept_out"]]


def _gone(client: MlflowClient, run: str, error: Exception) -> bool:
    """Whether a run or its file is certainly not there. Files elsewhere that cannot be brought may be there."""
    if isinstance(error, FilesMissingError):
        try:
            return INTAKE not in {file.path for file in client.list_artifacts(run)}
        except Exception:  # each kind of place has errors of its own
            return False
    return isinstance(error, FileNotFoundError) or getattr(error, "error_code", "") == GONE


def _refuse(client: MlflowClient, run: str, error: Exception) -> NoReturn:
    said = mask(" ".join(str(error).split())) or type(error).__name__
    problem = f"what the newest training kept out cannot be read ({INTAKE} of the run {run}: {said})"
    remedy = f"Try again; if it stays so, bring the file back, or delete the registered model's tag {RUN}."
    refuse(client.tracking_uri, problem, remedy)
