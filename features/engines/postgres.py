"""Everything specific to PostgreSQL's driver (ADBC): how to connect, run statements and move rows, what errors mean.

The driver is an extra of the project and is imported when a database is opened.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Literal

import ibis
import ibis.expr.operations as ops
import ibis.expr.types as ir
import pandas as pd
import pyarrow as pa
from ibis.formats.pandas import PandasData

from features.engines import dialects
from features.engines.duckdb import first_line, name
from features.engines.engine import Query
from features.faults import fail

if TYPE_CHECKING:
    from adbc_driver_manager.dbapi import Connection, Cursor

SCHEME = "postgresql"
INSTALL = "pip install adbc-driver-manager adbc-driver-postgresql"
# Two transactions met, and one of them has to start again: serialization_failure, deadlock_detected.
_COLLISIONS = ("40001", "40P01")
# What a URL may leave out: seconds to wait for a server, and what its administrator sees.
_DEFAULTS = {"connect_timeout": "10", "fallback_application_name": "creator-yield", "client_encoding": "UTF8"}
_COPY = "adbc.postgresql.use_copy"


class PostgresError(Exception):
    """What the server or the driver met, in the server's words. state: the SQLSTATE, where the driver knows it: not of
    a connection that is lost, nor of a query that breaks off."""

    def __init__(self, error: BaseException) -> None:
        self.state: str | None = getattr(error, "sqlstate", None)
        super().__init__(_reason(error))

    @property
    def is_collision(self) -> bool:
        """Whether the same would succeed in a transaction that begins anew."""
        return self.state in _COLLISIONS


class Session:
    """A connection to a database. Every method raises PostgresError."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def execute(self, query: str) -> None:
        """Run a statement that returns nothing."""
        with self._cursor(copy=False) as cursor:
            cursor.execute(query)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        with self._cursor(copy=False) as cursor:
            cursor.execute(query)
            return cursor.fetchall()

    @contextmanager
    def stream(self, query: str) -> Iterator[pa.RecordBatchReader]:
        """The rows of a query as Arrow batches of about 16 MB."""
        with self._cursor(copy=True) as cursor:
            cursor.execute(query)
            yield cursor.fetch_record_batch()

    def stage(self, table: str, rows: pa.Table, mode: Literal["create", "append"] = "create") -> None:
        """Put rows into a temporary table, which ends with the session: a new one, or one that is there."""
        with self._cursor(copy=True) as cursor:
            cursor.adbc_ingest(table, rows, mode=mode, temporary=True)

    @contextmanager
    def _cursor(self, *, copy: bool) -> Iterator[Cursor]:
        """copy: whether rows are to come by COPY, which is fast and takes queries alone."""
        from adbc_driver_manager import Error

        try:
            with self._connection.cursor() as cursor:
                cursor.adbc_statement.set_options(**{_COPY: str(copy).lower()})
                yield cursor
        except (Error, OSError, pa.ArrowException) as error:  # a stream that breaks off raises one of Arrow's
            raise PostgresError(error) from error


