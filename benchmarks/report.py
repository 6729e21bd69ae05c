"""What a report's studies take on a long history: the claims, and what a budget would have bought.

python -m benchmarks.report [--results 100000] [--creators 20000] [--brands 500]

Features and results are made as arrays (`benchmarks.long_history`); the rows of the backtest are the newer half of
them, in folds of equal size, with made-up predictions. Seconds are those of processors. GiB is the largest memory while
a study runs, all that was there before it included.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

import cli
from benchmarks.figures import cells, write_tables
from benchmarks.long_history import long_history
from benchmarks.training import Watch
from models.estimators.maturity import taken_as_final
from models.evaluation.backtest import FOLDS, OURS
from models.studies.budget_study import compare
from models.studies.claim_tests import examine
from models.training import TrainingSet


def rows_tested(training: TrainingSet, seed: int = 0) -> pd.DataFrame:
    """The newer half as `models.studies.budget_study.compared_rows` has it, predicted with noise."""
    results, rng = training.results, np.random.default_rng(seed)
    at = np.arange(len(results) // 2, len(results))
    counts, spend = results.counts[at], results.spend[at]

    def noisy() -> np.ndarray:
        return (counts + 0.5) / spend * np.exp(rng.normal(0, 1.0, len(at)))

    return pd.DataFrame(
        {
            "fold": np.arange(len(at)) * FOLDS // len(at),
            "creator_id": training.creators[at],
            "spend": spend,
            "came": counts,
            "followers": training.matrix.followers.to_numpy(float)[at],
            "engagement": training.matrix.engagement_rate_year.to_numpy(float)[at],
            **{name: noisy() for name in (OURS, "own_record", "price_only")},
        }
    )


def measure(study: str, call: Callable[[], object]) -> dict[str, str | float]:
    """Seconds of processors and the most memory of a call."""
    watch = Watch()
    with watch.memory():
        began = time.process_time()
        call()
        seconds = time.process_time() - began
    return {"study": study, "seconds": seconds, "GiB": watch.most}


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=int, default=100_000, help="past deals (%(default)s)")
    parser.add_argument("--creators", type=int, default=20_000, help="(%(default)s)")
    parser.add_argument("--brands", type=int, default=500, help="(%(default)s)")
    parser.add_argument("--folder", type=Path, default=Path("build/bench-report"), help="(%(default)s)")
    args = parser.parse_args(argv)
    args.folder.mkdir(parents=True, exist_ok=True)
    training = long_history(args.results, args.creators, args.brands)
    rows = rows_tested(training)
    table = pd.DataFrame(
        [
            measure("nothing yet", lambda: time.sleep(0.2)),
            measure("claims", lambda: examine(training, taken_as_final())),
            measure("what a budget would have bought", lambda: compare(rows, 0)),
        ]
    )
    write_tables(table, args.folder / "report")
    cli.show_table(cells(table))


if __name__ == "__main__":
    main()
