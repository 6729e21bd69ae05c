"""Reading registered models: from a URI to a scorer."""

from __future__ import annotations

import re
import shlex
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion, RegisteredModel
from mlflow.exceptions import MlflowException
from mlflow.models import Model as PackedModel
from mlflow.utils.yaml_utils import read_yaml

from features.faults import Fault, InputError
from features.secrets import mask
from models.registry.artifacts import fetch
from models.registry.store import require_present
from models.registry.store_faults import guarded, impatient
from models.scorer import FilesMissingError, ModelError, NewerFormatError, OlderFormatError, Scorer

CHAMPION, CHALLENGER = "champion", "challenger"
SCORER = "scorer"
FIGURES = ("skill", "rank", "value", "total", "coverage", "width")  # of a backtest, as metrics of a run
FILES = 30  # seconds that a server may take to begin sending a file
ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
_URI = re.compile(r"models:/(?P<name>[^/@]+)(?:@(?P<alias>[^/@]+)|/(?P<version>\d{1,9}))")
_TRAIN = "Train first: python train.py DATA. Or set MLFLOW_TRACKING_URI to where it was trained."


class NotRegisteredError(InputError):
    """No version is registered under that name, alias or number."""


@dataclass(frozen=True)
class Model:
    """A registered version and its scorer; `label` is what a score is stamped with.

    run: the training that made it. inputs: the columns that its signature requires.
    """

    name: str
    version: str
    scorer: Scorer
    run: str | None = None
    inputs: frozenset[str] = frozenset()

    @property
    def label(self) -> str:
        """Registry name and version."""
        return f"{self.name}/{self.version}"


def resolve(client: MlflowClient, uri: str) -> tuple[str, str]:
    """Name and version that models:/NAME@ALIAS or models:/NAME/VERSION stands for now.

    Raises InputError for a URI of another form, NotRegisteredError for a model that is not there, StoreError for a
    store that cannot be read.
    """
    registered = _registered(client, uri)
    return registered.name, str(registered.version)


def load(client: MlflowClient, uri: str) -> Model:
    """The model of models:/NAME@ALIAS or models:/NAME/VERSION; an alias is resolved once.

    Raises as `resolve` does, FilesMissingError where its files cannot be fetched, ModelError for one that is damaged.
    """
    registered = _registered(client, uri)
    label = f"{registered.name} {registered.version}"
    with tempfile.TemporaryDirectory() as scratch:
        try:
            folder = fetch(client, _address(client, registered), scratch)
            inputs = _inputs(folder)
            scorer = Scorer.load(folder / "artifacts" / SCORER)
        except (MlflowException, OSError, FilesMissingError) as error:
            said = mask(" ".join(str(error).split()))
            raise FilesMissingError(f"{label}: its files cannot be fetched ({said})") from None
        except (OlderFormatError, NewerFormatError) as error:
            raise type(error)(f"{label}: {error}") from None
        return Model(registered.name, str(registered.version), scorer, registered.run_id, inputs)


def require(client: MlflowClient, uri: str) -> Model:
    """`load` for a command: a model that cannot be used is a fault of the call, InputError."""
    try:
        with impatient(FILES):
            return load(client, uri)
    except ModelError as error:
        remedy = f"{_cure(error, uri)}, or name another version: models:/NAME/VERSION."
        problem = f"the model cannot be used ({error})"
        raise InputError([Fault("--model", received=uri, problem=problem, remedy=remedy)]) from error


def _cure(error: ModelError, uri: str) -> str:
    """What makes a model usable that is not."""
    if isinstance(error, FilesMissingError):
        return "Bring the files back"
    if isinstance(error, NewerFormatError):
        return "Update creator-yield"
    found = _URI.fullmatch(uri)
    name = found["name"] if found else "NAME"
    return f"Train again: python train.py DATA --experiment {shlex.quote(name)}"


def champion_version(client: MlflowClient, name: str) -> str | None:
    """The number of the version that bears the alias champion; None where no version does."""
    try:
        return resolve(client, f"models:/{name}@{CHAMPION}")[1]
    except NotRegisteredError:
        return None


@guarded
def card(client: MlflowClient, model: Model) -> dict[str, Any]:
    """What a reader may know of a version: its training's facts, its figures, and the sentence on its skill."""
    known: dict[str, Any] = {"trained_on": model.scorer.facts.to_dict(), "skill": None, "figures": {}}
    if model.run:
        require_present(client)
        try:
            data = client.get_run(model.run).data
        except MlflowException as error:
            if error.error_code not in ABSENT:
                raise
            return known  # `mlflow gc` removes deleted runs for good, and keeps the models
        known |= {"skill": data.tags.get("skill"), "figures": _figures(data.metrics)}
    return known


def _figures(metrics: Mapping[str, float]) -> dict[str, float]:
    """Metrics by the name MODEL.FIGURE: MLflow shows ours first, without a name before it, and others in groups."""
    named = {f"ours.{name}" if name in FIGURES else name.replace("/", "."): value for name, value in metrics.items()}
    return dict(sorted(named.items()))


@guarded
def _registered(client: MlflowClient, uri: str) -> ModelVersion:
    found = _URI.fullmatch(uri)
    if not found:
        raise InputError([
            Fault("--model", received=repr(uri), problem="it is not the URI of a registered model",
                  remedy="Give models:/NAME@ALIAS or models:/NAME/VERSION.")])  # fmt: skip
    require_present(client)
    name = found["name"]
    try:
        if found["alias"]:
            return client.get_model_version_by_alias(name, found["alias"])
        return client.get_model_version(name, found["version"])
    except MlflowException as error:
        if error.error_code not in ABSENT:
            raise
        raise NotRegisteredError([_absent(client, uri, name, found["alias"] or found["version"])]) from None


def _absent(client: MlflowClient, uri: str, name: str, wanted: str) -> Fault:
    """What is there instead of a version that is not."""
    try:
        model = client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code not in ABSENT:
            raise
        return Fault("--model", received=uri, problem=f"there is no such model in {client.tracking_uri}", remedy=_TRAIN)
    problem = f"{name} has no {'version' if wanted.isdigit() else 'alias'} {wanted} in {client.tracking_uri}"
    if dead := model.aliases.pop(wanted, None):
        problem = f"the alias {wanted} of {name} is of version {dead}, which is not there, in {client.tracking_uri}"
    there = _versions(model)
    return Fault("--model", received=uri, problem=f"{problem}; {there or 'no version is left'}",
                 remedy="Name one that is there." if there else _TRAIN)  # fmt: skip


def _versions(model: RegisteredModel) -> str:
    """The versions of a model that a person may want to name."""
    named = [f"{alias} is version {version}" for alias, version in sorted(model.aliases.items())]
    newest = max((int(version.version) for version in model.latest_versions or []), default=None)
    return ", ".join([*named, f"the newest is version {newest}"] if newest is not None else named)


@guarded
def _address(client: MlflowClient, registered: ModelVersion) -> str:
    """Where a version's files lie; its `source` may only name a logged model."""
    return client.get_model_version_download_uri(registered.name, str(registered.version)) or registered.source or ""


def _inputs(folder: Path) -> frozenset[str]:
    """The columns that a packed model's signature requires. Raises ModelError for a description that is damaged."""
    try:
        signature = PackedModel.from_dict(read_yaml(str(folder), "MLmodel")).signature
    except (MlflowException, OSError):
        raise
    except Exception as error:  # a description that is cut off raises whatever its parser meets
        raise ModelError(f"{folder}: MLmodel is damaged ({type(error).__name__})") from None
    return frozenset(column.name for column in signature.inputs.inputs if column.required) if signature else frozenset()
