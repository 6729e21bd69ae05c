"""Adds to a PostgreSQL database in one SERIALIZABLE transaction, which reads what is there and writes what is new."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from features.engines.duckdb import connect, name, require_duckdb
from features.engines.postgres import PostgresError, Session, connected
from features.faults import InputError, OutputError, fail
from features.history.append import log, steps
from features.history.append.batch import key_of
from features.history.append.faults import CollisionError, Note, not_written
from features.history.append.merge import CHANGED, KIND, NEW, NUMBER, Change, Changes, Present
from features.history.append.postgres_types import held
from features.history.column_types import kind_of
from features.history.contract import TABLES
from features.history.postgres import KINDS, Catalogue, Column, Relation, Through, catalogue, elsewhere
from features.history.source import open_history
from features.secrets import mask

LOCK = 0x63725F7969656C64  # of all additions to a database; other applications may use other numbers
_WAITING = "waiting for another addition to end"
_PLACE = "place"
# how a table that is made keeps the kinds of the contract's columns
_TYPES = {"text": "text", "prose": "text", "number": "float8", "hours": "float8", "count": "int8", "flag": "bool",
          "time": "timestamptz", "date": "date"}  # fmt: skip
_REPEATED = "23505"  # unique_violation: another application has added a row of that key meanwhile
_WRITABLE = "Give a server, and a user, that may write."
# what to do, by how the SQLSTATE begins
_CURES = {
    "42501": "Give the user INSERT and UPDATE on the tables, and CREATE in the schema for the log.",
    "23": "Correct NEW, or the constraint.",
    "0A": _WRITABLE,  # a standby knows no such transaction
    "53": "Free some space on the server and add again.",
}


class PostgresDatabase:
    """`postgresql://…`. held: what the database has. places: by table that is added to, where its rows stand, in the
    order in which they were read. Both are known once `present` has been entered."""

    def __init__(self, url: str, note: Note) -> None:
        self.url, self.note = url, note
        self.held = Catalogue({}, [], [])
        self.places: dict[str, pa.ChunkedArray] = {}
        self._session: Session | None = None

    @property
    def session(self) -> Session:
        """Of the transaction; there is none outside `locked`."""
        assert self._session is not None
        return self._session

    @contextmanager
    def locked(self) -> Iterator[None]:
        """The transaction, which begins once no other addition is under way; undone unless `commit` ends it. Raises
        CollisionError where it has met another application's, and would succeed if it began anew."""
        try:
            with connected(self.url) as session:
                self._session = session
                self._begin()
                yield
        except PostgresError as error:
            if error.is_collision or error.state == _REPEATED:
                raise CollisionError(str(error)) from error
            cure = next((cure for state, cure in _CURES.items() if (error.state or "").startswith(state)),
                        "Add again once it can be written.")  # fmt: skip
            raise not_written(mask(self.url), str(error), cure) from error
        finally:
            self._session = None

    def _begin(self) -> None:
        """Begin with the lock of additions. A transaction sees what was there when its first statement began: one that
        had to wait for the lock would not see what it waited for."""
        waited = False
        while True:
            self.session.execute("BEGIN ISOLATION LEVEL SERIALIZABLE")
            if self.session.rows(f"SELECT pg_try_advisory_xact_lock({LOCK})")[0][0]:
                break
            self.session.execute("ROLLBACK")
            if not waited:
                self.note([_WAITING])
            waited = True
            self.session.execute("BEGIN")
            self.session.rows(f"SELECT pg_advisory_xact_lock({LOCK})")
            self.session.execute("COMMIT")
        if self.session.rows("SELECT current_setting('transaction_read_only')::bool")[0][0]:
            raise not_written(mask(self.url), "its transactions are read-only", _WRITABLE)
        self.session.execute("SET LOCAL TimeZone = 'UTC'")
        self.session.execute("SET LOCAL DateStyle = 'ISO'")

    @contextmanager
    def present(self, tables: Collection[str], now: datetime) -> Iterator[Present]:
        """The tables that are there, opened and checked. Raises InputError where one of `tables` cannot be added to."""
        self.held = catalogue(self.session)
        for table in tables:
            if relation := self.held.tables.get(table):
                self._refuse(relation)
            elif fault := elsewhere(table, self.held):  # else a second table of that name would begin beside it
                raise InputError([fault])
        if not self.held.tables:
            with tempfile.TemporaryDirectory() as scratch:
                engine = connect(None, None, scratch)
                try:
                    yield Present(engine, {}, {})
                finally:
                    engine.close()
            return
        through = Through(self.session, tables)
        with open_history(self.url, now=now, through=through) as history:
            self.places = {t: pa.chunked_array(parts, pa.string()) for t, parts in through.places.items()}
            there = {table: getattr(history, table) for table in history.given}
            has_money = any(c.type == "money" for table in there for c in self.held.tables[table].columns)
            # servers that are only like PostgreSQL may have no such type
            decimals = int(self.session.rows("SELECT scale(0::money::numeric)")[0][0]) if has_money else 0
            kept = {
                table: {c.name: kept for c in self.held.tables[table].columns if (kept := held(c, decimals))}
                for table in there
            }
            yield Present(require_duckdb(history.engine), there, kept)

    def _refuse(self, relation: Relation) -> None:
        if relation.kind not in ("r", "p"):
            problem = f"{relation.name} is a {KINDS[relation.kind]}, which nothing can be added to"
            raise fail(self.url, problem, "Make it a table, or add to what it reads.")
        if relation.hides:
            problem = f"row-level security may hide rows of {relation.name}, so that nothing says which are new"
            raise fail(self.url, problem, "Add as the table's owner, or as a user with BYPASSRLS.")

    def commit(self, changes: Changes, source: str, now: datetime) -> int:
        """Write all changes and the log, and end the transaction; returns the number of the addition."""
        for change in changes.tables.values():
            if change.rows.num_rows:
                self._write(change)
        number = self._write_log(changes, source, now)
        try:
            steps.execute(self.session, "COMMIT")
        except PostgresError as error:
            if error.state:
                raise
            raise OutputError(
                f"{mask(self.url)}: the connection was lost while the addition was completed ({error}): nothing says "
                "whether all of it was added or nothing. Add again: what is there counts as unchanged."
            ) from error
        return number

    def _write(self, change: Change) -> None:
        """Write the changes of one table; its columns that are missing are added where there is a value for them."""
        relation = self.held.tables.get(change.table) or self._made(change)
        columns = {column.name: column for column in relation.columns}
        for column in change.given:
            if column not in columns and change.rows[column].null_count < change.rows.num_rows:
                kind = _TYPES[kind_of(TABLES[change.table].columns[column])]
                steps.execute(self.session, f"ALTER TABLE {relation.sql} ADD COLUMN {name(column)} {kind}")
                columns[column] = _plain(column, kind)
        written = [columns[column] for column in change.given if column in columns]
        staged = self._stage(change, [column.name for column in written])
        values = {
            column.name: _assigned(column, kind_of(TABLES[change.table].columns[column.name])) for column in written
        }
        if assigned := [f"{name(c)} = {value}" for c, value in values.items() if c not in key_of(change.table)]:
            steps.execute(
                self.session,
                f"UPDATE {relation.sql} AS t SET {', '.join(assigned)} FROM {staged} AS s "
                f"WHERE s.{KIND} = '{CHANGED}' AND t.tableoid = split_part(s.{_PLACE}, ' ', 1)::oid "
                f"AND t.ctid = split_part(s.{_PLACE}, ' ', 2)::tid",
            )
        steps.execute(
            self.session,
            f"INSERT INTO {relation.sql} ({', '.join(map(name, values))}) "
            f"SELECT {', '.join(values.values())} FROM {staged} AS s WHERE s.{KIND} = '{NEW}'",
        )

    def _made(self, change: Change) -> Relation:
        """A new table, in the first schema of the search path."""
        kinds = {column: _TYPES[kind_of(TABLES[change.table].columns[column])] for column in change.given}
        listed = [f"{name(column)} {kind}" for column, kind in kinds.items()]
        if unique := TABLES[change.table].unique:
            listed.append(f"PRIMARY KEY ({', '.join(map(name, unique))})")
        steps.execute(self.session, f"CREATE TABLE {name(change.table)} ({', '.join(listed)})")
        oid, schema = self.session.rows(f"SELECT '{change.table}'::regclass::oid::int8, current_schema()::text")[0]
        return Relation(oid, schema, change.table, "r", False, [_plain(column, kind) for column, kind in kinds.items()])

    def _stage(self, change: Change, columns: list[str]) -> str:
        """The rows of a change in a temporary table, with their places; its name."""
        rows = change.rows.select([*columns, KIND])
        places = self.places.get(change.table, pa.chunked_array([], pa.string()))
        numbers = change.rows[NUMBER].cast(pa.int64())
        here = pc.if_else(pc.equal(rows[KIND], CHANGED), pc.subtract(numbers, 1), pa.scalar(None, pa.int64()))
        steps.stage(self.session, staged := f"new {change.table}", rows.append_column(_PLACE, places.take(here)))
        return f"pg_temp.{name(staged)}"

    def _write_log(self, changes: Changes, source: str, now: datetime) -> int:
        if self.session.rows(f"SELECT to_regclass('{log.TABLE}') IS NULL")[0][0]:
            steps.execute(self.session, f"CREATE TABLE {log.TABLE} ({log.COLUMNS})")
            steps.execute(self.session, f"CREATE INDEX ON {log.TABLE} (batch)")
        number = int(self.session.rows(f"SELECT coalesce(max(batch), 0) + 1 FROM {log.TABLE}")[0][0])
        steps.stage(self.session, staged := f"new {log.TABLE}", log.entries(changes, number, source, now))
        listed = ", ".join(map(name, log.SCHEMA.names))
        insert = f"INSERT INTO {log.TABLE} ({listed}) SELECT {listed} FROM pg_temp.{name(staged)}"
        steps.execute(self.session, insert)
        return number


def _plain(column: str, kind: str) -> Column:
    """A column of a type without a length, as it is made here."""
    return Column(column, kind, "b", "S" if kind == "text" else "", kind, -1, [])


def _assigned(column: Column, kind: str) -> str:
    """A staged value as SQL that the column takes, exactly: `_Merger` has refused what the column cannot hold. A text
    is not cast, which would cut it off at the column's length instead of refusing it."""
    value = f"s.{name(column.name)}"
    if column.category == "S":
        return f"{value}::text"
    if column.type == "interval":
        return f"make_interval(secs => {value} * 3600)"
    if kind == "flag" and column.category == "N":
        return f"{value}::int::{column.declared}"
    if column.type in ("numeric", "money"):  # a cast keeps 15 digits, a text all
        return f"{value}::text::numeric::{column.declared}"
    return f"{value}::text::{column.declared}" if column.of_type == "e" else f"{value}::{column.declared}"
