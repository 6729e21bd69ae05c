"""How much of a collaboration's final conversions has arrived by the time of counting.

Where conversions are listed by day, the completion curve is the reverse-hazard estimate for right-truncated delays
(Lagakos, Barraj & De Gruttola 1988, Biometrika 75, 515-523; the chain ladder of insurers): with h(k) the share of the
first k days' conversions that came on day k, F(k - 1) = F(k) (1 - h(k)). Promotion lengths have hazards of their own,
shrunk to those of all, and tiers within them, shrunk to theirs; a platform raises the curve to a power (proportional
reversed hazards: Gupta & Gupta 2007, Journal of Statistical Planning and Inference 137, 3525-3536). Elsewhere an
exponential delay is fitted across ages of counting. If every collaboration was counted at the same age, the data cannot
show what arrives later, and counts are taken as final.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from models.estimators.arrivals import Arrivals
from models.estimators.blocks import added, small_blocks
from models.estimators.outcomes import Outcomes

FINAL = "counts taken as final"
BY_DAY = "conversions by day"
BY_AGE = "counts across ages"
PRIOR_DAYS, PRIOR_SPREAD = 5.0, 0.7
LEAST_LISTED, GROUP_ROWS, GROUP_PRIOR, LEAST_SHARE = 20, 100, 50.0, 1e-3
MOST_VARIANCE = 25.0
EXPONENTS, EXPONENT_SPREAD = np.exp(np.linspace(-1.2, 1.2, 49)), 0.3


@dataclass(frozen=True)
class Maturity:
    """Completion curves by promotion length, tier and platform.

    days: ages in days (knots,), from 0. bounds: promotion hours that part the groups (groups - 1,). tiers: names, the
    first one is "" for a tier that is not known. shares: (groups, tiers, knots), rising to 1; linear between knots, 1
    beyond the last. variance: (knots,), of the logarithm of a single collaboration's share: how much they differ, and
    how well the curve is known. source: where the curve is from. exponents: by platform, the power that the curve is
    raised to; below 1 conversions come sooner, a platform that is not there has 1.
    """

    days: np.ndarray
    bounds: np.ndarray
    tiers: tuple[str, ...]
    shares: np.ndarray
    variance: np.ndarray
    source: str
    exponents: Mapping[str, float] = field(default_factory=dict)

    def share(
        self,
        ages: np.ndarray,
        hours: np.ndarray,
        tier: np.ndarray | None = None,
        platform: np.ndarray | None = None,
    ) -> np.ndarray:
        """Share in (0, 1] of the final conversions that has come at these ages (days), by hours, tier and platform."""
        unknown = np.full(len(ages), "")
        group = np.searchsorted(self.bounds, hours, side="left")
        cell = group * len(self.tiers) + _places(self.tiers, unknown if tier is None else tier)
        curves = self.shares.reshape(-1, len(self.days))
        out = np.ones(len(ages))
        for place in np.unique(cell):
            mine = cell == place
            out[mine] = np.interp(ages[mine], self.days, curves[place])
        names, place = np.unique(unknown if platform is None else platform, return_inverse=True)
        out **= np.array([self.exponents.get(str(name), 1.0) for name in names])[place]
        return np.maximum(out, LEAST_SHARE)

    def log_variance(self, ages: np.ndarray) -> np.ndarray:
        """Variance of the logarithm of one collaboration's share at these ages (days)."""
        return np.interp(ages, self.days, self.variance)

    def arrived(self, results: Outcomes) -> tuple[np.ndarray, np.ndarray]:
        """Share that had come when each result was counted, and the variance of its logarithm (rows,) each.

        A result whose attribution window had passed is whole, whatever other results of its age still wait for.
        """
        settled = results.until >= results.final
        share = np.where(settled, 1.0, self.share(results.ages, results.hours, results.tier, results.platform))
        return share, np.where(settled, 0.0, self.log_variance(results.ages))

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values; `from_dict` is its inverse."""
        values = {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in vars(self).items()}
        return values | {"tiers": list(self.tiers), "exponents": dict(self.exponents)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Maturity:
        """Inverse of `to_dict`."""
        days, bounds, shares, variance = (np.array(values[k], float) for k in ("days", "bounds", "shares", "variance"))
        return cls(days, bounds, tuple(values["tiers"]), shares, variance, values["source"], values["exponents"])


def _places(tiers: tuple[str, ...], tier: np.ndarray) -> np.ndarray:
    names, place = np.unique(tier, return_inverse=True)
    return np.array([tiers.index(str(name)) if str(name) in tiers else 0 for name in names], int)[place]


def taken_as_final() -> Maturity:
    """Every count is final: the share is 1 at any age."""
    return Maturity(np.array([0.0, 1.0]), np.array([]), ("",), np.ones((1, 1, 2)), np.zeros(2), FINAL)


def fit_maturity(results: Outcomes) -> Maturity:
    """Learn completion from the results."""
    ages = results.ages
    if len(results) < 2 or np.ptp(ages) < 0.1 * max(float(ages.max()), 1e-9) or (results.until >= results.final).all():
        return taken_as_final()
    by_day = _by_day(results) if results.daily is not None else None
    return by_day or _by_age(results)


def _weights(results: Outcomes) -> np.ndarray:
    expected = results.spend * results.counts.sum() / results.spend.sum()
    return 1 / (1 + expected / max(float(np.median(expected)), 1e-9))


def _by_day(results: Outcomes) -> Maturity | None:
    """Reverse hazards by day of age, the groups' shrunk to those of all; None where too few have a whole day."""
    arrivals = Arrivals.of(results)
    listed = arrivals.listed
    if len(listed) < LEAST_LISTED:
        return None
    bounds = _groups(results.hours[listed])
    group = np.searchsorted(bounds, results.hours[listed], side="left")
    tiers = ("", *sorted(set(results.tier[listed].tolist()) - {""}))
    tier = _places(tiers, results.tier[listed])
    platforms, platform = np.unique(results.platform[listed], return_inverse=True)
    cell, cells = group * len(tiers) + tier, (len(bounds) + 1) * len(tiers)
    of_all, of_groups, of_tiers, of_platforms = arrivals.sums(
        _weights(results)[listed],
        [
            (np.zeros(len(listed), int), 1),
            (group, len(bounds) + 1),
            (np.where(tier > 0, cell, -1), cells),
            (platform * cells + cell, len(platforms) * cells),
        ],
    )
    pooled = _hazard(of_all[0][0], of_all[1][0], np.zeros(arrivals.days), 0.0)
    curves = _by_group(pooled, of_groups, of_tiers, len(tiers))
    arrived, base = (of.reshape(len(platforms), cells, -1) for of in of_platforms)
    powers = {str(name): _exponent(curves, arrived[i], base[i]) for i, name in enumerate(platforms) if name}
    own = curves ** np.array([powers.get(str(name), 1.0) for name in platforms])[:, None, None]
    variance = _spread(arrivals, own.reshape(len(platforms) * cells, -1), platform * cells + cell)
    variance += _uncertainty(pooled, of_all[1][0])
    # A start lies half a day after its midnight on average, from which the days are counted.
    days = np.maximum(np.arange(arrivals.days + 1) - 0.5, 0.0)
    shares = curves.reshape(len(bounds) + 1, len(tiers), -1)
    return Maturity(days, bounds, tiers, shares, np.minimum(variance, MOST_VARIANCE), BY_DAY, powers)


