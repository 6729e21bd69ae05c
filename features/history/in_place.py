"""A PostgreSQL database as a history whose tables stay where they are: the server makes the features.

The server checks the contract, too, in the same transaction. Columns must have the types that are listed below;
`features.history.source.open_history` of the URL reads more of them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime

import ibis
import ibis.expr.types as ir

from features.engines.duckdb import DuckDB, connect, name
from features.engines.postgres import PostgresError, PostgreSQL, Session, connected
from features.faults import Fault, InputError, fail
from features.history.checks import check_table
from features.history.column_types import kind_of
from features.history.contract import TABLES, TYPES
from features.history.freshness import Stamp
from features.history.notes import latest_plausible, notes_on_history
from features.history.postgres import KINDS, Catalogue, Column, Relation, catalogue, missing, notes_on_unread
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
def open_in_place(url: str, *, now: datetime | None = None) -> Iterator[History]:
    """DATA at `url` (`postgresql://…`) as it is now, checked, in one transaction, of which nothing is left behind.

    It needs the right to make temporary tables. now: UTC without a zone, the clock's unless given. Raises InputError
    with all faults at once, and where the database cannot be opened or read, also later on, within the context.
    """
    now = now or datetime.now(UTC).replace(tzinfo=None)
    with tempfile.TemporaryDirectory() as scratch:
        files = connect(None, None, scratch)
        try:
            with connected(url) as session:
                # what only reads may make no temporary table; it ends without a COMMIT, which undoes all that was made
                session.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
                session.execute("SET LOCAL TimeZone = 'UTC'")
                yield _opened(url, session, files, now)
        except PostgresError as error:
            raise fail(url, "the database cannot be read", "Start again once it can.", str(error)) from error
        finally:
            files.close()


def _opened(url: str, session: Session, files: DuckDB, now: datetime) -> History:
    _require_temporary(url, session)
    held, engine, faults = catalogue(session), PostgreSQL(session), list[Fault]()
    for table in TABLES:
        if relation := held.tables.get(table):
            faults += _unreadable(session, relation) or _faults(table, relation)
        elif fault := missing(table, held, required=not TABLES[table].metadata["optional"]):
            faults.append(fault)
    if faults:
        raise InputError(faults)
    kinds = {table: {c: kind_of(of) for c, of in TABLES[table].columns.items()} for table in held.tables}
    given = {table: frozenset(kinds[table]) & {c.name for c in held.tables[table].columns} for table in kinds}
    _check(session, _views(engine, held, {t: {c: k for c, k in kinds[t].items() if c in given[t]} for t in kinds}), now)
    tables = dict.fromkeys(TABLES) | _views(engine, held, kinds)
    notes = (*notes_on_unread(held, {*TABLES} - {*given}), *notes_on_history(tables, now))
    return History(engine, **tables, stamp=Stamp.of_paths([], []), notes=notes, given=given, files=files)


def _require_temporary(url: str, session: Session) -> None:
    remedy = "Leave --engine out: the tables are loaded then."
    if session.rows("SELECT pg_is_in_recovery()")[0][0]:
        raise fail(url, "it is a standby, on which temporary tables cannot be made", remedy)
    if not session.rows("SELECT has_database_privilege(current_database(), 'TEMPORARY')")[0][0]:
        remedy = f"GRANT TEMPORARY ON DATABASE … TO this user, or {remedy[0].lower()}{remedy[1:]}"
        raise fail(url, "temporary tables cannot be made there", remedy)


def _unreadable(session: Session, relation: Relation) -> list[Fault]:
    """Why a table cannot be read at all: no permission for it, or for what a view reads."""
    wanted = [name(column.name) for column in relation.columns if column.name in TABLES[relation.name].columns]
    session.execute("SAVEPOINT before_table")
    try:
        session.rows(f"SELECT {', '.join(wanted) or 'NULL'} FROM {relation.sql} LIMIT 0")
    except PostgresError as error:
        session.execute("ROLLBACK TO SAVEPOINT before_table")  # which fails where the connection is lost
        problem = f"the {KINDS[relation.kind]} cannot be read"
        return [Fault(relation.name, received=str(error), problem=problem, remedy="Check it, and who may read it.")]
    return []


def _views(engine: PostgreSQL, held: Catalogue, kinds: Mapping[str, Mapping[str, str]]) -> dict[str, ir.Table]:
    """Temporary views of the tables, with the columns of `kinds` in their types; those of these names give way."""
    return {
        table: engine.select(
            table, _select(held.tables[table], wanted), ibis.schema({c: TYPES[k] for c, k in wanted.items()})
        )
        for table, wanted in kinds.items()
    }


def _check(session: Session, tables: Mapping[str, ir.Table], now: datetime) -> None:
    """Raise InputError with all faults of tables, given with the columns that they have."""
    # a row has the same number each time that a table is read
    settings = {"synchronize_seqscans": "off", "max_parallel_workers_per_gather": "0"}
    for setting, value in settings.items():
        session.execute(f"SET LOCAL {setting} = {value}")
    latest = latest_plausible(tables, now)
    faults = [
        fault
        for table, rows in tables.items()
        for fault in check_table(TABLES[table], rows, rows.columns, tables, latest)
    ]
    if faults:
        raise InputError(faults)
    for setting in settings:
        session.execute(f"SET LOCAL {setting} TO DEFAULT")


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