class PostgreSQL:
    """Tables of a database as expressions of Ibis: an `Engine`. What it makes is temporary and ends with the session.

    Texts are kept in the order of their code points (collation C), as DuckDB orders them. Every method raises
    PostgresError.
    """

    dialect = "postgres"

    def __init__(self, session: Session) -> None:
        self._session = session
        self._schemas: dict[str, ibis.Schema] = {}

    def table(self, table: str) -> ir.Table:
        """What this engine has made under this name."""
        return ops.DatabaseTable(table, self._schemas[table], self).to_expr()

    def to_pyarrow(self, expression: ir.Expr, /, **options: Any) -> Any:
        """What Ibis calls for `to_pyarrow` of an expression over tables of this engine."""
        query = Query.of(expression.as_table(), self.dialect)
        return expression.__pyarrow_result__(self.fetch(query))

    def execute(self, expression: ir.Expr, /, **options: Any) -> Any:
        """What Ibis calls for `to_pandas` and `execute` of such an expression; types as DuckDB's of Ibis has them."""
        query = Query.of(expression.as_table(), self.dialect)
        found = self.fetch(query)
        columns = {
            name: column.to_pylist() if column.null_count else column.to_pandas()
            for name, column in zip(found.column_names, found.columns, strict=True)
        }
        frame = PandasData.convert_table(pd.DataFrame(columns), expression.as_table().schema())
        return expression.__pandas_result__(frame)

    def fetch(self, query: Query) -> pa.Table:
        """What a query yields, in the expression's types."""
        with self._session.stream(query.sql) as reader:
            return reader.read_all().cast(query.schema)

    def batches(self, table: str, size: int) -> Iterator[pa.RecordBatch]:
        """The rows of a table, at most `size` at a time."""
        with self._session.stream(f"SELECT * FROM {_temporary(table)}") as reader:
            for batch in reader:
                yield from (batch.slice(start, size) for start in range(0, batch.num_rows, size))

    def make(self, table: str, query: Query) -> None:
        """Make a temporary table of what a query yields."""
        self._create(table, ibis.Schema.from_pyarrow(query.schema), query.columns)
        self._session.execute(f"INSERT INTO {_temporary(table)} {query.sql}")
        self._session.execute(f"ANALYZE {_temporary(table)}")  # or joins are planned as if it were empty

    def put(self, table: str, rows: pa.Table) -> None:
        """Let rows of this process be used as a table; one of this name gives way, with the views that read it."""
        self._session.execute(f"DROP TABLE IF EXISTS {_temporary(table)} CASCADE")
        schema = ibis.Schema.from_pyarrow(rows.schema)
        self._create(table, schema, dialects.columns(schema, self.dialect))
        self._session.stage(table, rows, "append")
        self._session.execute(f"ANALYZE {_temporary(table)}")

    def _create(self, table: str, schema: ibis.Schema, columns: str) -> None:
        self._session.execute(f"CREATE TEMPORARY TABLE {name(table)} ({columns})")
        self._schemas[table] = schema

    def view(self, view: str, expression: ir.Table) -> ir.Table:
        """A view; one of this name gives way."""
        return self.select(view, dialects.sql(expression, self.dialect), expression.schema())

    def select(self, view: str, query: str, schema: ibis.Schema) -> ir.Table:
        """A view of what a SELECT yields, whose columns are those of `schema`."""
        self.drop_view(view)
        self._session.execute(f"CREATE TEMPORARY VIEW {name(view)} AS {query}")
        self._schemas[view] = schema
        return self.table(view)

    def drop(self, table: str) -> None:
        """Drop what `make` made, if it got that far."""
        self._session.execute(f"DROP TABLE IF EXISTS {_temporary(table)}")

    def drop_view(self, view: str) -> None:
        """Drop what `view` made, if it got that far, with the views that read it."""
        self._session.execute(f"DROP VIEW IF EXISTS {_temporary(view)} CASCADE")

    def take_away(self, table: str) -> None:
        """Undo `put`."""
        self.drop(table)


def _temporary(table: str) -> str:
    """Of what this session made alone: the database may have a table of the same name."""
    return f"pg_temp.{name(table)}"


@contextmanager
def connected(url: str) -> Iterator[Session]:
    """A session of the database at `url` (`postgresql://USER@HOST/DB`, as libpq reads it), each statement a transaction
    of its own unless it begins one. A password is looked for where libpq does: in the URL, PGPASSWORD, the
    password file, or the service file. What was not committed when the context ends is undone.

    Raises InputError where the driver is missing or the database cannot be reached.
    """
    try:
        from adbc_driver_postgresql import dbapi
    except ImportError as error:
        remedy = f"Install it: {INSTALL} (the extra `postgres`)."
        raise fail(url, "the driver of PostgreSQL is not installed", remedy, first_line(error)) from None
    _require_clear(url)
    try:
        connection = dbapi.connect(_with_defaults(url), autocommit=True)
    except dbapi.Error as error:
        remedy = (
            "Check the URL, that the server runs, and who may connect; PGPASSWORD or a password file has the password."
        )
        raise fail(url, "the database cannot be opened", remedy, str(PostgresError(error))) from None
    try:
        yield Session(connection)
    finally:
        with suppress(dbapi.Error):  # of a connection that was lost
            connection.close()


def _require_clear(url: str) -> None:
    """Raise InputError where libpq would take a part of the password for something else, and name it in its errors."""
    rest = url.partition("://")[2]
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if authority.count("@") > 1 or "@" in rest[len(authority) :]:
        problem = "its URL has an @ that does not stand between the user and the host, or a / or ? before that @"
        raise fail("DATA", problem, "Write @ as %40, / as %2F and ? as %3F within the user's name and the password.")


def _with_defaults(url: str) -> str:
    given = url.partition("?")[2]
    more = "&".join(f"{key}={value}" for key, value in _DEFAULTS.items() if not re.search(rf"(^|&){key}=", given))
    return f"{url}{'&' if '?' in url else '?'}{more}" if more else url


def _reason(error: BaseException) -> str:
    """The server's own words for an error, with its detail if there is one; else the driver's, on one line."""
    details = {key: value.decode(errors="replace") for key, value in getattr(error, "details", None) or ()}
    parts = [details.get(f"PG_DIAG_{part}", "") for part in ("MESSAGE_PRIMARY", "MESSAGE_DETAIL")]
    if not parts[0] and (said := re.search(r"(?:ERROR|FATAL|PANIC): +(.*)", str(error))):
        parts = [said[1]]
    if not parts[0]:
        parts = [" ".join(re.sub(r"^(\w+: )?(\[libpq\] )?(Failed to connect: )?", "", str(error)).split())]
    return "; ".join(part.rstrip(".") for part in parts if part)
