"""How many more conversions the same money would have bought by the model's choice than by another.

In each fold deals are taken from the best on until a share of the fold's money is spent, the last one in part and
equals in equal parts; what they brought is added up over folds. Every choice is among the deals that were made: what a
creator who was never hired would have brought nobody knows. Intervals are percentiles over resampled creators, each
with all of their deals, in BOOTSTRAPS samples (cluster bootstrap: Davison & Hinkley 1997, Bootstrap Methods and their
Application, section 3.8), since the deals of one creator succeed or fail together and a choice is one of creators.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from models.estimators.outcomes import Outcomes
from models.evaluation.backtest import OURS
from models.evaluation.metrics import conversions_bought
from models.training import Trained

SHARES = (0.1, 0.25)
BOOTSTRAPS, LEVEL, LEAST_CREATORS = 500, 0.95, 20
AVERAGE = "average"
CHOICES = {
    AVERAGE: "the deals as they were made",
    "followers": "the largest accounts",
    "engagement": "the highest engagement",
    "own_record": "the creator's own record",
    "price_only": "the price alone",
}


@dataclass(frozen=True)
class Bought:
    """What `share` of the money would have bought by our choice and by another.

    choice: key of CHOICES. deals, creators: compared. ours, theirs: conversions. factor: of the two, half a conversion
    added to both; low, high: its LEVEL interval, NaN for fewer than LEAST_CREATORS creators.
    """

    choice: str
    share: float
    deals: int
    creators: int
    ours: float
    theirs: float
    factor: float
    low: float
    high: float


def compared_rows(trained: Trained) -> pd.DataFrame:
    """The backtest's rows, with what else the comparison needs.

    spend (US dollars), came (conversions with those still on their way), platform, followers, engagement, and seen:
    whether a result of the creator was known at the fold's cut-off.
    """
    rows, training = trained.backtest.rows, trained.training
    at = rows.row.to_numpy(int)
    columns = training.matrix.reindex(columns=["platform", "followers", "engagement_rate_year"]).iloc[at]
    spend = training.results.spend[at]
    seen: np.ndarray = np.zeros(len(rows), bool)
    for number in rows.fold.unique():
        now = (rows.fold == number).to_numpy()
        known = _known(training.results, training.creators, trained.backtest.cutoffs[int(number)])
        seen[now] = rows.creator_id[now].isin(known).to_numpy()
    return rows.assign(
        spend=spend,
        came=rows.counts.to_numpy(float) * spend / rows.exposure.to_numpy(float),
        platform=columns.platform.astype(object).fillna("unknown").astype(str).to_numpy(),
        followers=columns.followers.to_numpy(float),
        engagement=columns.engagement_rate_year.to_numpy(float),
        seen=seen,
    )


def _known(results: Outcomes, creators: np.ndarray, cutoff: str) -> np.ndarray:
    rows, _ = results.as_of(np.datetime64(cutoff, "us"))
    return np.asarray(creators[rows])


def compare(rows: pd.DataFrame, seed: int) -> list[Bought]:
    """Every choice at every one of SHARES, as far as the data show what it would have taken.

    rows: `compared_rows`. Deals of which a choice knows nothing are its last.
    """
    if not len(rows) or not rows.came.sum() > 0:
        return []
    places, keys = pd.factorize(rows.creator_id)
    rng, equal = np.random.default_rng(seed), np.full(len(keys), 1 / len(keys))
    weights = np.ones((1 + BOOTSTRAPS, len(rows)), np.uint16)
    for sample in weights[1:]:
        sample[:] = rng.multinomial(len(keys), equal)[places]
    ours = over_folds(rows, rows[OURS].to_numpy(float), weights, SHARES)
    found = []
    for name in CHOICES:
        if name != AVERAGE and not rows[name].notna().any():
            continue
        rank_by = np.zeros(len(rows)) if name == AVERAGE else rows[name].to_numpy(float)
        theirs = over_folds(rows, rank_by, weights, SHARES)
        factor = (ours + 0.5) / (theirs + 0.5)
        ends = np.quantile(factor[1:], [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
        if len(keys) < LEAST_CREATORS:
            ends = np.full_like(ends, np.nan)
        for k, share in enumerate(SHARES):
            of = (float(v) for v in (ours[0, k], theirs[0, k], factor[0, k], ends[0, k], ends[1, k]))
            found.append(Bought(name, share, len(rows), len(keys), *of))
    return sorted(found, key=lambda bought: bought.share)


def over_folds(rows: pd.DataFrame, rank_by: np.ndarray, weights: np.ndarray, shares: Sequence[float]) -> np.ndarray:
    """Conversions (samples, shares) that shares of every fold's money buy, added up over the folds of `compared_rows`
    rows.

    rank_by: (rows,). weights: how often each deal counts, (samples, rows).
    """
    fold, spend, came = rows.fold.to_numpy(), rows.spend.to_numpy(float), rows.came.to_numpy(float)
    parts = [fold == number for number in np.unique(fold)]
    return np.asarray(
        sum(conversions_bought(rank_by[now], spend[now], came[now], shares, weights[:, now]) for now in parts)
    )
