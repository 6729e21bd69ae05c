"""What the tables of DATA find of each other: rows that find what they belong to, and what has rows, with counts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import ibis
import ibis.expr.types as ir

from features.engines.duckdb import stands_in_duckdb
from features.faults import shorten
from features.history.source import History

SHOWN = 3  # keys without a counterpart
ONE = {"creators": "creator", "posts": "post", "collaborations": "collaboration"}


@dataclass(frozen=True)
class Join:
    """Rows of a table beside the parents that they name.

    rows, matched: how many name a parent, and how many find it. parents, with_rows: how many parents there are, and how
    many have rows. unmatched, without: the first keys that are no parent's, and of parents without rows, SHOWN at most.
    """

    table: str
    column: str
    parent: str
    rows: int
    matched: int
    parents: int
    with_rows: int
    unmatched: tuple[str, ...]
    without: tuple[str, ...]

    def __str__(self) -> str:
        rows = f"{self.matched:,} of {self.rows:,} rows find their {ONE[self.parent]}{first_of(self.unmatched)}"
        parents = f"{self.with_rows:,} of {self.parents:,} {self.parent} have rows{first_of(self.without)}"
        return f"{self.table}.{self.column}: {rows}; {parents}"


def joins(history: History) -> tuple[Join, ...]:
    """Every join of the tables that are there, both ways; a pass over both keys each."""
    return tuple(_joins(history))


def _joins(history: History) -> Iterator[Join]:
    deals, creators, posts = history.collaborations, history.creators, history.posts
    yield _join("collaborations", "creator_id", "creators", deals.creator_id, creators.creator_id)
    if posts is not None:
        yield _join("posts", "creator_id", "creators", posts.creator_id, creators.creator_id)
    if (comments := history.comments) is not None:
        owner = comments.creator_id
        if posts is not None:
            yield _join("comments", "post_id", "posts", comments.post_id, posts.post_id)
            owners = posts.select(post="post_id", owner="creator_id")
            comments = comments.left_join(owners, comments.post_id == owners.post)
            owner = ibis.coalesce(comments.creator_id, comments.owner)
        yield _join("comments", "creator_id", "creators", owner, creators.creator_id)
    if (days := history.conversions) is not None:
        yield _join("conversions", "collaboration_id", "collaborations", days.collaboration_id, deals.collaboration_id)


@ibis.udf.agg.builtin(name="min")
def _smallest(key: str, number: int) -> list[str]:  # type: ignore[empty-body]
    """The engine's own: so many of the smallest keys."""


def _first(keys: ir.Column) -> list[str]:
    """The same of an engine that has no such function."""
    table = keys.name("key").as_table()
    found: list[str] = table.filter(table.key.notnull()).order_by("key").limit(SHOWN).key.to_pyarrow().to_pylist()
    return found


def _join(table: str, column: str, parent: str, keys: ir.Column, known: ir.Column) -> Join:
    rows = keys.name("key").as_table()
    rows = rows.filter(rows.key.notnull()).group_by("key").agg(rows=ibis._.count())
    held = known.name("held").as_table().distinct()
    both = rows.outer_join(held, rows.key == held.held)
    named, there = both.key.notnull(), both.held.notnull()
    alone = {
        "unmatched": ibis.ifelse(there, ibis.null("string"), both.key),
        "without": ibis.ifelse(named, ibis.null("string"), both.held),
    }
    at_once = stands_in_duckdb(both)
    counted: dict[str, Any] = both.aggregate(
        rows=both.rows.sum(),
        matched=both.rows.sum(where=there),
        parents=both.count(where=there),
        with_rows=both.count(where=there & named),
        **({n: _smallest(c, SHOWN) for n, c in alone.items()} if at_once else {}),
    ).to_pyarrow().to_pylist()[0]  # fmt: skip
    if not at_once:
        counted |= {n: _first(column) for n, column in alone.items()}
    rows_and_parents = (counted["rows"] or 0, counted["matched"] or 0, counted["parents"], counted["with_rows"])
    unmatched, without = (tuple(counted[name] or ()) for name in ("unmatched", "without"))
    return Join(table, column, parent, *rows_and_parents, unmatched, without)


def first_of(keys: tuple[str, ...]) -> str:
    """The first keys of what has no counterpart, in brackets; empty where there are none."""
    more = ", …" if len(keys) == SHOWN else ""
    return f" (not {', '.join(map(shorten, keys))}{more})" if keys else ""
