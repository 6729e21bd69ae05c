"""Intervals for the rate that will be realised: the count's noise and the model's uncertainty, calibrated on the
backtest.

A count is taken as negative-binomial around the predicted count, its dispersion a function of that count. How the
quantiles of that distribution fall on results that the model had not seen then corrects them, group by group (a
probability integral transform that is recalibrated: Gneiting, Balabdaoui & Raftery 2007, JRSS B 69, 243-268; split
conformal prediction: Vovk, Gammerman & Shafer 2005). Counts are whole numbers, so each tail has its own correction: a
result lies below the interval if its distribution function, its own mass included, is below the lower quantile, and
above it if the function just below the result exceeds the upper one. The
probability of reaching a count takes the mean of the two, over the mass of each result (Czado, Gneiting & Held 2009,
Biometrics 65, 1254-1261), which is right for small counts too; where counts are large the three agree.

The log rate of a deal that is unlike the results is more uncertain. The variance that it adds grows with how far the
deal lies beyond their support (`models.uncertainty.support`). How fast is learnt from such deals in the backtest,
shrunk towards a prior; it is never below 0, so it never narrows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.special import gammaln, nbdtrik
from scipy.stats import nbinom

from models.estimators.blocks import added, small_blocks

POOLED = "*"
GRID = np.linspace(0.0, 1.0, 401)
DISPERSIONS = np.geomspace(0.02, 20, 60)
PRIOR_DISPERSION, PRIOR_ROWS, BIN_ROWS, MOST_BINS = 1.5, 20.0, 60, 8
GROUP_PRIOR, UNIFORM_PRIOR = 60.0, 20.0
LOW_CAP, HIGH_CAP = 0.45, 0.55
EXACT = 2.0**52  # from here on, one conversion more is the same number
# of kinds of deals left out of the training, 80 % were covered on average with this prior (`benchmarks/unlike.py`)
PRIOR_UNLIKE, UNLIKE_FACTOR = 0.15, 2.0


@dataclass(frozen=True)
class Intervals:
    """The distribution of a count around its prediction.

    log_counts, log_dispersions: (bins,), dispersion against log expected count, linear between and constant beyond.
    lower, upper: by group (and POOLED), the quantiles on GRID of the transforms F(y) and F(y − 1) of unseen results.
    calibration: by group, the probability that a transform, drawn from F(y − 1)..F(y), is at most a value of GRID.
    unlike_variance: of the log rate, for each unit of excess.
    """

    log_counts: np.ndarray
    log_dispersions: np.ndarray
    lower: Mapping[str, np.ndarray]
    upper: Mapping[str, np.ndarray]
    calibration: Mapping[str, np.ndarray]
    unlike_variance: float

    def dispersion(self, expected: np.ndarray, excess: np.ndarray | float = 0.0) -> np.ndarray:
        """Variance beyond Poisson: var = m + dispersion m². excess: how far a deal lies beyond what results support."""
        usual = np.exp(np.interp(np.log(np.maximum(expected, 1e-9)), self.log_counts, self.log_dispersions))
        return usual + self.unlike_variance * np.asarray(excess, float)

    def bounds(
        self, expected: np.ndarray, group: np.ndarray, level: float, excess: np.ndarray | float = 0.0
    ) -> tuple[np.ndarray, np.ndarray]:
        """Low and high counts (rows,) between which a result falls with probability `level`, each tail alike.

        excess: `Support.excess` (rows,). Raises ValueError for a level outside (0, 1).
        """
        names, place = self._groups(group)
        low, high = self.shares(names, level)
        return self.between(expected, low[place], high[place], excess)

    def shares(self, names: Sequence[str], level: float) -> tuple[np.ndarray, np.ndarray]:
        """Shares of the distribution below the low and the high end of groups' intervals (names,); the pooled values
        for an unknown group.

        Raises ValueError for a level outside (0, 1).
        """
        _require_probability("level", level)
        known = [name if name in self.lower else POOLED for name in names]
        low = [min(np.interp((1 - level) / 2, GRID, self.lower[name]), LOW_CAP) for name in known]
        high = [max(np.interp((1 + level) / 2, GRID, self.upper[name]), HIGH_CAP) for name in known]
        return np.array(low, float), np.minimum(np.array(high, float), 1 - 1e-9)

    def between(
        self, expected: np.ndarray, low: np.ndarray, high: np.ndarray, excess: np.ndarray | float = 0.0
    ) -> tuple[np.ndarray, np.ndarray]:
        """As `bounds`, of every row's own `shares` (rows,)."""
        usual, both = self.dispersion(expected), np.stack([low, high])
        lower, upper = _quantile(both, expected, usual)
        excess = np.zeros(len(expected)) + excess
        if len(wide := np.flatnonzero(excess > 0)):
            # more variance for the same mean may draw a high quantile in: an interval is never narrowed
            more = usual[wide] + self.unlike_variance * excess[wide]
            wider = _quantile(both[:, wide], expected[wide], more)
            lower[wide], upper[wide] = np.minimum(lower[wide], wider[0]), np.maximum(upper[wide], wider[1])
        # a small expected count lies above most of the whole numbers that it stands for
        return np.minimum(lower, expected), np.maximum(upper, expected)

    def reached(
        self, expected: np.ndarray, group: np.ndarray, counts: np.ndarray, excess: np.ndarray | float = 0.0
    ) -> np.ndarray:
        """Probability (rows,) that a result is at least `counts` (rows,), whole numbers. excess: as for `bounds`."""
        names, place = self._groups(group)
        size, chance = _distribution(expected, self.dispersion(expected, excess))
        below = nbinom.cdf(np.asarray(counts, float) - 1, size, chance)
        calibrated = np.empty(len(below))
        for i, name in enumerate(names):
            calibrated[place == i] = np.interp(below[place == i], GRID, self.calibration[name])
        return 1 - calibrated

    def most(
        self, expected: np.ndarray, group: np.ndarray, confidence: float, excess: np.ndarray | float = 0.0
    ) -> np.ndarray:
        """The largest counts (rows,) that are `reached` with a probability of at least `confidence`; 0 always is.

        Raises ValueError for a confidence outside (0, 1).
        """
        _require_probability("confidence", confidence)
        names, place = self._groups(group)
        below = np.array([np.interp(1 - confidence, self.calibration[n], GRID) for n in names])[place]
        guess = _quantile(np.minimum(below, 1 - 1e-9), expected, self.dispersion(expected, excess))
        guess = np.where(np.isfinite(guess), guess, np.ceil(expected))
        exact = guess < EXACT

        def enough(counts: np.ndarray) -> np.ndarray:
            return self.reached(expected, group, counts, excess) >= confidence

        # `reached` itself has the last word, so that the two never disagree: steps that double away from the guess,
        # which is off by one at most but in the far tails, then halves
        low, high, step = guess, guess + 1, 1.0
        while (less := exact & (low > 0) & ~enough(low)).any():
            low, high, step = np.where(less, np.maximum(low - step, 0), low), np.where(less, low, high), 2 * step
        step = 1.0
        while (more := exact & (high < EXACT) & enough(high)).any():
            low, high, step = np.where(more, high, low), np.where(more, high + step, high), 2 * step
        while (apart := exact & (high - low > 1)).any():
            middle = np.floor((low + high) / 2)
            up = enough(middle)
            low, high = np.where(apart & up, middle, low), np.where(apart & ~up, middle, high)
        return low

    def quantiles(
        self, expected: np.ndarray, group: np.ndarray, probability: np.ndarray, excess: np.ndarray | float = 0.0
    ) -> np.ndarray:
        """Counts (rows,) at or below which results lie with these probabilities (rows,), as `reached` has them: of
        uniform ones, draws of results. excess: as for `bounds`."""
        names, place = self._groups(group)
        below = np.empty(len(place))
        for i, name in enumerate(names):
            below[place == i] = np.interp(probability[place == i], self.calibration[name], GRID)
        return _quantile(np.minimum(below, 1 - 1e-9), expected, self.dispersion(expected, excess))

    def _groups(self, group: np.ndarray) -> tuple[list[str], np.ndarray]:
        """The groups whose calibration counts, and for each row which of them."""
        names, place = np.unique(np.asarray(group, str), return_inverse=True)
        return [str(name) if name in self.lower else POOLED for name in names], place

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values; `from_dict` is its inverse."""
        return {
            "log_counts": self.log_counts.tolist(),
            "log_dispersions": self.log_dispersions.tolist(),
            "lower": {k: v.tolist() for k, v in self.lower.items()},
            "upper": {k: v.tolist() for k, v in self.upper.items()},
            "calibration": {k: v.tolist() for k, v in self.calibration.items()},
            "unlike_variance": self.unlike_variance,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Intervals:
        """Inverse of `to_dict`."""
        names = ("lower", "upper", "calibration")
        lower, upper, calibration = ({k: np.array(v, float) for k, v in values[name].items()} for name in names)
        log_counts, log_dispersions = (np.array(values[name], float) for name in ("log_counts", "log_dispersions"))
        return cls(log_counts, log_dispersions, lower, upper, calibration, values["unlike_variance"])


def _require_probability(name: str, value: float) -> None:
    if not 0 < value < 1:
        raise ValueError(f"{name}: a number between 0 and 1 is needed, received {value}")


def _quantile(share: np.ndarray, expected: np.ndarray, dispersion: np.ndarray) -> np.ndarray:
    """The smallest counts that are reached with at least these probabilities.

    As `nbinom.ppf`, without its checks, which cost more than a hundred quantiles do, and without its long search in
    the far tail of huge counts. Above 1e7 they may differ, by less than a millionth.
    """
    return np.ceil(nbdtrik(share, *_distribution(expected, dispersion)))


def _distribution(expected: np.ndarray, dispersion: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    size = 1 / dispersion
    return size, size / (size + np.maximum(expected, 1e-9))


def fit_intervals(
    expected: np.ndarray, counts: np.ndarray, group: np.ndarray, excess: np.ndarray | float = 0.0
) -> Intervals:
    """Learn the distribution from predictions of results that the model had not seen; wide by default where there are
    few.

    excess: as for `bounds`, of these rows.
    """
    expected = np.maximum(np.asarray(expected, float), 1e-9)
    excess = np.broadcast_to(np.asarray(excess, float), expected.shape)
    bins = _dispersions(expected, counts, PRIOR_UNLIKE * excess)
    fitted = Intervals(*bins, {}, {}, {}, 0.0)
    fitted = replace(fitted, unlike_variance=_unlike_variance(expected, counts, fitted.dispersion(expected), excess))
    size, chance = _distribution(expected, fitted.dispersion(expected, excess))
    reached, below = nbinom.cdf(counts, size, chance), nbinom.cdf(counts - 1, size, chance)
    groups = np.asarray(group, str)
    lower = {POOLED: _shrunk_quantiles(reached, GRID, UNIFORM_PRIOR)}
    upper = {POOLED: _shrunk_quantiles(below, GRID, UNIFORM_PRIOR)}
    calibration = {POOLED: _shrunk_distribution(below, reached, GRID, UNIFORM_PRIOR)}
    for name in np.unique(groups):
        mine = groups == name
        lower[str(name)] = _shrunk_quantiles(reached[mine], lower[POOLED], GROUP_PRIOR)
        upper[str(name)] = _shrunk_quantiles(below[mine], upper[POOLED], GROUP_PRIOR)
        calibration[str(name)] = _shrunk_distribution(below[mine], reached[mine], calibration[POOLED], GROUP_PRIOR)
    return replace(fitted, lower=lower, upper=upper, calibration=calibration)


def _unlike_variance(expected: np.ndarray, counts: np.ndarray, usual: np.ndarray, excess: np.ndarray) -> float:
    """Maximum a posteriori; the prior holds it within a factor of UNLIKE_FACTOR of PRIOR_UNLIKE two times of three."""
    tried = PRIOR_UNLIKE * np.geomspace(1 / 16, 16, 81)
    away = (np.log(tried / PRIOR_UNLIKE) / np.log(UNLIKE_FACTOR)) ** 2 / 2
    rows = excess > 0
    table = _log_likelihoods(expected[rows], counts[rows], usual[rows, None] + tried * excess[rows, None])
    return float(tried[np.argmax(table.sum(0) - away)])


def _shrunk_distribution(below: np.ndarray, reached: np.ndarray, prior: np.ndarray, rows: float) -> np.ndarray:
    """Mean on GRID of the uniform distributions on below..reached, and of the prior, which weighs as much as `rows`."""
    total = rows * prior
    for part in small_blocks(len(below), len(GRID)):
        low, high = below[part, None], reached[part, None]
        total = added(total, np.clip((GRID - low) / np.maximum(high - low, 1e-12), 0, 1))
    # a result beyond everything that its distribution allows has 1 for both, and is reached there
    return np.append(total[:-1] / (len(below) + rows), 1.0)


def _shrunk_quantiles(values: np.ndarray, prior: np.ndarray, rows: float) -> np.ndarray:
    """Quantiles on GRID of the values mixed with the prior's quantiles, which weigh as much as `rows` values."""
    both = np.concatenate([values, prior])
    weight = np.concatenate([np.ones(len(values)), np.full(len(prior), rows / len(prior))])
    order = np.argsort(both, kind="stable")
    share = np.cumsum(weight[order]) - weight[order] / 2
    return np.interp(GRID, share / weight.sum(), both[order])


