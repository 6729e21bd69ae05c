"""A list of candidates into scores by Spark: the features there, and the scores on the executors, in Arrow batches.

Executors need this project and its dependencies installed (docs/spark.md). The model is shipped to them as the files
that `Scorer.save` writes; nothing of it is a pickle.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile, ZipInfo

import duckdb
import ibis
import numpy as np
import pandas as pd
import pyarrow as pa

from features.engines import dialects
from features.engines import duckdb as duckdb_engine
from features.engines.spark import Spark
from features.history.source import Candidates
from features.matrix import EVERY, FeatureBuilder, frame
from features.spine import SCHEMA, read_spine
from features.staging import Stage
from models.batch.file_columns import FileColumns
from models.batch.list_scorer import Look
from models.batch.row_scorer import RowScorer
from models.scorer import Scorer
from models.uncertainty.target import Target

TASK_ROWS = 20_000  # of a task, about: some seconds of an executor's core
SORT_MEMORY = "512MB"
_TERMS = ("creator_id", "spend", "starts_at")  # of a candidate, beside its features
_OWN = "own_"  # before the names of terms, which features have too
_numbers = itertools.count()


@dataclass(frozen=True)
class Job:
    """What an executor needs to score batches of rows. model: a ZIP file of the model's files."""

    model: bytes
    label: str
    columns: FileColumns
    level: float
    target: Target | None
    reasons: bool

    def rows(self) -> RowScorer:
        """What scores rows; of one model it is made once a process."""
        return _row_scorer(self)

    def score(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """`row_id` and the scores of every batch's rows; a batch has `row_id`, terms and features."""
        rows = self.rows()
        for batch in batches:
            if batch.num_rows:
                matrix = frame(pa.Table.from_batches([batch]), EVERY)
                terms = pa.record_batch({name: batch.column(_OWN + name) for name in _TERMS})
                scores = rows.columns(terms, rows.coded(terms, matrix), matrix)
                yield from scores.add_column(0, "row_id", batch.column("row_id")).to_batches()


@lru_cache(maxsize=2)
def _row_scorer(job: Job) -> RowScorer:
    with tempfile.TemporaryDirectory() as scratch:
        with ZipFile(BytesIO(job.model)) as packed:
            packed.extractall(scratch)
        scorer = Scorer.load(Path(scratch))
    return RowScorer(
        scorer, job.label, columns=job.columns, level=job.level, target=job.target, reasons=job.reasons
    )  # fmt: skip


def packed(scorer: Scorer) -> bytes:
    """A ZIP file of what `Scorer.save` writes; the same model gives the same bytes."""
    held = BytesIO()
    with tempfile.TemporaryDirectory() as scratch, ZipFile(held, "w") as archive:
        folder = Path(scratch) / "scorer"
        scorer.save(folder)
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            archive.writestr(ZipInfo(path.relative_to(folder).as_posix()), path.read_bytes())
    return held.getvalue()


class SparkScorer:
    """Scores a list's chunks by one model, in Spark."""

    def __init__(
        self,
        builder: FeatureBuilder,
        engine: Spark,
        scorer: Scorer,
        label: str,
        candidates: Candidates,
        *,
        columns: FileColumns,
        level: float = 0.8,
        target: Target | None = None,
        reasons: bool = True,
        look: Look | None = None,
    ) -> None:
        """As `models.batch.list_scorer.ListScorer`. builder: of a history in `engine`."""
        self.builder, self.engine, self.scorer, self.candidates, self.look = builder, engine, scorer, candidates, look
        self.job = Job(packed(scorer), label, columns, level, target, reasons)
        self.schema = RowScorer(
            scorer, label, columns=columns, level=level, target=target, reasons=reasons
        ).schema.insert(0, SCHEMA.field("row_id"))  # fmt: skip

    def score(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
        """Every batch of the list with its scores, in order; all are scored before the first comes."""
        with Stage(self.engine) as stage:
            spine = f"spine {next(_numbers)}"
            try:
                self._put(spine)
                features = stage.keep(self.builder.table(stage, self.engine.table(spine)))
                yield from self._chunks(batches, self._scores(spine, features.get_name()), features.get_name())
            finally:
                self.engine.take_away(spine)

    def look_again(self, scored: pa.Table) -> None:
        """Nothing: a run in Spark is never gone on with."""

    def reasons_of(self, batch: pa.RecordBatch) -> list[str]:
        """What moved the scores of some candidates (rows,)."""
        matrix, scoring = self.builder.build(batch.to_pandas()), self.scorer.scoring
        creators = np.array(batch.column("creator_id").to_pylist(), object)
        return scoring.reasons(scoring.coding.transform(matrix, creators), matrix)

    def _put(self, spine: str) -> None:
        """The candidates' terms, numbered in their order, as a table of the engine."""
        first = 0
        with self.engine.writer(spine, SCHEMA) as writer:
            for batch in self.candidates.batches(TASK_ROWS):
                rows = read_spine(batch.to_pandas())
                numbers = pa.array(np.arange(first, first + batch.num_rows))
                writer.write_table(rows.set_column(0, SCHEMA.field("row_id"), numbers))
                first += batch.num_rows

    def _scores(self, spine: str, features: str) -> str:
        """The table that the executors' scores were written to."""
        terms, made = self.engine.table(spine), self.engine.table(features)
        own = {_OWN + name: terms[name] for name in _TERMS}
        joined = terms.select("row_id", **own).inner_join(made, "row_id")
        tasks = max(-(-self.candidates.rows // TASK_ROWS), 1)
        rows = self.engine.session.sql(dialects.sql(joined, self.engine.dialect)).repartition(tasks)
        job = self.job

        def score(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            return job.score(batches)

        schema = ibis.Schema.from_pyarrow(self.schema)
        table = f"scores of {spine}"
        self.engine.write(table, rows.mapInArrow(score, dialects.columns(schema, self.engine.dialect)), schema)
        return table

    def _chunks(self, batches: Iterable[pa.RecordBatch], scores: str, features: str) -> Iterator[pa.Table]:
        """Chunks with their scores. The engine sorts on the disk what outgrows SORT_MEMORY."""
        first, looked = 0, list[pa.Table]()
        try:
            with duckdb.connect(config=duckdb_engine.OFFLINE) as connection:
                scratch = duckdb_engine.quote(self.engine.scratch)
                connection.execute(f"SET memory_limit = '{SORT_MEMORY}'; SET temp_directory = {scratch}")
                parts = ", ".join(duckdb_engine.literal(Path(part)) for part in self.engine.parts(scores))
                found = connection.sql(f"SELECT * FROM read_parquet([{parts}]) ORDER BY row_id").to_arrow_reader(
                    TASK_ROWS
                )
                held = _Rows(found)
                for batch in batches:
                    scored = held.next(batch.num_rows, first)
                    table = pa.Table.from_batches([batch])
                    for field, column in zip(scored.schema, scored.columns, strict=True):
                        if field.name != "row_id":
                            table = table.append_column(field.name, column)
                    if self.look and len(due := self.look.due(batch.num_rows)):
                        looked.append(table.append_column("row_id", scored["row_id"]).take(due))
                    first += batch.num_rows
                    yield table
            if self.look and looked:
                self._show(self.look, pa.concat_tables(looked), features)
        finally:
            self.engine.drop(scores)

    def _show(self, look: Look, rows: pa.Table, features: str) -> None:
        """Let `look` see some rows with their features."""
        with duckdb.connect(config=duckdb_engine.OFFLINE) as connection:
            connection.register("wanted", rows.select(["row_id"]))
            parts = ", ".join(duckdb_engine.literal(Path(part)) for part in self.engine.parts(features))
            made = connection.sql(
                f"SELECT f.* FROM read_parquet([{parts}]) AS f JOIN wanted USING (row_id) ORDER BY row_id"
            ).to_arrow_table()
        spine: pd.DataFrame = rows.to_pandas()
        look.add(frame(made, EVERY), spine, spine[["conversions"]])


class _Rows:
    """Takes rows from a stream of batches, so many at a time."""

    def __init__(self, batches: Iterable[pa.RecordBatch]) -> None:
        self._batches = iter(batches)
        self._held: pa.Table | None = None

    def next(self, count: int, first: int) -> pa.Table:
        """The next rows, whose `row_id` must be `first` and so on. Raises RuntimeError where they are not."""
        while self._held is None or self._held.num_rows < count:
            batch = next(self._batches, None)
            if batch is None:
                break
            part = pa.Table.from_batches([batch])
            self._held = part if self._held is None else pa.concat_tables([self._held, part])
        found = self._held.slice(0, count) if self._held is not None else None
        if found is None or not np.array_equal(found["row_id"].to_numpy(), np.arange(first, first + count)):
            raise RuntimeError("Spark did not return every candidate's scores once")
        assert self._held is not None
        self._held = self._held.slice(count)
        return found
