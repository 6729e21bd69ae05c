"""A training from the tables to the registry, as functions: what `train.py` does, for anything else that retrains."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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
from models.monitoring import training_rows
from models.monitoring.findings import Intake
from models.monitoring.intake import examine
from models.registry import promotion, unchanged
from models.registry.gate import Decision
from models.registry.registry import CHAMPION, NotRegisteredError, load
from models.registry.run_log import log_alarms, log_intake
from models.registry.runs import Run, open_run
from models.registry.store import connect
from models.registry.store_faults import StoreError
from models.report import summary
from models.report.outcome import Action
from models.report.summary import Report
from models.scorer import ModelError, Scorer
from models.training import TrainingSet, fit

Note = Callable[[Iterable[str]], None]


@dataclass(frozen=True)
class Retrained:
    """What came of a training. report, decision: None where nothing was trained. version: the registered one, or the
    earlier one that nothing has changed since. intake: what the door found, None where it was not reached. details: by
    part, plain JSON values.
    """

    action: Action
    sentence: str
    version: str | None = None
    report: Report | None = None
    decision: Decision | None = None
    intake: Intake | None = None
    alarms: tuple[Alarm, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _Door:
    """What came through the door: the training set without the rows that are kept out, and all rows as they came."""

    intake: Intake
    training: TrainingSet
    history: History
    whole: TrainingSet


def check(
    data: str, name: str, *, seed: int = 0, comment_classifier: Path | None = None, note: Note = lambda notes: None,
    progress: Progress | None = None,
) -> Retrained:  # fmt: skip
    """Everything but the training: DATA, its features, and the door. Nothing is written, not even a run."""
    settings = FeatureSettings()
    with open_history(data) as history:
        note(history.notes)
        if faults := check_trainable(history.collaborations):
            raise InputError(faults)
        classifier = CommentClassifier.load(comment_classifier)
        door = _door(history, _store(note), name, settings, classifier, seed, note, progress)
        history.stamp.require_unchanged("DATA")
    sentence = "checked; nothing was trained"
    details = {"intake": door.intake.to_dict(), "unused_features": dict(door.whole.unused)}
    return Retrained("checked", sentence, intake=door.intake, alarms=door.intake.alarms(), details=details)


def retrain(
    data: str,
    name: str,
    *,
    began: float,
    seed: int = 0,
    search: int = TRIES,
    comment_classifier: Path | None = None,
    force: bool = False,
    note: Note = lambda notes: None,
    progress: Progress | None = None,
) -> Retrained:
    """Train on DATA, log, register under `name`, and promote what is no worse than the champion.

    Where data, code and settings are those of an earlier training of that name, nothing is trained; results that no
    chance explains are kept out, and where the door is closed nothing is trained either. force: train all the same, on
    all results.
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
            door = _door(history, run.client, name, settings, classifier, seed, note, progress)
            if door.intake.closed and not force:
                return _stopped(run, door.intake)
            training, history = (door.whole, history) if force else (door.training, door.history)
            log_intake(run.client, run.id, door.intake.to_dict())
            trained = fit(
                training, settings, classifier, seed=seed, recipes=with_settings(search, seed), data=prints,
                columns=columns_read(history.given), progress=progress,
            )  # fmt: skip
            report = summary.study(trained)
            if progress:
                progress("report", 1, 1)
            history.stamp.require_unchanged("DATA")
            kept_out = () if force else tuple(door.intake.kept_out.collaboration_id)
            rows = training_rows.training_rows(door.whole, trained.scorer, kept_out)
            training_rows.log(run.client, run.id, rows)
            found = () if force else door.intake.alarms()
            log_alarms(run.client, run.id, found)
            unchanged.mark(run.client, run.id, mark)
            version, decision = promotion.record(run, report, history, prints)
    outcome = "is now the champion" if decision.promoted else "is not promoted"
    sentence = f"models:/{name}/{version} {outcome}: {decision.why}"
    alarms = (*found, *((Alarm("gate", f"{name} {version}: {decision.why}"),) if decision.alarm else ()))
    action: Action = "promoted" if decision.promoted else "kept"
    return Retrained(action, sentence, version, report, decision, door.intake, alarms, _details(report, door.intake))


def _store(note: Note) -> MlflowClient | None:
    """The store as it is; None, with a note, where there is none that can be read."""
    try:
        return connect(create=False)
    except StoreError as error:
        note([f"no earlier training is known: {error}"])
        return None


def _door(
    history: History,
    client: MlflowClient | None,
    name: str,
    settings: FeatureSettings,
    classifier: CommentClassifier,
    seed: int,
    note: Note,
    progress: Progress | None,
) -> _Door:
    whole = TrainingSet.from_history(history, settings, classifier, progress)
    before = training_rows.newest(client, name, note) if client else None
    champion = _champion(client, name, whole, note) if client else None
    intake = examine(whole, before, champion, seed=seed)
    if not len(intake.kept_out) or intake.closed:
        return _Door(intake, whole, history, whole)
    rest = history.without(tuple(intake.kept_out.collaboration_id))
    return _Door(intake, TrainingSet.from_history(rest, settings, classifier, progress), rest, whole)


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


def _stopped(run: Run, intake: Intake) -> Retrained:
    log_intake(run.client, run.id, intake.to_dict())
    log_alarms(run.client, run.id, intake.alarms())
    run.client.set_terminated(run.id, "FAILED")
    sentence = f"nothing was trained: {intake.reason}"
    details = {"intake": intake.to_dict()}
    return Retrained("stopped", sentence, intake=intake, alarms=intake.alarms(), details=details)


def _details(report: Report, intake: Intake) -> dict[str, Any]:
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
        "intake": intake.to_dict(),
    }


def _nothing_new(name: str, earlier: unchanged.Earlier) -> Retrained:
    """An alarm of the earlier training stands until something changes."""
    sentence = (
        f"nothing new: data, code and settings are those of models:/{name}/{earlier.version}, so nothing was trained; "
        "--force trains all the same"
    )
    return Retrained("nothing new", sentence, earlier.version, alarms=earlier.alarms)
