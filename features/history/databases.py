"""Opens a DuckDB file as DATA, read-only, and finds the contract's tables in it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import duckdb

from features.engines.duckdb import Source, described, explain, name, quote
from features.engines.postgres import SCHEME
from features.faults import Fault, InputError, fail, refuse_unreachable
from features.history import postgres, unread
from features.history.contract import TABLES
from features.history.file_kinds import kind_of
from features.history.freshness import Stamp
from features.history.mapping_reads import Reader, notes_on_names, reads
from features.history.mappings import check_reads

FORMS = f"Give a folder, duckdb:// and a file's path, or {SCHEME}://USER@HOST/DATABASE."
_MACROS = """SELECT CASE function_type WHEN 'macro' THEN 'SELECT ' ELSE '' END || macro_definition
    FROM duckdb_functions() WHERE database_name = 'data' AND macro_definition IS NOT NULL"""
_VIEWS = "SELECT {} FROM duckdb_views() WHERE database_name = 'data' AND NOT internal"


def require_database(scheme: str, path: str) -> None:
    """Raise InputError for a URL of a kind that is not known, or of a database that is not there."""
    if scheme == SCHEME:
        with postgres.reading(f"{scheme}://{path}"):
            return
    require_file(scheme, path)


def require_file(scheme: str, path: str) -> str:
    """The database's name in messages. Raises InputError for a URL of another kind, of a file that is not there, or of
    one that begins as another kind of file does."""
    where = f"{scheme}://…" if scheme != "duckdb" else f"{scheme}://{path}"
    if scheme != "duckdb":
        raise fail(where, "databases of this kind cannot be opened", FORMS)
    refuse_unreachable("DATA", Path(path))
    if not Path(path).is_file():
        remedy = "A path from the root begins with three slashes, one from the current folder with two."
        raise fail(where, "there is no such file", remedy)
    with suppress(OSError), Path(path).open("rb") as file:  # DuckDB says what keeps it from being read
        head = file.read(4096)
        # a checksum stands before a database's mark, and may begin as any other kind of file does
        if head[8:12] != b"DUCK" and (foreign := kind_of(head, "NAME")):
            raise fail(where, f"it is {foreign[0]}, no DuckDB database", foreign[1])
    return where


def tables(
    connection: duckdb.DuckDBPyConnection, scheme: str, path: str
) -> tuple[dict[str, Source], list[Fault], list[str]]:
    """How each table or view is read, what is wrong with those that cannot be, and notes on what is not read. Raises
    InputError for a database that cannot be opened.
    """
    where = require_file(scheme, path)
    try:
        # absolute: DuckDB takes a ~ at the start for the home folder, and sqlite: for another kind of database
        connection.execute(f"ATTACH {quote(os.path.abspath(path))} AS data (READ_ONLY)")
    except duckdb.Error as error:
        raise _not_opened(where, error) from error
    held = {table for schema, table in named(connection) if schema == "main"}
    views = dict(connection.execute(_VIEWS.format("view_name, sql")).fetchall())
    sources: dict[str, Source] = {}
    faults: list[Fault] = []
    for table, schema in TABLES.items():
        if table in held:
            sql = f"data.{name(table)}"
            kind, remedy = "table", "Copy the database again."
            if table in views:
                kind, remedy = "view", "Correct the view, or what it reads."
            try:
                readers = _check_view(connection, table, views, [*schema.columns], table)
                columns = {n: name(n) for n in described(connection, sql)}
                place = f"the {kind} {table}"
                notes = notes_on_names(readers, place, table)
                sources[table] = Source(place, sql, columns, remedy=remedy, notes=notes)
            except InputError as error:
                faults += error.faults
            except duckdb.Error as error:
                remedy = "Correct the view; relative paths in it are those of the current folder."
                received = explain(error)
                faults.append(Fault(table, received=received, problem=f"the view {table} fails", remedy=remedy))
        elif alike := next((one for one in held if one.lower() == table), None):
            remedy = f"Rename it to {table}: names are exact."
            faults.append(Fault(table, problem=f"{alike} is there, but no {table}", remedy=remedy))
        elif not schema.metadata["optional"]:
            received = f"the tables {', '.join(sorted(held)[:8])}" if held else "no table"
            remedy = "Make a table or view of this name."
            faults.append(Fault(table, received=received, problem="the table is missing", remedy=remedy))
    shown = [(one if home == "main" else f"{home}.{one}", one) for home, one in named(connection)]
    return sources, faults, [*unread.notes_on_database({*TABLES} - {*sources}, shown, "the schema main")]


def _check_view(
    connection: duckdb.DuckDBPyConnection, view: str, views: Mapping[str, str], wanted: list[str], table: str
) -> list[Reader]:
    """Check what a view reads, and the views that it reads from, as a mapping is checked; what reads files there."""
    if view not in views:
        return []
    place = Path.cwd() / f"the view {view}"  # relative paths of views are those of the current folder
    readers = check_reads(connection, _select(views[view]), place, table, wanted)
    below = {text for reader in readers for text in reader.texts} & views.keys() - {view}
    for other in sorted(below):
        readers += _check_view(connection, other, views, wanted, table)
    return readers


def views(connection: duckdb.DuckDBPyConnection) -> set[str]:
    """Names of the attached database's views."""
    return {view for (view,) in connection.execute(_VIEWS.format("view_name")).fetchall()}


def columns_of(connection: duckdb.DuckDBPyConnection, table: str) -> list[str]:
    """Columns of a table of the attached database; none if there is no such table."""
    listed = (
        "SELECT column_name FROM duckdb_columns() WHERE database_name = 'data' AND schema_name = 'main' "
        f"AND table_name = {quote(table)} ORDER BY column_index"
    )
    return [column for (column,) in connection.execute(listed).fetchall()]


def named(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, str]]:
    """Schema and name of each table and view of the attached database."""
    listed = "SELECT table_schema, table_name FROM information_schema.tables WHERE table_catalog = 'data'"
    return connection.execute(listed).fetchall()


def _not_opened(where: str, error: duckdb.Error) -> InputError:
    text = str(error)
    holder = re.search(r"held in (.*?)(?: by user|\. See|$)", text)
    if holder:
        remedy = "Close it there, or let that process open it read-only; or copy the file and give the copy."
        return fail(where, "another process has it open to write", remedy, holder[1])
    if "not a valid DuckDB database" in text:
        return fail(where, "it is no DuckDB database", "Check the path.", explain(error))
    remedy = "Check that it is whole, that it may be read, and that the installed DuckDB is not older than its writer."
    return fail(where, "DuckDB cannot open it", remedy, explain(error))


def behind_views(connection: duckdb.DuckDBPyConnection) -> Stamp:
    """The files that views and macros of an attached database read; none where no database is attached."""
    if not connection.execute("SELECT 1 FROM duckdb_databases() WHERE database_name = 'data'").fetchall():
        return Stamp.of_paths([], [])  # to list all macros takes a fifth of the opening of a folder
    selects = [_select(sql) for (sql,) in connection.execute(_VIEWS.format("sql")).fetchall()]
    selects += [sql for (sql,) in connection.execute(_MACROS).fetchall()]
    return Stamp.of_paths([], [pattern for sql in selects for pattern in reads(sql, Path.cwd())])


def _select(view: str) -> str:
    """The SELECT of a CREATE VIEW, empty if it reads nothing: what follows the first AS that a SELECT follows. A name
    may hold an AS too."""
    ends = [found.end() for found in re.finditer(r"\bAS\b", view)]
    return next((view[end:] for end in ends if reads(view[end:], Path.cwd())), "")
