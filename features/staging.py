"""Intermediate tables in the history's engine, dropped when their stage closes."""

from __future__ import annotations

import itertools
from types import TracebackType
from typing import Self

import ibis
import ibis.expr.types as ir
import pyarrow as pa
from ibis.backends.duckdb import Backend

from features.comment_classifier.classifier import CommentClassifier
from features.history.contract import TABLES, TYPES

_numbers = itertools.count()
TEXT_BATCH = 500_000


class Stage:
    """Keeps the results of expressions so that what several families need is computed once."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self._tables: list[str] = []
        self._views: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Drops all that was kept or put here."""
        for name in self._tables:
            self.backend.drop_table(name)
        for name in self._views:
            self.backend.con.unregister(name)
        self._tables, self._views = [], []

    def keep(self, expression: ir.Table) -> ir.Table:
        """The expression's rows as a temporary table."""
        name = f"stage_{next(_numbers)}"
        kept = self.backend.create_table(name, expression, temp=True)
        self._tables.append(name)
        return kept

    def put(self, rows: pa.Table) -> ir.Table:
        """Rows of this process as a table of the engine."""
        name = f"stage_{next(_numbers)}"
        self.backend.con.register(name, rows)
        self._views.append(name)
        return self.backend.table(name)

    def empty(self, table: str) -> ir.Table:
        """A contract table without rows, in place of an absent one."""
        kinds = {name: TYPES[column.metadata["kind"]] for name, column in TABLES[table].columns.items()}
        return self.put(ibis.schema(kinds).to_pyarrow().empty_table())

    def classified(self, column: ir.StringColumn, classifier: CommentClassifier) -> ir.Table:
        """Each distinct text of a column once, with a `text_id` and the classifier's columns."""
        distinct = column.name("text").as_table().distinct()
        texts = self.keep(distinct.mutate(text_id=ibis.row_number()))
        parts = []
        # ibis 12 asks DuckDB 2 for a method that is gone (fetch_record_batch), so the connection is called directly
        for batch in self.backend.con.table(texts.get_name()).to_arrow_reader(TEXT_BATCH):
            found = pa.Table.from_pandas(classifier.classify(batch.column("text")), preserve_index=False)
            parts.append(found.append_column("text_id", batch.column("text_id")))
        if not parts:
            empty = pa.Table.from_pandas(classifier.classify([]), preserve_index=False)
            parts.append(empty.append_column("text_id", pa.array([], pa.int64())))
        return texts.inner_join(self.put(pa.concat_tables(parts)), "text_id")
