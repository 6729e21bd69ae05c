"""Writing to MLflow: one run per training, and a version of the registered model.

- what `models.registry.run_log` logs: params, tags, metrics, artefacts, and a nested run for each fold of the backtest
- model: a pyfunc from code; its files are the scorer's (LightGBM text, JSON, Parquet, checksums) and the project's code

The run begins before the work, so that whatever keeps the store from taking results shows then. The version is
registered when all of its files are there; `models.registry.promotion` sets the alias last, so that a training that is
cut off at any moment leaves the champion as it was. What was cut off is marked, and said, by the next training of
the experiment, where its process is known to be dead (`models.registry.recovery`).
"""

from __future__ import annotations

import os
import platform
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import mlflow
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Experiment, SourceType
from mlflow.entities.model_registry.prompt_version import IS_PROMPT_TAG_KEY
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema
from mlflow.utils.mlflow_tags import (
    MLFLOW_GIT_COMMIT,
    MLFLOW_RUN_NOTE,
    MLFLOW_SOURCE_NAME,
    MLFLOW_SOURCE_TYPE,
    MLFLOW_USER,
)

from features.faults import Fault, InputError
from models.registry.artifacts import home_of, local_path, settle
from models.registry.names import check_name
from models.registry.origin import commit, user
from models.registry.processes import TAG, name_process
from models.registry.recovery import put_in_order
from models.registry.registry import SCORER
from models.registry.store import connect
from models.registry.store_faults import StoreError, guarded, impatient, insist, store_faults
from models.scorer import SCORES, Scorer

PACKAGES = (
    "mlflow", "lightgbm", "scikit-learn", "scipy", "pandas", "numpy", "pyarrow", "ibis-framework", "duckdb", "sqlglot",
    "pandera",
)  # fmt: skip
PROGRAM = "train.py"
# The kind opens the experiment in MLflow's view for models of one's own, not in the one for language models.
EXPERIMENT = {
    "mlflow.experimentKind": "custom_model_development",
    MLFLOW_RUN_NOTE: "Trainings of creator-yield: conversions per dollar of creator deals. One run a training, the "
    "folds of its backtest nested below it. `model_card.md` among a run's artifacts is the full report.",
}
MODEL = (
    "Predicts conversions per dollar of creator deals. The alias `champion` is the version in use, `challenger` the "
    "newest one that was not promoted; each version says why. The tag `promotion` is the last change of the champion."
)
EXAMPLE = 5  # rows
ROOM = 16 * 2**20  # bytes that a training may need beside the store


@dataclass(frozen=True)
class Run:
    """A run that was begun: the client of its store, the experiment's name, its id.

    notes: what an earlier training left half done, and was put in order.
    """

    client: MlflowClient
    name: str
    id: str
    notes: tuple[str, ...] = ()


@contextmanager
def open_run(name: str, began_ms: int) -> Iterator[Run]:
    """A run of the experiment `name` in the store, marked as failed where the context ends with an exception.

    Raises InputError for a name or a store that cannot take a training's results.
    """
    check_name(name)
    client = connect()
    with impatient():
        identifier = start(client, name, began_ms)
    try:
        with impatient(), store_faults(client.tracking_uri):
            notes = put_in_order(client, name, datetime.fromtimestamp(began_ms / 1000, UTC))
            client.log_text(identifier, _environment(), "environment.txt")  # shows that files can be stored, too
        yield Run(client, name, identifier, notes)
    except BaseException:
        with suppress(StoreError), impatient():
            _end(client, identifier, "FAILED")
        raise


@guarded
def start(client: MlflowClient, experiment: str, started_ms: int) -> str:
    """A new run's id; makes the experiment where there is none, its artefacts beside a store that is a file.

    Raises InputError where the experiment or the model of that name is no place for a training.
    """
    _require_model(client, experiment)
    found = _experiment(client, experiment)
    mine = name_process(os.getpid())
    tags = {
        MLFLOW_USER: user(),
        MLFLOW_SOURCE_NAME: PROGRAM,
        MLFLOW_SOURCE_TYPE: SourceType.to_string(SourceType.LOCAL),
    }
    tags |= {name: text for name, text in ((TAG, mine), (MLFLOW_GIT_COMMIT, commit())) if text}
    run = client.create_run(found.experiment_id, start_time=started_ms, tags=tags, run_name="training")
    return run.info.run_id


