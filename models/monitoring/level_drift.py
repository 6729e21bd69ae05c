"""Whether the level of the newest results has moved away from what was promised, as each training looks at it.

Promises are predictions by the champion of their time, made before it knew the result, or its backtest's. Each result
has a normal score: the standard normal quantile of its calibrated predictive probability (Dawid 1984, Journal of the
Royal Statistical Society A 147, 278-292), the middle of a count's own mass. The level of some deals is the factor on
all promises at which their weighted scores add up to 0 (an R-estimate with van der Waerden's scores: Hodges & Lehmann
1963, Annals of Mathematical Statistics 34, 598-611); its error allows for creators with several deals (a sandwich over
creators). A few extreme results do not decide it, and young ones count by the share that has arrived.

The newest weeks are held against the half year before them: a model that was always a little off has not drifted.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Metric
from scipy.special import ndtri
from scipy.stats import norm
from scipy.stats import t as student

from models.alarms import Alarm
from models.monitoring.training_rows import TERMS, blind_rates, fingerprints
from models.registry.store_faults import guarded
from models.scorer import Scorer
from models.training import TrainingSet
from models.uncertainty.interval import Intervals

WEEKS = (4, 13)  # a sudden shift shows in the newest four weeks, a slow one in a quarter of a year
REFERENCE_WEEKS = 26
# Standard errors that the level of either window must be off by: of 100 stable years with 52 weekly looks at most one
# has an alarm then, by `benchmarks.drift`.
BOUND = 3.8
LEAST_EFFECT = float(np.log(1.1))  # of less, models differ from each other
LEAST_DEALS, LEAST_CREATORS = 40, 20
LEVEL_ERROR = 0.02  # of two models trained on a few thousand results, in the log of their level
LEAST_ARRIVED = 0.2  # of a result's conversions: a younger one says little
SHIFTS = np.linspace(-1.2, 1.2, 9)  # of the log level, at which scores are known; between and beyond them linear
MOST_SURE = 1e-4
WEEK = np.timedelta64(7, "D")


@dataclass(frozen=True)
class Scored:
    """Results in normal scores. scores: (rows, SHIFTS), were all promises that much higher; weight: (rows,), the square
    root of what a result shows of the level."""

    scores: np.ndarray
    weight: np.ndarray

    def take(self, rows: np.ndarray) -> Scored:
        """Some of the rows (bool)."""
        return Scored(self.scores[rows], self.weight[rows])


@dataclass(frozen=True)
class LevelShift:
    """The level of the newest `weeks` over that of REFERENCE_WEEKS before, as a log ratio of realised to promised.

    low, high: its interval, BOUND standard errors to each side (Student's t for few creators). since: the first start.
    """

    weeks: int
    since: str
    deals: int
    creators: int
    effect: float
    low: float
    high: float

    @property
    def drifted(self) -> bool:
        """Whether it is large, and surely there."""
        return abs(self.effect) >= LEAST_EFFECT and (self.low > 0 or self.high < 0)

    def __str__(self) -> str:
        factor, low, high = np.exp([self.effect, self.low, self.high])
        return (
            f"the {self.deals:,} newest results (of {self.creators:,} creators, started since {self.since}) are at "
            f"×{factor:.2f} ({low:.2f} to {high:.2f}) of what was promised, with the half year before them at ×1"
        )


@dataclass(frozen=True)
class LevelDrift:
    """shifts: of each of WEEKS that has enough results. promised: conversions per dollar by collaboration_id, as they
    were expected before the result was known; the next training takes them on. unseen: whether there is a result that
    the champion was not trained on."""

    shifts: tuple[LevelShift, ...] = ()
    promised: pd.Series = field(default_factory=lambda: pd.Series(dtype=float))
    unseen: bool = False

    @property
    def alarms(self) -> tuple[Alarm, ...]:
        """One, of the shortest window that shows a shift, if the newest weeks agree: it lasts then. None where no
        result is new, for then it was raised before."""
        if not self.unseen or not (found := [shift for shift in self.shifts if shift.drifted]):
            return ()
        shortest, newest = found[0], self.shifts[0]
        if newest.effect * np.sign(shortest.effect) < LEAST_EFFECT:
            return ()
        advice = (
            "most likely the level of the market has moved, or conversions are counted in another way: check that they "
            "are counted as before; if so, the new model follows, and what an earlier one promised is off by as much"
        )
        return (Alarm("drift", f"{shortest}; {advice}"),)

    @property
    def metrics(self) -> dict[str, float]:
        """By name, for MLflow: the factor with its ends, and how many deals."""
        out: dict[str, float] = {}
        for shift in self.shifts:
            ends = {"": shift.effect, ".low": shift.low, ".high": shift.high}
            out |= {f"drift.level_{shift.weeks}_weeks{end}": float(np.exp(value)) for end, value in ends.items()}
            out[f"drift.level_{shift.weeks}_weeks.deals"] = float(shift.deals)
        return out

    def to_dict(self) -> list[dict[str, Any]]:
        """As plain JSON values, a dict for each window; effects in logs."""
        return [vars(shift) | {"drifted": shift.drifted} for shift in self.shifts]


def examine(training: TrainingSet, champion: Scorer | None, before: pd.DataFrame | None) -> LevelDrift:
    """Hold the newest results against what was promised of them; without a champion nothing is held.

    before: `training_rows` of the last training, whose promises go on; None where it is not known. Raises ValueError
    where the matrix lacks a column of the champion.
    """
    results, earlier = training.results, _earlier(training, before)
    identifiers = results.identifiers.astype(str)
    if champion is None:
        return LevelDrift(promised=pd.Series(earlier, identifiers).dropna())
    unseen = bool((~np.isin(identifiers, champion.past.collaboration_id.to_numpy(str))).any())
    rates = np.where(np.isnan(earlier), blind_rates(champion, training), earlier)
    share, variance = champion.maturity.arrived(results)
    rows = np.isfinite(rates) & (share >= LEAST_ARRIVED)
    promised = pd.Series(rates, identifiers).dropna()
    if not rows.any():
        return LevelDrift(promised=promised, unseen=unseen)
    expected = (rates * results.spend * share)[rows]
    groups = champion.groups(training.matrix)[rows]
    scored = score(champion.intervals, expected, groups, results.counts[rows], variance[rows])
    starts = results.starts[rows]
    ages = (starts.max() - starts) / WEEK
    creators = pd.factorize(training.creators[rows])[0]
    shifts = [shift(scored, ages, creators, weeks, starts.max()) for weeks in WEEKS]
    return LevelDrift(tuple(found for found in shifts if found), promised, unseen)


def score(
    intervals: Intervals, expected: np.ndarray, group: np.ndarray, counts: np.ndarray, variance: np.ndarray | float = 0
) -> Scored:
    """Scores of counts (rows,) against those expected by now; variance: of the log of the share that has arrived."""
    found = np.empty((len(counts), len(SHIFTS)))
    for place, higher in enumerate(SHIFTS):
        promised = expected * np.exp(higher)
        above = intervals.reached(promised, group, counts) + intervals.reached(promised, group, counts + 1)
        found[:, place] = ndtri(np.clip(1 - above / 2, MOST_SURE, 1 - MOST_SURE))
    return Scored(found, np.sqrt(expected / (1 + (intervals.dispersion(expected) + variance) * expected)))


def level(scored: Scored, creators: np.ndarray) -> tuple[float, float]:
    """Log level of results over their promises, and its standard error, infinite where they do not show it.

    creators: codes (rows,).
    """
    totals = scored.weight @ scored.scores
    place = int(np.clip(np.searchsorted(-totals, 0.0), 1, len(SHIFTS) - 1))
    step = SHIFTS[1] - SHIFTS[0]
    slope = (totals[place] - totals[place - 1]) / step
    if not slope < 0:
        return 0.0, float("inf")
    found = float(SHIFTS[place - 1] - totals[place - 1] / slope)
    along = (found - SHIFTS[place - 1]) / step
    left = scored.scores[:, place - 1] * (1 - along) + scored.scores[:, place] * along
    number = len(np.unique(creators))
    off = np.bincount(creators, scored.weight * left)
    return found, float(np.sqrt((off**2).sum() * number / max(number - 1, 1)) / -slope)


def shift(
    scored: Scored, ages: np.ndarray, creators: np.ndarray, weeks: int, newest: np.datetime64
) -> LevelShift | None:
    """The newest weeks against those before; None where there are too few results on either side, or they show nothing.

    ages: in weeks (rows,), 0 for the newest start; below 0 a result is left out. creators: codes (rows,).
    """
    now = (ages >= 0) & (ages < weeks)
    then = (ages >= weeks) & (ages < weeks + REFERENCE_WEEKS)
    numbers = [len(np.unique(creators[rows])) for rows in (now, then)]
    if min(now.sum(), then.sum()) < LEAST_DEALS or min(numbers) < LEAST_CREATORS:
        return None
    (found, error), (usual, its_error) = (level(scored.take(rows), creators[rows]) for rows in (now, then))
    bound = float(student.ppf(norm.cdf(BOUND), min(numbers) - 1))
    wide = bound * float(np.sqrt(error**2 + its_error**2 + LEVEL_ERROR**2))
    if not np.isfinite(wide):
        return None
    since = str(newest - ages[now].max() * WEEK.astype("timedelta64[us]"))[:10]
    effect = found - usual
    return LevelShift(weeks, since, int(now.sum()), numbers[0], effect, effect - wide, effect + wide)


def _earlier(training: TrainingSet, before: pd.DataFrame | None) -> np.ndarray:
    """Rates (rows,) that were promised at an earlier training of deals whose terms are still the same."""
    if before is None:
        return np.full(len(training.spine), np.nan)
    known: Mapping[tuple[str, str], float] = dict(
        zip(zip(before.collaboration_id, before.terms, strict=True), before.promised, strict=True)
    )
    keys = zip(training.results.identifiers.astype(str), fingerprints(training.spine, TERMS), strict=True)
    return np.array([known.get((str(name), str(terms)), np.nan) for name, terms in keys], float)


@guarded
def log(client: MlflowClient, run: str, drift: LevelDrift) -> None:
    """Log the factors to a run."""
    now = int(time.time() * 1000)
    client.log_batch(run, [Metric(name, value, now, 0) for name, value in drift.metrics.items()])
