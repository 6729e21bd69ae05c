"""The champion and the challenger: which version bears which alias after a training.

The gate compares with the champion of that moment. Just before the alias is set the champion is looked up again; where
another training has changed it meanwhile, the gate decides again, so that of trainings at the same time one is first
and the others are compared with it. For a store in a SQLite file a lock makes look-up and alias one step. An MLflow
server offers no such step. Of two trainings that set the first alias of all in the same few milliseconds, its database
refuses one, which is then compared with the other; where there was a champion, both may succeed, and the later counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from features.faults import InputError, OutputError
from models.alarms import Alarm
from models.evaluation.skill import LEAST_T
from models.registry.gate import Decision, Promote, decide, unopposed, with_changes
from models.registry.lineage import datasets
from models.registry.registry import ABSENT, CHALLENGER, CHAMPION, champion_version, load
from models.registry.rollback import kept_out
from models.registry.run_log import log_alarms, log_run
from models.registry.runs import Run, example, register, signature
from models.registry.store import alone
from models.registry.store_faults import StoreError, guarded, insist, was_taken
from models.registry.version_record import BEFORE, NONE, PROMOTED, announce, outcome, write_decision
from models.scorer import FilesMissingError, ModelError, NewerFormatError, OlderFormatError

if TYPE_CHECKING:
    from features.history.source import History
    from models.report.summary import Report
    from models.training import Trained

# the version of the champion that was compared with, and the decision
Comparison = tuple[str | None, Decision]


def record(
    run: Run,
    found: Report,
    history: History,
    fingerprint: Mapping[str, str],
    promote: Promote = "if-better",
    data: str = "",
) -> tuple[str, Decision]:
    """Log all that was found, register the version, and give it its alias; returns the version and the decision.

    promote: whether the gate decides, or a person has decided already. data: DATA as the user gave it.
    """
    client, trained = run.client, found.trained

    def compare_again() -> Comparison:
        version, decision = compare(client, run.name, trained, history)
        return version, decision.overruled(promote)

    comparison = compare_again()
    log_run(client, run.id, found, fingerprint, comparison[1], datasets(history, fingerprint, data))
    scorer, training = trained.scorer, trained.training
    stated = signature(scorer, training.matrix)
    version = register(client, run.id, run.name, scorer, stated, example(stated, training.matrix, training.spine))
    return version, award(run, version, comparison, compare_again)


def compare(client: MlflowClient, name: str, trained: Trained, history: History) -> Comparison:
    """Compare a challenger with the champion of this moment.

    A champion that is only out of reach keeps its place; one that is damaged, or of an older format, loses it to a
    challenger that nothing bars. Except for the older format, a person should look: the decision has an alarm.
    """
    version = champion_version(client, name)
    if version is None:
        return None, decide(trained, None, history)
    try:
        champion = load(client, f"models:/{name}/{version}")
        decision = decide(trained, champion.scorer, history, kept_out(client, name, version))
        decision = with_changes(decision, trained, champion.scorer)
    except (FilesMissingError, NewerFormatError) as error:
        first = "Update creator-yield" if isinstance(error, NewerFormatError) else "Bring the champion back"
        why = f"it could not be compared with the champion, {error}. {first} and train again, or set the alias "
        why += f"{CHAMPION} to this version in MLflow"
        return version, Decision(False, why, (Alarm("store", f"{why}."),))
    except OlderFormatError as error:
        return version, unopposed(trained, f"the champion cannot be used ({error})", had_skill(client, name, version))
    except ModelError as error:
        why = f"the champion cannot be used ({error})"
        damaged = Alarm("store", f"{why}: its files were changed. Find out by what, and keep the store's backups.")
        return version, unopposed(trained, why, had_skill(client, name, version), (damaged,))
    history.stamp.require_unchanged("DATA")  # the gate has read it once more
    return version, decision


@guarded
def had_skill(client: MlflowClient, name: str, version: str) -> bool:
    """Whether the run of a version that cannot be read any more found skill; false where the run is gone, too."""
    try:
        run = client.get_run(client.get_model_version(name, version).run_id or "")
    except MlflowException as error:
        if error.error_code not in ABSENT:
            raise
        return False
    return run.data.metrics.get("skill_t", 0.0) > LEAST_T


def award(run: Run, version: str, comparison: Comparison, compare_again: Callable[[], Comparison]) -> Decision:
    """Give a version its alias by a decision on the champion of that moment; `compare_again` makes a new one."""
    with registered(version, False):
        while True:
            against, decision = comparison
            with alone(run.client):
                if champion_version(run.client, run.name) == against and _conclude(
                    run.client, run, version, decision, against
                ):
                    with registered(version, decision.promoted):
                        _announce(run.client, run, version, decision, against)
                    return decision
            comparison = compare_again()


@guarded
def _conclude(client: MlflowClient, run: Run, version: str, decision: Decision, before: str | None) -> bool:
    """Write down the decision, then set the alias; see `models.registry.version_record`.

    False where another training became champion in the same moment.
    """
    client.set_tag(run.id, PROMOTED, outcome(decision))
    log_alarms(client, run.id, decision.alarms)
    write_decision(client, run.name, version, decision, client.get_run(run.id).data.tags.get("skill", ""))
    if not decision.promoted:
        insist(client.set_registered_model_alias, run.name, CHALLENGER, version)
        return True
    client.set_model_version_tag(run.name, version, BEFORE, before or NONE)
    try:
        client.set_registered_model_alias(run.name, CHAMPION, version)
    except MlflowException as error:
        if not was_taken(error):
            raise
        client.delete_model_version_tag(run.name, version, BEFORE)
        return False
    return True


@guarded
def _announce(client: MlflowClient, run: Run, version: str, decision: Decision, before: str | None) -> None:
    """Write that the alias is set."""
    if decision.promoted:
        announce(client, run.name, version, before, datetime.now(UTC), f"the {decision.by}'s decision: {decision.why}")
    client.set_terminated(run.id, "FINISHED")


@contextmanager
def registered(version: str, champion: bool) -> Iterator[None]:
    """Where the store or the ledger fails now, say that this version is there, and serves if it is the champion."""
    so_far = f"Version {version} is the champion already; the next training completes its record."
    try:
        yield
    except InputError as error:
        if not champion:
            error.done = error.done or f"version {version} is registered, and is not the champion"
            raise
        kind = StoreError if isinstance(error, StoreError) else InputError
        faults = [replace(fault, remedy=f"{fault.remedy} {so_far}") for fault in error.faults]
        raise kind(faults, so_far[0].lower() + so_far[1:-1]) from error
    except OutputError as error:
        if not champion:
            raise
        raise OutputError(f"{error} {so_far}") from error
