"""Which features carry no information on a history, and why; which columns came or went since a training."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import pandas as pd

from features.catalogue import BY_NAME, CATALOGUE
from features.families.feature import COMMENTS_365, POSTS_90, POSTS_365
from features.history.contract import CANDIDATES

# table of what an as-of rule names, and the optional columns that features need beside it
TABLES = {
    POSTS_90: "posts",
    POSTS_365: "posts",
    COMMENTS_365: "comments",
    "posts before the month of the start": "posts",
}
RATES = (
    "engagement_rate_median",
    "engagement_rate_mean",
    "engagement_rate_year",
    "engagement_spread",
    "engagement_trend",
)
NEEDS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys((*RATES, "engagement_sponsored_ratio"), ("posts.likes or posts.comments", "posts.followers")),
    **{f"engagement_per_view_{one}": ("posts.likes or posts.comments", "posts.views") for one in ("median", "mean")},
    **{f"{one}_per_like{end}": ("posts.likes", f"posts.{one}") for one in ("comments", "saves", "shares")
       for end in ("", "_year")},
    **{f"followers_{one}": ("posts.followers",) for one in ("growth_90d", "jump", "drop")},
    **{f"views_per_follower{end}": ("posts.views", "posts.followers") for end in ("", "_year")},
    **dict.fromkeys(("niche_post_share", "own_niche_share", "niche_concentration", "niche_nearness"), ("posts.niche",)),
    **dict.fromkeys(("distinct_authors_share", "returning_share"), ("comments.author_id",)),
    **dict.fromkeys(("replies_per_comment", "reply_hours"), ("comments.by_creator",)),
    **dict.fromkeys(
        ("deliverables", "hours_per_deliverable", "spend_per_deliverable"), ("collaborations.deliverables",)
    ),
    "followers": ("posts.followers or creators.followers",),
    "tier": ("posts.followers or creators.followers",),
    "spend_per_follower": ("posts.followers or creators.followers",),
    "spend_per_view": ("posts.views", "posts.followers"),
    "country": ("creators.country",),
    "language": ("creators.language",),
    "product_country": ("collaborations.product_country",),
    "same_country": ("creators.country", "collaborations.product_country"),
    "language_match": ("creators.language", "creators.country", "collaborations.product_country"),
    "objective": ("collaborations.objective",),
    "creator_click_record": ("collaborations.clicks",),
}  # fmt: skip


# columns of the contract that no feature reads
UNREAD = {
    "collaborations": {"campaign_id", "revenue", "coupon_redemptions"},
    "posts": {"caption"},
}


def unused(matrix: pd.DataFrame, given: Mapping[str, frozenset[str]]) -> dict[str, str]:
    """By feature that cannot tell one row from another, why.

    matrix: the catalogue's columns. given: the columns that DATA has, by table (`History.given`).
    """
    out = {}
    for feature in CATALOGUE:
        if feature.name not in matrix:
            continue
        values = matrix[feature.name]
        if values.isna().all():
            out[feature.name] = _absent(feature.name, given) or "no value is known"
        elif len(values) > 1 and not values.isna().any() and values.nunique() == 1:
            out[feature.name] = "the same in every deal"
    return out


def _absent(name: str, given: Mapping[str, frozenset[str]]) -> str | None:
    """The first table or column that a feature needs and DATA lacks."""
    table = TABLES.get(BY_NAME[name].as_of)
    if table and table not in given and name not in ("followers", "tier"):
        return f"no table {table}"
    for need in NEEDS.get(name, ()):
        places = [place.split(".") for place in need.split(" or ")]
        if not any(column in given.get(table, frozenset()) for table, column in places):
            return (
                f"no {'column' if places[0][0] in given else 'table'} {need if places[0][0] in given else places[0][0]}"
            )
    return None


def in_words(found: Mapping[str, str]) -> list[str]:
    """One line a reason, with the features that it holds for."""
    by_reason: dict[str, list[str]] = {}
    for name, why in found.items():
        by_reason.setdefault(why, []).append(name)
    return [f"{why}: {', '.join(names)}" for why, names in by_reason.items()]


def columns_read(given: Mapping[str, Collection[str]]) -> dict[str, list[str]]:
    """The columns of DATA that features read, by table, as plain JSON values. given: by table, those that it has."""
    return {table: sorted({*columns} - UNREAD.get(table, set())) for table, columns in given.items()}


def unread(given: Mapping[str, Collection[str]]) -> dict[str, list[str]]:
    """The columns of DATA that no feature reads, by table that has some. given: by table, those that it has."""
    left = {table: sorted({*columns} & UNREAD.get(table, set())) for table, columns in given.items()}
    return {table: names for table, names in left.items() if names}


def changed_columns(
    trained: Mapping[str, Collection[str]], given: Mapping[str, Collection[str]], candidates: Collection[str]
) -> str | None:
    """Which columns have come or gone since a model was trained; None where all are as they were.

    trained: as `columns_read` gave it. given: the columns that DATA has now. candidates: those of the list.
    """
    terms = {name for name, column in CANDIDATES.columns.items() if not column.required}
    before = {**trained, CANDIDATES.name: terms & {*trained["collaborations"]}}
    now = {**columns_read(given), CANDIDATES.name: terms & {*candidates}}
    changes = {"gone": _beyond(before, now), "new": _beyond(now, before)}
    found = "; ".join(f"{kind} since then: {', '.join(names)}" for kind, names in changes.items() if names)
    return f"the model was trained on other columns: {found}. Give it the same ones, or train anew" if found else None


def _beyond(these: Mapping[str, Collection[str]], those: Mapping[str, Collection[str]]) -> list[str]:
    """Tables, and columns of tables that both have, that these have and those lack."""
    names = []
    for table, columns in these.items():
        if table not in those:
            names.append(f"table {table}")
        names += [f"{table}.{column}" for column in sorted({*columns} - {*those.get(table, columns)})]
    return names
