"""All of MLflow.

One run per training:

- what `models.run_log` tells: params, tags, metrics, artefacts, and a nested run for each fold of the backtest
- model: a pyfunc from code; its files are the scorer's (LightGBM text, JSON, Parquet, checksums) and the project's code

The version is registered when all of that is there, and an alias is set last, so that a training that is cut off at any
moment leaves the champion as it was. A run that was cut off before it could say so is marked KILLED by the next
training of the experiment, where its process is known to be dead. Aliases: champion, and challenger for the newest
version that was not promoted.
"""

from __future__ import annotations

import logging
import os
import re
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import mlflow
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.models import Model as PackedModel
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema

from features.faults import Fault, InputError
from models import report
from models.gate import Verdict
from models.processes import TAG, is_dead, name_process
from models.run_log import log_run
from models.scorer import SCORES, ModelError, Scorer

DEFAULT_STORE = "sqlite:///mlflow.db"
CHAMPION, CHALLENGER = "champion", "challenger"
SCORER = "scorer"
PACKAGES = (
    "mlflow", "lightgbm", "scikit-learn", "scipy", "pandas", "numpy", "pyarrow", "ibis-framework", "duckdb", "sqlglot",
    "pandera",
)  # fmt: skip
_URI = re.compile(r"models:/(?P<name>[^/@]+)(?:@(?P<alias>[^/@]+)|/(?P<version>\d+))")


def connect(create: bool = True) -> MlflowClient:
    """A client of MLFLOW_TRACKING_URI, else of DEFAULT_STORE in the current folder; MLflow keeps quiet from then on.

    Raises InputError where a store in a file is wanted that is not there yet, unless it may be created.
    """
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    uri = os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_STORE
    file = _file(uri)
    if file and not create and not file.is_file():
        raise InputError([_untrained("--model", f"there is no {file}, so nothing was trained here")])
    if file and not file.exists():
        _make(file)
    return MlflowClient(uri, os.environ.get("MLFLOW_REGISTRY_URI") or uri)


def _make(file: Path) -> None:
    """Make an empty store aside and move it into place: a half-made one could not be used by the next command."""
    with tempfile.TemporaryDirectory(prefix=f".{file.name}-", dir=file.resolve().parent) as folder:
        aside = Path(folder) / file.name
        MlflowClient(f"sqlite:///{aside}").search_experiments(max_results=1)
        if not file.exists():
            aside.replace(file)


def _file(uri: str) -> Path | None:
    return Path(uri.removeprefix("sqlite:///")) if uri.startswith("sqlite:///") else None


def _untrained(where: str, problem: str, received: str | None = None) -> Fault:
    remedy = "Train first: python train.py DATA. Or set MLFLOW_TRACKING_URI to where it was trained."
    return Fault(where, received=received, problem=problem, remedy=remedy)


@dataclass(frozen=True)
class Model:
    """A registered version and its scorer; `label` is what a score is stamped with.

    run: the training that made it. inputs: the columns that its signature asks for.
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

    Raises InputError for a URI of another form or a model that is not there.
    """
    registered = _registered(client, uri)
    return registered.name, str(registered.version)


def _registered(client: MlflowClient, uri: str) -> ModelVersion:
    found = _URI.fullmatch(uri)
    if not found:
        raise InputError([
            Fault("--model", received=repr(uri), problem="it is not the URI of a registered model",
                  remedy="Give models:/NAME@ALIAS or models:/NAME/VERSION.")])  # fmt: skip
    name = found["name"]
    try:
        if found["alias"]:
            return client.get_model_version_by_alias(name, found["alias"])
        return client.get_model_version(name, found["version"])
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        raise InputError([_untrained("--model", f"there is no such model in {client.tracking_uri}", uri)]) from None


def load(client: MlflowClient, uri: str) -> Model:
    """The model of models:/NAME@ALIAS or models:/NAME/VERSION; an alias is resolved once.

    Raises InputError for a URI of another form or a model that is not there, ModelError for one that is damaged.
    """
    registered = _registered(client, uri)
    name = registered.name
    with tempfile.TemporaryDirectory() as scratch:
        try:
            folder = _fetch(client, registered.source or "", scratch)
            inputs = _inputs(folder)
        except (MlflowException, OSError) as error:
            told = " ".join(str(error).split())
            raise ModelError(f"{name} {registered.version}: its files cannot be fetched ({told}). Train anew") from None
        scorer = Scorer.load(folder / "artifacts" / SCORER)
        return Model(name, str(registered.version), scorer, registered.run_id, inputs)


def _inputs(folder: Path) -> frozenset[str]:
    """The columns that a packed model's signature asks for."""
    signature = PackedModel.load(str(folder)).signature
    return frozenset(column.name for column in signature.inputs.inputs if column.required) if signature else frozenset()


