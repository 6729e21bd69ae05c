"""A Spark Connect server of the tests' own (Sail), and the engine of features that uses it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from features.engines import dialects
from features.engines.engine import Query
from features.history.contract import TABLES
from features.history.source import History


class Spark:
    """Temporary views of a session as expressions of Ibis: an `Engine`. Tables that are made go by way of this process.

    session: pyspark's.
    """

    dialect = "pyspark"

    def __init__(self, session: Any) -> None:
        self._session = session
        self._schemas: dict[str, ibis.Schema] = {}

    def table(self, table: str) -> ir.Table:
        """What this engine has made under this name."""
        return ibis.table(self._schemas[table], name=table)

    def fetch(self, query: Query) -> pa.Table:
        """What a query yields, in the expression's types."""
        found: pa.Table = self._session.sql(query.sql).toArrow()
        return found.cast(query.schema)

    def batches(self, table: str, size: int) -> Iterator[pa.RecordBatch]:
        """The rows of a table, at most `size` at a time."""
        found: pa.Table = self._session.table(table).toArrow()
        yield from found.to_batches(size)

    def make(self, table: str, query: Query) -> None:
        """Let what a query yields be used as a table."""
        self.put(table, self.fetch(query))

    def put(self, table: str, rows: pa.Table) -> None:
        """Let rows of this process be used as a table; one of this name gives way."""
        from pyspark.sql.pandas.types import from_arrow_schema

        schema = from_arrow_schema(rows.schema) if not rows.num_rows else None  # of no rows none is inferred
        self._session.createDataFrame(rows, schema).createOrReplaceTempView(table)
        self._schemas[table] = ibis.Schema.from_pyarrow(rows.schema)

    def view(self, view: str, expression: ir.Table) -> ir.Table:
        """A view; one of this name gives way."""
        self._session.sql(dialects.sql(expression, self.dialect)).createOrReplaceTempView(view)
        self._schemas[view] = expression.schema()
        return self.table(view)

    def drop(self, table: str) -> None:
        """Drop what `make` made, if it got that far."""
        self._session.sql(f"DROP VIEW IF EXISTS `{table}`")

    def drop_view(self, view: str) -> None:
        """Drop what `view` made, if it got that far."""
        self.drop(view)

    def take_away(self, table: str) -> None:
        """Undo `put`."""
        self.drop(table)


@contextmanager
def running() -> Iterator[Spark]:
    """A server on a free port of this host, and an engine in it, whose times are UTC."""
    from pysail.spark import SparkConnectServer
    from pyspark.sql import SparkSession

    ibis.pyspark  # noqa: B018  # registers options that its compiler asks for
    server = SparkConnectServer("127.0.0.1", 0)
    server.start(background=True)
    session = SparkSession.builder.remote(f"sc://127.0.0.1:{server.listening_address[1]}").getOrCreate()
    try:
        session.conf.set("spark.sql.session.timeZone", "UTC")
        yield Spark(session)
    finally:
        session.stop()
        server.stop()


def moved(history: History, engine: Spark) -> History:
    """The same history with its tables in the engine."""
    tables: dict[str, Any] = {table: getattr(history, table) for table in TABLES}
    for table, rows in tables.items():
        if rows is not None:
            engine.put(table, rows.to_pyarrow())
            tables[table] = engine.table(table)
    return History(engine, **tables, stamp=history.stamp, given=history.given)
