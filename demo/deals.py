"""Who is hired by whom, when and on what terms: the biased choices that past results come from."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from demo import settings as s
from demo.creators import Brands, Creators
from demo.settings import Array, MarketSettings

ROUND_DAYS = 28
SECONDS = 86_400
LONGEST_HOURS = 720.0


@dataclass(frozen=True)
class Deals:
    """One entry a deal. `start` in days from `now`, `spend` in dollars; `luck` is the log of the gamma noise of the
    count and `match` a part of the true rate that nothing observable shows."""

    creator: Array
    brand: Array
    campaign: Array
    product_niche: Array
    product_country: Array
    objective: Array
    start: Array
    hours: Array
    deliverables: Array
    spend: Array
    luck: Array
    match: Array

    def __len__(self) -> int:
        return len(self.creator)

    def rows(self, which: Array) -> Deals:
        return Deals(**{f.name: getattr(self, f.name)[which] for f in fields(self)})


def weighted_rows(weights: Array, row: Array, rng: np.random.Generator) -> Array:
    """For each entry of `row`, a column drawn with the probabilities of that row of `weights` (rows, columns)."""
    share = np.cumsum(weights, axis=1)
    share /= share[:, -1:]
    flat = (share + np.arange(len(weights))[:, None]).ravel()
    at = np.searchsorted(flat, row + rng.random(len(row)), side="right")
    return np.minimum(at - row * weights.shape[1], weights.shape[1] - 1)


def hiring_weights(settings: MarketSettings, creators: Creators, brands: Brands, success: Array) -> Array:
    """Chance of being hired, (brands, creators): the larger, the better paid, the successful so far, the near."""
    fame = 0.45 * np.log10(creators.followers) + 0.5 * creators.price + 0.8 * success
    near = s.nearness(brands.niche[:, None], creators.niche[None, :])
    home = brands.country[:, None] == creators.country[None, :]
    return np.exp(fame[None, :] + 2.2 * near + 1.1 * home)


def rehired(settings: MarketSettings, brand: Array, past: Deals, success: Array, rng: np.random.Generator) -> Array:
    """Creator that the brand hires again, the successful rather than others; -1 where it hires somebody new."""
    again = np.full(len(brand), -1)
    order = np.argsort(past.brand, kind="stable")
    weight = np.cumsum(np.exp(0.8 * success[order]))
    edge = np.searchsorted(past.brand[order], np.arange(settings.brands + 1))
    reach = np.concatenate([[0.0], weight])[edge]
    low, high = reach[brand], reach[brand + 1]
    wanted = (rng.random(len(brand)) < settings.rehire_share) & (high > low)
    at = np.searchsorted(weight, low + (high - low) * rng.random(len(brand)), side="right")
    again[wanted] = past.creator[order][np.minimum(at, len(order) - 1)[wanted]]
    return again


def terms(settings: MarketSettings, creators: Creators, brands: Brands, drawn: tuple[Array, Array, Array, int],
          rng: np.random.Generator) -> Deals:  # fmt: skip
    """Terms of the deals `drawn` (creator, brand, start, round number): a brand runs one campaign a round."""
    creator, brand, start, number = drawn
    n, b = len(creator), len(brands)
    beside = rng.random(b) < 0.15
    niche = np.where(beside, (brands.niche + rng.choice([-1, 1], size=b)) % len(s.NICHES), brands.niche)
    country = np.where(rng.random(b) < 0.1, s.pick(rng, s.COUNTRY_SHARE, b), brands.country)
    objective = s.pick(rng, s.OBJECTIVE_SHARE, b)
    deliverables = 1 + np.minimum(rng.poisson(1.1, n), 5)
    hours = np.asarray(s.TIER_PROMOTION_HOURS)[creators.tier[creator]] * np.exp(0.6 * rng.standard_normal(n))
    fee = creators.usual_fee(settings, creator, start) * deliverables**0.8
    spend = fee * np.exp(creators.price[creator] + settings.quote_sd * rng.standard_normal(n))
    return Deals(
        creator=creator,
        brand=brand,
        campaign=np.full(n, number),
        product_niche=niche[brand],
        product_country=country[brand],
        objective=objective[brand],
        start=start,
        hours=np.clip(np.round(hours), 6.0, LONGEST_HOURS),
        deliverables=deliverables,
        spend=np.round(np.maximum(spend, 20.0), 2),
        luck=np.log(rng.gamma(settings.dispersion, 1 / settings.dispersion, n) + 1e-12),
        match=settings.match_sd * rng.standard_normal(n),
    )


def joined(parts: list[Deals]) -> Deals:
    return Deals(**{f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Deals)})


def reputation(creators: Creators, past: Deals, success: Array) -> Array:
    """Mean success of each creator's deals so far, shrunk towards none by one deal."""
    n = len(creators)
    total = np.bincount(past.creator, weights=success, minlength=n)
    return total / (np.bincount(past.creator, minlength=n) + 1.0)


def sizes_of_rounds(settings: MarketSettings, rounds: int) -> Array:
    """Deals per round, summing to `results`; the market grows by half over the history."""
    edges = np.linspace(0.0, 1.0, rounds + 1)
    return np.diff(np.round(settings.results * edges * (0.8 + 0.2 * edges)).astype(np.int64))


def hire(settings: MarketSettings, creators: Creators, brands: Brands, rng: np.random.Generator) -> tuple[Deals, Deals]:
    """Past deals and candidate deals, each in the order of their starts.

    Hiring goes in rounds, each seeing the success of the rounds before the last. Of the candidates half are chosen as
    brands choose; the others at random among all creators, so that many were never hired.
    """
    rounds = max(1, round(settings.history_days / ROUND_DAYS))
    length = settings.history_days / rounds
    pull = creators.pull(settings)
    parts: list[Deals] = []
    for number, size in enumerate([*sizes_of_rounds(settings, rounds), settings.candidates]):
        candidate = number == rounds
        past = joined(parts if candidate else parts[:-1]) if len(parts) > 1 else None
        success = np.zeros(0) if past is None else np.clip(pull[past.creator] + past.luck, -3, 3)
        known = np.zeros(len(creators)) if past is None else reputation(creators, past, success)
        brand = rng.choice(len(brands), size=size, p=brands.share)
        creator = weighted_rows(hiring_weights(settings, creators, brands, known), brand, rng)
        if past is not None:
            again = rehired(settings, brand, past, success, rng)
            creator = np.where(again >= 0, again, creator)
        if candidate:
            creator = np.where(rng.random(size) < 0.5, rng.integers(len(creators), size=size), creator)
        first = 0.0 if candidate else number * length - settings.history_days
        span = settings.candidate_days if candidate else length
        second = np.floor((first + span * np.sort(rng.random(size))) * SECONDS) + (1 if candidate else -1)
        parts.append(terms(settings, creators, brands, (creator, brand, second / SECONDS, number), rng))
    return joined(parts[:-1]), parts[-1]
