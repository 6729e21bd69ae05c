"""How often does the door keep ordinary batches out, and how often does it miss a slip?

    python -m benchmarks.intake [--seeds 1 2 3 4] [--batches 250] [--slips 25] [--out build/benchmarks/intake.csv]

For every seed a demo market of 2,500 results, and a champion (one quick recipe) trained on what was known when 60 % of
them had started. Then batches at moments chance chooses, of a size between 5 and 200 drawn on the logarithmic scale,
are held against the rows of a training just before, results as they stood at each moment:

- ordinary ones, half of them as they are, the others with what life brings: a level of conversions between 0.6 and 1.4
  times, a brand that nobody knew with prices between 0.4 and 2.5 times, a platform that nobody knew
- slips of all rows of a batch, of one brand and of one platform (20 rows at least), every kind of SLIPS in turn; counts
  shuffled within the batch (50 rows at least); a batch under new ids

A slip is missed where less than nine tenths of its rows are kept out, and kept out too widely where more than a tenth
as many others are. One line a kind; the file has a line a batch.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import market
from demo.settings import MarketSettings
from features.comment_classifier.classifier import CommentClassifier
from features.history.source import open_history
from features.settings import FeatureSettings
from models.estimators.outcomes import Outcomes
from models.estimators.rate import RECIPES
from models.monitoring.intake import examine
from models.monitoring.training_rows import training_rows
from models.scorer import Scorer
from models.training import TrainingSet, fit

SIZE = MarketSettings(creators=900, results=2_500, candidates=1)
KNOWN, SIZES, LEAST_SLIP, LEAST_SHUFFLED = 0.6, (5, 200), 20, 50
SLIPS = {
    "spend x100": ("spend", 100.0),
    "spend x10": ("spend", 10.0),
    "spend /100": ("spend", 1 / 100),
    "conversions x100": ("conversions", 100.0),
    "conversions x10": ("conversions", 10.0),
    "conversions /10": ("conversions", 1 / 10),
    "hours /24": ("hours", 1 / 24),
    "hours x60": ("hours", 60.0),
}
# the matrix's columns that a deal's own spend and hours scale
SCALED = {
    "spend": ("spend", "spend_per_deliverable", "spend_per_follower", "spend_per_view", "spend_vs_usual"),
    "promotion_hours": ("promotion_hours", "hours_per_deliverable"),
}


def at(training: TrainingSet, moment: np.datetime64) -> TrainingSet:
    """What was known at a moment: rows that had begun, with their results as they stood."""
    rows, then = training.results.as_of(moment)
    spine = training.spine.iloc[rows].reset_index(drop=True).assign(conversions=then.counts, observed_until=then.until)
    return replace(training, matrix=training.matrix.iloc[rows].reset_index(drop=True), spine=spine, results=then)


def altered(training: TrainingSet, **columns: np.ndarray) -> TrainingSet:
    """The same with other values in columns of the spine; the deal's own terms in the matrix follow.

    `platform` is the creator's, and so of the matrix alone.
    """
    matrix, results = training.matrix, training.results
    spine = training.spine.assign(**{name: values for name, values in columns.items() if name != "platform"})
    for name, scaled in SCALED.items():
        by = (spine[name] / training.spine[name]).to_numpy(float)
        matrix = matrix.assign(**{column: matrix[column] * by for column in scaled if column in matrix})
    matrix = matrix.assign(**{name: columns[name] for name in ("brand", "platform") if name in columns})
    made = Outcomes.from_tables(spine, None, FeatureSettings().attribution_days).with_kinds(matrix)
    return replace(training, matrix=matrix, spine=spine, results=replace(made, daily=results.daily))


def scaled(training: TrainingSet, rows: np.ndarray, quantity: str, factor: float) -> TrainingSet:
    """The same with a quantity of some rows (bool) in another unit."""
    column = {"hours": "promotion_hours"}.get(quantity, quantity)
    values = training.spine[column].to_numpy(float) * np.where(rows, factor, 1.0)
    return altered(training, **{column: np.round(values) if column == "conversions" else values})


def ordinary(training: TrainingSet, new: np.ndarray, rng: np.random.Generator) -> TrainingSet:
    """The same with what life brings in the new rows (bool)."""
    spine, matrix = training.spine, training.matrix
    counts, spend, brand = (spine[name].to_numpy() for name in ("conversions", "spend", "brand"))
    fresh = new & (brand == rng.choice(brand[new]))
    price = rng.uniform(0.4, 2.5)
    counts = rng.poisson(counts * rng.uniform(0.6, 1.4)) if rng.random() < 0.5 else counts * 0.8
    odd = new & (rng.random(len(spine)) < 0.15)
    return altered(
        training,
        conversions=np.where(new, np.round(counts), spine.conversions),
        spend=np.where(fresh, spend * price, spend),
        brand=np.where(fresh, "a brand nobody knew", brand),
        platform=np.where(odd, "a platform nobody knew", matrix.platform.to_numpy(object)),
    )


def batches(training: TrainingSet, count: int, least: int, rng: np.random.Generator) -> Iterator[tuple[Any, ...]]:
    """Trainings, `training_rows` of the training before, and which rows are new, at moments chance chooses."""
    starts = training.results.starts
    low, high = max(least, SIZES[0]), SIZES[1]
    while count:
        size = round(np.exp(rng.uniform(np.log(low), np.log(high))))
        end = int(rng.integers(round(KNOWN * len(starts)) + size, len(starts)))
        now, then = at(training, starts[end]), at(training, starts[end - size])
        new = ~np.isin(now.results.identifiers, then.results.identifiers)
        if new.sum() >= least:
            count -= 1
            yield now, training_rows(then), new


def _parts(training: TrainingSet, new: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """All new rows, and those of the largest brand and platform among them, where they are enough."""
    yield "all", new
    for name, values in (("brand", training.spine.brand), ("platform", training.matrix.platform)):
        counts = values[new].value_counts()
        if LEAST_SLIP <= counts.iloc[0] < new.sum():
            yield name, new & (values == counts.index[0]).to_numpy(bool)


def _judge(training: TrainingSet, before: pd.DataFrame, champion: Scorer | None, slipped: np.ndarray) -> dict[str, Any]:
    found = examine(training, before, champion)
    out = training.spine.collaboration_id.isin(found.kept_out.collaboration_id).to_numpy()
    rows = max(int(slipped.sum()), 1)
    return {
        "rows": int(slipped.sum()),
        "alarm": bool(found.alarms()),
        "missed": float((slipped & ~out).sum()) / rows > 0.1,
        "too_wide": float((out & ~slipped).sum()) / rows > 0.1,
        "sentences": "; ".join(alarm.sentence for alarm in found.alarms()),
    }


def _measure(
    training: TrainingSet, champion: Scorer, seed: int, ordinary_ones: int, slips: int
) -> Iterator[dict[str, Any]]:
    rng = np.random.default_rng([seed, 1])
    models: tuple[tuple[str, Scorer | None], ...] = (("champion", champion), ("none", None))
    for number, (now, before, new) in enumerate(batches(training, ordinary_ones, 1, rng)):
        who, model = models[number % 4 == 3]
        lively = number % 2 == 1
        shown = ordinary(now, new, rng) if lively else now
        kind = "ordinary, lively" if lively else "ordinary"
        found = _judge(shown, before, model, np.zeros(len(new), bool))
        yield {"seed": seed, "kind": kind, "part": "none", "model": who, "new": int(new.sum())} | found
    for name, (quantity, factor) in SLIPS.items():
        for number, (now, before, new) in enumerate(batches(training, slips, LEAST_SLIP, rng)):
            who, model = models[number % 4 == 3]
            for part, rows in _parts(now, new):
                found = _judge(scaled(now, rows, quantity, factor), before, model, rows)
                yield {"seed": seed, "kind": name, "part": part, "model": who, "new": int(new.sum())} | found
    others: tuple[tuple[str, int, Callable[..., tuple[Any, ...]]], ...] = (
        ("shuffled", LEAST_SHUFFLED, _shuffled),
        ("under new ids", LEAST_SLIP, _renamed),
    )
    for name, least, slip in others:
        for now, before, new in batches(training, slips, least, rng):
            made, rows, known = slip(now, before, new, rng)
            found = _judge(made, known, champion, rows)
            yield {"seed": seed, "kind": name, "part": "all", "model": "champion", "new": int(new.sum())} | found


def _shuffled(now: TrainingSet, before: pd.DataFrame, new: np.ndarray, rng: np.random.Generator) -> tuple[Any, ...]:
    counts = now.spine.conversions.to_numpy(float).copy()
    counts[new] = rng.permutation(counts[new])
    return altered(now, conversions=counts), new, before


def _renamed(now: TrainingSet, before: pd.DataFrame, new: np.ndarray, rng: np.random.Generator) -> tuple[Any, ...]:
    """The newest batch twice, the second time under new ids."""
    at_twice = np.sort(np.concatenate([np.arange(len(new)), np.flatnonzero(new)]))
    again = np.concatenate([[False], at_twice[1:] == at_twice[:-1]])
    spine = now.spine.iloc[at_twice].reset_index(drop=True)
    spine["collaboration_id"] = spine.collaboration_id.where(~again, "again " + spine.collaboration_id)
    matrix = now.matrix.iloc[at_twice].reset_index(drop=True)
    made = Outcomes.from_tables(spine, None, FeatureSettings().attribution_days).with_kinds(matrix)
    return replace(now, matrix=matrix, spine=spine, results=made), again, training_rows(now)


def measure_seed(seed: int, ordinary_ones: int, slips: int) -> Iterator[dict[str, Any]]:
    """A dictionary a batch, of one market."""
    settings, classifier = FeatureSettings(), CommentClassifier.load()
    with tempfile.TemporaryDirectory() as scratch:
        made = market.make(Path(scratch) / "market", SIZE, seed)
        with open_history(made.data) as history:
            training = TrainingSet.from_history(history, settings, classifier)
    known = at(training, training.results.starts[round(KNOWN * len(training.spine))])
    champion = fit(known, settings, classifier, recipes=RECIPES[-1:]).scorer
    yield from _measure(training, champion, seed, ordinary_ones, slips)


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4])
    parser.add_argument("--batches", type=int, default=250, help="ordinary batches a seed")
    parser.add_argument("--slips", type=int, default=25, help="batches of every slip a seed")
    parser.add_argument("--out", type=Path, default=market.BUILD / "intake.csv")
    args = parser.parse_args(argv)
    lines = []
    args.out.parent.mkdir(parents=True, exist_ok=True)
    for seed in args.seeds:
        lines += list(measure_seed(seed, args.batches, args.slips))
        frame = pd.DataFrame(lines)
        frame.to_csv(args.out, index=False)
    table = frame.groupby(["kind", "part"])[["alarm", "missed", "too_wide"]].agg(["sum"]).droplevel(1, axis=1)
    table.insert(0, "batches", frame.groupby(["kind", "part"]).size())
    print(table.to_string())


if __name__ == "__main__":
    main()
