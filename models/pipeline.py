"""A training from the tables to the registry, as functions: what `train.py` does, for anything else that retrains."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mlflow import MlflowClient

from features.comment_classifier.classifier import CommentClassifier
from features.engines.choice import DUCKDB
from features.faults import InputError, fail
from features.history.checks import check_trainable
from features.history.elsewhere import elsewhere
from features.history.opening import open_data
from features.history.source import fingerprint
from features.settings import FeatureSettings
from features.usage import columns_read
from models.alarms import Alarm
from models.estimators.recipes import TRIES, with_settings
from models.evaluation.backtest import Progress
from models.monitoring import checked, level_drift, promise_report, training_rows
from models.monitoring.anchors import anchor, known_heads
from models.monitoring.checked import Checked
from models.monitoring.door import Door, Note, Selection, Source, reason_to_stop, screen, select
from models.monitoring.findings import Intake
from models.monitoring.intake import MOST_KEPT_OUT
from models.monitoring.level_drift import LevelDrift
from models.monitoring.promise_report import Watched, watch
from models.registry import left_out, promotion, unchanged
from models.registry.gate import Decision, Promote
from models.registry.run_log import log_alarms, log_intake
from models.registry.runs import Run, open_run
from models.registry.store import connect
from models.registry.store_faults import StoreError
from models.report import summary
from models.report.outcome import Action
from models.report.summary import Report
from models.scorer import Scorer
from models.training import TrainingSet, fit


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
class _Choice:
    """What the caller wants of a training. data: as it was given. now: UTC without a zone."""

    data: str
    now: datetime
    force: bool
    promote: Promote
    ledger: Path | None


@dataclass(frozen=True)
class _Findings:
    """What a training found, before anything of it is registered."""

    report: Report
    level: LevelDrift
    watched: Watched | None
    alarms: tuple[Alarm, ...]


def check(
    data: str,
    name: str,
    *,
    engine: str = DUCKDB,
    seed: int = 0,
    comment_classifier: Path | None = None,
    note: Note = lambda notes: None,
    progress: Progress | None = None,
) -> Retrained:
    """Everything but the training: DATA, its joins and units, features, the door, the level. Nothing is written."""
    with _opened(data, engine, name, seed, TRIES, comment_classifier, note, progress) as source:
        door = screen(source, _store(note))
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
    engine: str = DUCKDB,
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
    began: seconds since 1970, as the run shows it. engine: what makes the features (`features.engines.choice`).
    search: other settings to try for each recipe. force: train all the same, on all results. promote: whether the gate
    decides, or a person has decided already. ledger: whose promises are held against the results. note: takes what is
    odd about DATA although it is no fault. Nothing is registered unless all of it worked. Raises
    InputError for data or a store at fault.
    """
    choice = _Choice(data, datetime.fromtimestamp(began, UTC).replace(tzinfo=None), force, promote, ledger)
    with _opened(data, engine, name, seed, search, comment_classifier, note, progress) as source:
        prints = fingerprint(source.history)
        mark = source.fingerprint(prints)
        if not force and (earlier := unchanged.earlier_training(connect(), name, mark)):
            left_out.announce(connect(), name, earlier.run)
            return _nothing_new(name, earlier)
        # the run begins here, so that a store that cannot take the results shows before the work
        with open_run(name, int(began * 1000)) as run:
            source.note(run.notes)
            return _retrain(run, source, choice, prints, mark)


def _retrain(run: Run, source: Source, choice: _Choice, prints: Mapping[str, str], mark: str) -> Retrained:
    """All that happens within a run. prints, mark: fingerprints of DATA by table, and of a training on all of it."""
    door = screen(source, run.client)
    log_intake(run.client, run.id, door.intake.to_dict())
    selection = select(source, door, prints, choice.force)
    left_out.record(run.client, run.id, selection.kept_out)
    if not choice.force and (reason := reason_to_stop(run.client, source, door.intake, selection)) is not None:
        return _stopped(run, source, door.intake, reason)
    level = level_drift.examine(selection.training, door.champion, door.before)
    report = _study(source, selection)
    source.history.stamp.require_unchanged("DATA")
    if not choice.force:
        left_out.announce(run.client, run.name, run.id)
    found = _log(run, choice, door, selection, report, level)
    unchanged.mark(run.client, run.id, mark)
    version, decision = promotion.record(run, report, selection.history, selection.prints, choice.promote, choice.data)
    with promotion.registered(version, decision.promoted):
        _conclude(run, choice, version, found.watched, source.note)
    return _retrained(run.name, version, decision, door.intake, found)


