"""What the results say of each claim: by what factor, how surely, and on how much data; never assumed.

The factor is one on conversions per dollar between the two sides of a claim: raw, and like for like, with what else was
hired differently held equal. Results that are not ripe are left out, the rest corrected for what is still to come. It
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
from models.estimators.outcomes import DAY, Results
from models.evaluation.backtest import RIPE_SHARE
from models.studies.claims import CLAIMS, PRICE, RECORD, SETTING, Claim
from models.studies.effects import LEVEL, Effect, design, estimate, holm, ratio
from models.training import Training

HOLDS, FAILS, UNSURE = "holds here", "does not hold here", "too little data to tell"
UNTESTED = "cannot be tested"
MATERIAL = 1.1  # a claim whose whole interval lies below this factor is taken to fail
LEAST_RESULTS, LEAST_CREATORS, LEAST_COUNTS = 20, 10, 10.0
WITHIN_DAYS = (1, 7, 30)
COUNTED = ("creator_id", "conversions", "exposure", "engagement_rate_year", "first_day")
NO_SIDE = "one of the two sides has no results"
FEW = f"a side has fewer than {LEAST_RESULTS} results, {LEAST_CREATORS} creators or {LEAST_COUNTS:g} conversions"
ONE_SIDED = "few creators make up most of a side"
ENTANGLED = "price, platform, brand or the like go along with it, so nothing is left to compare"


@dataclass(frozen=True)
class Finding:
    """What the data say of a claim.

    raw, like: factors, as they are and like for like; None where too little tells. results, creators: numbers on the
    praised side and on the other; for a claim of a trend, above and below the median. p: of `like`, raised for the
    number of claims tested (Holm). verdict: HOLDS, FAILS, UNSURE or UNTESTED. why: in words, may be empty.
    """

    claim: Claim
    verdict: str
    why: str = ""
    raw: Effect | None = None
    like: Effect | None = None
    results: tuple[int, int] = (0, 0)
    creators: tuple[int, int] = (0, 0)
    p: float = float("nan")


@dataclass(frozen=True)
class Examined:
    """All findings, and how conversions spread over time: tier, results, creators, then share, low and high within
    each of WITHIN_DAYS (no rows where nothing is told by day).
    """

    findings: tuple[Finding, ...]
    speed: pd.DataFrame

    @property
    def tested(self) -> int:
        """How many claims could be compared like for like."""
        return sum(finding.like is not None for finding in self.findings)


def examine(training: Training, maturity: Maturity, claims: Sequence[Claim] = CLAIMS) -> Examined:
    """Test claims on the results of a training; maturity: how much of each has arrived."""
    arrived, _ = maturity.arrived(training.results)
    frame = _frame(training, arrived)
    frame = frame[arrived >= RIPE_SHARE]
    with threadpool_limits(1, "blas"):  # several threads add in another order, and so in other last digits
        findings = [_examine(claim, frame) for claim in claims]
    asked = {i: finding.like.p for i, finding in enumerate(findings) if finding.like is not None}
    for i, p in zip(asked, holm(np.array(list(asked.values()))), strict=True):
        findings[i] = _judged(replace(findings[i], p=float(p)), len(asked))
    return Examined(tuple(findings), _speed(frame))


def _frame(training: Training, arrived: np.ndarray) -> pd.DataFrame:
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


def _came_within(results: Results) -> dict[int, np.ndarray]:
    """Conversions within so many days of the start, NaN where they are not told by day or not yet settled.

    The last day counts by the part of it that lies within.
    """
    none = np.full(len(results), np.nan)
    daily = results.daily
    if daily is None:
        return dict.fromkeys(WITHIN_DAYS, none)
    row = daily.row.to_numpy()
    told = np.isin(np.arange(len(results)), row) & (results.until >= results.final) & (results.counts > 0)
    age = (daily.date.to_numpy() - results.starts[row]) / DAY
    came = daily.conversions.to_numpy()
    return {
        k: np.where(told, np.bincount(row, came * np.clip(k - age, 0, 1), len(results)), np.nan) for k in WITHIN_DAYS
    }


def _examine(claim: Claim, frame: pd.DataFrame) -> Finding:
    frame = frame.loc[frame[list(claim.columns)].notna().all(axis=1), sorted({*claim.columns, *claim.equal, *COUNTED})]
    if not len(frame):
        return Finding(claim, UNTESTED, f"it needs {claim.needs}")
    x = claim.sides(frame)
    frame, x = frame[np.isfinite(x)], x[np.isfinite(x)]
    if not len(x) or np.ptp(x) == 0:
        return Finding(claim, UNTESTED, NO_SIDE)
    praised = x > (0.5 if set(x) == {0.0, 1.0} else np.median(x))
    both = (frame[praised], frame[~praised])
    counts, exposure = _counted(claim, frame)
    if claim.by_dollar:
        price = exposure[~praised].mean() / exposure[praised].mean()
        claim = replace(claim, compared=f"{claim.compared}, one of which costs {price:.1f} of the former")
    finding = Finding(
        claim,
        UNSURE,
        results=(len(both[0]), len(both[1])),
        creators=(both[0].creator_id.nunique(), both[1].creator_id.nunique()),
    )
    little = claim.counted != "engagement" and min(counts[praised].sum(), counts[~praised].sum()) < LEAST_COUNTS
    if min(finding.results) < LEAST_RESULTS or min(finding.creators) < LEAST_CREATORS or little:
        return replace(finding, why=FEW)
    clusters = frame.creator_id.to_numpy()
    dispersion = 0.0 if claim.by_dollar else DISPERSION
    raw = estimate(x, counts, exposure, clusters, None, dispersion)
    equal = design(
        frame[[c for c in claim.equal if c in PRICE + RECORD]].astype(float).transform(np.log1p),
        frame[[c for c in claim.equal if c in SETTING]],
    )
    like = estimate(x, counts, exposure, clusters, equal, dispersion) if raw else None
    return replace(finding, raw=raw, like=like, why="" if like else ENTANGLED if raw else ONE_SIDED)


def _counted(claim: Claim, frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    if claim.counted == "engagement":
        return frame.engagement_rate_year.to_numpy(float), np.ones(len(frame))
    if claim.counted == "first_day":
        return frame.first_day.to_numpy(float), frame.conversions.to_numpy(float)
    return frame.conversions.to_numpy(float), frame.exposure.to_numpy(float)


def _judged(finding: Finding, tested: int) -> Finding:
    """The verdict follows the comparison like for like, and claims no more than all tests together allow."""
    raw, like = finding.raw, finding.like
    assert raw is not None
    assert like is not None
    surely = finding.p < 1 - LEVEL
    if surely and like.factor > 1:
        return replace(finding, verdict=HOLDS, why="raw, it looks the other way" if raw.high < 1 else "")
    if surely:
        return replace(finding, verdict=FAILS, why="the comparison goes the other way")
    if like.high < MATERIAL:
        return replace(finding, verdict=FAILS, why=f"a factor of {MATERIAL:g} or more is ruled out")
    if like.low > 1 or like.high < 1:
        return replace(finding, why=f"among {tested} tests it may be chance")
    return replace(finding, why="the raw difference does not last like for like" if raw.low > 1 else "")


def _speed(frame: pd.DataFrame) -> pd.DataFrame:
    told = frame[frame.within_1.notna()]
    lines = []
    for tier in TIERS:
        part = told[told.tier == tier]
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
