"""Niche: whether what the creator stands for, and where the audience lives, suits what is promoted.

Nearness of niches is learnt from what creators of one niche post about; it is taken at the begin of the start's month.
"""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from features.families.expressions import AS_OF, ratio, whole
from features.families.feature import POSTS_365, TERMS, UNDATED, Feature

FAMILY = "niche"

FEATURES = (
    Feature(
        name="creator_niche",
        family=FAMILY,
        entity="creator",
        label="niche of the creator",
        unit="class",
        formula="niche of the creators table",
        as_of=UNDATED,
        kind="category",
    ),
    Feature(
        name="product_niche",
        family=FAMILY,
        entity="deal",
        label="niche of the product",
        unit="class",
        formula="product_niche as given",
        as_of=TERMS,
        kind="category",
    ),
    Feature(
        name="same_niche",
        family=FAMILY,
        entity="creator and product niche",
        label="creator of the product's own niche",
        unit="0 or 1",
        formula="1 where the creator's niche is the product's",
        low=0,
        high=1,
        as_of=UNDATED,
    ),
    Feature(
        name="niche_post_share",
        family=FAMILY,
        entity="creator and product niche",
        label="share of posts in the product's niche",
        unit="share",
        formula="posts in the product's niche / posts of known niche",
        low=0,
        high=1,
        as_of=POSTS_365,
    ),
    Feature(
        name="own_niche_share",
        family=FAMILY,
        entity="creator",
        label="share of posts in the creator's own niche",
        unit="share",
        formula="posts in the creator's niche / posts of known niche",
        low=0,
        high=1,
        as_of=POSTS_365,
    ),
    Feature(
        name="niche_concentration",
        family=FAMILY,
        entity="creator",
        label="how much the creator keeps to few niches",
        unit="share",
        formula="sum of squared shares of niches among posts (Herfindahl index)",
        low=0,
        high=1,
        as_of=POSTS_365,
    ),
    Feature(
        name="niche_nearness",
        family=FAMILY,
        entity="niche pair",
        label="nearness of the two niches",
        unit="share",
        formula="posts in the product's niche / all posts of known niche, by creators of this creator's niche",
        low=0,
        high=1,
        as_of="posts before the month of the start",
    ),
    Feature(
        name="country",
        family=FAMILY,
        entity="creator",
        label="country of the creator",
        unit="class",
        formula="country of the creators table",
        as_of=UNDATED,
        kind="category",
    ),
    Feature(
        name="product_country",
        family=FAMILY,
        entity="deal",
        label="country of sale",
        unit="class",
        formula="product_country as given",
        as_of=TERMS,
        kind="category",
    ),
    Feature(
        name="same_country",
        family=FAMILY,
        entity="creator and product country",
        label="creator from the country of sale",
        unit="0 or 1",
        formula="1 where the creator's country is the product's",
        low=0,
        high=1,
        as_of=UNDATED,
    ),
    Feature(
        name="language",
        family=FAMILY,
        entity="creator",
        label="language of the creator",
        unit="class",
        formula="language of the creators table",
        as_of=UNDATED,
        kind="category",
    ),
    Feature(
        name="language_match",
        family=FAMILY,
        entity="creator and product country",
        label="creator's language in the country of sale",
        unit="share",
        formula="share of the creators of the country of sale who speak the creator's language",
        low=0,
        high=1,
        as_of=UNDATED,
    ),
)


def shares(counts: ir.Table) -> ir.Table:
    """From posts per (creator, as-of, niche), one row per creator and moment: their number and how few niches they
    keep to.
    """
    total = counts.n.sum()
    return counts.group_by("creator_id", AS_OF).aggregate(
        niche_posts=total,
        niche_concentration=ratio((counts.n * counts.n).sum(), total * total),
    )


def monthly(posts: ir.Table, creators: ir.Table) -> ir.Table:
    """Posts per niche of the creator, niche of the post and month; `at` is the month's begin."""
    c = creators.select(_creator="creator_id", creator_niche="niche")
    p = posts.filter(posts.niche.notnull())
    p = p.inner_join(c, [p.creator_id == c._creator])
    p = p.filter(p.creator_niche.notnull())
    return p.group_by(
        "creator_niche", product_niche=p.niche, at=p.posted_at.truncate("M").cast("timestamp(6)")
    ).aggregate(n=p.count())


def languages(creators: ir.Table) -> ir.Table:
    """Share of each country's creators by language."""
    known = creators.filter(creators.country.notnull() & creators.language.notnull())
    counted = known.group_by("country", "language").aggregate(n=known.count())
    all_of = counted.n.sum().over(ibis.window(group_by="country"))
    return counted.select(product_country="country", language="language", language_share=ratio(counted.n, all_of))


def finish(t: ir.Table) -> dict[str, ir.Value]:
    """Shares of the counts; no post in a niche is a share of 0 where posts of known niche exist."""
    return {
        "same_niche": whole(t.creator_niche == t.product_niche).cast("float64"),
        "same_country": whole(t.country == t.product_country).cast("float64"),
        "niche_post_share": ratio(t.product_niche_posts.fill_null(0), t.niche_posts),
        "own_niche_share": ratio(t.own_niche_posts.fill_null(0), t.niche_posts),
        "niche_nearness": ratio(t.near_posts.fill_null(0), t.near_all),
        "language_match": ibis.ifelse(
            t.language.notnull() & t.country_known, t.language_share.fill_null(0.0), ibis.null("float64")
        ),
    }
