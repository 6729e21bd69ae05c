"""What a training that was cut off left half done in the registry, put in order by the next one.

The alias decides which version is the champion: nothing here moves it. What is written about versions is made to agree
with it (`models.registry.version_record` says in which order that is written).
"""

from __future__ import annotations

from datetime import datetime

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from models.registry.registry import ABSENT, champion_version
from models.registry.rollback import complete
from models.registry.store import alone
from models.registry.store_faults import guarded
from models.registry.version_record import BEFORE, NONE, PROMOTED, ROLLED_BACK, SINCE, announce, announced

CUT_OFF = ("FAILED", "KILLED")  # how a run stands whose training did not end by itself
NEWEST = 8  # versions that are looked at: as many as trainings may have been cut off since the last whole one


@guarded
def put_in_order(client: MlflowClient, name: str, now: datetime) -> tuple[str, ...]:
    """Complete or undo the records of promotions and rollbacks that were cut off; returns a sentence for each.

    Versions whose training still runs are left alone.
    """
    notes = []
    with alone(client):
        champion = champion_version(client, name)
        if champion and (done := complete(client, name, now)):
            notes.append(f"The rollback from version {done[0]} to {done[1]} was cut off; its record is complete now.")
        for version in _newest(client, name, champion):
            run = _run(client, version)
            if run is None or run.info.status != "RUNNING":
                notes += _mend(client, version, run, str(version.version) == champion, now)
    return tuple(notes)


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


def _run(client: MlflowClient, version: ModelVersion) -> Run | None:
    try:
        return client.get_run(version.run_id) if version.run_id else None
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
