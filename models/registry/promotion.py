"""The champion and the challenger: which version bears which alias after a training.

The gate compares with the champion of that moment. Just before the alias is set the champion is looked up again; where
another training has changed it meanwhile, the gate decides again, so that of trainings at the same time one is first
and the others are compared with it. For a store in a SQLite file a lock makes look-up and alias one step. An MLflow
server offers no such step: there two trainings that set the alias within the same few milliseconds may both succeed,
and the later one counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from mlflow import MlflowClient

from features.secrets import mask
from models.registry.gate import Decision, decide
from models.registry.registry import CHALLENGER, CHAMPION, champion_version, load
from models.registry.run_log import log_run
from models.registry.runs import Run, register, signature
from models.registry.store import alone
from models.registry.store_faults import guarded
from models.scorer import FilesMissingError, ModelError, NewerFormatError, OlderFormatError

if TYPE_CHECKING:
    from features.history.source import History
    from models.report.summary import Report
    from models.training import Trained

# the version of the champion that was compared with, and the decision
Comparison = tuple[str | None, Decision]


def record(run: Run, found: Report, history: History, fingerprint: Mapping[str, str]) -> tuple[str, Decision]:
    """Log all that was found, register the version, and give it its alias; returns the version and the decision."""
    client, trained = run.client, found.trained

    def compare_again() -> Comparison:
        return compare(client, run.name, trained, history)

    comparison = compare_again()
    log_run(client, run.id, found, fingerprint, comparison[1])
    version = register(client, run.id, run.name, trained.scorer, signature(trained.scorer, trained.training.matrix))
    return version, award(run, version, comparison, compare_again)


def compare(client: MlflowClient, name: str, trained: Trained, history: History) -> Comparison:
    """Compare a challenger with the champion of this moment.

    A champion that is only out of reach keeps its place; one that is damaged, or of an older format, loses it. Except
    for the older format, a person should look: the decision is an alarm.
    """
    version = champion_version(client, name)
    if version is None:
        return None, decide(trained, None, history)
    try:
        champion = load(client, f"models:/{name}/{version}")
        decision = decide(trained, champion.scorer, history)
    except (FilesMissingError, NewerFormatError) as error:
        first = "Update creator-yield" if isinstance(error, NewerFormatError) else "Bring the champion back"
        why = f"it could not be compared with the champion, {error}. {first} and train again, or set the alias "
        return version, Decision(False, f"{why}{CHAMPION} to this version in MLflow", alarm=True)
    except OlderFormatError as error:
        return version, Decision(True, f"the champion cannot be used ({error})")
    except ModelError as error:
        return version, Decision(True, f"the champion cannot be used ({error})", alarm=True)
    history.stamp.require_unchanged("DATA")  # the gate has read it once more
    return version, decision


def award(run: Run, version: str, comparison: Comparison, compare_again: Callable[[], Comparison]) -> Decision:
    """Give a version its alias by a decision on the champion of that moment; `compare_again` makes a new one."""
    while True:
        against, decision = comparison
        with alone(run.client):
            if champion_version(run.client, run.name) == against:
                _conclude(run.client, run, version, decision)
                return decision
        comparison = compare_again()


@guarded
def _conclude(client: MlflowClient, run: Run, version: str, decision: Decision) -> None:
    client.set_tag(run.id, "promoted", mask(f"{'yes' if decision.promoted else 'no'}: {decision.why}"))
    if decision.alarm:
        client.set_tag(run.id, "alarm", mask(decision.why))
    client.set_terminated(run.id, "FINISHED")
    client.set_registered_model_alias(run.name, CHAMPION if decision.promoted else CHALLENGER, version)
