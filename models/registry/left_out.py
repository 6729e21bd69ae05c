"""Results that the newest look at DATA kept out, for whatever scores with any version of a model.

A model remembers what was kept out of its own training (`TrainingFacts.kept_out`). A later training that was stopped at
the door, or whose version was not promoted, may have found more. So every training that has looked at DATA writes how
many results it keeps out into its run's tag `kept_out`, and, if there are any, its run into the tag `kept_out.run` of
the registered model; the run's intake.json has the rows. Where none is kept out, the registered model's tag is deleted.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from models.registry.artifacts import fetch_file
from models.registry.registry import ABSENT, Model
from models.registry.run_log import INTAKE
from models.registry.store_faults import guarded
from models.scorer import FilesMissingError

COUNT, RUN = "kept_out", "kept_out.run"  # tags of a run and of a registered model


@guarded
def announce(client: MlflowClient, name: str, run: str, count: int) -> None:
    """Have all versions of a model leave out the results that a run keeps out, so many of them."""
    client.set_tag(run, COUNT, str(count))
    _point(client, name, run if count else None)


@guarded
def announce_again(client: MlflowClient, name: str, run: str) -> None:
    """The same of an earlier run, whose data have come back; nothing is written where it is the newest one."""
    count = client.get_run(run).data.tags.get(COUNT, "0")
    _point(client, name, run if count != "0" else None)


@guarded
def announced(client: MlflowClient, name: str) -> str | None:
    """The run whose kept-out results are to be left out; None where there are none, or no such model."""
    try:
        return client.get_registered_model(name).tags.get(RUN)
    except MlflowException as error:
        if error.error_code not in ABSENT:
            raise
        return None


def without_announced(client: MlflowClient, model: Model, run: str | None) -> tuple[Model, tuple[str, ...]]:
    """The model, whose features also go without what `run` kept out, and notes. run: as `announced` gave it.

    Where the rows cannot be read the model is as it was trained, and a note says so.
    """
    if run is None or run == model.run:
        return model, ()
    try:
        found = _kept_out(client, run)
    except (MlflowException, FilesMissingError, OSError, ValueError, KeyError, TypeError) as error:
        missing = isinstance(error, FileNotFoundError | FilesMissingError)
        why = "it is not there" if missing else f"it cannot be used, {type(error).__name__}"
        note = (
            f"a training after that of {model.label} kept results out, and they cannot be read ({INTAKE} of the run "
            f"{run}: {why}); the features are made with them"
        )
        return model, (note,)
    facts = model.scorer.facts
    facts = replace(facts, kept_out=tuple(sorted({*facts.kept_out, *found})))
    return replace(model, scorer=replace(model.scorer, facts=facts)), ()


def _point(client: MlflowClient, name: str, run: str | None) -> None:
    """Where no version is registered yet, nobody is to know."""
    now = announced(client, name)
    if run is None and now is not None:
        client.delete_registered_model_tag(name, RUN)
    elif run is not None and run != now:
        try:
            client.set_registered_model_tag(name, RUN, run)
        except MlflowException as error:
            if error.error_code not in ABSENT:
                raise


def _kept_out(client: MlflowClient, run: str) -> list[str]:
    address = client.get_run(run).info.artifact_uri
    with tempfile.TemporaryDirectory() as scratch:
        intake = json.loads(fetch_file(client, address, INTAKE, scratch).read_text(encoding="utf-8"))
    return [str(row["collaboration_id"]) for row in intake["kept_out"]]
