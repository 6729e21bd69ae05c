"""The champion and the challenger: which version bears which alias after a training.

The gate compares with the champion of that moment. Just before the alias is set the champion is looked up again; where
another training has changed it meanwhile, the gate decides anew, so that of trainings at the same time one is the first
and the others are judged against it. For a store in a SQLite file a lock makes look-up and alias one step. An MLflow
server offers no such step: there two trainings that set the alias within the same few milliseconds may both succeed,
and the later one counts.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from mlflow import MlflowClient

from features.secrets import mask
from models.registry.gate import Verdict, decide
from models.registry.registry import CHALLENGER, CHAMPION, champion_version, load
from models.registry.run_log import log_run
from models.registry.runs import Run, register, signature
from models.registry.store import alone
from models.registry.store_faults import guarded
from models.scorer import FilesMissingError, ModelError, NewerFormatError

if TYPE_CHECKING:
    from features.history.source import History
    from models.report.summary import Report
    from models.training import Trained

# the version of the champion that was compared with, and what came of it
Judged = tuple[str | None, Verdict]


def record(run: Run, found: Report, history: History, fingerprint: Mapping[str, str]) -> tuple[str, Verdict]:
    """Log all that was found, register the version, and give it its alias; returns the version and the verdict."""
    client, trained = run.client, found.trained

    def judge() -> Judged:
        return compare(client, run.name, trained, history)

    judged = judge()
    log_run(client, run.id, found, fingerprint)
    version = register(client, run.id, run.name, trained.scorer, signature(trained.scorer, trained.training.matrix))
    return version, award(run, version, judged, judge)


def compare(client: MlflowClient, name: str, trained: Trained, history: History) -> Judged:
    """Judge a challenger against the champion of this moment.

    A champion that is only out of reach keeps its place; one that is damaged, or of an old format, loses it.
    """
    version = champion_version(client, name)
    if version is None:
        return None, decide(trained, None, history)
    try:
        champion = load(client, f"models:/{name}/{version}")
        verdict = decide(trained, champion.scorer, history)
    except (FilesMissingError, NewerFormatError) as error:
        why = f"it could not be compared with the champion, {error}. Bring the champion back and train again, or set "
        why += f"the alias {CHAMPION} to this version in MLflow"
        print(mask(f"{name}: the new version is not promoted: {why}"), file=sys.stderr)
        return version, Verdict(False, why)
    except ModelError as error:
        return version, Verdict(True, f"the champion cannot be used ({error})")
    history.stamp.require_unchanged("DATA")  # the gate has read it once more
    return version, verdict


def award(run: Run, version: str, judged: Judged, judge: Callable[[], Judged]) -> Verdict:
    """Give a version its alias by a verdict on the champion that there is in that moment; `judge` makes a new one."""
    while True:
        against, verdict = judged
        with alone(run.client):
            if champion_version(run.client, run.name) == against:
                _conclude(run.client, run, version, verdict)
                return verdict
        judged = judge()


@guarded
def _conclude(client: MlflowClient, run: Run, version: str, verdict: Verdict) -> None:
    client.set_tag(run.id, "promoted", mask(f"{'yes' if verdict.promoted else 'no'}: {verdict.why}"))
    client.set_terminated(run.id, "FINISHED")
    client.set_registered_model_alias(run.name, CHAMPION if verdict.promoted else CHALLENGER, version)
