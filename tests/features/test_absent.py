"""Features of tables and columns that are absent are missing, never zero, and results that are left out shape none."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pandas as pd
import pytest

from features.catalogue import BY_NAME, CATALOGUE
from features.history.source import History, open_history
from features.matrix import FeatureBuilder
from tests.support.matrices import MOMENTS, assert_same, build
from tests.support.small_world import StubClassifier, Tables, write

RECORDS = [f.name for f in CATALOGUE if f.family == "track_record"]
RATES = {
    n
    for n in BY_NAME
    if n.startswith(("engagement_rate", "engagement_spread", "engagement_sponsored", "engagement_trend"))
}
PER_VIEW = {"engagement_per_view_median", "engagement_per_view_mean"}
PER_LIKE = {f"{what}_per_like{year}" for what in ("comments", "saves", "shares") for year in ("", "_year")}
GAPS = {"posts_90d", "posting_gap_days", "posting_irregularity", "days_since_post"}
STEPS = {"followers_growth_90d", "followers_jump", "followers_drop"}
VIEWED = {"views_per_follower", "views_per_follower_year", "spend_per_view"}
SPONSORED = {"sponsored_share", "sponsored_share_year", "engagement_sponsored_ratio"}
POSTED_NICHES = {"niche_post_share", "own_niche_share", "niche_concentration", "niche_nearness"}
POSTED = RATES | PER_VIEW | PER_LIKE | GAPS | STEPS | VIEWED | SPONSORED | POSTED_NICHES
COMMENTED = {f.name for f in CATALOGUE if f.family == "comments"}
REPLIES = {"replies_per_comment", "reply_hours"}
SIZE = {"followers", "tier", "spend_per_follower", "tier_record", "tier_evidence"}
# what is absent: (columns that are missing then, columns whose values change then)
ABSENT: dict[str, tuple[set[str], set[str]]] = {
    # a comment that names its post alone belongs to nobody then
    "posts": (POSTED, {"brands_90d", "rest_days", *SIZE, *COMMENTED}),
    "comments": (COMMENTED, set()),
    "conversions": (set(), set(RECORDS)),
    "posts.followers": (RATES | STEPS | VIEWED, SIZE),
    "creators.followers": (set(), SIZE),
    "posts.followers creators.followers": (RATES | STEPS | VIEWED | SIZE, set()),
    "posts.views comments.by_creator collaborations.clicks": (
        PER_VIEW | VIEWED | REPLIES | {"creator_click_record"},
        COMMENTED - REPLIES,
    ),
    "posts.likes creators.language": (RATES | PER_VIEW | PER_LIKE | {"language", "language_match"}, set()),
    "posts.saves posts.is_sponsored creators.country": (
        {"saves_per_like", "saves_per_like_year", "country", "same_country", "language_match"} | SPONSORED,
        {"rest_days", "brands_90d"},
    ),
    "posts.comments posts.niche comments.author_id": (
        RATES
        | PER_VIEW
        | POSTED_NICHES
        | {"comments_per_like", "comments_per_like_year"}
        | {"distinct_authors_share", "returning_share"},
        set(),
    ),
    "posts.shares posts.brand posts.caption collaborations.revenue comments.creator_id": (
        {"shares_per_like", "shares_per_like_year"},
        {"brands_90d"},
    ),
}
FEW_ABSENT = ("posts", "comments", "conversions", "posts.followers creators.followers")


def _reach(tables: Tables) -> pd.Series:
    """The last day before that of each spine row on which the tables know of anything, from which windows reckon."""
    moments = [tables[name][at] for name, at in MOMENTS.items() if name in tables]
    known = np.unique(pd.concat(moments).dt.normalize())
    return pd.Series(np.searchsorted(known, tables["spine"].starts_at.dt.normalize().to_numpy())).map(
        lambda place: known[place - 1]
    )


def _without(history: History, absent: str) -> History:
    """The history without a table, or with columns that are NULLs, as `open_history` gives what is absent."""
    if "." not in absent:
        gone: dict[str, Any] = {absent: None}
        return dataclasses.replace(history, **gone)
    for name in absent.split():
        table, column = name.split(".")
        whole = getattr(history, table)
        nulls = ibis.null(whole[column].type())
        history = dataclasses.replace(history, **{table: whole.mutate(**{column: nulls})})
    return history


@pytest.mark.slow
@pytest.mark.parametrize(
    "absent", [one if one in FEW_ABSENT else pytest.param(one, marks=pytest.mark.long) for one in ABSENT]
)
def test_what_is_absent_is_missing(history: History, tables: Tables, matrix: pd.DataFrame, absent: str) -> None:
    missing, changed = ABSENT[absent]
    with FeatureBuilder(_without(history, absent), classifier=StubClassifier()) as builder:
        found = builder.build(tables["spine"])
    assert found[sorted(missing)].isna().all(axis=None)
    rest = [name for name in found.columns if name not in missing | changed]
    alike = _reach(tables) == _reach({name: table for name, table in tables.items() if name != absent})
    assert alike.mean() > 0.7
    assert_same(found[alike][rest], matrix[alike][rest])
    if changed:
        assert not found[sorted(changed)].equals(matrix[sorted(changed)])


@pytest.mark.slow
def test_optional_columns_may_be_left_out_of_the_files(tables: Tables, matrix: pd.DataFrame, tmp_path: Path) -> None:
    """A column that no file has is the same as one without a value."""
    without = {"posts": ["views", "caption"], "comments": ["by_creator"], "collaborations": ["clicks", "revenue"]}
    smaller = {name: table.drop(columns=without.get(name, [])) for name, table in tables.items()}
    missing, changed = ABSENT["posts.views comments.by_creator collaborations.clicks"]
    found = build(write(smaller, tmp_path / "world"), tables["spine"])
    rest = [name for name in found.columns if name not in missing | changed]
    assert_same(found[rest], matrix[rest])
    assert found[sorted(missing)].isna().all(axis=None)


@pytest.mark.slow
def test_results_that_are_left_out_shape_no_feature(tables: Tables, matrix: pd.DataFrame, tmp_path: Path) -> None:
    deals = tables["collaborations"]
    gone = set(deals.collaboration_id[deals.starts_at < tables["spine"].starts_at.median()][::3])
    smaller = {
        name: table[~table.collaboration_id.isin(gone)] if name in ("collaborations", "conversions") else table
        for name, table in tables.items()
    }
    expected = build(write(smaller, tmp_path / "smaller"), tables["spine"])
    assert not expected.equals(matrix)
    with (
        open_history(write(tables, tmp_path / "all")) as history,
        FeatureBuilder(history.without(gone), classifier=StubClassifier()) as builder,
    ):
        assert_same(builder.build(tables["spine"]), expected)
