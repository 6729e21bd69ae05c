"""Adds to a DuckDB file: one transaction, or a new file that takes its name once it is whole."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

import duckdb
import ibis

from features.engines.duckdb import DuckDB, connect, described, name, quote, require_duckdb
from features.faults import fail
from features.history import databases
from features.history.append import log, steps
from features.history.append.batch import key_of
from features.history.append.faults import Note, writing
from features.history.append.journal import locked
from features.history.append.merge import CHANGED, NEW, NUMBER, SQL_TYPES, Change, Changes, Present
from features.history.casting import cast
from features.history.column_types import kind_of
from features.history.contract import TABLES
from features.history.source import open_history

_CLEARED = "what an interrupted addition left has been removed; nothing of it counted"
_WAITING = "waiting for another addition to end"


class DuckDBFile:
    """`duckdb://FILE`; a FILE that is not there is made."""

    def __init__(self, path: str, note: Note) -> None:
        self.path, self.note = Path(path), note
        self.url = f"duckdb://{path}"

    @property
    def _draft(self) -> Path:
        return self.path.with_name(f".{self.path.name}.adding")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other additions out, and remove what an interrupted one left."""
        if not self.path.parent.is_dir():
            raise fail(self.url, "its folder is not there", f"Make the folder first: {self.path.parent}")
        with locked(self.path.parent, lambda: self.note([_WAITING])):
            left = [path for path in (self._draft, Path(f"{self._draft}.wal")) if path.exists()]
            with writing(self.url):
                for path in left:
                    steps.remove(path)
            if left:
                self.note([_CLEARED])
            yield

    @contextmanager
    def present(self, tables: Collection[str], now: datetime) -> Iterator[Present]:
        """The tables that are there, opened and checked. Raises InputError where one of `tables` is a view."""
        if not self.path.exists():
            engine = connect(None, None, str(self.path.parent.absolute()))
            try:
                yield Present(engine, {}, {})
            finally:
                engine.close()
            return
        with open_history(self.url, now=now) as history:
            engine = require_duckdb(history.engine)
            connection = engine.connection
            views = databases.views(connection)
            for table in tables:
                if table in views:
                    remedy = f"Make it a table (CREATE TABLE … AS FROM {table}), or add to what the view reads."
                    raise fail(self.url, f"{table} is a view, which nothing can be added to", remedy)
            held = {table: described(connection, f"data.{name(table)}") for table in history.given}
            yield Present(engine, {table: getattr(history, table) for table in held}, held)

    def commit(self, changes: Changes, source: str, now: datetime) -> int:
        """Write all changes and the log in one transaction; returns the number of the addition."""
        with writing(self.url):
            if self.path.exists():
                return self._add(self.path, changes, source, now)
            try:
                number = self._add(self._draft, changes, source, now)
                steps.sync(self._draft)
                steps.move(self._draft, self.path)
            except BaseException:
                with suppress(OSError):
                    self._draft.unlink(missing_ok=True)
                    Path(f"{self._draft}.wal").unlink(missing_ok=True)
                raise
            with suppress(OSError):  # it is there, whether or not the disk confirms it
                steps.sync(self.path.parent)
        return number

    def _add(self, path: Path, changes: Changes, source: str, now: datetime) -> int:
        engine = connect(None, None, str(self.path.parent.absolute()))
        connection = engine.connection
        try:
            steps.execute(connection, f"ATTACH {quote(path)} AS data")
            steps.execute(connection, "USE data")
            steps.execute(connection, "BEGIN")
            for change in changes.tables.values():
                _write(engine, change)
            number = _write_log(connection, changes, source, now)
            steps.execute(connection, "COMMIT")
            with suppress(*(() if path == self._draft else (duckdb.Error, OSError))):  # committed, come what may
                steps.execute(connection, "USE memory")
                steps.execute(connection, "DETACH data")
        finally:
            engine.close()
        return number


def _write(engine: DuckDB, change: Change) -> None:
    """Write the changes of one table; its columns that are missing are added where there is a value for them."""
    connection, table = engine.connection, change.table
    if not change.rows.num_rows:
        return
    held = databases.columns_of(connection, table)
    declared = {column: SQL_TYPES[kind_of(schema)] for column, schema in TABLES[table].columns.items()}
    if not held:
        columns = ", ".join(f"{name(column)} {declared[column]}" for column in change.given)
        steps.execute(connection, f"CREATE TABLE {name(table)} ({columns})")
        held = change.given
    for column in change.given:
        if column not in held and change.rows[column].null_count < change.rows.num_rows:
            steps.execute(connection, f"ALTER TABLE {name(table)} ADD COLUMN {name(column)} {declared[column]}")
            held = [*held, column]
    written = [column for column in change.given if column in held]
    listed = ", ".join(map(name, written))
    if (changed := change.of_kind(CHANGED)).num_rows:
        keys = key_of(table)
        raw = engine.table(table, database=("data", "main"))
        values = {key: cast(raw[key], kind_of(TABLES[table].columns[key])) for key in keys}
        located = ibis.to_sql(raw.select(place=raw.rowid(), **values), dialect="duckdb")
        connection.register("changed rows", changed.drop_columns([NUMBER]))
        assigned = ", ".join(f"{name(column)} = c.{name(column)}" for column in written if column not in keys)
        using = " AND ".join(f"l.{name(key)} = c.{name(key)}" for key in keys)
        steps.execute(
            connection,
            f'UPDATE {name(table)} AS t SET {assigned} FROM "changed rows" AS c, ({located}) AS l '
            f"WHERE {using} AND t.rowid = l.place",
        )
    if (new := change.of_kind(NEW)).num_rows:
        connection.register("rows to add", new.select(written))
        steps.execute(connection, f'INSERT INTO {name(table)} ({listed}) SELECT {listed} FROM "rows to add"')


def _write_log(connection: duckdb.DuckDBPyConnection, changes: Changes, source: str, now: datetime) -> int:
    steps.execute(connection, f"CREATE TABLE IF NOT EXISTS {log.TABLE} ({log.COLUMNS})")
    number = int(connection.execute(f"SELECT coalesce(max(batch), 0) + 1 FROM {log.TABLE}").fetchall()[0][0])
    connection.register("log of this", log.entries(changes, number, source, now))
    steps.execute(connection, f'INSERT INTO {log.TABLE} SELECT * FROM "log of this"')
    return number