def _dispersions(expected: np.ndarray, counts: np.ndarray, added: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Maximum-likelihood dispersion by bins of the expected count, shrunk to that of all, and that to a prior."""
    table = _log_likelihoods(expected, counts, DISPERSIONS + added[:, None])
    away = np.log(DISPERSIONS / PRIOR_DISPERSION) ** 2
    pooled = float(DISPERSIONS[np.argmax(table.sum(0) - PRIOR_ROWS / 20 * away)])
    bins = int(np.clip(len(counts) // BIN_ROWS, 1, MOST_BINS))
    if bins == 1:
        return np.zeros(1), np.array([np.log(pooled)])
    away = np.log(DISPERSIONS / pooled) ** 2
    parts = np.array_split(np.argsort(expected, kind="stable"), bins)
    means = [float(np.log(expected[part]).mean()) for part in parts]
    chosen = [float(np.log(DISPERSIONS[np.argmax(table[part].sum(0) - away)])) for part in parts]
    centres, where = np.unique(means, return_index=True)
    return centres, np.asarray(chosen)[where]


def _log_likelihoods(expected: np.ndarray, counts: np.ndarray, dispersion: np.ndarray) -> np.ndarray:
    """Of counts (rows,) for each of the dispersions (rows, n), without the term that no dispersion changes."""
    out = np.empty_like(dispersion)
    for part in small_blocks(len(out), out.shape[1]):
        size = 1 / dispersion[part]
        m, y = np.asarray(expected[part], float)[:, None], np.asarray(counts[part], float)[:, None]
        out[part] = gammaln(y + size) - gammaln(size) + size * np.log(size / (size + m)) + y * np.log(m / (size + m))
    return out
