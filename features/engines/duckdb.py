"""Everything specific to DuckDB: how to open it, how to write names and values for it, what its errors mean.

Nothing is downloaded at run time: extensions are neither installed nor loaded unless they are built in.
"""

import glob
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import ibis
import ibis.expr.operations as ops
import ibis.expr.types as ir
import pyarrow as pa
from ibis.backends.duckdb import Backend
from ibis.backends.sql.datatypes import DuckDBType

from features.engines.engine import Engine, Query
from features.faults import Fault, InputError, fail, shorten

OFFLINE: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}
AGAIN = "Export or copy it again."
LONGEST = 400  # characters of an engine's message
_NOISE = (
    "Column ", "This type was", "Override the type", "Set the sample size", "Use a COPY", "Possible fixes",
    "Possible solutions", "Original Line", "Candidate functions", "The search space", "Delimiter Candidates",
    "Quote/Escape Candidates", "Comment Candidates",
)  # fmt: skip
_NOTHING_LIKE = re.compile(r'Did you mean "(pg_|duckdb_|sqlite_|information_schema)')


@dataclass(frozen=True)
class Source:
    """A table as it lies: `sql` follows FROM; `columns` are its exact names, in order, each with what it is called
    in `sql`; `place` and `remedy` say where it is and what to do where it cannot be read; `notes` are what the user
    should know although it is no fault."""

    place: str
    sql: str
    columns: dict[str, str]
    keep: bool = False  # whether it is loaded once, rather than read whenever it is used
    loaded: bool = False  # whether `sql` is a table that was made for this, to be dropped once it is read
    remedy: str = AGAIN
    notes: tuple[str, ...] = ()


class DuckDB:
    """Tables, views and rows that DuckDB reads, as expressions of Ibis: an `Engine`, and what reads files.

    connection: DuckDB's own, which sees what the expressions see.
    """

    dialect = "duckdb"

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.connection: duckdb.DuckDBPyConnection = backend.con

    def table(self, table: str, database: tuple[str, str] | None = None) -> ir.Table:
        """What bears this name, in a database and schema if they are given."""
        return self._backend.table(table, database=database)

    def fetch(self, query: Query) -> pa.Table:
        """What a query yields, in the expression's types."""
        return self.connection.sql(query.sql).to_arrow_table().cast(query.schema)

    def batches(self, table: str, size: int) -> Iterator[pa.RecordBatch]:
        """The rows of a table, some `size` at a time."""
        # ibis 12 asks DuckDB 2 for a method that is gone (fetch_record_batch), so the connection is called directly
        yield from self.connection.table(table).to_arrow_reader(size)

    def make(self, table: str, query: Query) -> None:
        """Make a temporary table of what a query yields."""
        self.connection.execute(f"CREATE TEMP TABLE {name(table)} ({query.columns})")
        self.connection.execute(f"INSERT INTO {name(table)} {query.sql}")

    def put(self, table: str, rows: pa.Table) -> None:
        """Let rows of this process be used as a table; one of this name gives way."""
        self.connection.register(table, rows)

    def view(self, view: str, expression: ir.Table) -> ir.Table:
        """A view; one of this name gives way."""
        return self._backend.create_view(view, expression, overwrite=True)

    def drop(self, table: str) -> None:
        """Drop what `make` made, if it got that far."""
        self.connection.execute(f"DROP TABLE IF EXISTS {name(table)}")

    def drop_view(self, view: str) -> None:
        """Drop what `view` made, if it got that far."""
        self.connection.execute(f"DROP VIEW IF EXISTS {name(view)}")

    def take_away(self, table: str) -> None:
        """Undo `put`."""
        self.connection.unregister(table)

    def close(self) -> None:
        """Let go of all of it."""
        self._backend.disconnect()


def connect(threads: int | None, memory_limit: str | None, scratch: str) -> DuckDB:
    """An engine in memory, which downloads nothing; its times are UTC, and what outgrows it goes to `scratch`."""
    engine = DuckDB(ibis.duckdb.connect(**OFFLINE))
    settings = {"TimeZone": "UTC", "threads": threads, "memory_limit": memory_limit, "temp_directory": scratch}
    for setting, value in settings.items():
        if value is not None:
            engine.connection.execute(f"SET GLOBAL {setting} = {quote(value)}")
    return engine


def engine_of(table: ir.Table) -> Engine:
    """The engine in which a table stands."""
    backend: Any = table.get_backend()
    return DuckDB(backend) if isinstance(backend, Backend) else backend


def stands_in_duckdb(expression: ir.Expr) -> bool:
    """Whether an expression is over no table of another engine."""
    tables = expression.op().find(ops.DatabaseTable)
    return all(isinstance(table.source, Backend) for table in tables)


def require_duckdb(engine: Engine) -> DuckDB:
    """The engine, if it can read files too. Raises TypeError for another one."""
    if not isinstance(engine, DuckDB):
        raise TypeError(f"files are read by DuckDB, and these tables are in another engine: {engine.dialect}")
    return engine


def is_plain(kind: str) -> bool:
    """Whether a type of DuckDB's is one that Ibis reads."""
    known = DuckDBType.from_string(kind)
    return not (known.is_unknown() or known.is_geospatial())


