"""Opens a database as DATA, read-only, and finds the contract's tables in it."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

import duckdb

from features.engines.duckdb import Source, described, explain, name, quote
from features.faults import Fault, InputError, fail
from features.history.contract import TABLES
from features.history.file_kinds import kind_of
from features.history.freshness import Stamp
from features.history.mapping_reads import reads

_VIEWS = "SELECT {} FROM duckdb_views() WHERE database_name = 'data' AND NOT internal"


def tables(connection: duckdb.DuckDBPyConnection, scheme: str, path: str) -> tuple[dict[str, Source], list[Fault]]:
    """How each table or view is read, and what is wrong with those that cannot be. Raises InputError for a database
    that cannot be opened.
    """
    where = f"{scheme}://…" if scheme != "duckdb" else f"{scheme}://{path}"
    if scheme != "duckdb":
        raise fail(where, "databases of this kind cannot be opened", "Give a folder, or duckdb:// and a file's path.")
    if not Path(path).is_file():
        raise fail(where, "there is no such file", "Paths: duckdb:///from/the/root.db, duckdb://from/here.db.")
    with suppress(OSError), Path(path).open("rb") as file:  # DuckDB says what keeps it from being read
        if foreign := kind_of(file.read(4096), "NAME"):
            raise fail(where, f"it is {foreign[0]}, no DuckDB database", foreign[1])
    try:
        connection.execute(f"ATTACH {quote(path)} AS data (READ_ONLY)")
    except duckdb.Error as error:
        raise _not_opened(where, error) from error
    held = {table for schema, table in named(connection) if schema == "main"}
    views = {row[0] for row in connection.execute(_VIEWS.format("view_name")).fetchall()}
    sources: dict[str, Source] = {}
    faults: list[Fault] = []
    for table, schema in TABLES.items():
        if table in held:
            sql = f"data.{name(table)}"
            kind, remedy = "table", "Copy the database again."
            if table in views:
                kind, remedy = "view", "Correct the view, or what it reads."
            try:
                columns = {n: name(n) for n in described(connection, sql)}
                sources[table] = Source(f"the {kind} {table}", sql, columns, remedy=remedy)
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
    return sources, faults


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
    """The files that views of an attached database read."""
    views = connection.execute(_VIEWS.format("sql")).fetchall()
    return Stamp.of_paths([], [one for (sql,) in views for one in reads(sql.partition(" AS ")[2], Path.cwd())])
