"""Columns and tables that DATA lacks: what engagement counts then, and which features are named as not in use."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from features.history.source import open_history
from features.matrix import FeatureBuilder
from features.usage import UNREAD, changed_columns, columns_read, in_words, unread, unused
from tests.support.small_world import StubClassifier, Tables, small_world, write

pytestmark = pytest.mark.slow  # each opens a history anew

RATES = ["engagement_rate_median", "engagement_rate_mean", "engagement_per_view_median", "engagement_spread"]


@pytest.fixture(scope="module")
def tables() -> Tables:
    return small_world(3, creators=15, deals=60)


def _built(tables: Tables, folder: Path) -> tuple[pd.DataFrame, dict[str, str]]:
    with (
        open_history(write(tables, folder)) as history,
        FeatureBuilder(history, classifier=StubClassifier()) as builder,
    ):
        matrix = builder.build(tables["spine"])
        return matrix, unused(matrix, history.given)


@pytest.mark.parametrize(
    ("absent", "known"), [("comments", "likes"), pytest.param("likes", "comments", marks=pytest.mark.long)]
)
def test_engagement_counts_what_is_known(tables: Tables, tmp_path: Path, absent: str, known: str) -> None:
    posts = tables["posts"]
    alone, why = _built(tables | {"posts": posts.drop(columns=absent)}, tmp_path / "alone")
    nought, _ = _built(tables | {"posts": posts.assign(**{absent: 0})}, tmp_path / "nought")
    assert alone[RATES].notna().any().all()
    pd.testing.assert_frame_equal(alone[RATES], nought[RATES], check_exact=True)
    assert why["comments_per_like"] == f"no column posts.{absent}"
    assert not set(RATES) & set(why)


def test_a_single_missing_count_leaves_its_post_out(tables: Tables, tmp_path: Path) -> None:
    posts = tables["posts"]
    holes = posts.comments.isna() | posts.likes.isna()
    assert holes.any()
    whole, _ = _built(tables, tmp_path / "whole")
    out, _ = _built(
        tables | {"posts": posts.assign(likes=posts.likes.mask(holes), comments=posts.comments.mask(holes))},
        tmp_path / "out",
    )
    pd.testing.assert_frame_equal(whole[RATES], out[RATES], check_exact=True)


def test_features_not_in_use_are_named_with_the_reason(tables: Tables, tmp_path: Path) -> None:
    posts = tables["posts"].drop(columns=["saves", "views", "is_sponsored"]).assign(shares=None)
    less = {name: table for name, table in tables.items() if name != "comments"} | {"posts": posts}
    less["spine"] = tables["spine"].assign(promotion_hours=24.0)
    matrix, why = _built(less, tmp_path / "less")
    assert why["saves_per_like"] == "no column posts.saves"
    assert why["spend_per_view"] == why["views_per_follower"] == "no column posts.views"
    assert why["shares_per_like"] == "no value is known"
    assert why["spam_share"] == why["comments_seen"] == "no table comments"
    assert why["promotion_hours"] == "the same in every deal"
    assert set(matrix.columns[matrix.isna().all()]) <= set(why)
    lines = in_words(why)
    assert sum("no table comments: comments_seen, spam_share" in line for line in lines) == 1
    why = _built({name: t for name, t in less.items() if name != "posts"}, tmp_path / "none")[1]
    assert why["posts_90d"] == why["engagement_rate_median"] == why["spend_per_view"] == "no table posts"
    assert "followers" not in why


def test_with_all_tables_hardly_a_feature_is_out_of_use(tables: Tables, tmp_path: Path) -> None:
    assert set(_built(tables, tmp_path / "all")[1]) <= {"market_rate"}


def test_the_service_s_copy_of_data_lacks_the_same_columns(tables: Tables, tmp_path: Path) -> None:
    kept = pytest.importorskip("service.publish.kept_history")
    less = tables | {"posts": tables["posts"].drop(columns=["comments", "saves"])}
    data = write({name: table for name, table in less.items() if name != "comments"}, tmp_path / "data")
    kept.keep(str(data), tmp_path / "kept")
    with open_history(data) as history, open_history(f"duckdb://{tmp_path / 'kept' / kept.HISTORY}") as copy:
        assert copy.given == history.given


def test_no_feature_reads_what_is_not_watched(tables: Tables, tmp_path: Path) -> None:
    less = {name: table.drop(columns=list(UNREAD.get(name, ())), errors="ignore") for name, table in tables.items()}
    assert any(len(less[name].columns) < len(tables[name].columns) for name in UNREAD)
    whole, out = _built(tables, tmp_path / "whole")[0], _built(less, tmp_path / "out")[0]
    pd.testing.assert_frame_equal(whole, out, check_exact=True)


def test_columns_that_have_come_or_gone_since_the_training_are_named() -> None:
    terms = ["candidate_id", "objective"]
    trained = columns_read(
        {"collaborations": {"objective", "revenue"}, "posts": {"saves", "caption"}, "comments": {"text"}}
    )
    assert changed_columns(trained, trained, [*terms, "own column"]) is None
    assert (
        changed_columns(trained, {"comments": ["text"], "posts": ["saves"], "collaborations": ["objective"]}, terms)
        is None
    )
    given = {"collaborations": {"objective", "revenue"}, "posts": {"saves", "caption"}, "comments": {"text"}}
    assert unread(given) == {"collaborations": ["revenue"], "posts": ["caption"]}
    now = {"collaborations": {"objective", "clicks"}, "posts": {"views", "likes"}, "conversions": {"date"}}
    assert changed_columns(trained, now, ["deliverables"]) == (
        "the model was trained on other columns: gone since then: posts.saves, table comments, candidates.objective; "
        "new since then: collaborations.clicks, posts.likes, posts.views, table conversions, candidates.deliverables. "
        "Give it the same ones, or train anew"
    )
