"""A market to measure on: its tables, its candidates, what is true of them; and our model, made as the commands do.

What is true is read for the figures alone: nothing here fits, chooses or tunes on it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
import pandas as pd

from demo.__main__ import write_world
from demo.market import make_market
from demo.settings import MarketSettings
from features.comment_classifier.classifier import CommentClassifier
from features.faults import refuse
from features.history.source import History, open_candidates, open_history
from features.matrix import FeatureBuilder
from features.settings import FeatureSettings
from models.estimators.recipes import TRIES, with_settings
from models.training import Trained, TrainingSet, fit

BUILD = Path("build/benchmarks")
DEFAULT = MarketSettings()
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Market:
    """Where the tables, the candidates and what is true of them lie."""

    data: Path
    candidates: Path
    truth: Path

    @classmethod
    def of(cls, folder: Path) -> Market:
        """A folder as `python -m demo` writes it."""
        return cls(folder / "data", folder / "candidates.parquet", folder / "truth.parquet")


def make(folder: Path, settings: MarketSettings = DEFAULT, seed: int = 1) -> Market:
    """The demo market of these settings and seed, in place of an earlier one."""
    write_world(make_market(settings, seed), folder, settings, seed, force=True)
    return Market.of(folder)


@dataclass(frozen=True)
class Holdout:
    """Candidates (rows,) in the file's order, what is true of them row by row, and whose creator has results."""

    spine: pd.DataFrame
    truth: pd.DataFrame
    seen: np.ndarray


@contextmanager
def opened(market: Market) -> Iterator[tuple[History, Holdout]]:
    """The market's tables, and the candidates beside their truth. Raises InputError for what is at fault."""
    with open_history(market.data) as history:
        candidates = open_candidates(history, market.candidates)
        spine = pd.concat([batch.to_pandas() for batch in candidates.batches(100_000)], ignore_index=True)
        hired = history.collaborations.creator_id.to_pandas()
        truth = read_truth(market.truth).reindex(spine.candidate_id)
        if absent := int(truth.conversions.isna().sum()):
            refuse("--truth", f"nothing of {absent} candidates", "it is not theirs", "Give a row a candidate.")
        yield history, Holdout(spine, truth.reset_index(), spine.creator_id.isin(hired).to_numpy())


def read_truth(path: Path) -> pd.DataFrame:
    """spend, conversions and, where the market is made up, mean, by candidate_id."""
    table = pd.read_csv(path, dtype={"candidate_id": str}) if path.suffix == ".csv" else pd.read_parquet(path)
    if absent := {"candidate_id", "spend", "conversions"} - set(table):
        refuse("--truth", path, f"it lacks {', '.join(sorted(absent))}", "Give a row a candidate.")
    return table.set_index(table.candidate_id.astype(str)).drop(columns="candidate_id")


@dataclass(frozen=True)
class Prepared:
    """What our model is made from and scores: the training, the candidates' matrix, and the seconds it took."""

    training: TrainingSet
    matrix: pd.DataFrame
    settings: FeatureSettings
    classifier: CommentClassifier
    seconds: float


def prepare(history: History, holdout: Holdout, progress: Progress | None = None) -> Prepared:
    """Features of the past results and of the candidates, as `train.py` and `predict.py` make them."""
    began = perf_counter()
    settings, classifier = FeatureSettings(), CommentClassifier.load()
    training = TrainingSet.from_history(history, settings, classifier, progress)
    with FeatureBuilder(history, settings, classifier) as builder:
        matrix = builder.build(holdout.spine)
    return Prepared(training, matrix, settings, classifier, perf_counter() - began)


def train(prepared: Prepared, seed: int = 0, progress: Progress | None = None) -> Trained:
    """Our model, as `train.py` fits it by default."""
    recipes = with_settings(TRIES, seed)
    return fit(prepared.training, prepared.settings, prepared.classifier, seed=seed, recipes=recipes, progress=progress)


def thinned(market: Market, results: int, seed: int, folder: Path) -> Market:
    """The market as one knows it who has only some of its results: `results` of them, drawn by chance, in `folder`.

    Of one seed fewer results are part of more; everything but collaborations and conversions stays as it is.
    """
    table = pd.read_parquet(market.data / "collaborations.parquet")
    drawn = np.random.default_rng(seed).permutation(len(table))[:results]
    kept = table.iloc[np.sort(drawn)]
    daily = pd.read_parquet(market.data / "conversions.parquet")
    daily = daily[daily.collaboration_id.isin(kept.collaboration_id)]
    folder.mkdir(parents=True)
    for name in ("creators", "posts", "comments"):
        shutil.copy(market.data / f"{name}.parquet", folder)
    kept.to_parquet(folder / "collaborations.parquet", index=False)
    daily.to_parquet(folder / "conversions.parquet", index=False)
    return Market(folder, market.candidates, market.truth)


def whole_numbers(text: str) -> list[int]:
    """`300,1000` as numbers, for the command line. Raises ValueError where one is none, or below 1."""
    numbers = [int(part) for part in text.split(",")]
    if min(numbers) < 1:
        raise ValueError(text)
    return numbers


def average(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    """The mean of each figure over rows in which it is defined."""
    return {str(k): float(v) for k, v in pd.DataFrame(rows).astype(float).mean().items()}
