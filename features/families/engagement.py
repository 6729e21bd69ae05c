"""Engagement: how much an audience does with what it sees, how evenly, and how regularly there is something to see.

An engagement is a like or a comment. Where the posts of DATA lack one of these two columns altogether, the other one
alone counts; where a post lacks a single value, its engagement is missing, since one part of it would seem too little.
Rates are per follower or per view, so the denominator is in each name's formula.
"""

from __future__ import annotations

from collections.abc import Collection

import ibis
import ibis.expr.types as ir

from features.families.expressions import COARSE_BITS, coarse, days_between, fixed, ratio, spread, unfixed
from features.families.feature import POSTS_90, POSTS_365, Feature

FAMILY = "engagement"
MOST = 100.0  # a post with more engagements per follower than this says no more than that it went round the world


def _of_posts(
    name: str, label: str, unit: str, formula: str, as_of: str = POSTS_365, high: float | None = None
) -> Feature:
    return Feature(
        name=name,
        family=FAMILY,
        entity="creator",
        label=label,
        unit=unit,
        formula=formula,
        low=0,
        high=high,
        as_of=as_of,
    )


def _rate(name: str, label: str, how: str, below: str, as_of: str = POSTS_90) -> Feature:
    formula = f"{how} of (likes + comments) / {below}, each at most {MOST:g}; the one that DATA has, without the other"
    return _of_posts(name, label, "share", formula, as_of, MOST)


def _per_like(what: str) -> tuple[Feature, Feature]:
    """Of the last 90 days, and of the year."""
    formula = f"sum of {what} / sum of likes, posts whose {what} are known"
    return (
        _of_posts(f"{what}_per_like", f"{what} per like", "ratio", formula, POSTS_90),
        _of_posts(f"{what}_per_like_year", f"{what} per like over a year", "ratio", formula),
    )


FEATURES = (
    _rate("engagement_rate_median", "engagement per follower, typical post", "median", "followers"),
    _rate("engagement_rate_mean", "engagement per follower, average", "mean", "followers"),
    _rate("engagement_rate_year", "engagement per follower over a year", "median", "followers", POSTS_365),
    _rate("engagement_per_view_median", "engagement per view, typical post", "median", "views"),
    _rate("engagement_per_view_mean", "engagement per view, average", "mean", "views"),
    _of_posts(
        "engagement_spread",
        "how much engagement differs from post to post",
        "standard deviation of ln",
        "standard deviation of ln(engagement per follower + 1e-6)",
    ),
    *(feature for what in ("comments", "saves", "shares") for feature in _per_like(what)),
    _of_posts(
        "engagement_sponsored_ratio",
        "engagement of sponsored posts against the others",
        "ratio",
        "sum of engagements / sum of followers over sponsored posts, over the same of the posts known to be others",
    ),
    _of_posts(
        "engagement_trend",
        "engagement lately against the year",
        "ratio",
        "sum of engagements / sum of followers, last 90 days over 365 days",
    ),
    _of_posts("posts_90d", "posts in 90 days", "posts", "number of posts; missing without one in the year", POSTS_90),
    _of_posts(
        "posting_gap_days",
        "days from post to post",
        "days",
        "median days between two posts in a row, the later within the year",
    ),
    _of_posts(
        "posting_irregularity",
        "irregularity of posting",
        "ratio",
        "standard deviation of the days between two posts in a row / their mean",
    ),
    _of_posts(
        "days_since_post",
        "days since the latest post",
        "days",
        "the history's end minus the latest post, at least 0",
        high=365,
    ),
)


def _engaged(posts: ir.Table, given: Collection[str]) -> ir.NumericValue:
    if "comments" not in given and "likes" in given:
        return posts.likes
    if "likes" not in given and "comments" in given:
        return posts.comments
    return posts.likes + posts.comments


def prepare_posts(posts: ir.Table, given: Collection[str] = ("likes", "comments")) -> dict[str, ir.Value]:
    """Per post: rates, their places on the exact grid, and the days since the creator's post before.

    given: the columns that DATA's posts have.
    """
    earlier = ibis.window(group_by="creator_id", order_by="seq")
    engaged = _engaged(posts, given)
    rate = ratio(engaged, posts.followers).clip(upper=MOST)
    per_view = ratio(engaged, posts.views).clip(upper=MOST)
    gap = days_between(posts.posted_at, posts.posted_at.lag(1).over(earlier))
    return {
        "engaged": engaged,
        "rate": rate,
        "per_view": per_view,
        "rate_fixed": fixed(rate),
        "per_view_fixed": fixed(per_view),
        "log_coarse": coarse((rate + 1e-6).ln()),
        "gap": gap,
        "gap_coarse": coarse(gap),
    }


