"""What came of the deals: the true expectation, the realised count, and the days on which it arrived."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from demo import settings as s
from demo.creators import Brands, Creators
from demo.deals import Deals
from demo.settings import Array, MarketSettings

FATIGUE_DAYS = 90


def level(settings: MarketSettings, day: Array, rng: np.random.Generator) -> Array:
    """Log level of conversions at these days: a random walk by weeks, straight between them, zero on average."""
    weeks = np.arange(-settings.history_days - 7, settings.candidate_days + 14, 7)
    walk = np.cumsum(settings.level_sd_per_week * rng.standard_normal(len(weeks)))
    return np.interp(day, weeks, walk - walk.mean())


def fit(settings: MarketSettings, creators: Creators, deals: Deals) -> Array:
    """Log effect of fit: nearness of the niches by how much of the posting is in them, and the same country.

    The nearest match gains less than the step before it: fit follows an inverted U (Leung et al. 2022).
    """
    who = deals.creator
    own = creators.own_niche_share[who]
    near = own * s.nearness(creators.niche[who], deals.product_niche)
    near = near + (1 - own) * s.nearness(creators.second_niche[who], deals.product_niche)
    home = creators.country[who] == deals.product_country
    return settings.fit_effect * (1.6 * near - 0.6 * near**2 - 0.5) + settings.country_effect * (home - 0.5)


def earlier_with_brand(deals: Deals, earlier: Deals | None) -> Array:
    """Earlier deals of the same creator with the same brand, counted among `deals` themselves if `earlier` is None."""
    if earlier is None:
        return pd.DataFrame({"c": deals.creator, "b": deals.brand}).groupby(["c", "b"]).cumcount().to_numpy()
    pairs = pd.MultiIndex.from_arrays([earlier.creator, earlier.brand]).value_counts()
    wanted = pd.MultiIndex.from_arrays([deals.creator, deals.brand])
    return pairs.reindex(wanted, fill_value=0).to_numpy()


@dataclass(frozen=True)
class Context:
    """What surrounds each deal: log level, the creator's recent sponsored posts, earlier deals of the pair."""

    level: Array
    sponsored: Array
    pair: Array


def expected(settings: MarketSettings, creators: Creators, brands: Brands, deals: Deals, context: Context) -> Array:
    """Expected final conversions of each deal."""
    who, day = deals.creator, deals.start
    usual = creators.usual_fee(settings, who, day) * deals.deliverables**0.8
    month = pd.to_datetime(pd.Timestamp(settings.now) + pd.to_timedelta(day, unit="D")).month.to_numpy() - 1
    activity = np.log(np.maximum(creators.activity[who], 0.2))
    log = (
        np.log(settings.conversions_at_41k)
        + settings.audience_exponent * np.log(creators.genuine_at(who, day) / 41_000)
        + settings.deliverables_exponent * np.log(deals.deliverables)
        + settings.spend_exponent * np.log(deals.spend / usual)
        + creators.pull(settings)[who]
        + brands.appeal[deals.brand]
        + fit(settings, creators, deals)
        + np.asarray(s.PLATFORM_EFFECT)[creators.platform[who]]
        + np.asarray(s.OBJECTIVE_EFFECT)[deals.objective]
        + np.asarray(s.MONTH_EFFECT)[month]
        + 0.20 * np.log(deals.hours / 72)
        - 0.12 * activity**2
        + settings.pair_lift * np.log1p(context.pair)
        + settings.fatigue * np.minimum(context.sponsored, 12)
        + context.level
        + deals.match
    )
    return np.exp(log)


def arrived(settings: MarketSettings, creators: Creators, deals: Deals, elapsed: Array) -> Array:
    """Share of the final conversions that has come `elapsed` days after the start, shape of `elapsed` (deals, times).

    Half of the exposure is at the start, half evenly over the promotion; then a purchase follows at once (exponential,
    mean 0.4 days) or after days. Counting ends `window_days` after the promotion.
    """
    live = deals.hours[:, None] / 24
    fast = np.asarray(s.TIER_FAST_SHARE)[creators.tier[deals.creator]][:, None]
    slow_days = np.asarray(s.PLATFORM_SLOW_DAYS)[creators.platform[deals.creator]][:, None]

    def share(t: Array, mean: Array | float) -> Array:
        shown = np.minimum(t, live)
        evenly = (shown - mean * (np.exp(-(t - shown) / mean) - np.exp(-t / mean))) / live
        return 0.5 * (1 - np.exp(-t / mean)) + 0.5 * evenly

    end = live + settings.window_days
    t = np.clip(elapsed, 0.0, end)
    return (fast * share(t, 0.4) + (1 - fast) * share(t, slow_days)) / (
        fast * share(end, 0.4) + (1 - fast) * share(end, slow_days)
    )


@dataclass(frozen=True)
class Counts:
    """Per deal: `until` (days from now), `final` and `so_far` conversions; `daily` (deals, days) sums to `so_far`."""

    until: Array
    final: Array
    so_far: Array
    daily: Array


def counts(settings: MarketSettings, creators: Creators, deals: Deals, mean: Array, rng: np.random.Generator) -> Counts:
    """Draws final counts (gamma-Poisson) and the calendar days (UTC) of those that came up to `until` <= now."""
    final = rng.poisson(mean * np.exp(deals.luck))
    until = np.minimum(deals.start + deals.hours / 24 + settings.window_days, 0.0)
    midnight = settings.now.hour / 24 + settings.now.minute / 1440 + settings.now.second / 86_400
    into_day = (deals.start + midnight) % 1.0
    days = int(np.ceil((until - deals.start).max())) + 1
    ends = np.minimum(np.arange(1, days + 1)[None, :] - into_day[:, None], (until - deals.start)[:, None])
    done = arrived(settings, creators, deals, np.maximum(ends, 0.0))
    daily = np.zeros((len(deals), days), dtype=np.int64)
    left, before = final.copy(), np.zeros(len(deals))
    for d in range(days):
        chance = np.clip((done[:, d] - before) / np.maximum(1 - before, 1e-12), 0.0, 1.0)
        daily[:, d] = rng.binomial(left, chance)
        left, before = left - daily[:, d], done[:, d]
    return Counts(until=until, final=final, so_far=daily.sum(axis=1), daily=daily)
