"""Completion from a table of results × days: a plain reference, whose bits `models.estimators.maturity` has."""

from __future__ import annotations

import numpy as np

from models.estimators.maturity import (
    BY_DAY,
    EXPONENT_SPREAD,
    EXPONENTS,
    GROUP_PRIOR,
    LEAST_SHARE,
    MOST_VARIANCE,
    Maturity,
    _curve,
    _groups,
    _places,
    _uncertainty,
    _weights,
)
from models.estimators.outcomes import DAY, Outcomes


def dense_maturity(results: Outcomes) -> Maturity:
    """Reverse hazards by day of age, the groups' shrunk to those of all."""
    daily = results.daily
    assert daily is not None
    midnight = results.starts.astype("datetime64[D]").astype("datetime64[us]")
    whole = ((results.until - midnight) / DAY).astype(int)
    row = daily.row.to_numpy()
    age = ((daily.date.to_numpy() - midnight[row]) / DAY).astype(int)
    keep = (age >= 0) & (age < whole[row])
    row, age, came = row[keep], age[keep], daily.conversions.to_numpy()[keep]
    listed = np.unique(row)
    length = int(min(age.max(initial=0) + 1, 730))
    table = np.zeros((len(results), length))
    np.add.at(table, (row, np.minimum(age, length - 1)), came)
    so_far = np.cumsum(table[listed], axis=1)
    complete = whole[listed][:, None] > np.arange(length)
    weight = _weights(results)[listed][:, None] * complete
    bounds = _groups(results.hours[listed])
    group = np.searchsorted(bounds, results.hours[listed], side="left")
    arrived, base = weight * table[listed], weight * so_far
    tiers = ("", *sorted(set(results.tier[listed].tolist()) - {""}))
    tier = _places(tiers, results.tier[listed])
    pooled = _hazard(arrived, base, np.zeros(arrived.shape[1]), 0.0)
    by_group = [_hazard(arrived[group == g], base[group == g], pooled, GROUP_PRIOR) for g in range(len(bounds) + 1)]
    curves = np.array([
        [_curve(hazard), *(
            _curve(_hazard(arrived[mine], base[mine], hazard, GROUP_PRIOR))
            for t in range(1, len(tiers)) for mine in [(group == g) & (tier == t)]
        )]
        for g, hazard in enumerate(by_group)
    ])  # fmt: skip
    own = curves[group, tier]
    exponents = _exponents(own, results.platform[listed], arrived, base)
    own = own ** np.array([exponents.get(str(name), 1.0) for name in results.platform[listed]])[:, None]
    variance = _spread(so_far, complete, own) + _uncertainty(pooled, base.sum(0))
    # A start lies half a day after its midnight on average, from which the days are counted.
    days = np.maximum(np.arange(length + 1) - 0.5, 0.0)
    return Maturity(days, bounds, tiers, curves, np.minimum(variance, MOST_VARIANCE), BY_DAY, exponents)


def _hazard(arrived: np.ndarray, base: np.ndarray, prior: np.ndarray, weight: float) -> np.ndarray:
    """Share of what has come by a day that came on it (days,), from rows (rows, days) and a prior of that weight."""
    return (arrived.sum(0) + weight * prior) / np.maximum(base.sum(0) + weight, 1e-12)


def _exponents(curves: np.ndarray, platform: np.ndarray, arrived: np.ndarray, base: np.ndarray) -> dict[str, float]:
    """Power by platform: likelihood of each day's arrivals among those so far, with a normal prior on its logarithm.

    curves: (rows, knots). arrived, base: (rows, days), what came on a day and up to it.
    """
    # log of F(k - 1) / F(k), from the second day on
    step = np.log(np.maximum(curves[:, 1:-1], 1e-9) / np.maximum(curves[:, 2:], 1e-9))
    came, rest = arrived[:, 1:], (base - arrived)[:, 1:]
    prior = 0.5 * (np.log(EXPONENTS) / EXPONENT_SPREAD) ** 2
    out = {}
    for name in sorted(set(platform.tolist()) - {""}):
        mine = (platform == name)[:, None] & (step < -1e-12)
        a, b, slope = came[mine], rest[mine], step[mine]
        fit = np.array([(a * np.log(-np.expm1(e * slope)) + b * e * slope).sum() for e in EXPONENTS])
        out[str(name)] = float(EXPONENTS[np.argmax(fit - prior)])
    return out


def _spread(so_far: np.ndarray, complete: np.ndarray, curves: np.ndarray) -> np.ndarray:
    """Variance of the log share between collaborations, over that of the count alone; from complete ones."""
    total = so_far[:, -1]
    ripe = complete[:, -1] & (total >= 10)
    mean = np.maximum(curves[:, 1:], LEAST_SHARE)
    prior = (1 - mean.mean(0)) / mean.mean(0)
    if ripe.sum() >= 20:
        f, part = mean[ripe], so_far[ripe] / total[ripe][:, None]
        excess = ((part - f) ** 2 - f * (1 - f) / total[ripe][:, None]).mean(0) / f.mean(0) ** 2
        prior = np.clip((ripe.sum() * excess + 20 * prior) / (ripe.sum() + 20), 0, MOST_VARIANCE)
    return np.concatenate([[MOST_VARIANCE], np.minimum(prior, MOST_VARIANCE)])
