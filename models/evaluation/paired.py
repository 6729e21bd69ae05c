"""Two models' predictions of the same results, compared pairwise: how much better one is, and how sure that is.

Neither model has seen the results that it predicts. Intervals are percentiles over resampled creators, each with all of
their deals, in SAMPLES samples (cluster bootstrap: Davison & Hinkley 1997, Bootstrap Methods and their Application,
section 3.8). Both models are measured on the same samples, so what they have in common cancels out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import t as students_t

from models.estimators.count_data import count_loss
from models.evaluation.metrics import conversions_bought

SAMPLES, LEVEL = 1_000, 0.95
# Of the money, for the budget value. How much of a list a brand can pay for varies, and one share alone is decided by
# the few deals at its edge: a difference averaged over these spreads about half as much.
SHARES = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5)
COVERAGE = 0.8
BLOCK = 4_000_000  # weights of rows at a time, so that a large window does not fill the memory
# The level of all rates moves by some fifth between trainings; that counts as much as PRIOR_FOLDS folds' own errors.
PRIOR_LEVEL_ERROR, PRIOR_FOLDS, TOTAL_LEVEL = 0.2, 4, 0.99
MOST_LEVEL_ERROR = float(np.log(2))  # a fold that is off by more was a bad batch, which must not hide the next one


@dataclass(frozen=True)
class Predictions:
    """A model's predictions of n rows: rate, low and high (80 %) in conversions per dollar, (rows,) each.

    low, high: NaN where there is no interval.
    """

    rate: np.ndarray
    low: np.ndarray
    high: np.ndarray

    def take(self, rows: np.ndarray) -> Predictions:
        """The given rows."""
        return Predictions(self.rate[rows], self.low[rows], self.high[rows])


@dataclass(frozen=True)
class Difference:
    """One figure of two models on the same rows.

    first, second: the figure of each. difference: of the first model from the second, with its LEVEL interval low to
    high; NaN where it is not defined.
    """

    first: float
    second: float
    difference: float
    low: float
    high: float

    def __str__(self) -> str:
        ends = f" ({self.low:+.3f} to {self.high:+.3f})"
        return f"{self.first:.3f} against {self.second:.3f}, difference {self.difference:+.3f}{ends}"


@dataclass(frozen=True)
class Comparison:
    """Differences of two models.

    deviance: mean negative-binomial deviance, less is better. value: conversions for a share of the money over those of
    hindsight, averaged over SHARES, more is better. calibration: total predicted over realised conversions; the
    difference is one of |log total|, less is better. coverage: of the 80 % interval; the difference is one of
    |coverage − 0.8|, less is better.
    """

    deviance: Difference
    value: Difference
    calibration: Difference
    coverage: Difference

    def items(self) -> list[tuple[str, Difference]]:
        """Name and difference of each figure."""
        return [(name, getattr(self, name)) for name in ("deviance", "value", "calibration", "coverage")]


@dataclass(frozen=True)
class Total:
    """Predicted over realised conversions of a window, with the interval in which the truth lies: low to high."""

    total: float
    low: float
    high: float

    @property
    def off(self) -> bool:
        """Whether the model is off by more than its own interval."""
        return not self.low <= 1 <= self.high


@dataclass(frozen=True)
class Resampled:
    """How often each creator is drawn in each sample (1 + SAMPLES, creators), and the creator of each row (rows,).

    The first sample is the rows as they are.
    """

    weights: np.ndarray
    creator: np.ndarray

    @classmethod
    def of(cls, creators: np.ndarray, seed: int) -> Resampled:
        """Samples of the creators (rows,)."""
        place, keys = pd.factorize(creators)
        drawn = np.random.default_rng(seed).multinomial(len(keys), np.full(len(keys), 1 / len(keys)), SAMPLES)
        return cls(np.vstack([np.ones(len(keys), np.int64), drawn]).astype(float), place)

    @property
    def creators(self) -> int:
        """Number of different creators."""
        return self.weights.shape[1]

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Sum of values (rows,) in each sample (samples,)."""
        by_creator = np.bincount(self.creator, values, self.creators)
        return np.asarray(self.weights @ by_creator)

    def values(self, rates: tuple[np.ndarray, ...], counts: np.ndarray, exposure: np.ndarray) -> list[np.ndarray]:
        """Budget value of each of the rates (rows,) in each sample (samples,)."""
        step = max(1, BLOCK // max(len(counts), 1))
        parts = []
        for start in range(0, len(self.weights), step):
            weights = self.weights[start : start + step, self.creator]
            bought = [
                conversions_bought(rank_by, exposure, counts, SHARES, weights)
                for rank_by in (counts / exposure, *rates)
            ]
            parts.append((np.array(bought[1:]) / np.where(bought[0] > 0, bought[0], np.nan)).mean(axis=2))
        return list(np.concatenate(parts, axis=1))


def compare(rows: pd.DataFrame, first: Predictions, second: Predictions, seed: int) -> Comparison:
    """Compare two models' predictions of `rows`: creator_id, counts, exposure (dollars) and variance of each."""
    samples = Resampled.of(rows.creator_id.to_numpy(object), seed)
    counts, exposure, variance = (rows[name].to_numpy(float) for name in ("counts", "exposure", "variance"))
    number = samples.sums(np.ones(len(rows)))
    both = (first, second)
    deviance = [samples.sums(count_loss(counts, p.rate * exposure, variance)) / number for p in both]
    value = samples.values((first.rate, second.rate), counts, exposure)
    came = samples.sums(counts)
    totals = [(samples.sums(p.rate * exposure) + 0.5) / (came + 0.5) for p in both]
    known = np.isfinite(first.low) & np.isfinite(second.low)
    coverage = [_coverage(samples, p, counts / exposure, known) for p in both]
    return Comparison(
        _difference(deviance, deviance),
        _difference(value, value),
        _difference(totals, [np.abs(np.log(t)) for t in totals]),
        _difference(coverage, [np.abs(c - COVERAGE) for c in coverage]),
    )


def _coverage(samples: Resampled, of: Predictions, rate: np.ndarray, known: np.ndarray) -> np.ndarray:
    inside = known & (rate >= of.low - 1e-12) & (rate <= of.high + 1e-12)
    number = samples.sums(known.astype(float))
    return samples.sums(inside.astype(float)) / np.where(number > 0, number, np.nan)


def _difference(figures: list[np.ndarray], judged: list[np.ndarray]) -> Difference:
    """figures, judged: of both models by sample, the rows as they are first."""
    found = judged[0] - judged[1]
    drawn = found[1:][np.isfinite(found[1:])]
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]) if len(drawn) else (np.nan, np.nan)
    return Difference(float(figures[0][0]), float(figures[1][0]), float(found[0]), float(low), float(high))


