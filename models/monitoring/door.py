"""The door of a training: holds the newest results against what is known of the model, and gives the rest, as a history
and a training set of its own, to be trained on.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

import pandas as pd
from mlflow import MlflowClient

from features.comment_classifier.classifier import CommentClassifier
from features.history.source import History, fingerprint
from features.settings import FeatureSettings
from models.evaluation.backtest import Progress
from models.monitoring import training_rows
from models.monitoring.findings import Intake
from models.monitoring.intake import examine
from models.registry import unchanged
from models.registry.registry import CHAMPION, NotRegisteredError, load
from models.scorer import ModelError, Scorer
from models.training import TrainingSet

Note = Callable[[Iterable[str]], None]


@dataclass(frozen=True)
class Source:
    """DATA, opened and fit to be learnt from, and how it is learnt from. name: of the model. elsewhere: the same
    history in the engine that makes the features, if that is another one."""

    name: str
    history: History
    settings: FeatureSettings
    classifier: CommentClassifier
    seed: int
    search: int
    note: Note
    progress: Progress | None
    elsewhere: History | None = None

    def training_set(self, history: History, kept_out: Collection[str] = ()) -> TrainingSet:
        """That of a history with these settings. kept_out: the ids of the results that it was made without."""
        elsewhere = self.elsewhere.without(kept_out) if self.elsewhere else None
        return TrainingSet.from_history(history, self.settings, self.classifier, self.progress, elsewhere)

    def fingerprint(self, prints: Mapping[str, str]) -> str:
        """Of a training on data of these fingerprints."""
        chosen = {"seed": self.seed, "search": self.search, "classifier": self.classifier.fingerprint}
        return unchanged.training_fingerprint(prints, self.history.given, chosen | self.settings.to_dict())


@dataclass(frozen=True)
class Selection:
    """The results to train on, as a training set and as a history with its fingerprint by table (`prints`), and the ids
    of those that are kept out."""

    training: TrainingSet
    history: History
    prints: Mapping[str, str]
    kept_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class Door:
    """What came through: the training set and the history without the results that are kept out, and all results as
    they came (`whole`); the same where none is kept out, or the door is closed.

    champion, before: whom and what they were held against, as `models.monitoring.intake.examine` takes them.
    """

    intake: Intake
    training: TrainingSet
    history: History
    whole: TrainingSet
    champion: Scorer | None
    before: pd.DataFrame | None


def screen(source: Source, client: MlflowClient | None) -> Door:
    """Hold the newest results against the last training and the champion; without a client, against older ones alone.

    What cannot be compared is said in a note.
    """
    whole = source.training_set(source.history)
    before = training_rows.newest(client, source.name, source.note) if client else None
    champion = _champion(client, source, whole) if client else None
    intake = examine(whole, before, champion, seed=source.seed)
    if not len(intake.kept_out) or intake.closed:
        return Door(intake, whole, source.history, whole, champion, before)
    kept_out = tuple(intake.kept_out.collaboration_id)
    rest = source.history.without(kept_out)
    return Door(intake, source.training_set(rest, kept_out), rest, whole, champion, before)


def select(source: Source, door: Door, prints: Mapping[str, str], force: bool) -> Selection:
    """What the door lets through; everything where it is forced in. prints: fingerprint by table of all of DATA."""
    if force:
        return Selection(door.whole, source.history, prints)
    kept_out = tuple(door.intake.kept_out.collaboration_id)
    is_whole = door.intake.closed or not kept_out
    return Selection(door.training, door.history, prints if is_whole else fingerprint(door.history), kept_out)


def reason_to_stop(client: MlflowClient, source: Source, intake: Intake, selection: Selection) -> str | None:
    """Why nothing is to be trained: the door is closed, or nothing is new but what it keeps out. None if neither."""
    if intake.closed:
        return intake.reason
    mark = source.fingerprint(selection.prints)
    if selection.kept_out and (earlier := unchanged.earlier_training(client, source.name, mark)):
        version = f"models:/{source.name}/{earlier.version}"
        return f"without the results that are kept out, nothing is new since {version}"
    return None


def _champion(client: MlflowClient, source: Source, training: TrainingSet) -> Scorer | None:
    """The champion, if there is one that can score these rows."""
    try:
        champion = load(client, f"models:/{source.name}@{CHAMPION}").scorer
        champion.encoding.require(training.matrix)
    except NotRegisteredError:
        return None
    except (ModelError, ValueError) as error:
        source.note([f"the champion cannot say what it expects of the new results ({error}); older results do"])
        return None
    return champion