def quote(text: object) -> str:
    """A text as an SQL literal."""
    return "'" + str(text).replace("'", "''") + "'"


def literal(path: Path) -> str:
    """A path as an SQL literal that means this file alone: DuckDB takes *, ? and [ for patterns."""
    return quote(glob.escape(str(path)))


def name(text: str) -> str:
    """A text as an SQL identifier."""
    return '"' + text.replace('"', '""') + '"'


def described(connection: duckdb.DuckDBPyConnection, sql: str) -> dict[str, str]:
    """Name and DuckDB type of each column of what follows FROM."""
    return {row[0]: row[1] for row in connection.execute(f"DESCRIBE SELECT * FROM {sql}").fetchall()}


def batches(rows: duckdb.DuckDBPyRelation, size: int) -> Iterator[pa.RecordBatch]:
    """The rows of a query as they come, `size` at a time, fewer only at the end; the engine's own batches differ in
    size."""
    held: list[pa.RecordBatch] = []
    count = 0
    for batch in rows.to_arrow_reader(size):
        at = 0
        while at < batch.num_rows:
            part = batch.slice(at, size - count)
            held, count, at = [*held, part], count + part.num_rows, at + part.num_rows
            if count == size:
                yield _one(held)
                held, count = [], 0
    if held:
        yield _one(held)


def _one(parts: list[pa.RecordBatch]) -> pa.RecordBatch:
    """Batches in one."""
    return parts[0] if len(parts) == 1 else pa.Table.from_batches(parts).combine_chunks().to_batches()[0]


def described_query(connection: duckdb.DuckDBPyConnection, query: str) -> list[str]:
    """Names of a query's columns, doubles included."""
    return [row[0] for row in connection.execute(f"DESCRIBE {query}").fetchall()]


def first_line(error: BaseException) -> str:
    """The first line of an error's message."""
    return str(error).strip().split("\n")[0].strip().rstrip(".")


def explain(error: BaseException) -> str:
    """An engine's message on one line: cause, place and cure, without the SQL and the engine's own settings."""
    text = re.split(r"\n\s*(?:LINE \d+:|file = )", str(error))[0]
    if extension := missing_extension(text):
        return f"it needs DuckDB's extension {extension}, which is not built in; extensions are never downloaded"
    lines = (line.strip(" *\t") for line in text.split("\n"))
    parts = [
        re.sub(r"[.:]$", "", line)
        for line in lines
        if line and not line.startswith(_NOISE) and not _NOTHING_LIKE.match(line)
    ]
    message = "; ".join(parts)
    return message if len(message) <= LONGEST else message[: LONGEST - 1] + "…"


def missing_extension(text: str) -> str | None:
    """The extension of DuckDB that a message misses, if it does."""
    found = re.search(
        r"it exists in the (\w+) extension|requires the extension (\w+) to be loaded|INSTALL (\w+)"
        r"|Table Function with name (postgres)_\w+ does not exist",
        text,
    )
    if found:
        return next(filter(None, found.groups()))
    absent = re.search(r"Table with name \S+\.(\w+) does not exist", text)
    return {"xlsx": "excel", "avro": "avro", "db": "sqlite", "shp": "spatial"}.get(absent[1]) if absent else None


def reading_fault(error: duckdb.Error, table: str, place: str, remedy: str = AGAIN) -> InputError:
    """What DuckDB met while it read `place`, as a fault."""
    text = str(error)
    line = re.search(r"CSV Error on Line: (\d+)", text)
    if not line:
        if extension := missing_extension(text):
            problem = f"{place} needs DuckDB's extension {extension}, which is not built in and is never downloaded"
            return fail(table, problem, "Save what it reads as Parquet or CSV in the folder, and read that.")
        return fail(table, f"{place} cannot be read", remedy, explain(error))
    file = re.search(r"\n\s*file = (.*)", text)
    where = Path(file[1]).name if file else place
    where += f", which {place} reads," if where != place else ""
    original = re.search(r"Original Line: (.*)", text)
    received = shorten(original[1]) if original else None
    if "not utf-8" in text.lower() or "invalid unicode" in text.lower():
        remedy = "Export it as UTF-8, or name its encoding: read_csv('…', encoding = 'latin-1')."
        return fail(table, f"{where} is not encoded in UTF-8: see line {line[1]}", remedy)
    widths = re.search(r"Expected Number of Columns: (\d+) Found: (\d+)", text)
    if widths:
        return fail(
            table,
            f"line {line[1]} of {where} has {widths[2]} columns where {widths[1]} are expected",
            "Put values that hold a comma into double quotes; write decimals with a point.",
            received,
        )
    detail = explain(error).partition("; ")[2] or "it is no CSV"
    return fail(table, f"line {line[1]} of {where} cannot be read ({detail})", "Correct the line.", received)


def refuse_doubles(table: str, names: list[str], wanted: Iterable[str]) -> None:
    """Refuse names of `wanted` that occur more than once, in any case: the engine would pick one."""
    faults: list[Fault] = []
    for column in wanted:
        alike = [n for n in names if n.lower() == column.lower()]
        if len(alike) > 1:
            problem, remedy = f"there are {len(alike)} columns of this name", "Keep one, or rename the others."
            faults += fail(table, problem, remedy, ", ".join(alike), column).faults
    if faults:
        raise InputError(faults)
