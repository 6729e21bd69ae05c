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
from features.history.column_names import missing_columns
from features.history.column_types import kind_of
from features.history.contract import TABLES, TYPES
from features.history.freshness import Stamp
from features.history.notes import latest_plausible, notes_on_history
from features.history.postgres import KINDS, Column, Relation, catalogue, missing, notes_on_unread
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
    readable: dict[str, Relation] = {}
    for table, schema in TABLES.items():
        if relation := held.tables.get(table):
            if found := _unreadable(session, relation) or [*_of_other_types(relation)]:
                faults += found
            else:
                readable[table] = relation
        elif fault := missing(table, held, required=not schema.metadata["optional"]):
            faults.append(fault)
    faults += _breaches(session, engine, readable, now)
    if faults:
        order = list(TABLES)
        raise InputError(sorted(faults, key=lambda fault: order.index(fault.where)))
    tables = dict.fromkeys(TABLES) | _views(engine, readable, {table: _kinds(table) for table in readable})
    given = {table: frozenset(_kinds(table, relation)) for table, relation in readable.items()}
    notes = (*notes_on_unread(held, {*TABLES} - {*given}), *notes_on_history(tables, now))
    return History(engine, **tables, stamp=Stamp.of_paths([], []), notes=notes, given=given, files=files)


def _kinds(table: str, relation: Relation | None = None) -> dict[str, str]:
    """The kind of each of the contract's columns, or of those that a relation has."""
    there = TABLES[table].columns if relation is None else {column.name for column in relation.columns}
    return {column: kind_of(declared) for column, declared in TABLES[table].columns.items() if column in there}


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


def _views(
    engine: PostgreSQL, relations: Mapping[str, Relation], kinds: Mapping[str, Mapping[str, str]]
) -> dict[str, ir.Table]:
    """Temporary views of the tables, with the columns of `kinds` in their types; those of these names give way."""
    schemas = {t: ibis.schema({column: TYPES[kind] for column, kind in wanted.items()}) for t, wanted in kinds.items()}
    return {t: engine.select(t, _select(relations[t], kinds[t]), schemas[t]) for t in kinds}


def _breaches(
    session: Session, engine: PostgreSQL, relations: Mapping[str, Relation], now: datetime
) -> Iterator[Fault]:
    """All that is wrong with the tables that can be read, as the server finds it."""
    # a row has the same number each time that a table is read
    settings = {"synchronize_seqscans": "off", "max_parallel_workers_per_gather": "0"}
    for setting, value in settings.items():
        session.execute(f"SET LOCAL {setting} = {value}")
    kinds = {table: found for table, relation in relations.items() if (found := _kinds(table, relation))}
    tables = _views(engine, relations, kinds)
    latest = latest_plausible(tables, now)
    for table, relation in relations.items():
        names = [column.name for column in relation.columns]
        if table in tables:
            yield from check_table(TABLES[table], tables[table], names, tables, latest)
        else:
            yield from missing_columns(TABLES[table], names)
    for setting in settings:
        session.execute(f"SET LOCAL {setting} TO DEFAULT")


def _of_other_types(relation: Relation) -> Iterator[Fault]:
    """Columns of types that are not read in place."""
    kinds = _kinds(relation.name)
    for column in relation.columns:
        if column.name in kinds and column.type not in (types := _KINDS[kinds[column.name]][0]):
            remedy = f"Make it one of {', '.join(types)}, in a view if need be, or leave --engine out."
            problem = "its type is not read in place"
            yield Fault(relation.name, column.name, received=column.declared, problem=problem, remedy=remedy)


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