def _require_model(client: MlflowClient, name: str) -> None:
    """Raise InputError where the model's name is taken by a prompt, which MLflow keeps in the same table."""
    prompts = client.search_registered_models(f"tags.`{IS_PROMPT_TAG_KEY}` = 'true'", max_results=1000)
    if name in {prompt.name for prompt in prompts}:
        remedy = "Choose another name, or delete the prompt."
        problem = f"a prompt in {client.tracking_uri} has that name"
        raise InputError([Fault("--experiment", received=repr(name), problem=problem, remedy=remedy)])


def _experiment(client: MlflowClient, name: str) -> Experiment:
    """The experiment of that name, made where there is none, with a place for files that can be written to."""
    found = client.get_experiment_by_name(name)
    if found is None:
        home = home_of(client, name)
        _require_room(home)
        try:
            client.create_experiment(name, home, EXPERIMENT)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":  # another training made it in this moment
                raise
        found = client.get_experiment_by_name(name)
        assert found is not None
    if found.lifecycle_stage == "deleted":
        command = f"MLFLOW_TRACKING_URI={client.tracking_uri} mlflow experiments restore --experiment-id "
        remedy = f"Restore it: {command}{found.experiment_id} or choose another name."
        problem = "the experiment was deleted, and MLflow keeps its name"
        raise InputError([Fault("--experiment", received=repr(name), problem=problem, remedy=remedy)])
    settle(client, found)
    for tag, text in EXPERIMENT.items():
        if tag not in found.tags:  # a user's own description stays
            insist(client.set_experiment_tag, found.experiment_id, tag, text)
    found = client.get_experiment(found.experiment_id)
    _require_room(found.artifact_location)
    return found


def _require_room(address: str | None) -> None:
    """Raise OSError where files cannot be written at an address on this machine; nothing stays there."""
    path = local_path(address) if address else None
    if path is None:
        return
    folder = path
    while not folder.exists():
        folder = folder.parent
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(bytes(ROOM))
        file.flush()


def _environment() -> str:
    """Python and the packages that decide scores, one a line."""
    return "".join([f"python {platform.python_version()}\n", *(f"{name} {version(name)}\n" for name in PACKAGES)])


@guarded
def _end(client: MlflowClient, run: str, status: str) -> None:
    client.set_terminated(run, status)


@guarded
def register(
    client: MlflowClient,
    run: str,
    name: str,
    scorer: Scorer,
    stated: ModelSignature | None = None,
    shown: pd.DataFrame | None = None,
) -> str:
    """A new version of a registered model, with its files complete before it is there; returns the version.

    stated: the signature, that of the scorer's own columns where there is none. shown: rows as an example of the input.
    """
    experiment = client.get_run(run).info.experiment_id
    root = Path(__file__).resolve().parents[2]
    with tempfile.TemporaryDirectory() as scratch:
        scorer.save(Path(scratch) / SCORER)
        packed = Path(scratch) / "model"
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "(?s).*An input example was not provided", UserWarning)
            warnings.filterwarnings("ignore", "Operation with range is deprecated")  # MLflow's, of the example
            mlflow.pyfunc.save_model(
                packed,
                python_model=str(root / "models" / "registry" / "pyfunc.py"),
                artifacts={SCORER: str(Path(scratch) / SCORER)},
                code_paths=[str(root / "features"), str(root / "models")],
                signature=stated or signature(scorer, _columns(scorer)),
                input_example=shown,
                pip_requirements=[f"{package}=={version(package)}" for package in PACKAGES],
            )
        logged = client.create_logged_model(experiment, name="model", source_run_id=run)
        client.log_model_artifacts(logged.model_id, str(packed))
        client.finalize_logged_model(logged.model_id, "READY")
    try:
        client.create_registered_model(name, description=MODEL)
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


def example(stated: ModelSignature, matrix: pd.DataFrame, spine: pd.DataFrame) -> pd.DataFrame:
    """The newest rows of a training as the signature wants them: its input columns, in their order."""
    rows = matrix.tail(EXAMPLE).assign(creator_id=spine.creator_id.tail(EXAMPLE), spend=spine.spend.tail(EXAMPLE))
    kinds = {str(column.name): column.type.name for column in stated.inputs.inputs}
    columns = {
        name: rows[name].astype(float)
        if kind == "double"
        else rows[name].astype(object).where(rows[name].notna(), None)
        for name, kind in kinds.items()
    }
    return pd.DataFrame(columns).reset_index(drop=True)
