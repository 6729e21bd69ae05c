"""How the level of all rates has moved, so that old results can be used on today's level.

The level is a random walk over periods of equal length, fitted beside everything that the mixed model knows of a deal,
so that a change of who was hired is not taken for a change of level (a local level model: Harvey 1989, Forecasting,
Structural Time Series Models and the Kalman Filter, ch. 2; as a penalised regression on steps).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from models.estimators.count_data import CountData, EarlierFit
from models.estimators.mixed import fit_further_terms
from models.estimators.outcomes import DAY

# the weight of results (2 each for a large count) that draws half as much as the penalty does
PERIODS, PENALTY_STEP = 20, 30.0


def fit_level_trend(count_data: CountData, starts: np.ndarray) -> tuple[np.ndarray, EarlierFit | None]:
    """Log level of every row's period over that of the newest (rows,), and what further fits can use of this one.

    Zeros and None where results are too few. starts: datetime64 (rows,).
    """
    age = (starts.max() - starts) / DAY
    if not count_data.enough or age.max() <= 0:
        return np.zeros(len(starts)), None
    period = np.minimum((age / age.max() * PERIODS).astype(int), PERIODS - 1)
    steps = (period[:, None] > np.arange(PERIODS - 1)).astype(float)
    slopes, earlier = fit_further_terms(count_data, steps, PENALTY_STEP)
    return steps @ slopes, earlier


def at_newest_level(count_data: CountData, starts: np.ndarray) -> CountData:
    """The same counts with the exposure that would have brought them on the newest level."""
    trend, earlier = fit_level_trend(count_data, starts)
    return replace(count_data, exposure=count_data.exposure * np.exp(trend), earlier=earlier)
