"""What a training that was cut off left half done in the registry, put in order by the next one.

The alias decides which version is the champion: nothing here moves it. What is written about versions is made to agree
with it (`models.registry.version_record` says in which order that is written).
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime

from mlflow import MlflowClient
from mlflow.entities import LoggedModelStatus, Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from models.registry.artifacts import beside, local_path
from models.registry.processes import TAG, is_dead
from models.registry.registry import ABSENT, champion_version
from models.registry.rollback import complete
from models.registry.store import alone, folder_of
from models.registry.store_faults import guarded
from models.registry.version_record import BEFORE, NONE, PROMOTED, ROLLED_BACK, SINCE, announce, announced

CUT_OFF = ("FAILED", "KILLED")  # how a run stands whose training did not end by itself
NEWEST = 8  # versions and models that are looked at: as many trainings may have been cut off since the last whole one
HALF_WRITTEN = ".artifact.uploading.*"  # a file that MLflow has not given its name yet


@guarded
def put_in_order(client: MlflowClient, name: str, now: datetime) -> tuple[str, ...]:
    """Mark what trainings that were cut off left open, and complete or undo the records of their promotions, and of
    rollbacks; returns a sentence for each.

    What belongs to a training that still runs is left alone.
    """
    with alone(client):
        notes = _end_runs(client, name)
        champion = champion_version(client, name)
        if champion and (done := complete(client, name, now)):
            notes.append(f"The rollback from version {done[0]} to {done[1]} was cut off; its record is complete now.")
        for version in _newest(client, name, champion):
            run = _run(client, version.run_id)
            if run is None or run.info.status != "RUNNING":
                notes += _mend(client, version, run, str(version.version) == champion, now)
    return tuple(notes)


def _end_runs(client: MlflowClient, name: str) -> list[str]:
    """Mark runs that a dead process left running as killed, and models that runs which are over left half written as
    failed; remove files that were being written."""
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        return []
    notes = []
    for run in client.search_runs([experiment.experiment_id], "attributes.status = 'RUNNING'"):
        identifier = run.info.run_id
        # read again: it may have ended well since, and only the dead change no more
        if is_dead(run.data.tags.get(TAG, "")) and client.get_run(identifier).info.status == "RUNNING":
            _remove_half_written(client, run)
            client.set_terminated(identifier, "KILLED")
            if "mlflow.parentRunId" not in run.data.tags:  # the folds of a backtest have one
                notes.append(f"The training of run {identifier} was cut off; it is marked as killed.")
    for model in client.search_logged_models([experiment.experiment_id], max_results=NEWEST):
        if model.status == LoggedModelStatus.PENDING and model.source_run_id:
            source = _run(client, model.source_run_id)
            if source is None or source.info.status in CUT_OFF:
                client.finalize_logged_model(model.model_id, "FAILED")
                notes.append(f"The model {model.model_id} was cut off while it was written; it is marked as failed.")
    return notes


def _remove_half_written(client: MlflowClient, run: Run) -> None:
    """Remove files that a run was writing, where they lie on this machine."""
    folder, recorded = folder_of(client), local_path(run.info.artifact_uri or "")
    if folder and recorded and (path := beside(folder, recorded)):
        for file in path.rglob(HALF_WRITTEN):
            with suppress(OSError):  # it does no harm
                file.unlink()


def _newest(client: MlflowClient, name: str, champion: str | None) -> list[ModelVersion]:
    """The newest versions and the champion, as far as they are there."""
    try:
        last = max((int(v.version) for v in client.get_registered_model(name).latest_versions or []), default=0)
    except MlflowException as error:
        if error.error_code not in ABSENT:
            raise
        return []
    found = []
    for number in sorted({*range(max(1, last - NEWEST + 1), last + 1), *([int(champion)] if champion else [])}):
        try:
            found.append(client.get_model_version(name, str(number)))
        except MlflowException as error:
            if error.error_code not in ABSENT:  # deleted by hand
                raise
    return found


def _run(client: MlflowClient, identifier: str | None) -> Run | None:
    try:
        return client.get_run(identifier) if identifier else None
    except MlflowException as error:
        if error.error_code not in ABSENT:
            raise
        return None


def _mend(client: MlflowClient, version: ModelVersion, run: Run | None, champion: bool, now: datetime) -> list[str]:
    """Make the record of one version agree with whether it is the champion."""
    name, number, tags = version.name, str(version.version), version.tags
    if champion:
        return _mend_champion(client, name, number, tags, run, now)
    if SINCE in tags:
        return []
    if BEFORE in tags or tags.get(PROMOTED, "").startswith("yes"):
        _undecide(client, name, number, run, "its promotion was cut off")
        client.delete_model_version_tag(name, number, BEFORE)
        return [f"The promotion of version {number} was cut off: it is not the champion."]
    if PROMOTED not in tags and run is not None and run.info.status in CUT_OFF:
        _undecide(client, name, number, run, "its training was cut off before the decision")
        return [f"The training of version {number} was cut off before it was decided on: it is not the champion."]
    return []


def _mend_champion(
    client: MlflowClient, name: str, number: str, tags: dict[str, str], run: Run | None, now: datetime
) -> list[str]:
    notes = []
    if ROLLED_BACK in tags:
        client.delete_model_version_tag(name, number, ROLLED_BACK)
        notes.append(f"A rollback of version {number} was cut off, or taken back: it is the champion.")
    if BEFORE in tags and (SINCE not in tags or announced(client, name) != number):
        before = tags[BEFORE]
        announce(client, name, number, None if before == NONE else before, now, "found by a later training")
        notes.append(f"Version {number} became the champion without a record of it: that was cut off, or done by hand.")
    if BEFORE in tags and run is not None and run.info.status in CUT_OFF:
        client.set_terminated(run.info.run_id, "FINISHED")
        notes.append(f"The run of version {number} was cut off after the promotion; it counts as finished.")
    return notes


def _undecide(client: MlflowClient, name: str, number: str, run: Run | None, why: str) -> None:
    """Write on a version and its run that it was not promoted."""
    if run is not None:
        client.set_tag(run.info.run_id, PROMOTED, f"no: {why}")
    client.update_model_version(name, number, f"**Not promoted**: {why}.")
    client.set_model_version_tag(name, number, PROMOTED, f"no: {why}")
