"""What features need of an engine: the database that holds a history's tables and evaluates expressions over them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import ibis.expr.types as ir
import pyarrow as pa

from features.engines import dialects


@dataclass(frozen=True)
class Query:
    """SQL of an expression, and the names and types of what it yields, also as columns of a table to be made."""

    sql: str
    schema: pa.Schema
    columns: str

    @classmethod
    def of(cls, expression: ir.Table, dialect: str) -> Query:
        """The query of an expression in an engine's dialect."""
        schema = expression.schema()
        return cls(dialects.sql(expression, dialect), schema.to_pyarrow(), dialects.columns(schema, dialect))


class Engine(Protocol):
    """An open engine. Names are of tables and views alike; those that it makes end with it."""

    dialect: str

    def table(self, table: str) -> ir.Table:
        """What bears this name, as an expression."""

    def fetch(self, query: Query) -> pa.Table:
        """What a query yields, in the expression's types."""

    def batches(self, table: str, size: int) -> Iterator[pa.RecordBatch]:
        """The rows of a table, some `size` at a time."""

    def make(self, table: str, query: Query) -> None:
        """Make a temporary table of what a query yields."""

    def put(self, table: str, rows: pa.Table) -> None:
        """Let rows of this process be used as a table; one of this name gives way."""

    def view(self, view: str, expression: ir.Table) -> ir.Table:
        """A view; one of this name gives way."""

    def drop(self, table: str) -> None:
        """Drop what `make` made, if it got that far."""

    def drop_view(self, view: str) -> None:
        """Drop what `view` made, if it got that far."""

    def take_away(self, table: str) -> None:
        """Undo `put`."""
