"""Chunks of candidates into scores: features from flat arrays of everybody for rows that start late enough for them,
and from the table expressions for the others; the numbers are the same to the bit.

The arrays (`models.newest`) are made once for a list that has more rows than there are creators, which is when they
cost less than the features of each chunk. Chunks are scored in threads, and come back in their order.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd
import pyarrow as pa

from features.matrix import FeatureBuilder
from models.batch.file_columns import FileColumns
from models.batch.row_scorer import RowScorer, numbers, starts
from models.newest.assembler import Assembler, Terms
from models.newest.repeated import Repeated
from models.newest.snapshot_builder import probe
from models.scorer import Scorer
from models.uncertainty.target import Target

LEAST_ROWS = 20_000  # of a list for which the arrays are made


class Look(Protocol):
    """Looks at some rows of a list, in its order."""

    def due(self, rows: int) -> np.ndarray:
        """Places of those it wants among the next so many rows."""

    def add(self, matrix: pd.DataFrame, spine: pd.DataFrame, scores: pd.DataFrame) -> None:
        """Those rows: their features, their columns of candidates, and their `conversions`."""


@dataclass(frozen=True)
class _Early:
    """The rows of a chunk that start too early for the arrays: a mask (rows,), and their features by the engine."""

    rows: np.ndarray
    matrix: pd.DataFrame


@dataclass(frozen=True)
class _Work:
    """A chunk with its scores as columns, and its features as reasons show them."""

    table: pa.Table
    matrix: pd.DataFrame


class ListScorer:
    """Scores a list's chunks by one model."""

    def __init__(
        self,
        builder: FeatureBuilder,
        scorer: Scorer,
        label: str,
        rows: int,
        *,
        columns: FileColumns,
        level: float = 0.8,
        target: Target | None = None,
        reasons: bool = True,
        look: Look | None = None,
        progress: Callable[[str, int, int], None] | None = None,
    ) -> None:
        """rows: of the list. columns: of the file; scores that are not among them are not computed, where that saves
        time. reasons: whether chunks have them; without, each is empty. look: sees some rows of every chunk, in the
        list's order. progress: of making the arrays."""
        self.builder, self.scorer, self.look = builder, scorer, look
        self.rows = RowScorer(scorer, label, columns=columns, level=level, target=target, reasons=reasons)
        self.newest = self._newest(rows, progress)

    def _newest(self, rows: int, progress: Callable[[str, int, int], None] | None) -> Assembler | None:
        """What makes features from arrays; None for a list that is too short for it."""
        creators = self.builder.history.creators.count().to_pyarrow().as_py()
        if rows < max(LEAST_ROWS, creators):
            return None
        report = progress or (lambda name, done, of: None)
        report("creators", 0, creators)
        held = probe(self.builder, progress=lambda done, of: report("creators", creators * done // of, creators))
        report("creators", creators, creators)
        return Assembler(held, self.scorer.scoring.coding)

    def score(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
        """Every batch with its scores, in order; as many are in work as there are processors, and one more waits."""
        threads = os.cpu_count() or 1
        running: deque[Future[_Work]] = deque()
        with ThreadPoolExecutor(threads) as pool:
            try:
                for batch in batches:
                    running.append(pool.submit(self._work, batch, self._early(batch)))
                    if len(running) > threads:
                        yield self._finished(running.popleft().result())
                while running:
                    yield self._finished(running.popleft().result())
            finally:
                pool.shutdown(cancel_futures=True)

    def look_again(self, scored: pa.Table) -> None:
        """Let `look` see a chunk that an earlier run has scored, as `score` does; only what it wants is built."""
        if not self.look or not len(due := self.look.due(scored.num_rows)):
            return
        table = scored.take(due).combine_chunks()
        (batch,) = table.to_batches()
        matrix = self._features(batch, self._early(batch))[1]
        self.look.add(matrix, batch.to_pandas(), table.select(["conversions"]).to_pandas())

    def reasons_of(self, batch: pa.RecordBatch) -> list[str]:
        """What moved the scores of some candidates (rows,), as chunks with reasons have it."""
        return self.scorer.scoring.reasons(*self._features(batch, self._early(batch)))

    def _early(self, batch: pa.RecordBatch) -> _Early | None:
        """The features that the arrays do not hold: the engine serves one thread at a time. None where they do all."""
        rows = np.ones(len(batch), bool) if self.newest is None else starts(batch) < self.newest.snapshot.horizon
        return _Early(rows, self.builder.build(batch.filter(pa.array(rows)).to_pandas())) if rows.any() else None

    def _features(self, batch: pa.RecordBatch, early: _Early | None) -> tuple[np.ndarray, pd.DataFrame]:
        """Features as the model codes them, and as reasons show them."""
        if self.newest is None:
            assert early
            return self.rows.coded(batch, early.matrix), early.matrix
        if early is None:
            assembled = self.newest.assemble(_terms(batch))
            return assembled.features, pd.DataFrame(dict(self.newest.values(assembled)), copy=False)
        built = early.matrix[list(self.newest.encoding.columns)]
        first = self.rows.coded(batch.filter(pa.array(early.rows)), built)
        if early.rows.all():
            return first, built
        coded, matrix = self._features(batch.filter(pa.array(~early.rows)), None)
        columns = {name: _merged(early.rows, built[name].to_numpy(), matrix[name].to_numpy()) for name in built}
        return _merged(early.rows, first, coded), pd.DataFrame(columns, copy=False)

    def _work(self, batch: pa.RecordBatch, early: _Early | None) -> _Work:
        coded, matrix = self._features(batch, early)
        table = pa.Table.from_batches([batch])
        scores = self.rows.columns(batch, coded, matrix)
        for field, column in zip(scores.schema, scores.columns, strict=True):
            table = table.append_column(field.name, column)
        return _Work(table, matrix)

    def _finished(self, work: _Work) -> pa.Table:
        if self.look and len(due := self.look.due(len(work.matrix))):
            spine = work.table.take(due).to_pandas()
            self.look.add(work.matrix.iloc[due], spine, spine[["conversions"]])
        return work.table


def _merged(mask: np.ndarray, there: np.ndarray, elsewhere: np.ndarray) -> np.ndarray:
    """Rows of both (rows, …), in order: those of `there` where the mask is set."""
    out = np.empty((len(mask), *there.shape[1:]), there.dtype)
    out[mask], out[~mask] = there, elsewhere
    return out


def _terms(batch: pa.RecordBatch) -> Terms:
    """The contract's columns of a chunk; one that a list may leave out is missing in every row."""
    there = set(batch.schema.names)

    def texts(name: str) -> Repeated:
        return Repeated.of(batch.column(name)) if name in there else Repeated.missing(len(batch))

    return Terms(
        creator_id=texts("creator_id"),
        brand=texts("brand"),
        product_niche=texts("product_niche"),
        product_country=texts("product_country"),
        objective=texts("objective"),
        starts_at=starts(batch),
        promotion_hours=numbers(batch, "promotion_hours"),
        deliverables=numbers(batch, "deliverables"),
        spend=numbers(batch, "spend"),
    )