def _by_group(
    pooled: np.ndarray,
    of_groups: tuple[np.ndarray, np.ndarray],
    of_tiers: tuple[np.ndarray, np.ndarray],
    tiers: int,
) -> np.ndarray:
    """Curves (groups × tiers, knots), from what came on a day and up to it, by group and by group and tier."""
    curves = []
    for g, (arrived, base) in enumerate(zip(*of_groups, strict=True)):
        hazard = _hazard(arrived, base, pooled, GROUP_PRIOR)
        curves.append(_curve(hazard))
        for cell in range(g * tiers + 1, (g + 1) * tiers):
            curves.append(_curve(_hazard(of_tiers[0][cell], of_tiers[1][cell], hazard, GROUP_PRIOR)))
    return np.array(curves)


def _hazard(arrived: np.ndarray, base: np.ndarray, prior: np.ndarray, weight: float) -> np.ndarray:
    """Share of what has come by a day that came on it (days,), and a prior of that weight.

    arrived, base: what came on a day and up to it (days,).
    """
    return (arrived + weight * prior) / np.maximum(base + weight, 1e-12)


def _exponent(curves: np.ndarray, arrived: np.ndarray, base: np.ndarray) -> float:
    """Power of a platform: likelihood of each day's arrivals among those so far, with a normal prior on its logarithm.

    curves: (cells, knots). arrived, base: (cells, days), what came on a day and up to it from the platform's results.
    """
    # log of F(k - 1) / F(k), from the second day on
    step = np.log(np.maximum(curves[:, 1:-1], 1e-9) / np.maximum(curves[:, 2:], 1e-9))
    falls = step < -1e-12
    a, b, slope = arrived[:, 1:][falls], (base - arrived)[:, 1:][falls], step[falls]
    fit = np.array([(a * np.log(-np.expm1(e * slope)) + b * e * slope).sum() for e in EXPONENTS])
    return float(EXPONENTS[np.argmax(fit - 0.5 * (np.log(EXPONENTS) / EXPONENT_SPREAD) ** 2)])


