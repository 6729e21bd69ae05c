"""What the results say of each claim: by what factor, with what certainty, and on how much data; never assumed.

The factor is one on conversions per dollar between the two sides of a claim: unadjusted, and adjusted for what else was
hired differently. Results that are not ripe are left out, the rest corrected for what is still to come. It
is a comparison of what was hired, not an experiment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from features.settings import TIERS
from models.estimators.count_data import DISPERSION
from models.estimators.maturity import Maturity
from models.estimators.outcomes import DAY, Outcomes
from models.evaluation.backtest import RIPE_SHARE
from models.studies.claims import CLAIMS, PRICE, RECORD, SETTING, Claim
from models.studies.effects import LEVEL, Effect, design, estimate, holm, ratio
from models.training import TrainingSet

HOLDS, FAILS, UNSURE = "holds here", "does not hold here", "too little data to tell"
UNTESTED = "cannot be tested"
MATERIAL = 1.1  # a claim whose whole interval lies below this factor is taken to fail
LEAST_RESULTS, LEAST_CREATORS, LEAST_COUNTS = 20, 10, 10.0
WITHIN_DAYS = (1, 7, 30)
COUNTED = ("creator_id", "conversions", "exposure", "engagement_rate_year", "first_day")
NO_SIDE = "one of the two sides has no results"
FEW = f"a side has fewer than {LEAST_RESULTS} results, {LEAST_CREATORS} creators or {LEAST_COUNTS:g} conversions"
ONE_SIDED = "few creators make up most of a side"
ENTANGLED = "price, platform, brand or other terms go along with it, so nothing is left to compare"


@dataclass(frozen=True)
class ClaimTest:
    """What the data say of a claim.

    unadjusted, adjusted: factors, without and with covariates held equal; None where the data are too few. results,
    creators: numbers on the praised side and on the other; for a claim of a trend, above and below the median. p: of
    `adjusted`, raised for the number of claims tested (Holm). verdict: HOLDS, FAILS, UNSURE or UNTESTED. why: in words,
    may be empty.
    """

    claim: Claim
    verdict: str
    why: str = ""
    unadjusted: Effect | None = None
    adjusted: Effect | None = None
    results: tuple[int, int] = (0, 0)
    creators: tuple[int, int] = (0, 0)
    p: float = float("nan")


@dataclass(frozen=True)
class ClaimTests:
    """The tests of all claims, and how conversions spread over time: tier, results, creators, then share, low and high
    within each of WITHIN_DAYS (no rows where no conversions are listed by day).
    """

    tests: tuple[ClaimTest, ...]
    speed: pd.DataFrame

    @property
    def tested(self) -> int:
        """How many claims have an adjusted comparison."""
        return sum(test.adjusted is not None for test in self.tests)


def examine(training: TrainingSet, maturity: Maturity, claims: Sequence[Claim] = CLAIMS) -> ClaimTests:
    """Test claims on the results of a training; maturity: how much of each has arrived."""
    arrived, _ = maturity.arrived(training.results)
    frame = _frame(training, arrived)
    frame = frame[arrived >= RIPE_SHARE]
    with threadpool_limits(1, "blas"):  # several threads add in another order, and so in other last digits
        tests = [_examine(claim, frame) for claim in claims]
    p_values = {i: test.adjusted.p for i, test in enumerate(tests) if test.adjusted is not None}
    for i, p in zip(p_values, holm(np.array(list(p_values.values()))), strict=True):
        tests[i] = _judged(replace(tests[i], p=float(p)), len(p_values))
    return ClaimTests(tuple(tests), _speed(frame))


def _frame(training: TrainingSet, arrived: np.ndarray) -> pd.DataFrame:
    columns = {column for claim in CLAIMS for column in (*claim.columns, *claim.equal)}
    frame = training.matrix.reset_index(drop=True).reindex(columns=sorted(columns - {"quarter"}))
    results = training.results
    days = {f"within_{k}": came for k, came in _came_within(results).items()}
    quarter = pd.Series(results.starts).dt.to_period("Q").astype(str)
    frame = frame.assign(quarter=quarter).astype(dict.fromkeys(SETTING, "category"))
    return frame.assign(
        creator_id=pd.factorize(training.creators)[0],
        conversions=results.counts,
        exposure=results.spend * arrived,
        first_day=days["within_1"],
        **days,
    )


def _came_within(results: Outcomes) -> dict[int, np.ndarray]:
    """Conversions within so many days of the start, NaN where they are not listed by day or not yet settled.

    The last day counts by the part of it that lies within.
    """
    none = np.full(len(results), np.nan)
    daily = results.daily
    if daily is None:
        return dict.fromkeys(WITHIN_DAYS, none)
    row = daily.row.to_numpy()
    listed = np.isin(np.arange(len(results)), row) & (results.until >= results.final) & (results.counts > 0)
    age = (daily.date.to_numpy() - results.starts[row]) / DAY
    came = daily.conversions.to_numpy()
    return {
        k: np.where(listed, np.bincount(row, came * np.clip(k - age, 0, 1), len(results)), np.nan) for k in WITHIN_DAYS
    }


def _examine(claim: Claim, frame: pd.DataFrame) -> ClaimTest:
    frame = frame.loc[frame[list(claim.columns)].notna().all(axis=1), sorted({*claim.columns, *claim.equal, *COUNTED})]
    if not len(frame):
        return ClaimTest(claim, UNTESTED, f"it needs {claim.needs}")
    x = claim.sides(frame)
    frame, x = frame[np.isfinite(x)], x[np.isfinite(x)]
    if not len(x) or np.ptp(x) == 0:
        return ClaimTest(claim, UNTESTED, NO_SIDE)
    praised = x > (0.5 if set(x) == {0.0, 1.0} else np.median(x))
    both = (frame[praised], frame[~praised])
    counts, exposure = _counted(claim, frame)
    if claim.by_dollar:
        price = exposure[~praised].mean() / exposure[praised].mean()
        claim = replace(claim, compared=f"{claim.compared}, one of which costs {price:.1f} of the former")
    test = ClaimTest(
        claim,
        UNSURE,
        results=(len(both[0]), len(both[1])),
        creators=(both[0].creator_id.nunique(), both[1].creator_id.nunique()),
    )
    little = claim.counted != "engagement" and min(counts[praised].sum(), counts[~praised].sum()) < LEAST_COUNTS
    if min(test.results) < LEAST_RESULTS or min(test.creators) < LEAST_CREATORS or little:
        return replace(test, why=FEW)
    clusters = frame.creator_id.to_numpy()
    dispersion = 0.0 if claim.by_dollar else DISPERSION
    unadjusted = estimate(x, counts, exposure, clusters, None, dispersion)
    equal = design(
        frame[[c for c in claim.equal if c in PRICE + RECORD]].astype(float).transform(np.log1p),
        frame[[c for c in claim.equal if c in SETTING]],
    )
    adjusted = estimate(x, counts, exposure, clusters, equal, dispersion) if unadjusted else None
    why = "" if adjusted else ENTANGLED if unadjusted else ONE_SIDED
    return replace(test, unadjusted=unadjusted, adjusted=adjusted, why=why)


def _counted(claim: Claim, frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    if claim.counted == "engagement":
        return frame.engagement_rate_year.to_numpy(float), np.ones(len(frame))
    if claim.counted == "first_day":
        return frame.first_day.to_numpy(float), frame.conversions.to_numpy(float)
    return frame.conversions.to_numpy(float), frame.exposure.to_numpy(float)


def _judged(test: ClaimTest, tested: int) -> ClaimTest:
    """The verdict follows the adjusted comparison, and claims no more than all tests together allow."""
    unadjusted, adjusted = test.unadjusted, test.adjusted
    assert unadjusted is not None
    assert adjusted is not None
    significant = test.p < 1 - LEVEL
    if significant and adjusted.factor > 1:
        return replace(test, verdict=HOLDS, why="unadjusted, it looks the other way" if unadjusted.high < 1 else "")
    if significant:
        return replace(test, verdict=FAILS, why="the comparison goes the other way")
    if adjusted.high < MATERIAL:
        return replace(test, verdict=FAILS, why=f"a factor of {MATERIAL:g} or more is ruled out")
    if adjusted.low > 1 or adjusted.high < 1:
        return replace(test, why=f"among {tested} tests it may be chance")
    return replace(test, why="the unadjusted difference does not survive adjustment" if unadjusted.low > 1 else "")


def _speed(frame: pd.DataFrame) -> pd.DataFrame:
    listed = frame[frame.within_1.notna()]
    lines = []
    for tier in TIERS:
        part = listed[listed.tier == tier]
        whole, clusters = part.conversions.to_numpy(float), part.creator_id.to_numpy()
        line: dict[str, object] = {"tier": tier, "results": len(part), "creators": part.creator_id.nunique()}
        for k in WITHIN_DAYS:
            found = ratio(part[f"within_{k}"].to_numpy(float), whole, clusters)
            line |= {
                f"{name}_{k}": getattr(found, kind) if found else np.nan
                for name, kind in (("share", "factor"), ("low", "low"), ("high", "high"))
            }
        if len(part):
            lines.append(line)
    return pd.DataFrame(lines)
