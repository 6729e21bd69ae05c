"""Random histories that keep the contract, a few rows a table, full of what engines do not agree on: a strategy.

Moments meet to the microsecond, or lie a window's length apart, around midnight, leap days and ends of years; any
value that may be missing is; counts are 0 or near 2**53; ids differ in case, blanks and accents, or lie beyond the
first 65,536 code points, where the orders of UTF-8 and UTF-16 part.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import HealthCheck
from hypothesis import strategies as st

from features.history.column_types import kind_of
from features.history.contract import CANDIDATES, TABLES, TYPES
from features.history.source import History, open_history

Row = dict[str, Any]
NOW = datetime(2030, 1, 1)
# of settings: an example makes hundreds of choices
LARGE = (HealthCheck.data_too_large, HealthCheck.large_base_example, HealthCheck.too_slow)

NAMES = ("a", "A", "b", "B", "ab", "a b", " a", "a ", "Ä", "ä", "z", "ß", "ss", "10", "9", "-0", "it's", 'an "x"',
         "two\nlines", "tab\t", "%_\\", "ﾮ", "🙂", "𝒳", "null",
         "7.0", "e\u0301", "\u00a0")  # fmt: skip
PROSE = (*NAMES, "nice", "Nice", "nice ", "where can I buy this?", "eight words are just enough to be long\r\n", "👍🏽")
MIDNIGHTS = (
    *(datetime(2000, 1, 1), datetime(2000, 2, 29), datetime(2020, 2, 29), datetime(2023, 2, 28)),
    *(datetime(2023, 10, 29), datetime(2023, 12, 31), datetime(2024, 2, 28), datetime(2024, 2, 29)),
)
TIMES = (*map(timedelta, (0, 0)), timedelta(microseconds=1), timedelta(hours=2, minutes=30), timedelta(hours=12),
         timedelta(days=1, microseconds=-1))  # fmt: skip
LAST = datetime(2026, 1, 1)  # decades after some of them
DAYS = (0, 1, 2, 5, 10, 20, 30, 40, 90, 180, 365, 366)
MICROSECONDS = (0, 0, 0, -1, 1)
COUNTS = (0, 0, 1, 1, 2, 3, 9_999, 10_000, 2**31, 2**32 + 1, 2**53 - 2, 2**53 - 1)
AMOUNTS = (0.01, 0.1, 1 / 3, 1.0, 2.5, 100.0, 1e9)
COUNTED = ("followers", "views", "likes", "comments", "shares", "saves")  # with every post
HOURS = (1e-6, 0.1, 24.0, 48.5, 100 / 3, 168.0, 720.0, 200_000.0, 2_400_000.0)
# What a history lacks altogether, tables and columns. Each set is compiled for anew, so there are few.
ALL_OPTIONAL = frozenset(
    f"{name}.{column}"
    for name, table in TABLES.items()
    for column, declared in table.columns.items()
    if not declared.required
)
LACKS = (
    frozenset[str](),
    frozenset({"posts.likes", "creators.followers"}),
    frozenset({"posts.comments", "comments.by_creator"}),
    frozenset({"posts", "conversions"}),
    frozenset({"comments", "collaborations.clicks"}),
    frozenset({"posts", "comments", "conversions"}),
    ALL_OPTIONAL,
)


@dataclass(frozen=True)
class RandomHistory:
    """The contract's tables, those that are there, and a spine: every deal and a few candidates.

    lacks: tables, and columns as "table.column", that are not there.
    """

    tables: dict[str, pa.Table]
    spine: pd.DataFrame
    lacks: frozenset[str]

    def __repr__(self) -> str:
        rows = {name: table.to_pylist() for name, table in self.tables.items()}
        return f"RandomHistory({rows}, {self.spine.to_dict('records')}, {set(self.lacks)})"

    @contextmanager
    def opened(self, folder: Path) -> Iterator[History]:
        """By DuckDB, which checks the contract, from Parquet files in a folder that has nothing else but these."""
        for name in TABLES:
            (folder / f"{name}.parquet").unlink(missing_ok=True)
            if name in self.tables:
                pq.write_table(self.tables[name], folder / f"{name}.parquet")
        with open_history(folder, threads=1, now=NOW) as history:
            yield history


def _or_missing(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.integers(0, 4).flatmap(lambda place: values if place else st.none())


_names = st.sampled_from(NAMES)
_counts = st.one_of(st.sampled_from(COUNTS), st.integers(0, 300))
_amounts = st.one_of(st.sampled_from(AMOUNTS), st.floats(0.01, 1e6))
_hours = st.one_of(st.sampled_from(HOURS), st.floats(0.01, 5_000.0))
_flags = st.booleans()


@dataclass(frozen=True)
class _Moments:
    """Of what happened, and of what is to start: they often meet, or lie as far apart as a window is long."""

    past: st.SearchStrategy[datetime]
    starts: st.SearchStrategy[datetime]


def _after(moments: st.SearchStrategy[datetime]) -> st.SearchStrategy[datetime]:
    return st.builds(
        # never before the contract's first moment
        lambda at, days, us: max(at + timedelta(days, microseconds=us), MIDNIGHTS[0]),
        moments,
        st.sampled_from(DAYS),
        st.sampled_from(MICROSECONDS),
    )


def _moments(draw: st.DrawFn) -> _Moments:
    midnight, time = draw(st.sampled_from(MIDNIGHTS)), st.sampled_from(TIMES)
    few = draw(st.lists(_after(time.map(lambda time: midnight + time)), min_size=2, max_size=8))
    past = st.sampled_from(few)
    return _Moments(past, st.one_of(past, _after(past), _after(past)))


def _owners(creators: list[Row]) -> st.SearchStrategy[str]:
    """The first of them has about half of all."""
    keys = [creator["creator_id"] for creator in creators]
    return st.sampled_from([*keys[:1] * (len(keys) - 1), *keys])


def _keys(draw: st.DrawFn, low: int, high: int) -> list[str]:
    found: list[str] = draw(st.lists(_names, min_size=low, max_size=high, unique=True))
    return found


def _creators(draw: st.DrawFn, names: st.SearchStrategy[str]) -> list[Row]:
    return [
        {
            "creator_id": key,
            "platform": draw(names),
            "niche": draw(names),
            "country": draw(_or_missing(names)),
            "language": draw(_or_missing(names)),
            "followers": draw(_or_missing(_counts)),
        }
        for key in _keys(draw, 1, 4)
    ]


def _posts(draw: st.DrawFn, moments: _Moments, creators: list[Row], names: st.SearchStrategy[str]) -> list[Row]:
    owners = _owners(creators)
    return [
        {
            "post_id": key,
            "creator_id": draw(owners),
            "posted_at": draw(moments.past),
            **{name: draw(_or_missing(_counts)) for name in COUNTED},
            "is_sponsored": draw(_or_missing(_flags)),
            "brand": draw(_or_missing(names)),
            "niche": draw(_or_missing(names)),
            "caption": draw(_or_missing(st.sampled_from(PROSE))),
        }
        for key in _keys(draw, 0, 16)
    ]


def _comments(draw: st.DrawFn, moments: _Moments, creators: list[Row], posts: list[Row]) -> list[Row]:
    owners = _owners(creators)
    known = [post["post_id"] for post in posts]
    texts = st.sampled_from(draw(st.lists(st.sampled_from(PROSE), min_size=1, max_size=4)))
    authors = st.sampled_from(draw(st.lists(_names, min_size=1, max_size=2)))
    few = [*known[:1], draw(_names)]  # so that comments meet under one post
    rows = []
    for key in _keys(draw, 0, 16):
        any_post = draw(_flags)
        post = draw(st.sampled_from(known if known and any_post else few))
        rows.append(
            {
                "comment_id": key,
                "post_id": post,
                "creator_id": draw(_or_missing(owners) if post in known else owners),
                "commented_at": draw(moments.past),
                "author_id": draw(_or_missing(authors)),
                "text": draw(texts),
                "by_creator": draw(_or_missing(_flags)),
            }
        )
    return rows


def _terms(draw: st.DrawFn, moments: _Moments, names: st.SearchStrategy[str]) -> Row:
    return {
        "brand": draw(names),
        "product_niche": draw(names),
        "product_country": draw(_or_missing(names)),
        "objective": draw(_or_missing(names)),
        "starts_at": draw(moments.starts),
        "promotion_hours": draw(_hours),
        "deliverables": draw(_or_missing(_counts.map(lambda n: max(n, 1)))),
        "spend": draw(_amounts),
    }


def _days(draw: st.DrawFn, deal: Row) -> list[Row]:
    """Conversions by day of a deal, no day or several rows of one; none of it if it is not listed."""
    if not draw(_flags):
        return []
    first, last = deal["starts_at"].date(), deal["observed_until"].date()
    counts = st.sampled_from((0, 1, 2, 12, 2**31))
    offsets = draw(st.lists(st.sampled_from((0, 0, 1, 2, 5, 10, 20, 40)), min_size=1, max_size=4))
    return [
        {
            "collaboration_id": deal["collaboration_id"],
            "date": min(first + timedelta(days), last),
            "conversions": draw(counts),
        }
        for days in offsets
    ]


def _deals(
    draw: st.DrawFn, moments: _Moments, creators: list[Row], names: st.SearchStrategy[str]
) -> tuple[list[Row], list[Row]]:
    """Collaborations, and the conversions by day of some."""
    owners = _owners(creators)
    deals, days = [], []
    for key in _keys(draw, 1, 7):
        deal = {"collaboration_id": key, "campaign_id": draw(_or_missing(_names)), "creator_id": draw(owners)}
        deal |= _terms(draw, moments, names)
        watched = draw(st.one_of(_after(st.just(deal["starts_at"])), st.just(LAST)))
        deal["observed_until"] = max(watched, deal["starts_at"])
        listed = _days(draw, deal)
        days += listed
        deal["conversions"] = sum(day["conversions"] for day in listed) if listed else draw(_counts)
        for name in ("clicks", "revenue", "coupon_redemptions"):
            deal[name] = draw(_or_missing(st.one_of(st.sampled_from((0.0, 0.5, 2.0**53)), _amounts)))
        deals.append(deal)
    return deals, days


def _spine(draw: st.DrawFn, deals: list[Row], candidates: list[Row]) -> pd.DataFrame:
    """Every deal as it was offered, and candidates, in any order."""
    columns = [column for column in CANDIDATES.columns if column != "candidate_id"]
    rows = draw(st.permutations([*deals, *candidates]))
    return pd.DataFrame([[row[column] for column in columns] for row in rows], columns=columns)


@st.composite
def random_histories(draw: st.DrawFn, lacks: tuple[frozenset[str], ...] = LACKS) -> RandomHistory:
    """A history that keeps the contract; it lacks one of `lacks`."""
    moments = _moments(draw)
    names = st.sampled_from(draw(st.lists(_names, min_size=1, max_size=3)))
    missing = draw(st.sampled_from(lacks))
    creators = _creators(draw, names)
    posts = [] if "posts" in missing else _posts(draw, moments, creators, names)
    comments = _comments(draw, moments, creators, posts)
    if "comments.creator_id" in missing:  # then only the post says whose comment it is
        known = {post["post_id"] for post in posts}
        comments = [comment for comment in comments if comment["post_id"] in known]
    deals, days = _deals(draw, moments, creators, names)
    owners = st.sampled_from([*(creator["creator_id"] for creator in creators), "nobody knows"])
    more = draw(st.integers(1, 3))
    candidates = [{"creator_id": draw(owners), **_terms(draw, moments, names)} for _ in range(more)]
    rows = {"collaborations": deals, "creators": creators, "posts": posts, "comments": comments, "conversions": days}
    tables = {name: _table(name, rows[name], missing) for name in TABLES if name not in missing}
    return RandomHistory(tables, _spine(draw, deals, candidates), missing)


def _table(name: str, rows: list[Row], lacks: frozenset[str]) -> pa.Table:
    """The rows in the contract's types, without the columns that are not there."""
    types = {
        column: TYPES[kind_of(declared)].to_pyarrow()
        for column, declared in TABLES[name].columns.items()
        if f"{name}.{column}" not in lacks
    }
    return pa.table({column: pa.array([row[column] for row in rows], kind) for column, kind in types.items()})