def total(rows: pd.DataFrame, rate: np.ndarray, earlier: np.ndarray, seed: int) -> Total:
    """Predicted over realised conversions of `rows` with the model's own interval, half a conversion added to both.

    earlier: log of predicted over realised conversions of each earlier fold, which shows how far the level is off from
    one fold to the next; at most MOST_LEVEL_ERROR each. Their mean square, shrunk to PRIOR_LEVEL_ERROR², is added to
    the variance over resampled creators; the interval holds TOTAL_LEVEL by Student's t.
    """
    samples = Resampled.of(rows.creator_id.to_numpy(object), seed)
    expected = samples.sums(rate * rows.exposure.to_numpy(float))
    logs = np.log((expected + 0.5) / (samples.sums(rows.counts.to_numpy(float)) + 0.5))
    errors, folds = np.clip(earlier, -MOST_LEVEL_ERROR, MOST_LEVEL_ERROR), PRIOR_FOLDS + len(earlier)
    level = (PRIOR_FOLDS * PRIOR_LEVEL_ERROR**2 + float(errors @ errors)) / folds
    reach = students_t.ppf((1 + TOTAL_LEVEL) / 2, folds) * np.sqrt(level + np.var(logs[1:]))
    return Total(*(float(np.exp(logs[0] + by)) for by in (0.0, -reach, reach)))
