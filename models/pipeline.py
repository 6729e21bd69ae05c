"""A training from the tables to the registry, as functions: what `train.py` does, for anything else that retrains."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
from mlflow import MlflowClient

from features.comment_classifier.classifier import CommentClassifier
from features.faults import InputError
from features.history.checks import check_trainable
from features.history.source import History, fingerprint, open_history
from features.settings import FeatureSettings
from features.usage import columns_read
from models.alarms import Alarm
from models.estimators.recipes import TRIES, with_settings
from models.evaluation.backtest import Progress
from models.monitoring import checked, level_drift, promise_report, training_rows
from models.monitoring.anchors import anchor, known_heads
from models.monitoring.checked import Checked
from models.monitoring.findings import Intake
from models.monitoring.intake import MOST_KEPT_OUT, examine
from models.monitoring.level_drift import LevelDrift
from models.monitoring.promise_report import Watched, watch
from models.registry import left_out, promotion, unchanged
from models.registry.gate import Decision, Promote
from models.registry.registry import CHAMPION, NotRegisteredError, load
from models.registry.run_log import log_alarms, log_intake
from models.registry.runs import Run, open_run
from models.registry.store import connect
from models.registry.store_faults import StoreError
from models.report import summary
from models.report.outcome import Action
from models.report.summary import Report
from models.scorer import ModelError, Scorer
from models.training import Trained, TrainingSet, fit

Note = Callable[[Iterable[str]], None]


@dataclass(frozen=True)
class Retrained:
    """What came of a training. report, decision: None where nothing was trained. version: the registered one, or the
    earlier one that nothing has changed since. intake: what the door found, None where it was not reached. watched:
    what came of promises, None without a ledger. details: by part, plain JSON values.
    """

    action: Action
    sentence: str
    version: str | None = None
    report: Report | None = None
    decision: Decision | None = None
    intake: Intake | None = None
    checked: Checked | None = None
    watched: Watched | None = None
    alarms: tuple[Alarm, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _Source:
    """DATA, opened and fit to be learnt from, and how it is learnt from."""

    name: str
    history: History
    settings: FeatureSettings
    classifier: CommentClassifier
    seed: int
    search: int
    note: Note
    progress: Progress | None

    def training_set(self, history: History) -> TrainingSet:
        return TrainingSet.from_history(history, self.settings, self.classifier, self.progress)

    def fingerprint(self, prints: Mapping[str, str]) -> str:
        """Of a training on data of these fingerprints."""
        chosen = {"seed": self.seed, "search": self.search, "classifier": self.classifier.fingerprint}
        return unchanged.training_fingerprint(prints, self.history.given, chosen | self.settings.to_dict())


@dataclass(frozen=True)
class _Door:
    """What came through the door: the training set without the rows that are kept out, and all rows as they came.

    champion, before: whom and what it was held against, as `examine` takes them.
    """

    intake: Intake
    training: TrainingSet
    history: History
    whole: TrainingSet
    champion: Scorer | None
    before: pd.DataFrame | None


def check(
    data: str,
    name: str,
    *,
    seed: int = 0,
    comment_classifier: Path | None = None,
    note: Note = lambda notes: None,
    progress: Progress | None = None,
) -> Retrained:
    """Everything but the training: DATA, its joins and units, features, the door, the level. Nothing is written."""
    with _opened(data, name, seed, TRIES, comment_classifier, note, progress) as source:
        door = _door(source, _store(note))
        level = LevelDrift()
        if not door.intake.closed:
            level = level_drift.examine(door.training, door.champion, door.before)
        found = checked.inspect(source.history, door.whole, door.intake, level)
        source.history.stamp.require_unchanged("DATA")
    sentence, details = "checked; nothing was trained", found.to_dict()
    return Retrained("checked", sentence, intake=door.intake, checked=found, alarms=found.alarms, details=details)


def retrain(
    data: str,
    name: str,
    *,
    began: float,
    seed: int = 0,
    search: int = TRIES,
    comment_classifier: Path | None = None,
    force: bool = False,
    promote: Promote = "if-better",
    ledger: Path | None = None,
    note: Note = lambda notes: None,
    progress: Progress | None = None,
) -> Retrained:
    """Train on DATA, log, register under `name`, and promote what is no worse than the champion.

    Where data, code and settings are those of an earlier training of that name, nothing is trained; results that no
    chance explains are kept out, and where the door is closed nothing is trained either.
    began: seconds since 1970, as the run shows it. search: other settings to try for each recipe. force: train all the
    same, on all results. promote: whether the gate decides, or a person has decided already. ledger: whose promises
    are held against the results. note: takes what is odd about DATA although it is no fault. Nothing is registered
    unless all of it worked. Raises InputError for data or a store at fault.
    """
    with _opened(data, name, seed, search, comment_classifier, note, progress) as source:
        prints = fingerprint(source.history)
        mark = source.fingerprint(prints)
        if not force and (earlier := unchanged.earlier_training(connect(), name, mark)):
            left_out.announce(connect(), name, earlier.run)
            return _nothing_new(name, earlier)
        # the run begins here, so that a store that cannot take the results shows before the work
        with open_run(name, int(began * 1000)) as run:
            source.note(run.notes)
            door = _door(source, run.client)
            log_intake(run.client, run.id, door.intake.to_dict())
            kept_out = () if force else tuple(door.intake.kept_out.collaboration_id)
            left_out.record(run.client, run.id, kept_out)
            training, history = door.whole, source.history
            if not force:
                if door.intake.closed:
                    return _stopped(run, source, door.intake, door.intake.reason)
                if kept_out:
                    training, history, prints = door.training, door.history, fingerprint(door.history)
                    if earlier := unchanged.earlier_training(run.client, name, source.fingerprint(prints)):
                        since = f"without the results that are kept out, nothing is new since models:/{name}/"
                        return _stopped(run, source, door.intake, since + earlier.version)
            level = level_drift.examine(training, door.champion, door.before)
            trained = _fit(source, training, prints, kept_out)
            report = summary.study(trained)
            if progress:
                progress("report", 1, 1)
            source.history.stamp.require_unchanged("DATA")
            if not force:
                left_out.announce(run.client, name, run.id)
            seen = training_rows.training_rows(door.whole, trained.scorer, kept_out, level.promised)
            training_rows.log(run.client, run.id, seen)
            level_drift.log(run.client, run.id, level)
            now = datetime.fromtimestamp(began, UTC).replace(tzinfo=None)
            watched = _watch(run, ledger, training, trained.scorer, now) if ledger else None
            found = (
                *(() if force else door.intake.alarms()), *level.alarms, *(watched.alarms if watched else ()),
            )  # fmt: skip
            log_alarms(run.client, run.id, found)
            unchanged.mark(run.client, run.id, mark)
            version, decision = promotion.record(run, report, history, prints, promote, data)
            if force:  # only now is it sure that there is a training on all results
                with promotion.in_use(version if decision.promoted else None):
                    left_out.announce(run.client, name, run.id)
            if watched and (head := watched.seal(now)):
                with promotion.in_use(version if decision.promoted else None):
                    anchor(run.client, name, version, head)
    outcome = "is now the champion" if decision.promoted else "is not promoted"
    return Retrained(
        "promoted" if decision.promoted else "kept",
        f"models:/{name}/{version} {outcome}: {decision.why}",
        version,
        report,
        decision,
        door.intake,
        watched=watched,
        alarms=(*found, *decision.alarms),
        details=_details(report)
        | {
            "decided_by": decision.by,
            "intake": door.intake.to_dict(),
            "level_drift": level.to_dict(),
            "promises": watched.to_dict() if watched else None,
        },
    )


@contextmanager
def _opened(
    data: str,
    name: str,
    seed: int,
    search: int,
    comment_classifier: Path | None,
    note: Note,
    progress: Progress | None,
) -> Iterator[_Source]:
    with open_history(data) as history:
        note(history.notes)
        if faults := check_trainable(history.collaborations):
            raise InputError(faults)
        classifier = CommentClassifier.load(comment_classifier)
        yield _Source(name, history, FeatureSettings(), classifier, seed, search, note, progress)


def _store(note: Note) -> MlflowClient | None:
    """The store as it is; None, with a note, where there is none that can be read."""
    try:
        return connect(create=False)
    except StoreError as error:
        note([f"no earlier training is known: {error}"])
        return None


def _door(source: _Source, client: MlflowClient | None) -> _Door:
    whole = source.training_set(source.history)
    before = training_rows.newest(client, source.name, source.note) if client else None
    champion = _champion(client, source.name, whole, source.note) if client else None
    intake = examine(whole, before, champion, seed=source.seed)
    if not len(intake.kept_out) or intake.closed:
        return _Door(intake, whole, source.history, whole, champion, before)
    rest = source.history.without(tuple(intake.kept_out.collaboration_id))
    return _Door(intake, source.training_set(rest), rest, whole, champion, before)


def _champion(client: MlflowClient, name: str, training: TrainingSet, note: Note) -> Scorer | None:
    """The champion, if there is one that can score these rows."""
    try:
        champion = load(client, f"models:/{name}@{CHAMPION}").scorer
        champion.encoding.require(training.matrix)
    except NotRegisteredError:
        return None
    except (ModelError, ValueError) as error:
        note([f"the champion cannot say what it expects of the new results ({error}); older results do"])
        return None
    return champion


def _fit(source: _Source, training: TrainingSet, prints: Mapping[str, str], kept_out: tuple[str, ...]) -> Trained:
    return fit(
        training, source.settings, source.classifier, seed=source.seed,
        recipes=with_settings(source.search, source.seed), data=prints, columns=columns_read(source.history.given),
        kept_out=kept_out, progress=source.progress,
    )  # fmt: skip


def _watch(run: Run, ledger: Path, training: TrainingSet, scorer: Scorer, now: datetime) -> Watched:
    watched = watch(ledger, known_heads(run.client), training.spine, training.results, scorer.maturity, now)
    promise_report.log(run.client, run.id, watched)
    return watched


def _nothing_new(name: str, earlier: unchanged.Earlier) -> Retrained:
    """An alarm of the earlier training stands until something changes."""
    sentence = (
        f"nothing new: data, code and settings are those of models:/{name}/{earlier.version}, so nothing was trained; "
        "--force trains all the same"
    )
    return Retrained("nothing new", sentence, earlier.version, alarms=earlier.alarms)


def _stopped(run: Run, source: _Source, intake: Intake, reason: str) -> Retrained:
    """The run ends without a model, so that the next training compares with the one before.

    The champion leaves out what is kept out, unless the rest would be another market.
    """
    source.history.stamp.require_unchanged("DATA")
    if len(intake.kept_out) <= MOST_KEPT_OUT * intake.rows:
        left_out.announce(run.client, run.name, run.id)
    alarms = intake.alarms()
    log_alarms(run.client, run.id, alarms)
    run.client.set_terminated(run.id, "FAILED")
    sentence = f"nothing was trained: {reason}"
    return Retrained("stopped", sentence, intake=intake, alarms=alarms, details={"intake": intake.to_dict()})


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