def _uncertainty(hazard: np.ndarray, base: np.ndarray) -> np.ndarray:
    """Variance of log F at the knots, by the delta method from the hazards of all later days (as Greenwood's formula).

    hazard, base: (days,), and the number of conversions behind each.
    """
    late = np.minimum(hazard[1:], 0.99)
    later = np.cumsum((late / ((1 - late) * np.maximum(base[1:], 1.0)))[::-1])[::-1]
    return np.concatenate([later[:1], later, [0.0]])


def _groups(hours: np.ndarray) -> np.ndarray:
    cuts = np.unique(np.quantile(hours, np.linspace(0, 1, min(len(hours) // GROUP_ROWS, 6) + 1)[1:-1]))
    return cuts[cuts < hours.max()]


def _curve(hazard: np.ndarray) -> np.ndarray:
    """F at the ends of days, F(0) = 0 before the first."""
    survive = np.append(1 - np.minimum(hazard[1:], 1.0), 1.0)
    return np.concatenate([[0.0], np.cumprod(survive[::-1])[::-1]])


def _spread(arrivals: Arrivals, curves: np.ndarray, curve: np.ndarray) -> np.ndarray:
    """Variance of the log share between collaborations, over that of the count alone; from complete ones.

    curves: (n, knots). curve: which of them is each row's (rows,).
    """
    mean, total = np.maximum(curves[:, 1:], LEAST_SHARE), arrivals.totals
    ripe = np.flatnonzero((arrivals.whole >= arrivals.days) & (total >= 10))
    of_all, of_ripe, excess = np.zeros((3, arrivals.days))
    for block in small_blocks(len(curve), arrivals.days):
        of_all = added(of_all, mean[curve[block]])
    of_all /= len(curve)
    prior = (1 - of_all) / of_all
    if len(ripe) >= 20:
        for rows, table in arrivals.blocks(ripe):
            f, part = mean[curve[rows]], np.cumsum(table, axis=1) / total[rows][:, None]
            of_ripe = added(of_ripe, f)
            excess = added(excess, (part - f) ** 2 - f * (1 - f) / total[rows][:, None])
        excess = excess / len(ripe) / (of_ripe / len(ripe)) ** 2
        prior = np.clip((len(ripe) * excess + 20 * prior) / (len(ripe) + 20), 0, MOST_VARIANCE)
    return np.concatenate([[MOST_VARIANCE], np.minimum(prior, MOST_VARIANCE)])


def _by_age(results: Outcomes) -> Maturity:
    """An exponential delay, its mean in days chosen by likelihood with a prior; over-dispersed counts."""
    ages, means = results.ages, np.geomspace(0.2, 60, 60)
    weight, best, chosen = _weights(results), -np.inf, PRIOR_DAYS
    for mean in means:
        exposure = results.spend * np.maximum(-np.expm1(-ages / mean), LEAST_SHARE)
        expected = exposure * (weight * results.counts).sum() / (weight * exposure).sum()
        fit = (
            results.counts * np.log(np.maximum(expected, 1e-12)) - (results.counts + 0.5) * np.log1p(2 * expected)
        ).sum()
        fit -= 0.5 * (np.log(mean / PRIOR_DAYS) / PRIOR_SPREAD) ** 2
        if fit > best:
            best, chosen = fit, float(mean)
    days = np.concatenate([[0.0], np.geomspace(0.1, 12 * chosen, 60)])
    share = -np.expm1(-days / chosen)
    share[-1] = 1.0
    variance = ((1 - share) / np.maximum(share, 0.2)) * 0.5
    return Maturity(days, np.array([]), ("",), share[None, None], variance, BY_AGE)
