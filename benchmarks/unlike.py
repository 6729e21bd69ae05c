"""Do deals unlike any result get flagged, and do their widened intervals hold? Measured by leaving kinds of deals out.

    python -m benchmarks.unlike DATA [DATA …]

For each DATA, a model is trained on the results known when 70 % had started, without one kind of creator, and scores
what started afterwards. Shown for the left-out kind and for all others: rows, share flagged, coverage of the 80 %
interval without and with the widening. `demo` makes a demo market for this. The last line is the time SCORED rows take.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from features.comment_classifier.classifier import CommentClassifier
from features.history.source import open_history
from features.settings import FeatureSettings
from models.estimators.maturity import fit_maturity
from models.training import TrainingSet, fit
from models.uncertainty.support import fit_support

KNOWN_SHARE, SETTLED_SHARE, SCORED = 0.7, 0.9, 100_000
CASES: dict[str, Callable[[pd.DataFrame], pd.Series]] = {
    "nobody": lambda m: pd.Series(False, index=m.index),
    "mega": lambda m: m.tier == "mega",
    "macro and mega": lambda m: m.tier.isin(["macro", "mega"]),
    "nano": lambda m: m.tier == "nano",
    "one platform": lambda m: m.platform == _second(m.platform),
    "mid to mega of one platform": lambda m: (
        (m.platform == _second(m.platform)) & m.tier.isin(["mid", "macro", "mega"])
    ),
    "one niche": lambda m: m.creator_niche == _second(m.creator_niche),
    "most expensive 5 % per follower": lambda m: m.spend_per_follower > m.spend_per_follower.quantile(0.95),
}


def _second(values: pd.Series) -> str:
    """The value that is the second most frequent."""
    return str(values.value_counts().index[1])


def measure(training: TrainingSet) -> Iterator[list[str]]:
    """A line a case, as cells."""
    results, matrix = training.results, training.matrix
    cutoff = results.starts[int(KNOWN_SHARE * len(results))]
    share, _ = fit_maturity(results).arrived(results)
    rows, then = results.as_of(cutoff)
    after = np.flatnonzero((results.starts >= cutoff) & (share >= SETTLED_SHARE))
    for name, chosen in CASES.items():
        left_out = chosen(matrix).to_numpy(bool, na_value=False)
        kept = np.flatnonzero(~left_out[rows])
        known, spine = (table.iloc[rows[kept]].reset_index(drop=True) for table in (matrix, training.spine))
        part = TrainingSet(known, spine, then.take(kept))
        scorer = fit(part, FeatureSettings(), CommentClassifier.load()).scorer
        cells = [name, f"{len(kept):,}", f"{scorer.intervals.unlike_variance:.2f}"]
        for tested in (after[left_out[after]], after[~left_out[after]]):
            exposure, own = results.spend[tested] * share[tested], matrix.iloc[tested].reset_index(drop=True)
            expected = scorer.rates(own, training.creators[tested]) * exposure
            excess, counts = scorer.support.excess(own), results.counts[tested]
            cells.append(f"{len(tested):,}")
            cells.append(f"{(excess > 0).mean():.3f}" if len(tested) else "")
            for widened in (0.0, excess):
                low, high = scorer.intervals.bounds(expected, scorer.groups(own), 0.8, widened)
                cells.append(f"{((counts >= low) & (counts <= high)).mean():.3f}" if len(tested) else "")
        yield cells


def seconds(training: TrainingSet) -> tuple[float, float]:
    """Of the clock and of the processor, to judge SCORED rows."""
    support = fit_support(training.matrix, training.creators)
    rows = training.matrix.iloc[np.arange(SCORED) % len(training.matrix)].reset_index(drop=True)
    clock, processor = time.perf_counter(), time.process_time()
    support.excess(rows)
    return time.perf_counter() - clock, time.process_time() - processor


def main(argv: list[str]) -> None:
    """Print a table for each DATA."""
    with tempfile.TemporaryDirectory() as scratch:
        for data in argv:
            folder = Path(data)
            if data == "demo":
                folder = Path(scratch) / "market" / "data"
                subprocess.run([sys.executable, "-m", "demo", str(folder.parent)], check=True, capture_output=True)
            with open_history(folder) as history:
                training = TrainingSet.from_history(history, FeatureSettings(), CommentClassifier.load())
            print(f"\n{data}\n")
            print("| left out | trained on | variance | left-out rows | flagged | covered before | covered | "
                  "other rows | flagged | covered before | covered |")  # fmt: skip
            print("|---" * 11 + "|")
            for cells in measure(training):
                print("| " + " | ".join(cells) + " |", flush=True)
            print("\n{:,} rows: {:.2f} s by the clock, {:.2f} s of the processor".format(SCORED, *seconds(training)))


if __name__ == "__main__":
    main(sys.argv[1:])
