"""Chunks of candidates into scores: features from flat arrays of everybody where a chunk starts late enough for them,
and by the table expressions otherwise; the numbers are the same to the bit.

The arrays (`models.newest`) are made once for a list that has more rows than there are creators, which is when they
cost less than the features of each chunk. Chunks are scored in threads, and come back in their order.
"""

from __future__ import annotations

import json
import os
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from features.matrix import FeatureBuilder
from models.newest.assembler import Assembler, Terms
from models.newest.repeated import Repeated
from models.newest.snapshot_builder import probe
from models.scorer import Scorer
from models.scoring import Scores
from models.uncertainty.target import Target

LEAST_ROWS = 20_000  # of a list for which the arrays are made
JSON, NO_REASONS = ("reasons", "warnings"), "[]"
# takes a chunk's matrix, the contract's columns of it, and its scores
Look = Callable[[pd.DataFrame, pd.DataFrame, pd.DataFrame], None]


@dataclass(frozen=True)
class Scored:
    """A chunk with its scores as columns, and how often each warning was given."""

    table: pa.Table
    warnings: Counter[str]


@dataclass(frozen=True)
class _Work:
    """A chunk, its features as reasons show them, and its scores."""

    batch: pa.RecordBatch
    matrix: pd.DataFrame
    scores: Scores


class ListScorer:
    """Scores a list's chunks by one model."""

    def __init__(
        self,
        builder: FeatureBuilder,
        scorer: Scorer,
        label: str,
        rows: int,
        *,
        level: float = 0.8,
        target: Target | None = None,
        reasons: bool = True,
        look: Look | None = None,
    ) -> None:
        """rows: of the list. reasons: whether chunks have them; without, each is empty. look: sees every chunk, in the
        list's order."""
        self.builder, self.scorer, self.label = builder, scorer, label
        self.level, self.target, self.reasons, self.look = level, target, reasons, look
        self.newest = self._newest(rows)

    def _newest(self, rows: int) -> Assembler | None:
        """What makes features from arrays; None for a list that is too short for it."""
        creators = self.builder.history.creators.count().to_pyarrow().as_py()
        if rows < max(LEAST_ROWS, creators):
            return None
        return Assembler(probe(self.builder), self.scorer.scoring.coding)

    def score(self, batches: Iterable[pa.RecordBatch]) -> Iterator[Scored]:
        """Every batch with its scores, in order; as many are in work as there are processors, and one more waits."""
        threads = os.cpu_count() or 1
        running: deque[Future[_Work]] = deque()
        with ThreadPoolExecutor(threads) as pool:
            try:
                for batch in batches:
                    running.append(pool.submit(self._work, batch, self._built(batch)))
                    if len(running) > threads:
                        yield self._finished(running.popleft().result())
                while running:
                    yield self._finished(running.popleft().result())
            finally:
                pool.shutdown(cancel_futures=True)

    def reasons_of(self, batch: pa.RecordBatch) -> list[str]:
        """What moved the scores of some candidates (rows,), as chunks with reasons have it."""
        coded, matrix = self._features(_terms(batch), self._built(batch))
        return self.scorer.scoring.reasons(coded, matrix)

    def _built(self, batch: pa.RecordBatch) -> pd.DataFrame | None:
        """The features that the arrays do not hold: the engine serves one thread at a time. None where they do."""
        if self.newest and _starts(batch).min() >= self.newest.snapshot.horizon:
            return None
        return self.builder.build(batch.to_pandas())

    def _features(self, terms: Terms, matrix: pd.DataFrame | None) -> tuple[np.ndarray, pd.DataFrame]:
        """Features as the model codes them, and as reasons show them. matrix: the latter, if the engine made them."""
        if matrix is None:
            assert self.newest
            assembled = self.newest.assemble(terms)
            return assembled.features, pd.DataFrame(self.newest.values(assembled), copy=False)
        return self.scorer.scoring.coding.transform(matrix, np.array(terms.creator_id, object)), matrix

    def _work(self, batch: pa.RecordBatch, built: pd.DataFrame | None) -> _Work:
        terms = _terms(batch)
        coded, matrix = self._features(terms, built)
        found = self.scorer.scoring.score(
            coded, terms.spend, starts=terms.starts_at, level=self.level, values=matrix if self.reasons else None,
            target=self.target,
        )  # fmt: skip
        return _Work(batch, matrix, found)

    def _finished(self, work: _Work) -> Scored:
        scores, rows = work.scores, len(work.batch)
        if self.look:
            self.look(work.matrix, work.batch.to_pandas(), pd.DataFrame({"conversions": scores.conversions}))
        patterns = Counter(scores.warnings)
        texts = {codes: json.dumps(codes) for codes in patterns}
        columns = scores.columns() | {"warnings": [texts[codes] for codes in scores.warnings]}
        columns.setdefault("reasons", [NO_REASONS] * rows)
        table = pa.Table.from_batches([work.batch])
        for name, values in columns.items():
            table = table.append_column(name, pa.array(values, pa.string() if name in JSON else pa.float64()))
        counted: Counter[str] = Counter()
        for codes, times in patterns.items():
            counted.update(dict.fromkeys(codes, times))
        return Scored(table.append_column("model_version", pa.array([self.label] * rows, pa.string())), counted)


def _starts(batch: pa.RecordBatch) -> np.ndarray:
    """When the deals start, in microseconds since 1970 (rows,)."""
    return np.asarray(batch.column("starts_at").cast(pa.timestamp("us")).cast(pa.int64()))


def _terms(batch: pa.RecordBatch) -> Terms:
    """The contract's columns of a chunk; one that a list may leave out is missing in every row."""
    there = set(batch.schema.names)

    def texts(name: str) -> Repeated:
        return Repeated.of(batch.column(name)) if name in there else Repeated.missing(len(batch))

    def numbers(name: str) -> np.ndarray:
        if name not in there:
            return np.full(len(batch), np.nan)
        return np.asarray(batch.column(name).cast(pa.float64()).to_numpy(zero_copy_only=False))

    return Terms(
        creator_id=texts("creator_id"),
        brand=texts("brand"),
        product_niche=texts("product_niche"),
        product_country=texts("product_country"),
        objective=texts("objective"),
        starts_at=_starts(batch),
        promotion_hours=numbers("promotion_hours"),
        deliverables=numbers("deliverables"),
        spend=numbers("spend"),
    )
