"""Intervals for the rate that will be realised: the count's noise and the model's doubt, calibrated on the backtest.

A count is taken as negative-binomial around the predicted count, its dispersion a function of that count. How the
quantiles of that law fall on results that the model had not seen then corrects them, group by group (a probability
integral transform that is recalibrated: Gneiting, Balabdaoui & Raftery 2007, JRSS B 69, 243-268; split conformal
prediction: Vovk, Gammerman & Shafer 2005). Counts are whole numbers, so each tail has its own correction: a result lies
below low if even its own mass does not reach the low quantile, above high if all below it does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import gammaln
from scipy.stats import nbinom

EVERY = "*"
GRID = np.linspace(0.0, 1.0, 401)
DISPERSIONS = np.geomspace(0.02, 20, 60)
PRIOR_DISPERSION, PRIOR_ROWS, BIN_ROWS, MOST_BINS = 1.5, 20.0, 60, 8
GROUP_PRIOR, UNIFORM_PRIOR = 60.0, 20.0
LOW_CAP, HIGH_CAP = 0.45, 0.55


@dataclass(frozen=True)
class Intervals:
    """The law of a count around its prediction.

    log_counts, log_dispersions: (bins,), dispersion against log expected count, linear between and constant beyond.
    lower, upper: by group (and EVERY), the quantiles on GRID of the transforms F(y) and F(y − 1) of unseen results.
    """

    log_counts: np.ndarray
    log_dispersions: np.ndarray
    lower: Mapping[str, np.ndarray]
    upper: Mapping[str, np.ndarray]

    def dispersion(self, expected: np.ndarray) -> np.ndarray:
        """Variance beyond Poisson: var = m + dispersion m²."""
        return np.exp(np.interp(np.log(np.maximum(expected, 1e-9)), self.log_counts, self.log_dispersions))

    def bounds(self, expected: np.ndarray, group: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
        """Low and high counts (rows,) between which a result falls with probability `level`, each tail alike.

        Raises ValueError for a level outside (0, 1).
        """
        if not 0 < level < 1:
            raise ValueError(f"level: a number between 0 and 1 is needed, received {level}")
        names, place = np.unique(np.asarray(group, str), return_inverse=True)
        at = [name if name in self.lower else EVERY for name in names]
        low = np.array([min(np.interp((1 - level) / 2, GRID, self.lower[n]), LOW_CAP) for n in at])[place]
        high = np.array([max(np.interp((1 + level) / 2, GRID, self.upper[n]), HIGH_CAP) for n in at])[place]
        size, chance = _law(expected, self.dispersion(expected))
        lower, upper = nbinom.ppf(low, size, chance), nbinom.ppf(np.minimum(high, 1 - 1e-9), size, chance)
        # a small expected count lies above most of the whole numbers that it stands for
        return np.minimum(lower, expected), np.maximum(upper, expected)

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values; `from_dict` is its inverse."""
        return {
            "log_counts": self.log_counts.tolist(),
            "log_dispersions": self.log_dispersions.tolist(),
            "lower": {k: v.tolist() for k, v in self.lower.items()},
            "upper": {k: v.tolist() for k, v in self.upper.items()},
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Intervals:
        """Inverse of `to_dict`."""
        tails = [{k: np.array(v, float) for k, v in values[name].items()} for name in ("lower", "upper")]
        return cls(np.array(values["log_counts"], float), np.array(values["log_dispersions"], float), *tails)


def _law(expected: np.ndarray, dispersion: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    size = 1 / dispersion
    return size, size / (size + np.maximum(expected, 1e-9))


def fit_intervals(expected: np.ndarray, counts: np.ndarray, group: np.ndarray) -> Intervals:
    """Learn the law from predictions of results that the model had not seen; wide by default where there are few."""
    expected = np.maximum(np.asarray(expected, float), 1e-9)
    log_counts, log_dispersions = _dispersions(expected, counts)
    law = Intervals(log_counts, log_dispersions, {}, {})
    size, chance = _law(expected, law.dispersion(expected))
    reached, below = nbinom.cdf(counts, size, chance), nbinom.cdf(counts - 1, size, chance)
    groups = np.asarray(group, str)
    lower = {EVERY: _shrunk_quantiles(reached, GRID, UNIFORM_PRIOR)}
    upper = {EVERY: _shrunk_quantiles(below, GRID, UNIFORM_PRIOR)}
    for name in np.unique(groups):
        mine = groups == name
        lower[str(name)] = _shrunk_quantiles(reached[mine], lower[EVERY], GROUP_PRIOR)
        upper[str(name)] = _shrunk_quantiles(below[mine], upper[EVERY], GROUP_PRIOR)
    return Intervals(log_counts, log_dispersions, lower, upper)


def _shrunk_quantiles(values: np.ndarray, prior: np.ndarray, rows: float) -> np.ndarray:
    """Quantiles on GRID of the values mixed with the prior's quantiles, which weigh as much as `rows` values."""
    both = np.concatenate([values, prior])
    weight = np.concatenate([np.ones(len(values)), np.full(len(prior), rows / len(prior))])
    order = np.argsort(both, kind="stable")
    share = np.cumsum(weight[order]) - weight[order] / 2
    return np.interp(GRID, share / weight.sum(), both[order])


def _dispersions(expected: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Maximum-likelihood dispersion by bins of the expected count, shrunk to that of all, and that to a prior."""
    table = _log_likelihoods(expected, counts)
    away = np.log(DISPERSIONS / PRIOR_DISPERSION) ** 2
    pooled = float(DISPERSIONS[np.argmax(table.sum(0) - PRIOR_ROWS / 20 * away)])
    bins = int(np.clip(len(counts) // BIN_ROWS, 1, MOST_BINS))
    if bins == 1:
        return np.zeros(1), np.array([np.log(pooled)])
    away = np.log(DISPERSIONS / pooled) ** 2
    parts = np.array_split(np.argsort(expected, kind="stable"), bins)
    centres = [float(np.log(expected[part]).mean()) for part in parts]
    chosen = [float(np.log(DISPERSIONS[np.argmax(table[part].sum(0) - away)])) for part in parts]
    centres, where = np.unique(centres, return_index=True)  # type: ignore[assignment]
    return np.asarray(centres), np.asarray(chosen)[where]


def _log_likelihoods(expected: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """(rows, DISPERSIONS), without the term that no dispersion changes."""
    size = 1 / DISPERSIONS[None, :]
    m, y = expected[:, None], np.asarray(counts, float)[:, None]
    return gammaln(y + size) - gammaln(size) + size * np.log(size / (size + m)) + y * np.log(m / (size + m))