def card(client: MlflowClient, model: Model) -> dict[str, Any]:
    """What a reader may know of a version: its training's facts, its figures, and the sentence on its skill."""
    told: dict[str, Any] = {"trained_on": dict(model.scorer.told), "skill": None, "figures": {}}
    if model.run:
        data = client.get_run(model.run).data
        told |= {"skill": data.tags.get("skill"), "figures": dict(sorted(data.metrics.items()))}
    return told


def _fetch(client: MlflowClient, source: str, scratch: str) -> Path:
    """Where the files of a model lie: in its own folder, or in `scratch`, to which they were brought."""
    brought = None if urlparse(source).scheme in ("", "file") else scratch
    return Path(mlflow.artifacts.download_artifacts(source, dst_path=brought, tracking_uri=client.tracking_uri))


def champion(client: MlflowClient, name: str) -> Model | None:
    """The model that bears the alias champion, or None where there is none yet."""
    try:
        return load(client, f"models:/{name}@{CHAMPION}")
    except InputError:
        return None


def start(client: MlflowClient, experiment: str, started_ms: int) -> str:
    """A new run's id; makes the experiment where there is none, its artefacts beside a store that is a file.

    Runs of the experiment whose process is dead are marked as killed.
    """
    found = client.get_experiment_by_name(experiment)
    file = _file(client.tracking_uri)
    beside = (file.resolve().parent / "mlartifacts" / experiment).as_uri() if file else None
    identifier = found.experiment_id if found else client.create_experiment(experiment, beside)
    _bury(client, identifier)
    mine = name_process(os.getpid())
    return client.create_run(identifier, start_time=started_ms, tags={TAG: mine} if mine else {}).info.run_id


def _bury(client: MlflowClient, experiment: str) -> None:
    """Mark runs that were left running by a process that is dead."""
    for run in client.search_runs([experiment], "attributes.status = 'RUNNING'"):
        identifier = run.info.run_id
        # asked again: it may have ended well since, and only the dead change no more
        if is_dead(run.data.tags.get(TAG, "")) and client.get_run(identifier).info.status == "RUNNING":
            client.set_terminated(identifier, "KILLED")


def finish(
    client: MlflowClient, run: str, name: str, found: report.Report, judged: Verdict, fingerprint: Mapping[str, str]
) -> str:
    """Log all that was found, register the version, and give it its alias; returns the version."""
    trained = found.trained
    log_run(client, run, found, judged, fingerprint)
    stated = signature(trained.scorer, trained.training.matrix)
    registered = register(client, run, name, trained.scorer, stated)
    client.set_terminated(run, "FINISHED")
    client.set_registered_model_alias(name, CHAMPION if judged.promoted else CHALLENGER, registered)
    return registered


def fail(client: MlflowClient, run: str) -> None:
    """Mark a run as failed."""
    client.set_terminated(run, "FAILED")


def register(client: MlflowClient, run: str, name: str, scorer: Scorer, stated: ModelSignature | None = None) -> str:
    """A new version of a registered model, with its files complete before it is there; returns the version.

    stated: the signature, that of the scorer's own columns where there is none.
    """
    experiment = client.get_run(run).info.experiment_id
    root = Path(__file__).resolve().parents[1]
    with tempfile.TemporaryDirectory() as scratch:
        scorer.save(Path(scratch) / SCORER)
        packed = Path(scratch) / "model"
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "(?s).*An input example was not provided", UserWarning)
            mlflow.pyfunc.save_model(
                packed,
                python_model=str(root / "models" / "pyfunc.py"),
                artifacts={SCORER: str(Path(scratch) / SCORER)},
                code_paths=[str(root / "features"), str(root / "models")],
                signature=stated or signature(scorer, _columns(scorer)),
                pip_requirements=[f"{package}=={version(package)}" for package in PACKAGES],
            )
        logged = client.create_logged_model(experiment, name="model", source_run_id=run)
        client.log_model_artifacts(logged.model_id, str(packed))
        client.finalize_logged_model(logged.model_id, "READY")
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    made = client.create_model_version(name, logged.artifact_location, run, model_id=logged.model_id)
    return str(made.version)


def _columns(scorer: Scorer) -> pd.DataFrame:
    """A matrix of the scorer's columns without rows."""
    levels = scorer.encoding.levels
    return pd.DataFrame({c: pd.Series([], dtype=object if c in levels else float) for c in scorer.encoding.columns})


def signature(scorer: Scorer, matrix: pd.DataFrame) -> ModelSignature:
    """The matrix's columns, creator_id and spend in (numbers double, categories string), the score columns out."""
    kinds = {str(c): "double" if pd.api.types.is_numeric_dtype(matrix[c].dtype) else "string" for c in matrix}
    kinds |= {"creator_id": "string", "spend": "double"}
    used = {*scorer.encoding.columns, "creator_id", "spend"}
    texts = ("reasons", "warnings")
    return ModelSignature(
        Schema([ColSpec(kind, name, required=name in used) for name, kind in kinds.items()]),
        Schema([ColSpec("string" if name in texts else "double", name) for name in SCORES]),
        ParamSchema([ParamSpec("level", "double", 0.8), ParamSpec("reasons", "boolean", True)]),
    )