def from_posts(p: ir.Table) -> dict[str, ir.Value]:
    """Aggregates over the posts of a year before each key; pairs of sums become ratios in `finish`."""
    known_saves, known_shares = p.saves.notnull(), p.shares.notnull()
    known_rate = p.rate.notnull()
    return {
        "engagement_rate_median": p.rate.median(where=p.recent),
        "engagement_rate_year": p.rate.median(),
        "engagement_per_view_median": p.per_view.median(where=p.recent),
        "rate_sum": p.rate_fixed.sum(where=p.recent),
        "rate_n": p.rate_fixed.count(where=p.recent),
        "per_view_sum": p.per_view_fixed.sum(where=p.recent),
        "per_view_n": p.per_view_fixed.count(where=p.recent),
        "log_sum": p.log_coarse.sum(),
        "log2_sum": (p.log_coarse * p.log_coarse).sum(),
        "log_n": p.log_coarse.count(),
        "likes_90": p.likes.sum(where=p.recent & p.comments.notnull()),
        "comments_90": p.comments.sum(where=p.recent & p.likes.notnull()),
        "likes_365": p.likes.sum(where=p.comments.notnull()),
        "comments_365": p.comments.sum(where=p.likes.notnull()),
        "saves_90": p.saves.sum(where=p.recent & p.likes.notnull()),
        "save_likes_90": p.likes.sum(where=p.recent & known_saves),
        "saves_365": p.saves.sum(where=p.likes.notnull()),
        "save_likes_365": p.likes.sum(where=known_saves),
        "shares_90": p.shares.sum(where=p.recent & p.likes.notnull()),
        "share_likes_90": p.likes.sum(where=p.recent & known_shares),
        "shares_365": p.shares.sum(where=p.likes.notnull()),
        "share_likes_365": p.likes.sum(where=known_shares),
        "engaged_sponsored": p.engaged.sum(where=known_rate & p.is_sponsored),
        "followers_sponsored": p.followers.sum(where=known_rate & p.is_sponsored),
        "engaged_organic": p.engaged.sum(where=known_rate & ~p.is_sponsored),
        "followers_organic": p.followers.sum(where=known_rate & ~p.is_sponsored),
        "engaged_90": p.engaged.sum(where=known_rate & p.recent),
        "followers_90": p.followers.sum(where=known_rate & p.recent),
        "engaged_365": p.engaged.sum(where=known_rate),
        "followers_365": p.followers.sum(where=known_rate),
        "posts_90": p.count(where=p.recent),
        "posting_gap_days": p.gap.median(),
        "gap_sum": p.gap_coarse.sum(),
        "gap2_sum": (p.gap_coarse * p.gap_coarse).sum(),
        "gap_n": p.gap_coarse.count(),
        "last_post_at": p.posted_at.max(),
    }


def finish(t: ir.Table) -> dict[str, ir.Value]:
    """Ratios of the sums; a creator without posts in the year has none of them."""
    return {
        "engagement_rate_mean": ratio(unfixed(t.rate_sum), t.rate_n),
        "engagement_per_view_mean": ratio(unfixed(t.per_view_sum), t.per_view_n),
        "engagement_spread": spread(t.log_sum, t.log2_sum, t.log_n),
        "comments_per_like": ratio(t.comments_90, t.likes_90),
        "comments_per_like_year": ratio(t.comments_365, t.likes_365),
        "saves_per_like": ratio(t.saves_90, t.save_likes_90),
        "saves_per_like_year": ratio(t.saves_365, t.save_likes_365),
        "shares_per_like": ratio(t.shares_90, t.share_likes_90),
        "shares_per_like_year": ratio(t.shares_365, t.share_likes_365),
        "engagement_sponsored_ratio": ratio(
            ratio(t.engaged_sponsored, t.followers_sponsored), ratio(t.engaged_organic, t.followers_organic)
        ),
        "engagement_trend": ratio(ratio(t.engaged_90, t.followers_90), ratio(t.engaged_365, t.followers_365)),
        "posts_90d": t.posts_90.cast("float64"),
        "posting_irregularity": ratio(
            spread(t.gap_sum, t.gap2_sum, t.gap_n), ratio(t.gap_sum, t.gap_n) / 2**COARSE_BITS
        ),
        "days_since_post": days_between(t.history_end, t.last_post_at).clip(lower=0.0),
    }
