"""A file of candidates into a file of scores: in chunks, ranked over all of them, whole or not at all."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq

from features.faults import Fault, InputError
from features.matrix import FeatureBuilder
from features.source import Candidates, History
from models.scorer import SCORES, Scorer

CHUNK, RANK_MEMORY = 20_000, "512MB"
ORDER = (*SCORES[:5], "rank", *SCORES[5:], "model_version")
TOP = ("candidate_id", "creator_id", "brand", "spend", *SCORES[:5])


@dataclass(frozen=True)
class Summary:
    """What a scoring run tells: rows, the ten best as plain values, how often each warning was given."""

    rows: int
    best: list[dict[str, Any]]
    warnings: dict[str, int]


def check_output(path: Path) -> None:
    """Raise InputError where `path` cannot become a file of scores; nothing is written."""
    if path.suffix not in (".parquet", ".csv"):
        problem, remedy = "its ending is unknown", "Let it end in .parquet or .csv."
    elif path.is_dir():
        problem, remedy = "it is a folder", "Give the name of a file."
    elif not path.parent.is_dir():
        problem, remedy = "its folder is not there", f"Make the folder first: {path.parent}"
    elif not os.access(path.parent, os.W_OK):
        problem, remedy = "its folder cannot be written to", "Choose another folder, or change its permissions."
    else:
        return
    raise InputError([Fault("--output", received=str(path), problem=problem, remedy=remedy)])


def score_file(
    history: History,
    candidates: Candidates,
    scorer: Scorer,
    label: str,
    output: Path,
    *,
    level: float = 0.8,
    chunk: int = CHUNK,
    progress: Callable[[str, int, int], None] | None = None,
) -> Summary:
    """Score all candidates into `output`, which is replaced at the very end. The chunk's size changes no bit of it."""
    counted: Counter[str] = Counter()
    with _aside(output) as folder, FeatureBuilder(history, scorer.settings, scorer.classifier) as builder:
        scored, ranked = folder / "scored.parquet", folder / "ranked.parquet"
        done = 0
        with ExitStack() as files:
            writers: list[pq.ParquetWriter] = []
            for batch in candidates.batches(chunk):
                part, told = _score(batch, builder, scorer, label, level)
                counted.update(told)
                # the engine does not tell capitals apart, so it ranks without the candidates' own extra columns
                tables = [part.select([*candidates.columns, *SCORES, "model_version"]), part.select(list(TOP))]
                if not writers:
                    writers = [
                        files.enter_context(pq.ParquetWriter(path, table.schema))
                        for path, table in zip((scored, ranked), tables, strict=True)
                    ]
                for writer, table in zip(writers, tables, strict=True):
                    writer.write_table(table)
                done += batch.num_rows
                if progress:
                    progress("scores", done, candidates.rows)
        with duckdb.connect() as engine:
            engine.execute(f"SET memory_limit = '{RANK_MEMORY}'; SET temp_directory = '{_quoted(folder)}'")
            _write_ranked(engine, scored, ranked, folder / f"whole{output.suffix}", chunk)
            best = _best(engine, ranked)
        _replace(folder / f"whole{output.suffix}", output)
    return Summary(done, best, dict(counted.most_common()))


def _score(
    batch: pa.RecordBatch, builder: FeatureBuilder, scorer: Scorer, label: str, level: float
) -> tuple[pa.Table, Counter[str]]:
    spine = batch.to_pandas()
    scores = scorer.score(builder.build(spine), spine, level)
    codes = Counter(code for told in scores.warnings for code in json.loads(told))
    part = pa.Table.from_batches([batch])
    for name in SCORES:
        kind = pa.string() if name in ("reasons", "warnings") else pa.float64()
        part = part.append_column(name, pa.array(scores[name].tolist(), kind))
    return part.append_column("model_version", pa.array([label] * batch.num_rows, pa.string())), codes


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")


def _write_ranked(engine: duckdb.DuckDBPyConnection, scored: Path, ranked: Path, target: Path, chunk: int) -> None:
    """Append the rank, which the engine sorts out on disk where need be, row by row to what was scored."""
    ranks = engine.execute(
        "SELECT rank FROM (SELECT file_row_number, rank() OVER (ORDER BY conversions_per_dollar DESC) AS rank "
        f"FROM read_parquet('{_quoted(ranked)}', file_row_number = true)) ORDER BY file_row_number"
    )
    parts = pq.ParquetFile(scored)
    own = [name for name in parts.schema_arrow.names if name not in ORDER]
    writer: Any = None
    with target.open("wb") as file:
        for batch in parts.iter_batches(chunk):
            rank = pa.array([rank for (rank,) in ranks.fetchmany(batch.num_rows)], pa.int64())
            table = pa.Table.from_batches([batch]).append_column("rank", rank).select([*own, *ORDER])
            if writer is None:
                writer = (pq.ParquetWriter if target.suffix == ".parquet" else arrow_csv.CSVWriter)(file, table.schema)
            writer.write_table(table)
        writer.close()
        file.flush()
        os.fsync(file.fileno())


def _best(engine: duckdb.DuckDBPyConnection, ranked: Path, rows: int = 10) -> list[dict[str, Any]]:
    found = engine.execute(
        f"SELECT {', '.join(TOP)} FROM read_parquet('{_quoted(ranked)}', file_row_number = true) "
        f"ORDER BY conversions_per_dollar DESC, file_row_number LIMIT {rows}"
    )
    return [dict(zip(TOP, row, strict=True)) for row in found.fetchall()]


@contextmanager
def _aside(output: Path) -> Iterator[Path]:
    """A folder beside the output, so that the last step is a rename; gone at the end, whatever happens."""
    folder = output.parent / f".{output.name}-{secrets.token_hex(4)}"
    try:
        folder.mkdir(mode=0o700)  # inside, so that a signal at this very moment leaves nothing behind either
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _replace(made: Path, output: Path) -> None:
    # A temporary folder's files are its owner's alone; the output gets what a new file would have.
    mask = os.umask(0)
    os.umask(mask)
    made.chmod(0o666 & ~mask)
    made.replace(output)
