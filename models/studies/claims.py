"""What marketing articles claim, in the words of the feature catalogue; `claim_tests` tests them on results.

Each claim parts the results into those it praises and those it compares them with. What it is compared with, and which
columns are held equal for the adjusted comparison, is stated here, claim by claim.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from features.settings import TIERS

SMALL, LARGE = TIERS[:2], TIERS[3:]
SETTING = ("platform", "creator_niche", "product_niche", "product_country", "objective", "brand", "quarter")
PRICE = ("spend", "followers", "promotion_hours", "deliverables")
RECORD = ("creator_record", "creator_evidence")  # who did well is hired again, by the same brand and by others

Sides = Callable[[pd.DataFrame], np.ndarray]


@dataclass(frozen=True)
class Claim:
    """One claim.

    words: what it says. compared: the two sides. needs: what data it takes. columns: of the matrix, that both sides
    need to be known. sides: from a frame of these, 1 where it praises, 0 where it compares with, NaN where neither; or
    any number that it says more of is better. equal: columns held equal. counted: conversions, engagement or first_day.
    by_dollar: every dollar has the same weight, as in sums over lists of equal spend.
    """

    name: str
    words: str
    compared: str
    needs: str
    columns: tuple[str, ...]
    sides: Sides
    equal: tuple[str, ...] = SETTING + PRICE
    counted: str = "conversions"
    by_dollar: bool = False


def _tiers(praised: tuple[str, ...], others: tuple[str, ...]) -> Sides:
    def sides(frame: pd.DataFrame) -> np.ndarray:
        tier = frame.tier
        return np.where(tier.isin(praised), 1.0, np.where(tier.isin(others), 0.0, np.nan))

    return sides


def _smaller(frame: pd.DataFrame) -> np.ndarray:
    return np.asarray(-np.log10(np.maximum(frame.followers.to_numpy(float), 1.0)))


def _upper(values: np.ndarray) -> np.ndarray:
    """1 above the median, or at it where nothing is above; 0 for the others, NaN where missing."""
    if not np.isfinite(values).any():
        return values
    median = np.nanmedian(values)
    above = values > median if np.nanmax(values) > median else values >= median
    return np.where(np.isfinite(values), above, np.nan)


def _more(*columns: str) -> Sides:
    return lambda frame: _upper(frame[list(columns)].to_numpy(float).sum(axis=1))


def _less(column: str) -> Sides:
    return lambda frame: 1 - _upper(frame[column].to_numpy(float))


def _over(column: str, bound: float) -> Sides:
    return lambda frame: np.where(frame[column].notna(), frame[column].to_numpy(float) > bound, np.nan)


def _relevant_not_large(frame: pd.DataFrame) -> np.ndarray:
    match, large = frame.same_niche.to_numpy(float), _upper(frame.followers.to_numpy(float))
    return np.where((match == 1) & (large == 0), 1.0, np.where((match == 0) & (large == 1), 0.0, np.nan))


FOLLOWERS = "creators' followers"
POSTS = "posts with likes or comments and followers"
TEXTS = "the comments' texts"
BY_DAY = "conversions by day"

CLAIMS = (
    Claim("smaller", "Smaller creators bring more conversions per dollar", "each tenfold fewer followers",
          FOLLOWERS, ("followers",), _smaller, SETTING),
    *(Claim(tier, f"{tier.capitalize()}-creators bring more conversions per dollar than large ones",
            f"{tier} against macro and mega", FOLLOWERS, ("tier",), _tiers((tier,), LARGE), SETTING)
      for tier in TIERS[:3]),
    Claim("ten_for_one", "Ten micro-creators for the price of one large one bring more",
          "sums at equal spend: micro against macro and mega", FOLLOWERS, ("tier",), _tiers(("micro",), LARGE), SETTING,
          by_dollar=True),
    Claim("engagement_by_size", "Engagement falls with size", "engagement per follower: micro against macro and mega",
          POSTS, ("tier", "engagement_rate_year"), _tiers(("micro",), LARGE), ("platform", "creator_niche", "quarter"),
          "engagement"),
    Claim("engagement", "High engagement brings more conversions per dollar",
          "upper against lower half of engagement per follower", POSTS, ("engagement_rate_year",),
          _more("engagement_rate_year")),
    Claim("comments", "Comments of substance bring more", "upper against lower half of substance, questions and buying",
          TEXTS, ("substance_share", "question_share", "buying_intent_share"),
          _more("substance_share", "question_share", "buying_intent_share")),
    Claim("buying_talk", "Talk of buying brings more", "upper against lower half of comments about buying",
          TEXTS, ("buying_intent_share",), _more("buying_intent_share")),
    Claim("replies", "Creators who answer bring more", "upper against lower half of replies per comment",
          TEXTS + ", the creators' own marked", ("replies_per_comment",), _more("replies_per_comment")),
    Claim("long_promotion", "A promotion of more than 24 hours returns more", "over 24 hours against 24 or less",
          "promotion_hours", ("promotion_hours",), _over("promotion_hours", 24.0),
          tuple(name for name in SETTING + PRICE if name != "promotion_hours")),
    Claim("repeated", "Long partnerships outperform one-offs", "a repeated deal with the brand against a first",
          "creators hired again by a brand", ("deals_with_brand",), _over("deals_with_brand", 0.5),
          SETTING + PRICE + RECORD),
    Claim("relevance", "A creator of the product's niche brings more", "the product's niche against another",
          "niches in the same words for creators and products", ("same_niche",), _over("same_niche", 0.5)),
    Claim("relevance_or_reach", "Relevance beats reach", "smaller and of the niche against larger and of another",
          "niches in the same words for creators and products, and " + FOLLOWERS, ("same_niche", "followers"),
          _relevant_not_large, tuple(name for name in SETTING if name != "creator_niche")),
    Claim("fatigue", "Fewer sponsored posts, less fatigue", "lower against upper half of the sponsored share",
          "posts that say whether they are sponsored", ("sponsored_share",), _less("sponsored_share"),
          SETTING + PRICE + RECORD),
    Claim("regular", "Regular posting brings more", "lower against upper half of irregularity",
          "posts", ("posting_irregularity",), _less("posting_irregularity")),
    Claim("local", "Local creators sell more locally", "the country of sale against another",
          "countries of creators and products", ("same_country",), _over("same_country", 0.5)),
    Claim("sprint", "Celebrities sprint, micro-creators run marathons",
          "share of conversions within a day: macro and mega against nano and micro", BY_DAY + " and " + FOLLOWERS,
          ("tier", "first_day"), _tiers(LARGE, SMALL), SETTING, "first_day"),
)  # fmt: skip
