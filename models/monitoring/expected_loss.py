"""How far off scores are expected to be before any result is there, by the model's own intervals.

Counts are drawn from the distributions that the intervals come from, and judged as results are once they come: by their
mean deviance, the loss that the model is trained and compared by, and by their mean error on a log scale, which is
easier to imagine. Luck is a part of both: no model is without loss.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from models.estimators.count_data import count_loss
from models.scorer import Scorer
from models.uncertainty.interval import Intervals

DRAWS, SEED = 40, 0
MOST_ROWS = 2_000  # of longer lists every so many-th row: its mean is known to a few per cent then


@dataclass(frozen=True)
class Loss:
    """deviance: mean of `count_loss`. error: mean of |log((y + ½) / (m + ½))| of a count y where m was expected."""

    deviance: float
    error: float

    def __str__(self) -> str:
        return f"a factor of {np.exp(self.error):.2g}, up or down (mean deviance {self.deviance:.2f})"


def expected_loss(
    intervals: Intervals, expected: np.ndarray, group: np.ndarray, excess: np.ndarray | float = 0.0
) -> Loss:
    """Of expected counts (rows,), at least one; group and excess as for `Intervals.bounds`. The same rows, the same
    loss."""
    rng = np.random.default_rng(SEED)
    drawn = (intervals.quantiles(expected, group, rng.random(len(expected)), excess) for _ in range(DRAWS))
    found = [realised_loss(expected, counts) for counts in drawn]
    return Loss(float(np.mean([one.deviance for one in found])), float(np.mean([one.error for one in found])))


def realised_loss(expected: np.ndarray, counts: np.ndarray) -> Loss:
    """What came: counts (rows,), where so many were expected (by the moment of counting)."""
    error = np.abs(np.log((counts + 0.5) / (expected + 0.5)))
    return Loss(float(count_loss(counts, expected).mean()), float(error.mean()))


def loss_of_list(scorer: Scorer, matrix: pd.DataFrame, expected: np.ndarray) -> Loss:
    """Of candidates with the catalogue's columns and their expected conversions (rows,), at least one."""
    rows = np.arange(0, len(expected), max(-(-len(expected) // MOST_ROWS), 1))
    part = matrix.iloc[rows]
    return expected_loss(scorer.intervals, expected[rows], scorer.groups(part), scorer.support.excess(part))
