"""What a user should know although it is not a fault: keys that match nothing, times ahead of the clock.

Notes are sentences with counts; nothing is repaired.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from datetime import datetime, timedelta

import duckdb
import ibis
import ibis.expr.types as ir
import pandera.ibis as pa

from features.engines import compiled
from features.engines.duckdb import engine_of
from features.history.casting import cast
from features.history.column_types import EARLIEST, LATEST
from features.history.contract import TABLES
from features.history.spelling import several_spellings, unmatched

FIRST = 10_000
NAMED = ("brand", "product_niche", "product_country", "objective")  # columns whose names should be known
GAP = timedelta(days=366)
TOLERANCE = timedelta(days=1)  # times of other zones may be written as if they were UTC's


def latest_plausible(tables: Mapping[str, ir.Table], now: datetime) -> datetime:
    """The last of the times at which something has happened, but for those that lie more than a year after all others
    and ahead of the clock: a history may be made up, or the clock behind, but one post of 2099 is a slip.

    tables: as they came. now, result: UTC without a zone.
    """
    now = _end_of_day(now)
    known = sorted(day for key, table in tables.items() for day in _days(TABLES[key], table, now))
    latest = max((day for day in known if day <= now), default=known[0] if known else now)
    for day in known:
        if day > latest:
            if day - latest > GAP:
                break
            latest = day
    return max(now, latest) + TOLERANCE


def _end_of_day(now: datetime) -> datetime:
    """What differs by the minute would be compiled anew each time."""
    return now.replace(hour=23, minute=59, second=59, microsecond=999_999)


def _days(schema: pa.DataFrameSchema, table: ir.Table, now: datetime) -> set[datetime]:
    """The first and the last moment up to now, and every day after, at which something has happened."""
    days: set[datetime] = set()
    for column, declared in schema.columns.items():
        if not declared.metadata["past"] or column not in table.columns:
            continue
        time = cast(table[column], "time")
        if not isinstance(time, ir.Column):  # of a type that is no time: a fault of its own
            continue
        engine, key = engine_of(table), (column, compiled.shape({schema.name: table}), now)
        with suppress(duckdb.Error):  # what cannot be read is a fault of its own
            ends = compiled.rows(engine, ("ends", key), functools.partial(_ends, time, now))
            later = compiled.rows(engine, ("later", key), functools.partial(_later, time, now))
            days |= {day for row in (*ends, *later) for day in row.values() if day is not None}
    return days


def _known(time: ir.Column) -> ir.Table:
    return time.name("at").as_table().filter(lambda t: t["at"].between(EARLIEST, LATEST - TOLERANCE))


def _ends(time: ir.Column, now: datetime) -> ir.Table:
    """The first moment, and the last up to now."""
    times = _known(time)
    return times.aggregate(first=times["at"].min(), last=times["at"].max(where=times["at"] <= ibis.timestamp(now)))


def _later(time: ir.Column, now: datetime) -> ir.Table:
    """Every day after now."""
    times = _known(time)
    return times.filter(times["at"] > ibis.timestamp(now)).select(at=times["at"].truncate("D")).distinct()


def notes_on_history(tables: Mapping[str, ir.Table | None], now: datetime) -> tuple[str, ...]:
    """Notes on the tables of DATA, in the contract's types."""
    posts, comments = tables["posts"], tables["comments"]
    notes = [*several_spellings(tables), *_after(tables, now)]
    if posts is not None and comments is not None:
        first = comments.limit(FIRST).post_id  # they may be many, and a sample of others' posts is ordinary
        key = compiled.shape({"posts": posts, "comments": comments})
        notes += unmatched("comments.post_id", first, posts.post_id, "the posts", few=False, key=key)
    return tuple(notes)


def _after(tables: Mapping[str, ir.Table | None], now: datetime) -> Iterator[str]:
    """Events that lie ahead of the clock: the service ranks only deals that start after the last of them."""
    moment = _end_of_day(now) + TOLERANCE
    for key, table in tables.items():
        past = [column for column, declared in TABLES[key].columns.items() if declared.metadata["past"]]
        if table is None or not past:
            continue
        shape = compiled.shape({key: table})
        counted = functools.partial(_later_than, table, past, moment)
        found = compiled.rows(engine_of(table), ("after", shape, moment), counted)[0]
        for column in past:
            if rows := found[f"rows of {column}"]:
                count, last = f"{rows:,} row{' is' if rows == 1 else 's are'}", found[f"last of {column}"]
                consequence = "no deal before it can be ranked"
                yield f"{key}.{column}: {count} later than now, {now:%Y-%m-%d}; the last is {last}, {consequence}"


def _later_than(table: ir.Table, columns: Collection[str], moment: datetime) -> ir.Table:
    """Of each column how many times are later, and the last."""
    rows = {f"rows of {column}": table.count(where=table[column] > ibis.timestamp(moment)) for column in columns}
    return table.aggregate(**rows, **{f"last of {column}": table[column].max() for column in columns})


def notes_on_candidates(
    candidates: Mapping[str, ir.Column], raw: ir.Table, collaborations: ir.Table, creators: ir.Table
) -> tuple[str, ...]:
    """Notes on a list of candidates, given as its columns in the contract's types, and as it came."""
    key = compiled.shape({"candidates": raw, "collaborations": collaborations, "creators": creators})
    ids = candidates["creator_id"]
    notes = unmatched("candidates.creator_id", ids, creators.creator_id, "DATA's creators", key=key)
    for column in NAMED:
        if isinstance(names := candidates[column], ir.Column):  # not the NULL of an absent one
            others = f"the collaborations' values of {column}"
            notes += unmatched(f"candidates.{column}", names, collaborations[column], others, new=True, key=key)
    return tuple(notes)


def notes_on_left_out(collaborations: ir.Table, left_out: Collection[str], run: str | None) -> tuple[str, ...]:
    """A note on results, by id, that a training (of that run) kept out, and features are made without."""
    there = collaborations.collaboration_id.isin(sorted(left_out)) if left_out else None
    count = 0 if there is None else collaborations.filter(there).count().to_pyarrow().as_py()
    one = count == 1
    what, them, they = ("result is", "it", "it") if one else ("results are", "them", "they")
    named = f" (run {run})" if run else ""
    why = f"a training kept {them} out, because {they} looked wrong{named}"
    return (f"collaborations: {count:,} {what} left out of the features; {why}",) if count else ()
