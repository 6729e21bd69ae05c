"""Putting the former champion back.

Every version that is promoted keeps which one it followed, so there is a chain of champions. A rollback gives the alias
to the one before; a second rollback goes one further back, never forward again. The version that was replaced stays
registered. It does not come back by the next training on the same results: what it was trained on is then no reason to
renew the champion (`models.registry.gate`), so a new version must be better, or newer than the one rolled back.
"""

from __future__ import annotations

from datetime import datetime
from typing import NoReturn

from mlflow import MlflowClient

from features.faults import refuse
from features.secrets import mask
from models.registry.origin import user
from models.registry.registry import CHAMPION, NotRegisteredError, champion_version, load
from models.registry.store import alone
from models.registry.store_faults import guarded
from models.registry.version_record import (
    BEFORE,
    NONE,
    ROLLED_BACK,
    ROLLED_BACK_FROM,
    announce,
    announced,
    stamp,
)
from models.scorer import ModelError, Scorer


def rollback(client: MlflowClient, name: str, *, now: datetime, why: str = "") -> tuple[str, str]:
    """Put the former champion of a model back; returns the version that was champion and the one that is.

    now: with a time zone, for the record. why: in the user's words. The files of the former champion are read first. A
    rollback that was cut off after the alias was set is completed, and does not go one further back.
    Raises InputError where there is no champion, none before it, or the one before cannot be used: nothing is changed.
    """
    if done := complete(client, name, now):
        return done
    present, former = chain(client, name)
    try:
        load(client, f"models:/{name}/{former}")
    except (ModelError, NotRegisteredError) as error:
        remedy = f"Bring it back, or set the alias {CHAMPION} to another version in MLflow."
        _refuse(name, f"version {former}, the champion before version {present}, cannot be used ({error})", remedy)
    with alone(client):
        if champion_version(client, name) != present:
            _refuse(name, "another training or rollback changed the champion meanwhile", "Look, then try again.")
        _put_back(client, name, present, former, now, why)
    return present, former


@guarded
def chain(client: MlflowClient, name: str) -> tuple[str, str]:
    """The champion and the champion before it. Raises InputError where either is missing."""
    present = champion_version(client, name)
    if present is None:
        _refuse(name, f"no version of it is the {CHAMPION}", "Train first: python train.py DATA.")
    former = client.get_model_version(name, present).tags.get(BEFORE, NONE)
    if former == NONE:
        remedy = f"Set the alias {CHAMPION} to the version that you want in MLflow."
        _refuse(name, f"no champion before version {present} is on record", remedy)
    return present, former


@guarded
def _put_back(client: MlflowClient, name: str, present: str, former: str, now: datetime, why: str) -> None:
    reason = f": {why}" if why else ""
    record = mask(f"{stamp(now)} by {user()} to version {former}{reason}")
    client.set_model_version_tag(name, former, ROLLED_BACK_FROM, present)
    client.set_model_version_tag(name, present, ROLLED_BACK, record)
    client.set_registered_model_alias(name, CHAMPION, former)
    announce(client, name, former, present, now, f"a rollback, {record}")


@guarded
def complete(client: MlflowClient, name: str, now: datetime) -> tuple[str, str] | None:
    """Write the record of a rollback that was cut off after it had set the alias; what it replaced, and by what.

    None where there is no such rollback.
    """
    champion = champion_version(client, name)
    if champion is None:
        return None
    replaced = client.get_model_version(name, champion).tags.get(ROLLED_BACK_FROM)
    if replaced is None or announced(client, name) not in (replaced, None):
        return None
    record = client.get_model_version(name, replaced).tags.get(ROLLED_BACK, "")
    announce(client, name, champion, replaced, now, f"a rollback, {record}")
    return replaced, champion


def kept_out(client: MlflowClient, name: str, champion: str) -> list[Scorer] | None:
    """The version that a rollback took back in favour of this champion, if any; None where it cannot be read."""
    version = _replaced(client, name, champion)
    try:
        return [load(client, f"models:/{name}/{version}").scorer] if version else []
    except (ModelError, NotRegisteredError):
        return None


@guarded
def _replaced(client: MlflowClient, name: str, champion: str) -> str | None:
    return client.get_model_version(name, champion).tags.get(ROLLED_BACK_FROM)


def _refuse(name: str, problem: str, remedy: str) -> NoReturn:
    refuse("--rollback", name, problem, remedy)
