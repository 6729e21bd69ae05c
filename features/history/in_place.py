"""A PostgreSQL database as a history whose tables stay where they are: the server makes the features.

The contract is not checked here: `features.history.source.open_history` of the URL does that, and reads more types.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import ibis

from features.engines.duckdb import name
from features.engines.postgres import PostgresError, PostgreSQL, Session, connected
from features.faults import Fault, InputError, fail
from features.history.column_types import kind_of
from features.history.contract import TABLES, TYPES
from features.history.freshness import Stamp
from features.history.postgres import Column, Relation, catalogue, missing
from features.history.source import History

_WHOLE = "int2", "int4", "int8"
_NUMBERS = *_WHOLE, "float4", "float8", "numeric"
_TEXTS = "text", "varchar"
# By kind of the contract: the types that are read, and the type that they become.
_KINDS: dict[str, tuple[tuple[str, ...], str]] = {
    "number": (_NUMBERS, "double precision"),
    "hours": (_NUMBERS, "double precision"),
    "count": (_WHOLE, "bigint"),
    "flag": (("bool",), "boolean"),
    "time": (("timestamp", "timestamptz", "date"), "timestamp"),
    "date": (("date",), "date"),
    "prose": (_TEXTS, "text"),
    "text": ((*_TEXTS, "uuid", *_WHOLE), "text"),
}
# A key as `features.history.casting.read_key` reads it.
_KEY = (
    "CASE WHEN btrim({0}, E' \\t\\n\\r\\v\\f') = '' THEN NULL WHEN {0} ~ '^(0|-?[1-9][0-9]*)\\.0+$' "
    "THEN split_part({0}, '.', 1) ELSE normalize({0}, NFC) END"
)


@contextmanager
def open_in_place(url: str) -> Iterator[History]:
    """DATA at `url` (`postgresql://…`) as it is now, in one transaction, of which nothing is left behind.

    It needs the right to make temporary tables. Raises InputError for tables and columns that are missing or of types
    that are not read in place, and where the database cannot be opened or read.
    """
    try:
        with connected(url) as session:
            # what only reads may make no temporary table; it ends without a COMMIT, which undoes all that was made
            session.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
            session.execute("SET LOCAL TimeZone = 'UTC'")
            yield _opened(url, session)
    except PostgresError as error:
        raise fail(url, "the database cannot be read", "Start again once it can.", str(error)) from error


def _opened(url: str, session: Session) -> History:
    if not session.rows("SELECT has_database_privilege(current_database(), 'TEMPORARY')")[0][0]:
        problem, remedy = "temporary tables cannot be made there", "GRANT TEMPORARY ON DATABASE … TO this user."
        raise fail(url, problem, remedy)
    held, engine, faults = catalogue(session), PostgreSQL(session), list[Fault]()
    for table in TABLES:
        if relation := held.tables.get(table):
            faults += _faults(table, relation)
        elif fault := missing(table, held, required=not TABLES[table].metadata["optional"]):
            faults.append(fault)
    if faults:
        raise InputError(faults)
    tables: dict[str, Any] = dict.fromkeys(TABLES)
    given = {}
    for table, relation in held.tables.items():
        kinds = {column: kind_of(declared) for column, declared in TABLES[table].columns.items()}
        schema = ibis.schema({column: TYPES[kind] for column, kind in kinds.items()})
        tables[table] = engine.select(table, _select(relation, kinds), schema)
        given[table] = frozenset(kinds) & {column.name for column in relation.columns}
    return History(engine, **tables, stamp=Stamp.of_paths([], []), given=given)


def _faults(table: str, relation: Relation) -> Iterator[Fault]:
    """Columns that are needed and missing, or of types that are not read in place."""
    there = {column.name: column for column in relation.columns}
    for column, declared in TABLES[table].columns.items():
        if column not in there:
            if declared.required:
                yield Fault(table, column, problem="the column is missing", remedy="Add it, under this name.")
        elif there[column].type not in (types := _KINDS[kind_of(declared)][0]):
            remedy = f"Make it one of {', '.join(types)}, in a view if need be."
            received = there[column].declared
            yield Fault(table, column, received=received, problem="its type is not read in place", remedy=remedy)


def _select(relation: Relation, kinds: Mapping[str, str]) -> str:
    """The columns of `kinds` in their types; NULLs where the table has none."""
    there = {column.name: column for column in relation.columns}
    listed = [f"{_read(there.get(column), kind)} AS {name(column)}" for column, kind in kinds.items()]
    return f"SELECT {', '.join(listed)} FROM {relation.sql}"


def _read(column: Column | None, kind: str) -> str:
    value = name(column.name) if column else "NULL"
    if column and column.type in _TEXTS:
        value = _KEY.format(value) if kind == "text" else f"nullif({value}, '')"
    cast = f"CAST({value} AS {_KINDS[kind][1]})"
    return f'{cast} COLLATE "C"' if kind in ("text", "prose") else cast
