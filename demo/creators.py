"""Creators with their latent traits, their followers over time, and the brands that hire them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from demo import settings as s
from demo.settings import Array, MarketSettings

PODS_PER_CREATOR = 0.02


@dataclass(frozen=True)
class Creators:
    """One entry a creator in every array; days are counted from `now` and negative in the past.

    `closeness` (standard units) is how close the community is; `effect` is what only results show; `price` and
    `engagement` are log deviations from the usual of that size; `fake_share` is the part of today's followers that was
    bought, on the day `jump_at`; `pod` is the number of an engagement pod or -1.
    """

    followers: Array
    tier: Array
    platform: Array
    niche: Array
    second_niche: Array
    own_niche_share: Array
    country: Array
    language: Array
    closeness: Array
    effect: Array
    price: Array
    engagement: Array
    fake_share: Array
    jump_at: Array
    pod: Array
    growth: Array
    activity: Array
    regularity: Array
    first_post: Array

    def __len__(self) -> int:
        return len(self.followers)

    def pull(self, settings: MarketSettings) -> Array:
        """The creator's own part in the log of conversions."""
        return settings.closeness_effect * self.closeness + self.effect

    def genuine_at(self, who: Array, day: Array) -> Array:
        """Followers that were not bought, at these days."""
        grown = np.exp(self.growth[who] * np.minimum(day, 0.0))
        return np.maximum(self.followers[who] * (1 - self.fake_share[who]) * grown, 1.0)

    def followers_at(self, who: Array, day: Array) -> Array:
        """Followers as the platform shows them, bought ones included since the day they were bought."""
        bought = self.followers[who] * self.fake_share[who] * (day >= self.jump_at[who])
        return self.genuine_at(who, day) + bought

    def usual_fee(self, settings: MarketSettings, who: Array, day: Array) -> Array:
        """Usual fee of one deliverable at that size, dollars."""
        size = self.followers_at(who, day) / 41_000
        return settings.fee_at_41k * size**settings.fee_exponent


def draw_creators(settings: MarketSettings, rng: np.random.Generator) -> Creators:
    n = settings.creators
    tier = s.pick(rng, s.TIER_SHARE, n)
    edges = np.log(s.TIER_EDGES)
    low, high = edges[tier], edges[tier + 1]
    followers = np.exp(low + (high - low) * rng.random(n) ** 1.3)
    country = s.pick(rng, s.COUNTRY_SHARE, n)
    abroad = rng.random(n) < 0.08  # some speak to an audience elsewhere, in English
    niche = rng.integers(len(s.NICHES), size=n)
    fraud = rng.random(n) < np.asarray(s.TIER_FRAUD)[tier]
    bought, in_pod = fraud & (rng.random(n) < 0.7), fraud & (rng.random(n) < 0.5)
    size = np.log10(followers) - 4
    return Creators(
        followers=np.floor(followers),
        tier=tier,
        platform=s.pick(rng, s.PLATFORM_SHARE, n),
        niche=niche,
        second_niche=(niche + rng.choice([-2, -1, 1, 2, 5], size=n)) % len(s.NICHES),
        own_niche_share=rng.beta(5, 2, n),
        country=country,
        language=np.where(abroad, 0, np.asarray(s.COUNTRY_LANGUAGE)[country]),
        closeness=rng.standard_normal(n) - 0.20 * size,
        effect=settings.creator_sd * rng.standard_normal(n),
        price=settings.price_sd * rng.standard_normal(n),
        engagement=settings.engagement_sd * rng.standard_normal(n),
        fake_share=np.where(bought, rng.beta(2, 4, n), 0.0),
        jump_at=-rng.uniform(20, settings.history_days, n),
        pod=np.where(in_pod, rng.integers(max(1, int(PODS_PER_CREATOR * n)), size=n), -1),
        growth=rng.normal(0.0004, 0.0006, n),
        activity=np.exp(0.5 * rng.standard_normal(n)) * (rng.random(n) >= settings.silent_share),
        regularity=rng.uniform(0.5, 5.0, n),
        first_post=-settings.history_days * np.where(rng.random(n) < 0.8, 1.0, rng.uniform(0.2, 1.0, n)) - 60.0,
    )


@dataclass(frozen=True)
class Brands:
    """One entry a brand: codes of niche and country, log attractiveness, share of the deals, dollars per order."""

    niche: Array
    country: Array
    appeal: Array
    share: Array
    order_value: Array

    def __len__(self) -> int:
        return len(self.niche)


def draw_brands(settings: MarketSettings, rng: np.random.Generator) -> Brands:
    n = settings.brands
    share = np.exp(0.8 * rng.standard_normal(n))
    return Brands(
        niche=rng.permutation(np.arange(n) % len(s.NICHES)),
        country=s.pick(rng, s.COUNTRY_SHARE, n),
        appeal=settings.brand_sd * rng.standard_normal(n),
        share=share / share.sum(),
        order_value=np.exp(rng.normal(np.log(45), 0.5, n)),
    )
