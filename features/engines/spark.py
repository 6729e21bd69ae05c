"""Everything specific to Spark: how to reach it, where the tables are that it makes, what its errors mean.

pyspark is an extra of the project and is imported when a session is opened. Tables that are made lie as Parquet in a
scratch folder, which executors share with this process: what a lost executor had made is still there, and rows that
were numbered once keep their numbers.
"""

from __future__ import annotations

import itertools
import re
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from features.engines import dialects
from features.engines.engine import Query
from features.faults import fail

INSTALL = "pip install 'pyspark>=4,<5' (of sc:// alone, pyspark-client is enough)"
_PORTS = {"spark": 7077, "sc": 15002}  # Spark's own
_SECONDS = 10  # to wait for a server; Spark itself would try for minutes
# Times are UTC; what cannot be cast or divided is missing, as in the other engines.
_SETTINGS = {"spark.sql.session.timeZone": "UTC", "spark.sql.ansi.enabled": "false"}
_LONGEST = 400  # characters of a message


class SparkError(Exception):
    """What Spark met, in its own words, on one line."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(_reason(error))


class Spark:
    """Temporary views of a session as expressions of Ibis: an `Engine`.

    session: pyspark's, classic or of Spark Connect. scratch: an empty folder that executors see under the same path.
    """

    dialect = "pyspark"

    def __init__(self, session: Any, scratch: Path) -> None:
        self.session, self.scratch = session, scratch
        self._schemas: dict[str, ibis.Schema] = {}
        self._folders: dict[str, Path] = {}
        self._numbers = itertools.count()

    def table(self, table: str) -> ir.Table:
        """What this engine has made under this name."""
        return ibis.table(self._schemas[_identifier(table)], name=_identifier(table))

    def fetch(self, query: Query) -> pa.Table:
        """What a query yields, in the expression's types."""
        found: pa.Table = self.session.sql(query.sql).toArrow()
        return found.cast(query.schema)

    def batches(self, table: str, size: int) -> Iterator[pa.RecordBatch]:
        """The rows of a table that was made or put here, at most `size` at a time."""
        found = ds.dataset(self.parts(table), schema=self._schemas[_identifier(table)].to_pyarrow(), format="parquet")
        yield from found.to_batches(batch_size=size)

    def parts(self, table: str) -> list[str]:
        """The Parquet files of a table that was made or put here, in the order of their names."""
        return [str(path) for path in sorted(self._folders[table].rglob("*.parquet"))]

    def make(self, table: str, query: Query) -> None:
        """Make a table of what a query yields."""
        schema = ibis.Schema.from_pyarrow(query.schema)
        self.write(table, self.session.sql(dialects.cast(query.sql, schema, self.dialect)), schema)

    def write(self, table: str, rows: Any, schema: ibis.Schema) -> None:
        """Make a table of a DataFrame's rows, whose types are those of `schema`."""
        folder = self._folder(table)
        rows.write.parquet(str(folder))
        self._read(table, folder, schema)

    def put(self, table: str, rows: pa.Table) -> None:
        """Let rows of this process be used as a table; one of this name gives way."""
        schema = ibis.Schema.from_pyarrow(rows.schema)
        with self.writer(table, rows.schema) as writer:
            writer.write_table(rows)
        self._read(table, self._folders[table], schema)

    @contextmanager
    def writer(self, table: str, schema: pa.Schema) -> Iterator[pq.ParquetWriter]:
        """Takes rows of this process for a table, which can be used once the context ends without an error."""
        folder = self._folder(table)
        folder.mkdir()
        with pq.ParquetWriter(folder / "part-00000.parquet", schema) as writer:
            yield writer
        self._read(table, folder, ibis.Schema.from_pyarrow(schema))

    def files(self, table: str, path: Path) -> ir.Table:
        """A Parquet file, or a folder of parts, where it lies, in the types that Spark reads."""
        rows = self.session.read.parquet(str(path))
        self._name(table, rows, ibis.Schema.from_pyarrow(rows.limit(0).toArrow().schema))
        return self.table(table)

    def view(self, view: str, expression: ir.Table) -> ir.Table:
        """A view; one of this name gives way."""
        return self.select(view, dialects.sql(expression, self.dialect), expression.schema())

    def select(self, view: str, query: str, schema: ibis.Schema) -> ir.Table:
        """A view of what a SELECT yields, whose columns are those of `schema`."""
        self._name(view, self.session.sql(query), schema)
        return self.table(view)

    def drop(self, table: str) -> None:
        """Drop what `make` made, if it got that far."""
        self.drop_view(table)
        if folder := self._folders.pop(table, None):
            shutil.rmtree(folder, ignore_errors=True)

    def drop_view(self, view: str) -> None:
        """Drop what `view` made, if it got that far."""
        if self._schemas.pop(_identifier(view), None):
            self.session.catalog.dropTempView(_identifier(view))

    def take_away(self, table: str) -> None:
        """Undo `put`."""
        self.drop(table)

    def _folder(self, table: str) -> Path:
        self.drop(table)
        self._folders[table] = self.scratch / f"table-{next(self._numbers):06}"
        return self._folders[table]

    def _read(self, table: str, folder: Path, schema: ibis.Schema) -> None:
        self._name(table, self.session.read.parquet(str(folder)), schema)

    def _name(self, table: str, rows: Any, schema: ibis.Schema) -> None:
        rows.createOrReplaceTempView(_identifier(table))
        self._schemas[_identifier(table)] = schema


