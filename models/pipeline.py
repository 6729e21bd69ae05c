"""A training from the tables to the registry, as a function: what `train.py` does, for anything else that retrains."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from features.comment_classifier.classifier import CommentClassifier
from features.faults import InputError
from features.history.checks import check_trainable
from features.history.source import fingerprint, open_history
from features.settings import FeatureSettings
from features.usage import columns_read
from models.estimators.recipes import TRIES, with_settings
from models.evaluation.backtest import Progress
from models.registry import promotion
from models.registry.gate import Decision
from models.registry.runs import open_run
from models.report import summary
from models.report.summary import Report
from models.training import TrainingSet, fit


@dataclass(frozen=True)
class Retrained:
    """What came of a training: its report, the registered version, and whether that became champion."""

    report: Report
    version: str
    decision: Decision


def retrain(
    data: str,
    name: str,
    *,
    began: float,
    seed: int = 0,
    search: int = TRIES,
    comment_classifier: Path | None = None,
    note: Callable[[Iterable[str]], None] = lambda notes: None,
    progress: Progress | None = None,
) -> Retrained:
    """Train on DATA, log, register under `name`, and promote what is no worse than the champion.

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
        # the run begins here, so that a store that cannot take the results shows before the work
        with open_run(name, int(began * 1000)) as run:
            prints = fingerprint(history)
            training = TrainingSet.from_history(history, settings, classifier, progress)
            trained = fit(
                training, settings, classifier, seed=seed, recipes=with_settings(search, seed), data=prints,
                columns=columns_read(history.given), progress=progress,
            )  # fmt: skip
            report = summary.study(trained)
            if progress:
                progress("report", 1, 1)
            history.stamp.require_unchanged("DATA")
            version, decision = promotion.record(run, report, history, prints)
    return Retrained(report, version, decision)
