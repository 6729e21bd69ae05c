"""Do deals unlike any result get flagged, and do their widened intervals hold? Measured by leaving kinds of deals out.

    python -m benchmarks.unlike DATA [DATA …]

For each DATA the results known after 70 % of the time teach, but for one kind of creator; what started afterwards is
scored. Of the left-out kind and of all others: rows, share that is flagged, coverage of the 80 % interval without and
with the widening. `demo` makes the demo market aside. At last, how long SCORED rows take to be judged.
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
from models.training import Training, fit
from models.uncertainty.support import fit_support

TAUGHT, RIPE, SCORED = 0.7, 0.9, 100_000
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
    "dearest 5 % per follower": lambda m: m.spend_per_follower > m.spend_per_follower.quantile(0.95),
}


def _second(values: pd.Series) -> str:
    """The value that is the second most frequent."""
    return str(values.value_counts().index[1])


def measure(training: Training) -> Iterator[list[str]]:
    """A line a case, as cells."""
    results, matrix = training.results, training.matrix
    cutoff = results.starts[int(TAUGHT * len(results))]
    share, _ = fit_maturity(results).arrived(results)
    rows, then = results.as_of(cutoff)
    after = np.flatnonzero((results.starts >= cutoff) & (share >= RIPE))
    for name, chosen in CASES.items():
        left_out = chosen(matrix).to_numpy(bool, na_value=False)
        kept = np.flatnonzero(~left_out[rows])
        known, spine = (table.iloc[rows[kept]].reset_index(drop=True) for table in (matrix, training.spine))
        part = Training(known, spine, then.take(kept))
        scorer = fit(part, FeatureSettings(), CommentClassifier.load()).scorer
        cells = [name, f"{len(kept):,}", f"{scorer.intervals.unlike_variance:.2f}"]
        for asked in (after[left_out[after]], after[~left_out[after]]):
            exposure, own = results.spend[asked] * share[asked], matrix.iloc[asked].reset_index(drop=True)
            expected = scorer.rates(own, training.creators[asked]) * exposure
            excess, counts = scorer.support.excess(own), results.counts[asked]
            cells.append(f"{len(asked):,}")
            cells.append(f"{(excess > 0).mean():.3f}" if len(asked) else "")
            for widened in (0.0, excess):
                low, high = scorer.intervals.bounds(expected, scorer.groups(own), 0.8, widened)
                cells.append(f"{((counts >= low) & (counts <= high)).mean():.3f}" if len(asked) else "")
        yield cells


def seconds(training: Training) -> tuple[float, float]:
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
                training = Training.from_history(history, FeatureSettings(), CommentClassifier.load())
            print(f"\n{data}\n")
            print("| left out | taught | variance | left-out rows | flagged | covered before | covered | "
                  "other rows | flagged | covered before | covered |")  # fmt: skip
            print("|---" * 11 + "|")
            for cells in measure(training):
                print("| " + " | ".join(cells) + " |", flush=True)
            print("\n{:,} rows: {:.2f} s by the clock, {:.2f} s of the processor".format(SCORED, *seconds(training)))


if __name__ == "__main__":
    main(sys.argv[1:])
