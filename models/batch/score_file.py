"""A file of candidates into a file of scores: in chunks, ranked over all of them, whole or not at all."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq

from features.engines.duckdb import OFFLINE
from features.history.score_columns import TARGET_SCORES, row_columns, score_columns
from features.history.source import Candidates, History
from features.matrix import FeatureBuilder
from models.batch.list_scorer import ListScorer, Look
from models.batch.output_file import aside, behind, check_columns, check_not_read, replace
from models.scorer import SCORES, Scorer
from models.uncertainty.target import Target

CHUNK, RANK_MEMORY, BEST = 20_000, "512MB", 10
TOP = ("candidate_id", "creator_id", "brand", "spend", *SCORES[:5], "reasons")


@dataclass(frozen=True)
class Summary:
    """What came of a scoring run: rows, the ten best as plain values, how often each warning was given."""

    rows: int
    best: list[dict[str, Any]]
    warnings: dict[str, int]


def score_file(
    history: History,
    candidates: Candidates,
    scorer: Scorer,
    label: str,
    output: Path,
    *,
    level: float = 0.8,
    target: Target | None = None,
    reasons: int | None = None,
    chunk: int = CHUNK,
    progress: Callable[[str, int, int], None] | None = None,
    seal: Callable[[int, Iterator[pa.RecordBatch]], None] | None = None,
    look: Look | None = None,
    note: Callable[[Iterable[str]], None] = lambda notes: None,
) -> Summary:
    """Score all candidates into `output`, which is replaced at the very end. The chunk's size changes no bit of it.

    target: adds its two columns after the cost per conversion. reasons: how many of the best rows have them, None for
    all. A link as `output` stays one: what it names is written.
    seal: takes the number of rows and all of them with their scores, just before the output appears; where it raises,
    none does. look: takes each chunk's matrix, columns and scores. note: takes what was cleared of killed runs, and
    why trees take longer than they need. Raises InputError where DATA or the candidates changed meanwhile, OutputError
    where the disk is full.
    """
    ending, output = output.suffix, behind(output)
    note(scorer.rate.prepare(candidates.rows, reasons is None))
    history = history.without(scorer.facts.kept_out)
    top = TOP if target is None else (*TOP, *TARGET_SCORES)
    counted: Counter[str] = Counter()
    best: list[dict[str, Any]] = []
    with aside(output, note=note) as folder, FeatureBuilder(history, scorer.settings, scorer.classifier) as builder:
        scored, ranked = folder / "scored.parquet", folder / "ranked.parquet"
        done = 0
        with ExitStack() as files:
            writers: list[pq.ParquetWriter] = []
            by_list = ListScorer(
                builder, scorer, label, candidates.rows, level=level, target=target, reasons=reasons is None, look=look
            )
            for found in by_list.score(candidates.batches(chunk)):
                part = found.table
                counted.update(found.warnings)
                best = _best(best, part, top)
                # the engine ranks by the rate alone: it ignores case in the candidates' own columns
                tables = [
                    part.select([*candidates.columns, *row_columns(target is not None), "model_version"]),
                    part.select(["conversions_per_dollar"]),
                ]
                if not writers:
                    writers = [
                        files.enter_context(pq.ParquetWriter(path, table.schema))
                        for path, table in zip((scored, ranked), tables, strict=True)
                    ]
                for writer, table in zip(writers, tables, strict=True):
                    writer.write_table(table)
                done += part.num_rows
                if progress:
                    progress("scores", done, candidates.rows)
        with duckdb.connect(config=OFFLINE) as engine:
            engine.execute(f"SET memory_limit = '{RANK_MEMORY}'; SET temp_directory = '{_quoted(folder)}'")
            best_reasons = _Reasons(by_list, candidates.columns, reasons or 0)
            _write_ranked(
                engine,
                scored,
                ranked,
                folder / f"whole{ending}",
                score_columns(target is not None),
                chunk,
                best_reasons.fill,
            )
        history.stamp.require_unchanged("DATA")
        candidates.stamp.require_unchanged("candidates")
        if seal:
            seal(done, pq.ParquetFile(scored).iter_batches(chunk))
        replace(folder / f"whole{ending}", output)
    best = [row | {"reasons": best_reasons.texts.get(row["candidate_id"], row["reasons"])} for row in best]
    return Summary(done, best, dict(counted.most_common()))


def check_candidates(history: History, candidates: Candidates, output: Path, target: Target | None) -> None:
    """Raise InputError where `output` is a part of the input, or cannot hold a column of the candidates."""
    check_not_read(output, history.stamp.also(candidates.stamp))
    check_columns(candidates.schema, output, score_columns(target is not None))


class _Reasons:
    """Gives reasons to the best rows alone. texts: those that were given, by candidate."""

    def __init__(self, scorer: ListScorer, columns: tuple[str, ...], most: int) -> None:
        """columns: of the candidates. most: the last rank that has reasons."""
        self.scorer, self.columns, self.most = scorer, columns, most
        self.texts: dict[str, str] = {}

    def fill(self, part: pa.Table) -> pa.Table:
        """A part of the list with its ranks, reasons filled in where they are due."""
        due = np.flatnonzero(part["rank"].to_numpy() <= self.most)
        if not len(due):
            return part
        (batch,) = part.select(list(self.columns)).take(due).combine_chunks().to_batches()
        found = self.scorer.reasons_of(batch)
        self.texts |= dict(zip(batch.column("candidate_id").to_pylist(), found, strict=True))
        texts = np.array(part["reasons"].to_pylist(), object)
        texts[due] = found
        return part.set_column(part.column_names.index("reasons"), "reasons", pa.array(texts, pa.string()))


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")


def _write_ranked(
    engine: duckdb.DuckDBPyConnection,
    scored: Path,
    ranked: Path,
    whole: Path,
    made: tuple[str, ...],
    chunk: int,
    finish: Callable[[pa.Table], pa.Table],
) -> None:
    """Append the rank, which the engine sorts out on disk where need be, row by row to what was scored.

    finish: what else is to be done to each part that has its ranks.
    """
    ranks = engine.execute(
        "SELECT rank FROM (SELECT file_row_number, rank() OVER (ORDER BY conversions_per_dollar DESC) AS rank "
        f"FROM read_parquet('{_quoted(ranked)}', file_row_number = true)) ORDER BY file_row_number"
    )
    parts = pq.ParquetFile(scored)
    own = [name for name in parts.schema_arrow.names if name not in made]
    writer: Any = None
    with whole.open("wb") as file:
        for batch in parts.iter_batches(chunk):
            rank = pa.array([rank for (rank,) in ranks.fetchmany(batch.num_rows)], pa.int64())
            table = finish(pa.Table.from_batches([batch]).append_column("rank", rank)).select([*own, *made])
            if writer is None:
                writer = (pq.ParquetWriter if whole.suffix == ".parquet" else arrow_csv.CSVWriter)(file, table.schema)
            writer.write_table(table)
        writer.close()
        file.flush()
        os.fsync(file.fileno())


def _best(found: list[dict[str, Any]], part: pa.Table, columns: tuple[str, ...]) -> list[dict[str, Any]]:
    """The BEST of those found so far and of a part's rows, the earlier row first where rates are equal."""
    rates = part["conversions_per_dollar"].to_numpy()
    first = np.argsort(-rates, kind="stable")[:BEST]
    found = found + part.select(list(columns)).take(first).to_pylist()
    return sorted(found, key=lambda row: -row["conversions_per_dollar"])[:BEST]
