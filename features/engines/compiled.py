"""SQL of table expressions, compiled once a process.

Building and compiling an expression takes Ibis some fifty times as long as running it on a small table takes the
engine, and gives the same whenever tables of the same names and types are used in the same way.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from threading import Lock
from typing import Any

import ibis.expr.operations as ops
import ibis.expr.types as ir
import pyarrow as pa

from features.engines.engine import Engine, Query

MOST = 256  # results that are remembered: those used last

_results: OrderedDict[Hashable, Any] = OrderedDict()
_lock = Lock()


def shape(tables: Mapping[str, ir.Table | None]) -> Hashable:
    """What the SQL of an expression over these tables depends on: their names, columns and types.

    Where one of them is not a table of the engine but an expression itself, the result equals no other.
    """
    there = {key: table for key, table in tables.items() if table is not None}
    if not all(isinstance(table.op(), ops.DatabaseTable | ops.UnboundTable) for table in there.values()):
        return object()
    return tuple((key, table.get_name(), table.schema()) for key, table in there.items())


def remembered(key: Hashable) -> Any:
    """What was remembered under `key`; None if nothing was."""
    with _lock:
        if key in _results:
            _results.move_to_end(key)
        return _results.get(key)


def remember(key: Hashable, result: Any) -> None:
    """Remember a result under `key`, until so many others were used later."""
    with _lock:
        _results[key] = result
        while len(_results) > MOST:
            _results.popitem(last=False)


def query(engine: Engine, key: Hashable, build: Callable[[], ir.Table]) -> Query:
    """The query of the expression that `build` makes; it is called only where `key` is new.

    key: all that the expression depends on, the `shape` of its tables included.
    """
    found: Query | None = remembered((engine.dialect, key))
    if found is None:
        found = Query.of(build(), engine.dialect)
        remember((engine.dialect, key), found)
    return found


def table(engine: Engine, key: Hashable, build: Callable[[], ir.Table]) -> pa.Table:
    """What `query` yields."""
    return engine.fetch(query(engine, key, build))


def rows(engine: Engine, key: Hashable, build: Callable[[], ir.Table]) -> list[dict[str, Any]]:
    """What `query` yields, row by row."""
    found: list[dict[str, Any]] = table(engine, key, build).to_pylist()
    return found
