"""Rows that find what they belong to, and what has rows, counted both ways."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import ibis
import pandas as pd
import pytest

from features.history.joins import Join, joins
from tests.support.contract_tables import frames


def found(**other: pd.DataFrame | None) -> dict[str, Join]:
    """The joins of the small history, some tables of which are others, by column."""
    tables = {name: None if table is None else ibis.memtable(table) for name, table in (frames() | other).items()}
    history: Any = SimpleNamespace(**tables)
    return {f"{join.table}.{join.column}": join for join in joins(history)}


@pytest.fixture(scope="module")
def whole() -> dict[str, Join]:
    return found()


def test_both_sides_are_counted(whole: dict[str, Join]) -> None:
    counts = {name: (one.matched, one.rows, one.with_rows, one.parents) for name, one in whole.items()}
    assert counts == {
        "collaborations.creator_id": (6, 6, 4, 4),
        "posts.creator_id": (8, 8, 4, 4),
        "comments.post_id": (10, 10, 8, 8),
        "comments.creator_id": (10, 10, 4, 4),
        "conversions.collaboration_id": (3, 3, 2, 6),
    }
    days = whole["conversions.collaboration_id"]
    assert days.without == ("r1", "r3", "r4")
    assert str(days) == (
        "conversions.collaboration_id: 3 of 3 rows find their collaboration; 2 of 6 collaborations have rows "
        "(not 'r1', 'r3', 'r4', …)"
    )


def test_what_is_not_matched_is_named_by_its_first_ids() -> None:
    comments = frames()["comments"]
    comments["post_id"] = [*(f"gone{i}" for i in range(4)), *comments.post_id[4:]]
    comments.loc[4:, "creator_id"] = None  # the post says whose they are
    creators = pd.concat([frames()["creators"], pd.DataFrame({"creator_id": ["c8", "c9"]})])
    some = found(comments=comments, creators=creators)
    under = some["comments.post_id"]
    assert (under.rows, under.matched, under.unmatched) == (10, 6, ("gone0", "gone1", "gone2"))
    assert (under.with_rows, under.without) == (6, ("p2", "p3"))
    assert "6 of 10 rows find their post (not 'gone0', 'gone1', 'gone2', …)" in str(under)
    by = some["comments.creator_id"]
    assert (by.rows, by.matched, by.with_rows, by.parents, by.without) == (10, 10, 4, 6, ("c8", "c9"))


def test_absent_tables_are_not_joined() -> None:
    assert set(found(posts=None, comments=None, conversions=None)) == {"collaborations.creator_id"}
    alone = found(posts=None)
    assert (alone["comments.creator_id"].rows, alone["comments.creator_id"].matched) == (10, 10)
    assert "comments.post_id" not in alone
