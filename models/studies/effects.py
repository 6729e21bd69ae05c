"""By what factor a rate differs between results, with an interval for over-dispersed counts clustered by creator.

The factor is exp(b) of a log-linear quasi-likelihood, E[count] = exposure × exp(b x + covariates), solved with the
working variance m + a m² (McCullagh & Nelder 1989, Generalized Linear Models, ch. 9); a = 0 gives every dollar the same
weight, a = DISPERSION keeps large deals from dominating. Only the mean has to be right: the error of b is the
delete-one- cluster jackknife in its one-step form, each cluster's score over the information that the others leave (CV3
of MacKinnon, Nielsen & Webb 2023, J. Applied Econometrics 38, 671-694, the covariates partialled out first), and t has
the degrees of freedom of the effective number of clusters (Carter, Schnepel & Steigerwald 2017, Review of Economics and
Statistics 99, 698-709), less one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import t as student

from models.estimators.blocks import blocks, small_blocks
from models.estimators.count_data import DISPERSION

LEVEL = 0.95
LEAST_CLUSTERS, LEAST_LEFT = 6.0, 0.05
LEAST_LEVEL_ROWS, RIDGE, STEPS = 20, 1e-3, 50


@dataclass(frozen=True)
class Effect:
    """A factor, its LEVEL interval, the p-value of no difference (two-sided)."""

    factor: float
    low: float
    high: float
    p: float


def estimate(
    x: np.ndarray,
    counts: np.ndarray,
    exposure: np.ndarray,
    clusters: np.ndarray,
    covariates: np.ndarray | None = None,
    dispersion: float = DISPERSION,
) -> Effect | None:
    """The factor by which E[counts] / exposure rises with one unit of x.

    x, counts, exposure: float (rows,), counts from 0 up and need not be whole. clusters: keys (rows,). covariates:
    (rows, columns) held equal. None where fewer than LEAST_CLUSTERS effective clusters have data, or where the
    covariates leave less than LEAST_LEFT of the differences in x.
    """
    held = np.empty((len(x), 0)) if covariates is None else covariates
    pair = np.column_stack([np.ones(len(x)), x])
    fitted = _fit(np.column_stack([pair, held]), counts, exposure, dispersion)
    if fitted is None:
        return None
    b, expected = fitted
    weight = expected / (1 + dispersion * expected)
    one, rest = (pair - held @ _solve(held, weight, pair, free=0)).T
    left = rest - one * (weight * one * rest).sum() / (weight * one**2).sum()
    information = weight * left**2
    if information.sum() < LEAST_LEFT * (weight * (x - np.average(x, weights=weight)) ** 2).sum():
        return None
    places, keys = pd.factorize(clusters)
    parts = np.bincount(places, information)
    number = parts.sum() ** 2 / (parts**2).sum()
    if number < LEAST_CLUSTERS:
        return None
    residual = weight * (counts - expected) / expected
    moments = (np.bincount(places, weight * v) for v in (one * one, one * rest, rest * rest))
    aa, ab, bb = (of.sum() - of for of in moments)
    scores = np.bincount(places, residual * one), np.bincount(places, residual * rest)
    shift = (aa * scores[1] - ab * scores[0]) / (aa * bb - ab**2)
    error = float(np.sqrt((len(keys) - 1) / len(keys) * (shift**2).sum()))
    if not error > 0:
        return None
    half_width = float(student.ppf((1 + LEVEL) / 2, number - 1)) * error
    p = float(2 * student.sf(abs(b) / error, number - 1))
    return Effect(float(np.exp(b)), float(np.exp(b - half_width)), float(np.exp(b + half_width)), p)


def _solve(columns: np.ndarray, weight: np.ndarray, target: np.ndarray, free: int) -> np.ndarray:
    """Weighted least squares; a trace of ridge keeps columns that say the same apart, the first `free` go without."""
    width = columns.shape[1]
    normal, right = np.zeros((width, width)), np.zeros((width, *target.shape[1:]))
    for rows in blocks(len(columns), width):
        weighed = columns[rows] * weight[rows, None]
        normal += weighed.T @ columns[rows]
        right += weighed.T @ target[rows]
    ridge = RIDGE * weight.mean() * (np.arange(width) >= free)
    return np.asarray(np.linalg.solve(normal + np.diag(ridge), right))


def _fit(
    columns: np.ndarray, counts: np.ndarray, exposure: np.ndarray, dispersion: float
) -> tuple[float, np.ndarray] | None:
    """Coefficient of the second column and expected counts, by Newton's method; None where it does not settle."""
    offset = np.log(exposure)
    usual = counts.sum() / exposure.sum()
    eta = np.log((counts + usual * exposure) / 2)
    found = np.zeros(columns.shape[1])
    for _ in range(STEPS):
        expected = np.exp(np.clip(eta, -30, 30))
        larger = 1 + dispersion * expected
        bend = expected * (1 + dispersion * counts) / larger**2
        new = _solve(columns, bend, eta - offset + (counts - expected) / larger / bend, free=2)
        settled = np.abs(new - found).max() < 1e-6
        found, eta = new, columns @ new + offset
        if settled:
            return float(found[1]), np.exp(np.clip(eta, -30, 30))
    return None


def ratio(part: np.ndarray, whole: np.ndarray, clusters: np.ndarray) -> Effect | None:
    """Sum of `part` over sum of `whole`, clusters drawn at random (ratio estimator: Cochran 1977, Sampling Techniques,
    ch. 6), with its LEVEL interval; p says nothing. None for fewer than LEAST_CLUSTERS.
    """
    places, keys = pd.factorize(clusters)
    if len(keys) < LEAST_CLUSTERS or not whole.sum() > 0:
        return None
    found = float(part.sum() / whole.sum())
    apart = np.bincount(places, part - found * whole)
    error = float(np.sqrt(len(keys) / (len(keys) - 1) * (apart**2).sum()) / whole.sum())
    half_width = float(student.ppf((1 + LEVEL) / 2, len(keys) - 1)) * error
    return Effect(found, max(found - half_width, 0.0), found + half_width, float("nan"))


def holm(p: np.ndarray) -> np.ndarray:
    """p-values raised so that all tests together err with a chance of no more than the given level (Holm 1979,
    Scandinavian Journal of Statistics 6, 65-70).
    """
    order = np.argsort(p, kind="stable")
    raised = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1.0)
    out = np.empty(len(p))
    out[order] = raised
    return out


def design(numbers: pd.DataFrame, categories: pd.DataFrame) -> np.ndarray:
    """Covariates (rows, columns): numbers and their squares, standardised, the median where missing; a column a level.

    Levels of fewer than LEAST_LEVEL_ROWS rows, or a fiftieth of them, are one; the commonest level has no column.
    """
    columns = []
    for name in numbers:
        values = numbers[name].to_numpy(float)
        if np.isfinite(values).any() and np.nanstd(values) > 1e-9:
            values = np.where(np.isfinite(values), values, np.nanmedian(values))
            scaled = (values - values.mean()) / max(float(values.std()), 1e-9)
            columns += [scaled, scaled**2 - 1]
    least = max(LEAST_LEVEL_ROWS, len(categories) // 50)
    for name in categories:
        codes, levels = pd.factorize(categories[name])
        number = np.bincount(codes[codes >= 0], minlength=len(levels))
        kept = [i for i in np.argsort(-number, kind="stable") if number[i] >= least]
        columns += [(codes == i).astype(float) for i in kept[1:]]
    out = np.empty((len(categories), len(columns)))
    for rows in small_blocks(*out.shape):
        for i, column in enumerate(columns):
            out[rows, i] = column[rows]
    return out
