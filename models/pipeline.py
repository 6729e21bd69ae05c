"""A training from the tables to the registry, as a function: what `train.py` does, for anything else that retrains."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from features.comment_classifier.classifier import CommentClassifier
from features.faults import InputError
from features.history.checks import check_trainable
from features.history.source import fingerprint, open_history
from features.settings import FeatureSettings
from features.usage import columns_read
from models.alarms import Alarm
from models.estimators.recipes import TRIES, with_settings
from models.evaluation.backtest import Progress
from models.registry import promotion, unchanged
from models.registry.gate import Decision
from models.registry.runs import open_run
from models.registry.store import connect
from models.report import summary
from models.report.outcome import Action
from models.report.summary import Report
from models.training import TrainingSet, fit


@dataclass(frozen=True)
class Retrained:
    """What came of a training. report, decision: None where nothing was trained. version: the registered one, or the
    earlier one that nothing has changed since. details: by part, plain JSON values.
    """

    action: Action
    sentence: str
    version: str | None = None
    report: Report | None = None
    decision: Decision | None = None
    alarms: tuple[Alarm, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)


def retrain(
    data: str,
    name: str,
    *,
    began: float,
    seed: int = 0,
    search: int = TRIES,
    comment_classifier: Path | None = None,
    force: bool = False,
    note: Callable[[Iterable[str]], None] = lambda notes: None,
    progress: Progress | None = None,
) -> Retrained:
    """Train on DATA, log, register under `name`, and promote what is no worse than the champion.

    Where data, code and settings are those of an earlier training of that name, nothing is trained, unless `force`.
    began: seconds since 1970, as the run shows it. search: other settings to try for each recipe. note: takes what is
    odd about DATA although it is no fault. Nothing is registered unless all of it worked. Raises InputError for data or
    a store at fault.
    """
    settings = FeatureSettings()
    with open_history(data) as history:
        note(history.notes)
        if faults := check_trainable(history.collaborations):
            raise InputError(faults)
        classifier = CommentClassifier.load(comment_classifier)
        prints = fingerprint(history)
        choices = {"seed": seed, "search": search, "classifier": classifier.fingerprint, **settings.to_dict()}
        mark = unchanged.training_fingerprint(prints, history.given, choices)
        if not force and (earlier := unchanged.earlier_training(connect(), name, mark)):
            return _nothing_new(name, earlier)
        # the run begins here, so that a store that cannot take the results shows before the work
        with open_run(name, int(began * 1000)) as run:
            training = TrainingSet.from_history(history, settings, classifier, progress)
            trained = fit(
                training, settings, classifier, seed=seed, recipes=with_settings(search, seed), data=prints,
                columns=columns_read(history.given), progress=progress,
            )  # fmt: skip
            report = summary.study(trained)
            if progress:
                progress("report", 1, 1)
            history.stamp.require_unchanged("DATA")
            unchanged.mark(run.client, run.id, mark)
            version, decision = promotion.record(run, report, history, prints)
    outcome = "is now the champion" if decision.promoted else "is not promoted"
    sentence = f"models:/{name}/{version} {outcome}: {decision.why}"
    alarms = (Alarm("gate", f"{name} {version}: {decision.why}"),) if decision.alarm else ()
    action: Action = "promoted" if decision.promoted else "kept"
    return Retrained(action, sentence, version, report, decision, alarms, _details(report))


def _details(report: Report) -> dict[str, Any]:
    facts, backtest = report.trained.scorer.facts, report.trained.backtest
    figures = backtest.figures()
    return {
        "results": facts.results,
        "conversions": facts.conversions,
        "spend": facts.spend,
        "first_start": facts.first_start,
        "last_start": facts.last_start,
        "figures": figures[figures.fold == "all"].drop(columns="fold").to_dict("records"),
        "coverage": {group: share for group, (share, _) in backtest.coverage_by_group().items()},
        "unused_features": dict(report.trained.training.unused),
    }


def _nothing_new(name: str, earlier: unchanged.Earlier) -> Retrained:
    """An alarm of the earlier training stands until something changes."""
    sentence = (
        f"nothing new: data, code and settings are those of models:/{name}/{earlier.version}, so nothing was trained; "
        "--force trains all the same"
    )
    return Retrained("nothing new", sentence, earlier.version, alarms=earlier.alarms)
