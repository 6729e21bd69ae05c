"""The weights of recipes, and the level: chosen on rows that the trees have not seen, in time."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize

from models.estimators.count_data import DISPERSION, count_loss, level_shift

PRIOR_ROWS, LEAST_WEIGHT, MOST_IN_ALL = 20.0, 0.05, 1.5
LEAST_ROWS_TO_CHOOSE, FOLD_DECAY = 30, 0.8


def fit_weights(
    deviations: np.ndarray,
    base: np.ndarray,
    counts: np.ndarray,
    exposure: np.ndarray,
    variance: np.ndarray,
    fold: np.ndarray,
) -> np.ndarray:
    """Weights of recipes that minimise the negative-binomial deviance, shrunk to equal ones.

    deviations: (rows, recipes), each recipe's log rate less its centre, out of fold. base: (rows,) log rate of an
    average row. Every fold has a level of its own here: recipes are chosen by how they rank rows; the level is
    `fit_level`'s. The sum of weights may differ from 1: below it the ensemble leans to one rate for all.
    """
    recipes = deviations.shape[1]
    equal = np.full(recipes, 1 / recipes)
    if len(counts) < LEAST_ROWS_TO_CHOOSE or counts.sum() <= 0:
        return equal
    folds, place = np.unique(fold, return_inverse=True)
    count = len(folds)

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        shift, weights = parameters[:count], parameters[count:]
        expected = exposure * np.exp(np.clip(base + shift[place] + deviations @ weights, -40, 40))
        slope = (expected - counts) / (1 + (DISPERSION + variance) * expected)
        away = weights - equal
        value = count_loss(counts, expected, variance).sum() / 2 + PRIOR_ROWS / 2 * away @ away + 0.5 * shift @ shift
        shifts = np.bincount(place, slope, count) + shift
        return value, np.concatenate([shifts, deviations.T @ slope + PRIOR_ROWS * away])

    bounds = [(None, None)] * count + [(0, 1.5)] * recipes
    found = minimize(loss, np.r_[np.zeros(count), equal], jac=True, method="L-BFGS-B", bounds=bounds)
    weights = np.where(found.x[count:] < LEAST_WEIGHT, 0.0, found.x[count:])
    return weights * min(1.0, MOST_IN_ALL / max(weights.sum(), 1e-12))


def fit_level(
    log_rate: np.ndarray, counts: np.ndarray, exposure: np.ndarray, variance: np.ndarray, fold: np.ndarray
) -> float:
    """Log correction of the level from the folds' misses, newer ones with more weight.

    `models.estimators.level_trend` follows the level up to a cut-off; this is what its forecasts missed after it.
    Shrunk by how much the folds disagree (James & Stein 1961).
    """
    folds = np.unique(fold)
    if len(folds) < 2:
        return 0.0
    parts = [fold == j for j in folds]
    misses = np.array([level_shift(counts[p], exposure[p] * np.exp(log_rate[p]), variance[p]) for p in parts])
    weight = FOLD_DECAY ** np.arange(len(folds))[::-1]
    weight = weight / weight.sum()
    mean = float(weight @ misses)
    noise = float(np.var(misses, ddof=1) * (weight @ weight))
    return mean * max(0.0, 1 - noise / mean**2) if mean else 0.0