def _study(source: Source, selection: Selection) -> Report:
    """Train, and find out what the model is worth."""
    trained = fit(
        selection.training, source.settings, source.classifier, seed=source.seed,
        recipes=with_settings(source.search, source.seed), data=selection.prints,
        columns=columns_read(source.history.given), kept_out=selection.kept_out, progress=source.progress,
    )  # fmt: skip
    report = summary.study(trained)
    if source.progress:
        source.progress("report", 1, 1)
    return report


def _log(run: Run, choice: _Choice, door: Door, selection: Selection, report: Report, level: LevelDrift) -> _Findings:
    """Log what the next training compares with, what came of promises, and what a person should look at."""
    scorer = report.trained.scorer
    seen = training_rows.training_rows(door.whole, scorer, selection.kept_out, level.promised)
    training_rows.log(run.client, run.id, seen)
    level_drift.log(run.client, run.id, level)
    watched = _watch(run, choice.ledger, selection.training, scorer, choice.now) if choice.ledger else None
    of_door = () if choice.force else door.intake.alarms()
    alarms = (*of_door, *level.alarms, *(watched.alarms if watched else ()))
    log_alarms(run.client, run.id, alarms)
    return _Findings(report, level, watched, alarms)


def _conclude(run: Run, choice: _Choice, version: str, watched: Watched | None, note: Note) -> None:
    """Write what holds only now that the version is registered."""
    if choice.force:  # only now is it sure that there is a training on all results
        left_out.announce(run.client, run.name, run.id)
    if watched and (head := watched.seal(choice.now, note)):
        anchor(run.client, run.name, version, head)


def _retrained(name: str, version: str, decision: Decision, intake: Intake, found: _Findings) -> Retrained:
    outcome = "is now the champion" if decision.promoted else "is not promoted"
    details = {
        "decided_by": decision.by,
        "intake": intake.to_dict(),
        "level_drift": found.level.to_dict(),
        "promises": found.watched.to_dict() if found.watched else None,
    }
    return Retrained(
        "promoted" if decision.promoted else "kept",
        f"models:/{name}/{version} {outcome}: {decision.why}",
        version,
        found.report,
        decision,
        intake,
        watched=found.watched,
        alarms=(*found.alarms, *decision.alarms),
        details=_details(found.report) | details,
    )


@contextmanager
def _opened(
    data: str,
    engine: str,
    name: str,
    seed: int,
    search: int,
    comment_classifier: Path | None,
    note: Note,
    progress: Progress | None,
) -> Iterator[Source]:
    with open_data(data, engine) as history, elsewhere(history, data, engine) as features:
        note(history.notes)
        if faults := check_trainable(history.collaborations):
            raise InputError(faults)
        classifier = _classifier(comment_classifier)
        yield Source(name, history, FeatureSettings(), classifier, seed, search, note, progress, features)


def _classifier(folder: Path | None) -> CommentClassifier:
    """The classifier in a folder, or the one that ships. Raises InputError for a folder that has none to be read."""
    try:
        return CommentClassifier.load(folder)
    except (OSError, ValueError) as error:
        if folder is None:
            raise
        raise fail("--comment-classifier", str(error), "Give a saved classifier.", str(folder)) from error


def _store(note: Note) -> MlflowClient | None:
    """The store as it is; None, with a note, where there is none that can be read."""
    try:
        return connect(create=False)
    except StoreError as error:
        note([f"no earlier training is known: {error}"])
        return None


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


def _stopped(run: Run, source: Source, intake: Intake, reason: str) -> Retrained:
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