def _identifier(name: str) -> str:
    """The name of a view, which may have no spaces."""
    return re.sub(r"\W", "_", name)


@contextmanager
def connected(url: str) -> Iterator[Spark]:
    """An engine in the Spark at `url`: `spark://HOST:PORT`, a standalone cluster's master, or `sc://HOST:PORT`, a
    server of Spark Connect. Its scratch folder is one in TMPDIR, gone at the end; executors must share it.

    Everything else is Spark's own configuration (SPARK_CONF_DIR, PYSPARK_PYTHON). Raises InputError where pyspark is
    missing or Spark cannot be reached, SparkError for what it meets later on.
    """
    try:
        import pyspark  # noqa: F401
    except ImportError as error:
        raise fail("--engine", "pyspark is not installed", f"Install it: {INSTALL}.", str(error)) from None
    _require_reachable(url)
    ibis.pyspark  # noqa: B018  # registers options that its compiler asks for
    with tempfile.TemporaryDirectory(prefix="creator-yield-spark-") as scratch:
        session = None
        try:
            session = _session(url)
            yield Spark(session, Path(scratch))
        except Exception as error:
            if not _is_of_spark(error):
                raise
            raise SparkError(error) from error
        finally:
            if session is not None:
                session.stop()


def _session(url: str) -> Any:
    if url.startswith("sc://"):
        from pyspark.sql.connect.session import SparkSession as Connected

        session = Connected.builder.remote(url).create()
        for key, value in _SETTINGS.items():
            session.conf.set(key, value)
        return session
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master(url).appName("creator-yield")
    for key, value in {"spark.ui.showConsoleProgress": "false", **_SETTINGS}.items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")  # every error arrives here as an exception
    return session


def _require_reachable(url: str) -> None:
    """Raise InputError where nothing listens at a URL's host and port; of several masters one is enough."""
    scheme, _, rest = url.partition("://")
    reason = "it names no host"
    for place in re.split(r"[/;?]", rest, maxsplit=1)[0].split(","):
        host, _, port = place.rpartition(":") if re.search(r":\d+$", place) else (place, "", str(_PORTS[scheme]))
        try:
            socket.create_connection((host.strip("[]"), int(port)), _SECONDS).close()
            return
        except (OSError, ValueError) as error:
            reason = str(error)
    raise fail("--engine", "Spark cannot be reached there", "Check the URL, and that Spark runs.", f"{url} ({reason})")


def _is_of_spark(error: BaseException) -> bool:
    return type(error).__module__.partition(".")[0] in ("pyspark", "py4j", "grpc")


def _reason(error: BaseException) -> str:
    """The innermost cause that a message of Spark's names, without the stacks of the JVM."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = [line for line in lines if not re.match(r"at |\.\.\. \d+ more|JVM stacktrace|:? ?Driver stacktrace", line)]
    causes = [line.removeprefix("Caused by: ") for line in said if line.startswith("Caused by: ")]
    found = causes[-1] if causes else " ".join(said) or type(error).__name__
    return found if len(found) <= _LONGEST else found[: _LONGEST - 1] + "…"
