"""Partnership: how long creator and brand know each other, and how many others the creator works for.

Deals are collaborations that started before the moment, whatever came of them; sponsored posts show deals with
others.
"""

from __future__ import annotations

import ibis.expr.types as ir

from features.families.expressions import AS_OF, days_between, later, ratio, whole
from features.families.feature import DEALS, POSTS_90, POSTS_365, TERMS, Feature

FAMILY = "partnership"
DEALS_AND_POSTS = "collaborations and sponsored posts that started before the start"

FEATURES = (
    Feature(
        name="brand",
        family=FAMILY,
        entity="deal",
        label="brand",
        unit="class",
        formula="brand as given",
        as_of=TERMS,
        kind="category",
    ),
    Feature(
        name="deals_with_brand",
        family=FAMILY,
        entity="creator and brand",
        label="earlier deals with this brand",
        unit="deals",
        formula="number of earlier collaborations of the two",
        low=0,
        as_of=DEALS,
    ),
    Feature(
        name="days_since_first_deal",
        family=FAMILY,
        entity="creator and brand",
        label="days since the first deal with this brand",
        unit="days",
        formula="start minus the start of the first collaboration of the two",
        low=0,
        as_of=DEALS,
    ),
    Feature(
        name="days_since_deal",
        family=FAMILY,
        entity="creator and brand",
        label="days since the latest deal with this brand",
        unit="days",
        formula="start minus the start of the latest collaboration of the two",
        low=0,
        as_of=DEALS,
    ),
    Feature(
        name="creator_deals",
        family=FAMILY,
        entity="creator",
        label="earlier deals of the creator",
        unit="deals",
        formula="number of earlier collaborations of the creator",
        low=0,
        as_of=DEALS,
    ),
    Feature(
        name="brand_deals",
        family=FAMILY,
        entity="brand",
        label="earlier deals of the brand",
        unit="deals",
        formula="number of earlier collaborations of the brand",
        low=0,
        as_of=DEALS,
    ),
    Feature(
        name="brands_90d",
        family=FAMILY,
        entity="creator",
        label="brands the creator worked for in 90 days",
        unit="brands",
        formula="distinct brands of collaborations and, where posts are given, of sponsored posts in the last 90 days",
        low=0,
        as_of=DEALS_AND_POSTS,
    ),
    Feature(
        name="sponsored_share",
        family=FAMILY,
        entity="creator",
        label="share of sponsored posts",
        unit="share",
        formula="sponsored posts / posts",
        low=0,
        high=1,
        as_of=POSTS_90,
    ),
    Feature(
        name="sponsored_share_year",
        family=FAMILY,
        entity="creator",
        label="share of sponsored posts over a year",
        unit="share",
        formula="sponsored posts / posts",
        low=0,
        high=1,
        as_of=POSTS_365,
    ),
    Feature(
        name="rest_days",
        family=FAMILY,
        entity="creator",
        label="days since the latest sponsorship",
        unit="days",
        formula="the history's end minus the latest collaboration, or sponsored post of the year, at least 0",
        low=0,
        as_of=DEALS_AND_POSTS,
    ),
)


def from_posts(p: ir.Table) -> dict[str, ir.Value]:
    """Aggregates over the posts of a year before each key."""
    sponsored = whole(p.is_sponsored)
    return {
        "sponsored_90": sponsored.sum(where=p.recent),
        "sponsored_n_90": sponsored.count(where=p.recent),
        "sponsored_365": sponsored.sum(),
        "sponsored_n_365": sponsored.count(),
        "last_sponsored_at": p.posted_at.max(where=p.is_sponsored),
    }


def from_deals(d: ir.Table) -> dict[str, ir.Value]:
    """Aggregates over the creator's collaborations before each key."""
    return {
        "creator_deals_n": d.count(),
        "usual_spend": d.spend.median(),
        "last_deal_at": d.starts_at.max(),
    }


def from_pair_deals(d: ir.Table) -> dict[str, ir.Value]:
    """Aggregates over the collaborations of creator and brand before each key."""
    return {"pair_deals_n": d.count(), "first_pair_at": d.starts_at.min(), "last_pair_at": d.starts_at.max()}


def sponsors(collaborations: ir.Table, posts: ir.Table) -> ir.Table:
    """Creator, brand and moment of every known sponsorship; sponsored posts without a named brand add none."""
    deals = collaborations.select("creator_id", "brand", at=collaborations.starts_at)
    named = posts.filter(posts.is_sponsored & posts.brand.notnull())
    return deals.union(named.select("creator_id", "brand", at=named.posted_at), distinct=False)


def from_sponsors(s: ir.Table) -> dict[str, ir.Value]:
    """Aggregates over the sponsorships of the last 90 days before each key."""
    return {"brands_n": s.brand.nunique()}


def finish(t: ir.Table) -> dict[str, ir.Value]:
    """No earlier deal counts as 0 deals, since all of the brand's collaborations are listed; days since one are then
    missing.
    """
    return {
        "deals_with_brand": t.pair_deals_n.fill_null(0).cast("float64"),
        "days_since_first_deal": days_between(t[AS_OF], t.first_pair_at),
        "days_since_deal": days_between(t[AS_OF], t.last_pair_at),
        "creator_deals": t.creator_deals_n.fill_null(0).cast("float64"),
        "brand_deals": t.brand_deals_n.fill_null(0).cast("float64"),
        "brands_90d": t.brands_n.fill_null(0).cast("float64"),
        "sponsored_share": ratio(t.sponsored_90, t.sponsored_n_90),
        "sponsored_share_year": ratio(t.sponsored_365, t.sponsored_n_365),
        "rest_days": days_between(t.history_end, later(t.last_deal_at, t.last_sponsored_at)).clip(lower=0.0),
    }
