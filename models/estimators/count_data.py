"""What estimators are fitted to: counts with an exposure, and the weight of each row.

E[count] = exposure × rate, with exposure = spend × share arrived. A count's variance is m + (a + v) m² for an expected
count m, so a collaboration has weight 1 / (1/m + a + v): small counts are noisy, large ones do not dominate (McCullagh
& Nelder 1989, Generalized Linear Models, ch. 9; a = dispersion, v = uncertainty of the share that has arrived).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.estimators.encoding import Encoding
from models.estimators.lines import Line

DISPERSION = 0.5
LEAST_ROWS, LEAST_CONVERSIONS = 40, 20


@dataclass(frozen=True)
class EarlierFit:
    """What a mixed model's fit leaves to further ones of the same rows: its lines, and log expected counts (rows,)."""

    lines: tuple[Line, ...]
    log_expected: np.ndarray


@dataclass(frozen=True)
class CountData:
    """What an estimator is fitted to, in the order of time.

    features: (rows, columns + 1) float64 as `encoding` made them. counts, exposure (dollars × share arrived), variance
    (of the log share): (rows,). earlier: of these rows and features, where there was one.
    """

    features: np.ndarray
    encoding: Encoding
    counts: np.ndarray
    exposure: np.ndarray
    variance: np.ndarray
    earlier: EarlierFit | None = None

    def take(self, rows: np.ndarray | slice) -> CountData:
        """The given rows."""
        return CountData(
            self.features[rows], self.encoding, self.counts[rows], self.exposure[rows], self.variance[rows]
        )

    @property
    def enough(self) -> bool:
        """Whether there is enough to learn more than one rate from."""
        return len(self.counts) >= LEAST_ROWS and self.counts.sum() >= LEAST_CONVERSIONS

    @property
    def weight(self) -> np.ndarray:
        """The weight of each row, mean 1."""
        expected = self.exposure * self.counts.sum() / self.exposure.sum()
        weight = 1 / (1 / np.maximum(expected, 1e-12) + DISPERSION + self.variance)
        return weight / weight.mean()

    @property
    def level(self) -> float:
        """Conversions per dollar of all rows, weighted."""
        expected = self.exposure * (self.counts.sum() / self.exposure.sum())
        tempered = 1 / (1 + (DISPERSION + self.variance) * expected)
        return float(max((tempered * self.counts).sum(), 0.5) / (tempered * self.exposure).sum())


def count_loss(counts: np.ndarray, expected: np.ndarray, variance: np.ndarray | float = 0.0) -> np.ndarray:
    """Negative-binomial deviance by row, variance m + (DISPERSION + variance) m²; 0 where the count is as expected."""
    size = 1 / (DISPERSION + np.asarray(variance, float))
    expected = np.maximum(expected, 1e-12)
    hit = np.where(counts > 0, counts * np.log(np.maximum(counts, 1e-12) / expected), 0.0)
    return 2 * (hit - (counts + size) * np.log((counts + size) / (expected + size)))


def level_shift(counts: np.ndarray, expected: np.ndarray, variance: np.ndarray) -> float:
    """Log of counted over expected conversions, in which no row dominates; half a conversion is added to both."""
    tempered = 1 / (1 + (DISPERSION + variance) * expected)
    return float(np.log(((tempered * counts).sum() + 0.5) / ((tempered * expected).sum() + 0.5)))
