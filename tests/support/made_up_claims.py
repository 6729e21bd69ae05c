"""Results of a market in which the truth of each claim is set, for tests of the report."""

from __future__ import annotations

import numpy as np
import pandas as pd

from models.estimators.outcomes import Outcomes
from models.training import TrainingSet

BEGIN = pd.Timestamp("2024-01-01")
LEVEL = 0.05


def market(
    seed: int = 0,
    rows: int = 800,
    creators: int = 250,
    *,
    micro: float = 1.0,
    engaged: float = 1.0,
    long: float = 1.0,
    match: float = 1.0,
    repeated: float = 1.0,
    dear: float = 1.0,
    platform: float = 1.0,
) -> TrainingSet:
    """Factors on conversions per dollar: of micro against mega, the upper half of engagement, more than 24 hours, the
    product's niche, a repeated deal, a price above the median, and TikTok, where engagement is high.

    Creators have effects of their own and counts are over-dispersed. Half of the creators are micro, and half mega.
    """
    rng = np.random.default_rng(seed)
    of = rng.integers(0, creators, rows)
    small = rng.random(creators) < 0.5
    tiktok = rng.random(creators) < 0.5
    own = rng.gamma(6, 1 / 6, creators)
    engagement = 0.02 * np.exp(rng.normal(0, 0.5, creators) + 1.5 * tiktok)
    hours = rng.choice([12.0, 24.0, 48.0, 96.0], rows)
    same = (rng.random(rows) < 0.4).astype(float)
    deals = rng.choice([0.0, 1.0, 2.0], rows)
    spend = np.round(np.exp(rng.normal(6.5, 0.6, rows)), 2)
    above = engagement[of] > np.median(engagement[of])
    rate = LEVEL * own[of] * np.where(small[of], micro, 1) * np.where(above, engaged, 1)
    rate *= np.where(hours > 24, long, 1) * np.where(same == 1, match, 1) * np.where(deals > 0, repeated, 1)
    rate *= np.where(spend > np.median(spend), dear, 1) * np.where(tiktok[of], platform, 1)
    starts = BEGIN + pd.to_timedelta(np.sort(rng.integers(0, 500 * 24, rows)), unit="h")
    spine = pd.DataFrame(
        {
            "collaboration_id": [f"r{i:05}" for i in range(rows)],
            "creator_id": [f"c{i:04}" for i in of],
            "starts_at": starts,
            "promotion_hours": hours,
            "spend": spend,
            "conversions": rng.poisson(rate * spend * rng.gamma(2.5, 0.4, rows)),
            "observed_until": BEGIN + pd.Timedelta("900D"),
        }
    )
    matrix = pd.DataFrame(
        {
            "tier": np.where(small[of], "micro", "mega").astype(object),
            "followers": np.where(small, 40_000.0, 2_000_000.0)[of] * np.exp(rng.normal(0, 0.2, rows)),
            "platform": np.where(tiktok, "tiktok", "instagram")[of].astype(object),
            "engagement_rate_year": engagement[of],
            "promotion_hours": hours,
            "same_niche": same,
            "deals_with_brand": deals,
            "spend": spend,
        }
    )
    return TrainingSet(matrix, spine, Outcomes.from_tables(spine, None, 30.0))
