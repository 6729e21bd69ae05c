"""Audience: who follows the creator, how that number moved, and how many of them look.

Followers at a moment are those noted with the latest post before it; a creator without such a post has the number of
the creators table, which bears no date. Large steps between one post and the next are how bought followers show.
"""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from features.families.expressions import latest, ratio
from features.families.feature import POSTS_90, POSTS_365, UNDATED, Feature
from features.settings import TIERS

FAMILY = "audience"

FEATURES = (
    Feature(
        name="followers",
        family=FAMILY,
        entity="creator",
        label="number of followers",
        unit="accounts",
        formula="followers noted with the latest post; without one, those of the creators table",
        low=0,
        as_of=POSTS_365,
    ),
    Feature(
        name="tier",
        family=FAMILY,
        entity="creator",
        label="size class of the creator",
        unit="class",
        formula="nano, micro, mid, macro or mega by followers; the boundaries are a setting",
        as_of=POSTS_365,
        kind="category",
    ),
    Feature(
        name="followers_growth_90d",
        family=FAMILY,
        entity="creator",
        label="growth of followers in 90 days",
        unit="log ratio",
        formula="ln of followers now over followers 90 days earlier (the first known within the year if later)",
        as_of=POSTS_365,
    ),
    Feature(
        name="followers_jump",
        family=FAMILY,
        entity="creator",
        label="largest jump in followers from one post to the next",
        unit="log ratio",
        formula="highest ln ratio of followers between two posts in a row, the later within the year",
        as_of=POSTS_365,
    ),
    Feature(
        name="followers_drop",
        family=FAMILY,
        entity="creator",
        label="largest drop in followers from one post to the next",
        unit="log ratio",
        formula="lowest ln ratio of followers between two posts in a row, the later within the year",
        as_of=POSTS_365,
    ),
    Feature(
        name="views_per_follower",
        family=FAMILY,
        entity="creator",
        label="views per follower, lately",
        unit="ratio",
        formula="median of views / followers",
        low=0,
        as_of=POSTS_90,
    ),
    Feature(
        name="views_per_follower_year",
        family=FAMILY,
        entity="creator",
        label="views per follower over a year",
        unit="ratio",
        formula="median of views / followers",
        low=0,
        as_of=POSTS_365,
    ),
    Feature(
        name="platform",
        family=FAMILY,
        entity="creator",
        label="platform",
        unit="class",
        formula="platform of the creators table",
        as_of=UNDATED,
        kind="category",
    ),
)


def prepare_posts(posts: ir.Table) -> dict[str, ir.Value]:
    """Per post: views per follower, and the step in followers since the creator's post before."""
    earlier = ibis.window(group_by="creator_id", order_by="seq")
    previous = posts.followers.lag(1).over(earlier)
    return {
        "views_per_f": ratio(posts.views, posts.followers),
        "step": (posts.followers.nullif(0).cast("float64") / previous.nullif(0).cast("float64")).ln(),
    }


def followers_noted(p: ir.Table) -> ir.IntegerValue:
    """Followers of the latest of the posts that notes them."""
    return latest(p.followers, p.seq, ibis.literal(True))


def from_posts(p: ir.Table) -> dict[str, ir.Value]:
    """Aggregates over the posts of a year before each key."""
    return {
        "followers_posted": followers_noted(p),
        "followers_before": ibis.coalesce(
            latest(p.followers, p.seq, ~p.recent), p.followers.argmin(p.seq, where=p.followers.notnull())
        ),
        "followers_jump": p.step.max(),
        "followers_drop": p.step.min(),
        "views_per_follower": p.views_per_f.median(where=p.recent),
        "views_per_follower_year": p.views_per_f.median(),
    }


def tier(followers: ir.NumericValue, bounds: tuple[int, ...]) -> ir.StringValue:
    """Size class of a number of followers; missing where the number is."""
    steps = [(followers < bound, name) for bound, name in zip(bounds, TIERS, strict=False)]
    return ibis.cases((followers.isnull(), ibis.null("string")), *steps, else_=TIERS[-1])


def followers_known(t: ir.Table) -> ir.IntegerValue:
    """Followers noted with the latest post, else those of the creators table."""
    return ibis.coalesce(t.followers_posted, t.followers_listed)


def finish(t: ir.Table, bounds: tuple[int, ...]) -> dict[str, ir.Value]:
    """The columns that need the whole row: `followers_posted` and the creators table's `followers_listed` beside each
    other.
    """
    followers = followers_known(t)
    return {
        "followers": followers.cast("float64"),
        "tier": tier(followers, bounds),
        "followers_growth_90d": (ratio(t.followers_posted.nullif(0), t.followers_before)).ln(),
    }
