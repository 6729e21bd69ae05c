"""Intermediate tables in the history's engine, dropped when their stage closes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self, TypeVar

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from features.comment_classifier.classifier import CommentClassifier
from features.engines.compiled import remember, remembered
from features.engines.engine import Engine, Query
from features.history.contract import TABLES, TYPES

T = TypeVar("T")
_numbers = itertools.count()
TEXT_BATCH = 500_000


@dataclass(frozen=True)
class _Plan:
    """What a stage once did: the query of each table that it kept, in turn, and what was made of them: tables, by
    name, or a query. The prefixes of the names of the stages' tables are replaced by places."""

    kept: tuple[Query, ...]
    names: tuple[str, ...] = ()
    query: Query | None = None


class Stage:
    """Keeps the results of expressions so that what several families need is computed once."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._prefix = f"stage_{next(_numbers)}_"  # of its tables' names
        self._kept: list[str] = []
        self._put: list[str] = []
        self._queries: list[Query] = []  # of the tables that were kept

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Drops all that was kept or put here."""
        for table in self._kept:
            self.engine.drop(table)
        for table in self._put:
            self.engine.take_away(table)
        self._kept, self._put = [], []

    def keep(self, expression: ir.Table) -> ir.Table:
        """The expression's rows as a temporary table."""
        self._queries.append(Query.of(expression, self.engine.dialect))
        return self.engine.table(self._keep(self._queries[-1]))

    def _keep(self, query: Query) -> str:
        table = f"{self._prefix}{len(self._kept) + len(self._put)}"
        self._kept.append(table)
        self.engine.make(table, query)
        return table

    def tables(self, key: Hashable, make: Callable[[], Sequence[ir.Table]]) -> list[ir.Table]:
        """The tables that `make` returns, all of which it keeps here; it is called only where `key` is new.

        key: all that `make` depends on.
        """
        key = self.engine.dialect, key
        plan: _Plan | None = remembered(key)
        if plan is None:
            made, kept = self._watched(make)
            names = (table.get_name().replace(self._prefix, _place(0)) for table in made)
            remember(key, _Plan(tuple(kept), tuple(names)))
            return [*made]
        self._repeat(plan)
        return [self.engine.table(table.replace(_place(0), self._prefix)) for table in plan.names]

    def fetch(self, key: Hashable, make: Callable[[], ir.Table], beside: Stage) -> pa.Table:
        """What the expression yields that `make` builds of tables that it keeps here, and of those of the stage
        `beside`; it is called only where `key` is new.

        key: all that `make` depends on.
        """
        key = self.engine.dialect, key
        plan: _Plan | None = remembered(key)
        if plan is None:
            made, kept = self._watched(make, beside)
            query = Query.of(made, self.engine.dialect)
            remember(key, _Plan(tuple(kept), query=_renamed(query, self._names(beside))))
            return self.engine.fetch(query)
        self._repeat(plan, beside)
        assert plan.query
        return self.engine.fetch(_renamed(plan.query, self._prefixes(beside)))

    def _watched(self, make: Callable[[], T], *beside: Stage) -> tuple[T, list[Query]]:
        """What `make` returns, and the queries of the tables that it kept here, with places for prefixes."""
        before = len(self._queries)
        made, names = make(), self._names(*beside)
        return made, [_renamed(query, names) for query in self._queries[before:]]

    def _repeat(self, plan: _Plan, *beside: Stage) -> None:
        for query in plan.kept:
            self._keep(_renamed(query, self._prefixes(*beside)))

    def _prefixes(self, *beside: Stage) -> dict[str, str]:
        """The inverse of `_names`."""
        return {place: prefix for prefix, place in self._names(*beside).items()}

    def _names(self, *beside: Stage) -> dict[str, str]:
        """The prefix of each stage, with its place."""
        return {stage._prefix: _place(i) for i, stage in enumerate((self, *beside))}

    def put(self, rows: pa.Table) -> ir.Table:
        """Rows of this process as a table of the engine."""
        table = f"{self._prefix}{len(self._kept) + len(self._put)}"
        self._put.append(table)
        self.engine.put(table, rows)
        return self.engine.table(table)

    def empty(self, table: str) -> ir.Table:
        """A contract table without rows, in place of an absent one."""
        kinds = {key: TYPES[column.metadata["kind"]] for key, column in TABLES[table].columns.items()}
        return self.put(ibis.schema(kinds).to_pyarrow().empty_table())

    def classified(self, column: ir.StringColumn, classifier: CommentClassifier) -> ir.Table:
        """Each distinct text of a column once, with a `text_id` and the classifier's columns."""
        distinct = column.name("text").as_table().distinct()
        texts = self.keep(distinct.mutate(text_id=ibis.row_number()))
        parts = []
        for batch in self.engine.batches(texts.get_name(), TEXT_BATCH):
            found = pa.Table.from_pandas(classifier.classify(batch.column("text")), preserve_index=False)
            parts.append(found.append_column("text_id", batch.column("text_id")))
        if not parts:
            empty = pa.Table.from_pandas(classifier.classify([]), preserve_index=False)
            parts.append(empty.append_column("text_id", pa.array([], pa.int64())))
        return texts.inner_join(self.put(pa.concat_tables(parts)), "text_id")


def _place(number: int) -> str:
    return f"stage<{number}>"


def _renamed(query: Query, names: Mapping[str, str]) -> Query:
    sql = query.sql
    for prefix, place in names.items():
        sql = sql.replace(prefix, place)
    return replace(query, sql=sql)
