"""Puts the market together as the tables of the data contract, with the truth beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from demo import settings as s
from demo.comments import REPLY, Comments, draw_comments
from demo.creators import Brands, Creators, draw_brands, draw_creators
from demo.deals import SECONDS, Deals, hire
from demo.outcomes import Context, Counts, counts, earlier_with_brand, expected, level
from demo.posts import Posts, draw_posts, engagement, sponsored_before
from demo.settings import Array, MarketSettings


@dataclass(frozen=True)
class World:
    """A market: the contract's tables up to the cut-off, the candidates after it, and what is true of them.

    `truth` has a row per candidate: spend (dollars), conversions (one final draw), rate (mean per dollar), mean
    (expected final conversions), band (0 under 10,000 followers, 1 to 100,000, 2 to a million, 3 above), followers and
    er (likes and comments per follower, expected) at the start, seen (hired before the cut-off). `finals` has the
    final count and its expectation of every collaboration, for tests of how young counts are completed.
    """

    collaborations: pd.DataFrame
    creators: pd.DataFrame
    posts: pd.DataFrame
    comments: pd.DataFrame
    conversions: pd.DataFrame
    candidates: pd.DataFrame
    truth: pd.DataFrame
    finals: pd.DataFrame


def ids(prefix: str, numbers: Array, width: int) -> pd.Series:
    """Neutral ids such as creator_000123, as strings; shape of `numbers`."""
    digits = pc.utf8_lpad(pc.cast(pa.array(numbers), pa.large_string()), width, "0")
    before, between = pa.scalar(prefix, pa.large_string()), pa.scalar("", pa.large_string())
    return pd.Series(pc.binary_join_element_wise(before, digits, between), dtype="str")


def names(table: Sequence[str], codes: Array) -> pd.Series:
    """Names of the codes, missing where the code is negative."""
    return pd.Series([*table, None], dtype="str").take(np.where(codes < 0, len(table), codes)).reset_index(drop=True)


def stamps(settings: MarketSettings, day: Array) -> pd.Series:
    """Days from the cut-off as UTC timestamps in microseconds, on whole seconds."""
    shift = pd.to_timedelta(np.round(day * SECONDS).astype(np.int64), unit="s")
    return pd.Series((pd.Timestamp(settings.now) + shift).as_unit("us"))


def terms_frame(settings: MarketSettings, deals: Deals) -> pd.DataFrame:
    """What is known beforehand of each deal."""
    return pd.DataFrame({
        "creator_id": ids("creator_", deals.creator, 6),
        "brand": ids("brand_", deals.brand, 2),
        "product_niche": names(s.NICHES, deals.product_niche),
        "product_country": names(s.COUNTRIES, deals.product_country),
        "objective": names(s.OBJECTIVES, deals.objective),
        "starts_at": stamps(settings, deals.start),
        "promotion_hours": deals.hours,
        "deliverables": deals.deliverables,
        "spend": deals.spend,
    })  # fmt: skip


def collaborations_frame(settings: MarketSettings, brands: Brands, deals: Deals, counted: Counts,
                         rng: np.random.Generator) -> pd.DataFrame:  # fmt: skip
    """Past deals with what they brought up to `observed_until`."""
    n, bought = len(deals), counted.so_far
    campaign = ids("brand_", deals.brand, 2) + ids("_campaign_", deals.campaign, 2)
    keys = pd.DataFrame({"collaboration_id": ids("collab_", np.arange(n), 6), "campaign_id": campaign})
    revenue = bought * brands.order_value[deals.brand] * np.exp(rng.normal(0, 0.2, n))
    results = pd.DataFrame({
        "conversions": bought,
        "observed_until": stamps(settings, counted.until),
        "clicks": bought + rng.poisson((bought + 1) * np.exp(rng.normal(3.4, 0.5, n))),
        "revenue": np.round(revenue, 2),
        "coupon_redemptions": rng.binomial(bought, 0.35),
    })  # fmt: skip
    return pd.concat([keys, terms_frame(settings, deals), results], axis=1)


def conversions_frame(
    settings: MarketSettings, deals: Deals, counted: Counts, rng: np.random.Generator
) -> pd.DataFrame:
    """Conversions by UTC day for most collaborations; one that brought none has a zero on its first day."""
    named = rng.random(len(deals)) < settings.by_day_share
    keep = (counted.daily > 0) & named[:, None]
    keep[:, 0] |= named & (counted.so_far == 0)
    which, day = np.nonzero(keep)
    first = stamps(settings, deals.start).dt.floor("D").take(which).reset_index(drop=True)
    return pd.DataFrame({
        "collaboration_id": ids("collab_", which, 6),
        "date": (first + pd.Series(pd.to_timedelta(day, unit="D"))).dt.date,
        "conversions": counted.daily[which, day],
    })  # fmt: skip


def creators_frame(creators: Creators) -> pd.DataFrame:
    return pd.DataFrame({
        "creator_id": ids("creator_", np.arange(len(creators)), 6),
        "platform": names(s.PLATFORMS, creators.platform),
        "niche": names(s.NICHES, creators.niche),
        "country": names(s.COUNTRIES, creators.country),
        "language": names(s.LANGUAGES, creators.language),
        "followers": creators.followers.astype(np.int64),
    })  # fmt: skip


def posts_frame(settings: MarketSettings, posts: Posts) -> pd.DataFrame:
    brand = ids("brand_", np.maximum(posts.brand, 0), 2).where(posts.brand >= 0)
    return pd.DataFrame({
        "post_id": ids("post_", np.arange(len(posts)), 8),
        "creator_id": ids("creator_", posts.creator, 6),
        "posted_at": stamps(settings, posts.day),
        "followers": posts.followers,
        "views": pd.Series(posts.views).astype("Int64"),
        "likes": posts.likes,
        "comments": posts.comments,
        "shares": posts.shares,
        "saves": posts.saves,
        "is_sponsored": posts.sponsored,
        "brand": brand,
        "niche": names(s.NICHES, posts.niche),
    })  # fmt: skip


def comments_frame(settings: MarketSettings, posts: Posts, comments: Comments) -> pd.DataFrame:
    own = comments.kind == REPLY
    author = ids("author_", np.maximum(comments.author, 0), 7)
    creator = ids("creator_", posts.creator[comments.post], 6)
    return pd.DataFrame({
        "comment_id": ids("comment_", np.arange(len(comments)), 8),
        "post_id": ids("post_", comments.post, 8),
        "creator_id": creator,
        "commented_at": stamps(settings, comments.day),
        "author_id": author.where(~own, creator),
        "text": comments.text,
        "by_creator": own,
    })  # fmt: skip


def truth_frame(settings: MarketSettings, creators: Creators, deals: Deals, mean: Array, seen: Array,
                rng: np.random.Generator) -> pd.DataFrame:  # fmt: skip
    who = deals.creator
    followers, genuine = creators.followers_at(who, deals.start), creators.genuine_at(who, deals.start)
    return pd.DataFrame({
        "candidate_id": ids("cand_", np.arange(len(deals)), 6),
        "spend": deals.spend,
        "conversions": rng.poisson(mean * np.exp(deals.luck)),
        "rate": mean / deals.spend,
        "mean": mean,
        "band": np.searchsorted([1e4, 1e5, 1e6], followers, side="right"),
        "followers": followers,
        "er": engagement(settings, creators, who, genuine) * genuine / followers,
        "seen": seen,
    })  # fmt: skip


def make_market(settings: MarketSettings | None = None, seed: int = 1) -> World:
    """A whole made-up market; the same settings and seed give the same tables, value by value.

    Every part draws from a stream of its own, so that the number of sampled comments changes neither posts nor deals.
    """
    settings = settings or MarketSettings()
    streams = [np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(7)]
    creators, brands = draw_creators(settings, streams[0]), draw_brands(settings, streams[1])
    past, proposed = hire(settings, creators, brands, streams[2])
    posts = draw_posts(settings, creators, past, streams[3])
    comments = draw_comments(settings, creators, posts, streams[4])
    levels = level(settings, np.concatenate([past.start, proposed.start]), streams[5])
    before = Context(levels[: len(past)], sponsored_before(posts, past), earlier_with_brand(past, None))
    after = Context(levels[len(past) :], sponsored_before(posts, proposed), earlier_with_brand(proposed, past))
    past_mean = expected(settings, creators, brands, past, before)
    counted = counts(settings, creators, past, past_mean, streams[5])
    mean = expected(settings, creators, brands, proposed, after)
    seen = np.isin(proposed.creator, past.creator)
    collaborations = collaborations_frame(settings, brands, past, counted, streams[6])
    candidates = terms_frame(settings, proposed)
    candidates.insert(0, "candidate_id", ids("cand_", np.arange(len(proposed)), 6))
    return World(
        collaborations=collaborations,
        creators=creators_frame(creators),
        posts=posts_frame(settings, posts),
        comments=comments_frame(settings, posts, comments),
        conversions=conversions_frame(settings, past, counted, streams[6]),
        candidates=candidates,
        truth=truth_frame(settings, creators, proposed, mean, seen, streams[6]),
        finals=pd.DataFrame(
            {"collaboration_id": collaborations["collaboration_id"], "conversions": counted.final, "mean": past_mean}
        ),
    )
