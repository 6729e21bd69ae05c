"""Creators whom DATA does not know, with their history in the request: scored as if their rows stood in DATA.

The rows are checked by the contract, put beside DATA's, and pass through the very same feature code. They may concern
their own creators alone, so that a request cannot change what is known of others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import ibis.expr.types as ir
import pandas as pd
import pyarrow as pa

from features.faults import Fault, InputError
from features.history.checks import casts, check_table
from features.history.column_types import kind_of
from features.history.contract import TABLES
from features.history.source import History
from features.matrix import FeatureBuilder
from models.scorer import Scorer

Rows = Mapping[str, Sequence[Mapping[str, Any]]]
# names that a request makes up must not meet those of DATA
OWN = {"posts": ("post_id",), "comments": ("comment_id", "post_id"), "collaborations": ("collaboration_id",),
       "conversions": ("collaboration_id",)}  # fmt: skip


def matrix(history: History, scorer: Scorer, tables: Rows, spine: pd.DataFrame) -> pd.DataFrame:
    """The matrix of a spine with the tables' rows beside DATA's. Raises InputError for rows that are at fault."""
    with _beside(history, tables) as both, FeatureBuilder(both, scorer.settings, scorer.classifier) as builder:
        return builder.build(spine)


@contextmanager
def _beside(history: History, tables: Rows) -> Iterator[History]:
    """DATA with the rows, one request at a time; all that was put into the engine is gone afterwards.

    Names are the same for every request, so that what is compiled for one serves the next.
    """
    given = {name: rows for name, rows in tables.items() if rows}
    _require_own(history, given)
    engine, raw = history.engine, dict[str, ir.Table]()
    try:
        for name, rows in given.items():
            engine.put(f"{name} of a request", _arrow(name, rows))
            raw[name] = engine.table(f"{name} of a request")
        faults = [
            fault for name, table in raw.items() for fault in check_table(TABLES[name], table, table.columns, raw)
        ]
        if faults:
            raise InputError(faults)
        both = {
            name: engine.view(f"{name} with a request's", _union(getattr(history, name), _typed(name, table)))
            for name, table in raw.items()
        }
        yield replace(history, **both)
    finally:
        for name in given:
            engine.drop_view(f"{name} with a request's")
            engine.take_away(f"{name} of a request")


def _typed(name: str, table: ir.Table) -> ir.Table:
    return table.select(**casts(TABLES[name], table))


def _union(known: ir.Table | None, more: ir.Table) -> ir.Table:
    return more if known is None else known.union(more, distinct=False)


def _require_own(history: History, tables: Rows) -> None:
    """Raise InputError where the rows concern creators that are not their own."""
    mine = {str(row.get("creator_id")) for row in tables.get("creators", ())}
    known = history.creators.filter(history.creators.creator_id.isin(sorted(mine))) if mine else None
    twice = sorted(known.creator_id.to_pandas()) if known is not None else []
    faults = [
        Fault("creators", "creator_id", received=repr(one), problem="DATA knows this creator already",
              remedy="Leave the history out.")
        for one in twice[:10]
    ]  # fmt: skip
    for name in ("posts", "comments", "collaborations"):
        for number, row in enumerate(tables.get(name, ()), 1):
            if row.get("creator_id") is not None and str(row["creator_id"]) not in mine:
                received = repr(row["creator_id"])
                problem, remedy = "not among the creators of this history", "Add the creator to history.creators."
                faults.append(Fault(name, "creator_id", 1, f"row {number}", received, problem, remedy))
    if faults:
        raise InputError(faults)


def _arrow(name: str, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Rows of a request's history as a table; names that the request made up get a mark of their own."""
    mark, columns = OWN.get(name, ()), {}
    for column, declared in TABLES[name].columns.items():
        kind, dtype = _ARROW[kind_of(declared)]
        values = [None if (v := row.get(column)) is None else kind(v) for row in rows]
        columns[column] = pa.array([f"\x1f{v}" if v else v for v in values] if column in mark else values, dtype)
    return pa.table(columns)


def _moment(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    return at if at.tzinfo is None else at.astimezone(UTC).replace(tzinfo=None)


_MICROS = pa.timestamp("us")
_ARROW: dict[str, tuple[Callable[[Any], Any], pa.DataType]] = {
    "text": (str, pa.string()), "prose": (str, pa.string()), "number": (float, pa.float64()),
    "hours": (float, pa.float64()), "count": (int, pa.int64()), "flag": (bool, pa.bool_()), "time": (_moment, _MICROS),
    "date": (_moment, _MICROS),
}  # fmt: skip
