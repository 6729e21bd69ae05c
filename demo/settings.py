"""Settings of the made-up market and the tables of published figures it leans on.

Every size of an effect is either taken from a named publication or called an assumption; `docs/demo-market.md` lists
the publications in full. Money is US dollars, times are days unless a name says otherwise, effects are on the natural
log of the expected conversions.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta

import numpy as np

Array = np.ndarray

TIERS = ("nano", "micro", "mid", "macro", "mega")
TIER_EDGES = (1_000, 10_000, 100_000, 500_000, 1_000_000, 30_000_000)
# Nano: HypeAuditor 2023 (58 % of Instagram's creators). The rest is flatter than life (0.1 % of creators are mega,
# HypeAuditor 2026), an assumption: a brand's database holds those who are worth a look.
TIER_SHARE = (0.58, 0.27, 0.09, 0.03, 0.03)
# Accounts with signs of fraud: HypeAuditor 2023, 36 % in all and close to 60 % of the largest.
TIER_FRAUD = (0.30, 0.42, 0.46, 0.50, 0.58)
# Median promotion length, hours: assumed (celebrities a day or less, small creators longer).
TIER_PROMOTION_HOURS = (120.0, 110.0, 72.0, 40.0, 22.0)
# Share of buyers who decide at once: 50 % within a day over all (Chapelle 2014); the slope over tiers is assumed.
TIER_FAST_SHARE = (0.42, 0.47, 0.55, 0.65, 0.75)

PLATFORMS = ("instagram", "tiktok", "youtube")
# Influencer spend in the US by platform, eMarketer 2022: 2,231, 775 and 948 million dollars.
PLATFORM_SHARE = (0.56, 0.20, 0.24)
# Likes and comments per follower at 10,000 followers: HypeAuditor 2023 (nano 2.78 % and 12.6 %, here toned down to
# 10,000 followers); YouTube is an assumption.
PLATFORM_ENGAGEMENT = (0.022, 0.075, 0.020)
# Views per follower at 10,000 followers and their slope over size: Bazaarvoice 2021 (a post of a brand's small
# Instagram account reaches 36 % of its followers, of a large one 15 %); the other platforms are assumptions.
PLATFORM_VIEWS = (0.36, 0.60, 0.22)
VIEWS_EXPONENT = -0.19
PLATFORM_EFFECT = (0.0, -0.20, 0.25)
PLATFORM_SLOW_DAYS = (5.0, 4.0, 8.0)

# Neighbours on this ring are near to each other in what their audiences buy (assumption).
NICHES = ("beauty", "fashion", "parenting", "home", "food", "fitness",
          "outdoors", "travel", "photography", "tech", "gaming", "finance")  # fmt: skip
COUNTRIES = ("US", "GB", "CA", "AU", "IN", "DE", "FR", "ES", "IT", "BR")
COUNTRY_SHARE = (0.34, 0.11, 0.06, 0.05, 0.09, 0.09, 0.08, 0.06, 0.05, 0.07)
LANGUAGES = ("en", "de", "fr", "es", "it", "pt")
COUNTRY_LANGUAGE = (0, 0, 0, 0, 0, 1, 2, 3, 4, 5)
OBJECTIVES = ("sales", "awareness", "launch", "content", "community")
OBJECTIVE_SHARE = (0.42, 0.24, 0.16, 0.10, 0.08)
OBJECTIVE_EFFECT = (0.30, -0.40, 0.0, -0.55, -0.15)
# By month: the fourth quarter's unadjusted online sales are 1.19 times the adjusted (US Census Bureau, Q4 2020).
MONTH_EFFECT = (-0.10, -0.08, -0.04, -0.03, 0.0, -0.04, -0.06, -0.05, -0.02, 0.04, 0.24, 0.16)


@dataclass(frozen=True)
class MarketSettings:
    """Size, clock and strengths of a made-up market.

    Sizes: `creators`, `results` (past collaborations), `candidates`, `brands`, and the mean number of posts and of
    sampled comments per creator. Clock: `now` is the cut-off; nothing reads the machine's clock.

    Strengths, on the log of expected conversions unless said otherwise, with their source:

    - `fee_exponent` 0.71 and `audience_exponent` 0.59: Beichert, Bayerl, Goldenberg & Lanz 2024, Journal of Marketing:
      macro-creators cost 18 times a nano-creator, revenue per follower is 0.265 against 0.049 euro; both read over an
      assumed sixty-fold difference in followers.
    - `fee_at_41k` 750 $: Inzpire.me in Business Insider 2020: 500 to 1,000 $ at 41,000 followers, 5,000 at 500,000.
    - `engagement_exponent` -0.12: HypeAuditor: falling up to 20,000 followers, then nearly flat (1.5 to 1.6 %).
    - `sponsored_engagement` 0.85 (a factor): assumption between Markerly (equal) and Xomad (clearly lower).
    - `sponsored_habit` 0.03: share of posts sponsored by others than the market's brands; with theirs about 7 %, as in
      a study of 814,000 posts ("Do paid endorsements sell product?", OnlyInfotech 2018).
    - `fatigue` -0.05 per sponsored post within 90 days: direction from Cheng & Zhang 2025, Management Science (-0.19 %
      subscribers per sponsored video, more for large audiences); its size for conversions is an assumption.
    - `window_days` 30: last-click attribution window of Chapelle 2014, where 50 % of conversions came within a day.
    - `rehire_share` 0.35: 35 % of brands work with creators in the long term (Archive, as quoted by Affilae).
    - Assumptions without a published figure: `closeness_effect`, `fit_effect`, `country_effect`, `creator_sd`,
      `brand_sd`, `match_sd`, `dispersion`, `level_sd_per_week`, `pair_lift`, `by_day_share`, `price_sd`, `quote_sd`
      (the last two give a factor of about ten between the dear and the cheap of one tier).

    Raises ValueError naming the setting and its value when a size or share is out of range.
    """

    creators: int = 2_000
    results: int = 5_000
    candidates: int = 2_000
    brands: int = 60
    posts_per_creator: float = 100.0
    comments_per_creator: float = 90.0
    now: datetime = datetime(2026, 4, 1, tzinfo=UTC)
    history_days: int = 560
    candidate_days: int = 42
    silent_share: float = 0.03
    by_day_share: float = 0.85
    window_days: float = 30.0

    fee_at_41k: float = 750.0
    fee_exponent: float = 0.71
    price_sd: float = 0.50
    quote_sd: float = 0.45
    conversions_at_41k: float = 17.0
    audience_exponent: float = 0.59
    spend_exponent: float = 0.30
    deliverables_exponent: float = 0.45
    engagement_exponent: float = -0.12
    engagement_sd: float = 0.60
    sponsored_engagement: float = 0.85
    sponsored_habit: float = 0.03
    rehire_share: float = 0.35

    closeness_effect: float = 0.45
    fit_effect: float = 0.90
    country_effect: float = 0.40
    creator_sd: float = 0.60
    brand_sd: float = 0.55
    match_sd: float = 0.40
    pair_lift: float = 0.10
    fatigue: float = -0.05
    level_sd_per_week: float = 0.04
    dispersion: float = 2.0

    def __post_init__(self) -> None:
        for name in ("creators", "results", "candidates", "brands", "history_days", "candidate_days"):
            least = 28 if name == "history_days" else 1
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, got {getattr(self, name)}")
        for name in ("posts_per_creator", "comments_per_creator"):
            if not 0 <= getattr(self, name) < np.inf:
                raise ValueError(f"{name} must be a number from 0, got {getattr(self, name)}")
        for name in ("silent_share", "by_day_share", "rehire_share", "sponsored_habit"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be between 0 and 1, got {getattr(self, name)}")
        if self.now.utcoffset() != timedelta(0):
            raise ValueError(f"now must be in UTC, got {self.now.isoformat()}")

    def described(self) -> dict[str, str]:
        """All settings as text, in their order, for the marker file."""
        return {f.name: str(getattr(self, f.name)) for f in fields(self)}


def pick(rng: np.random.Generator, share: tuple[float, ...], size: int) -> Array:
    """Codes 0..len(share)-1 drawn with these shares; shape (size,)."""
    return rng.choice(len(share), size=size, p=np.asarray(share) / np.sum(share))


def nearness(a: Array, b: Array) -> Array:
    """How near two niches are: 1 for the same, falling with their distance on the ring of `NICHES`."""
    gap = np.abs(np.asarray(a) - np.asarray(b))
    return np.exp(-np.minimum(gap, len(NICHES) - gap) / 1.5)
