"""Everything specific to PostgreSQL's driver (ADBC): how to connect, run statements and move rows, what errors mean.

The driver is an extra of the project and is imported when a database is opened.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from features.engines.duckdb import first_line
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

    def stage(self, table: str, rows: pa.Table) -> None:
        """Put rows into a new temporary table, which ends with the session."""
        with self._cursor(copy=True) as cursor:
            cursor.adbc_ingest(table, rows, mode="create", temporary=True)

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
