"""A list of candidates into a file of scores: in chunks, ranked over all of them, whole or not at all.

Where a rank, the ledger or a run that is to be resumed needs all chunks before the first row can be written, they are
kept beside the output first; otherwise they are written as they come.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa

from features.engines.spark import Spark
from features.history.score_columns import score_columns
from features.history.source import Candidates, History
from features.matrix import FeatureBuilder
from models.batch.aside import aside
from models.batch.file_columns import FileColumns, every_column
from models.batch.list_scorer import ListScorer, Look
from models.batch.output_file import behind, check_columns, check_not_read, replace
from models.batch.output_folder import replace_folder
from models.batch.resume import call_record, is_of, write_record
from models.batch.scored_parts import ScoredParts
from models.batch.spark_scorer import SparkScorer
from models.batch.table_files import TableFiles
from models.batch.tally import Summary, Tally
from models.scorer import Scorer
from models.uncertainty.target import Target

CHUNK = 20_000
Lister = ListScorer | SparkScorer
Progress = Callable[[str, int, int], None]
Note = Callable[[Iterable[str]], None]


def score_file(
    history: History,
    candidates: Candidates,
    scorer: Scorer,
    label: str,
    output: Path,
    *,
    columns: FileColumns | None = None,
    level: float = 0.8,
    target: Target | None = None,
    reasons: int | None = None,
    chunk: int = CHUNK,
    resume: bool = False,
    progress: Progress | None = None,
    seal: Callable[[int, Iterator[pa.RecordBatch]], None] | None = None,
    look: Look | None = None,
    note: Note = lambda notes: None,
    elsewhere: History | None = None,
) -> Summary:
    """Score all candidates into `output`, which is replaced at the very end. The chunk's size changes no bit of it.

    output: a `.parquet` or `.csv` file, or, without an ending, a folder of Parquet parts. A link stays one: what it
    names is written.
    columns: of the output, None for all. target: adds its two columns after the cost per conversion. reasons: how many
    of the best rows have them, None for all.
    resume: go on with what a killed run of the same call has scored, and leave what was scored to the next one.
    seal: takes the number of rows and all of them with their scores, just before the output appears; where it raises,
    none does. look: sees some rows of each chunk. note: takes what was cleared of killed runs, or gone on with, and why
    trees take longer than they need. elsewhere: the same history in Spark, which makes features and scores then; such
    a run cannot be gone on with. Raises InputError where DATA or the candidates changed meanwhile, or where resume
    finds another call's work, OutputError where the disk is full.
    """
    ending, output = output.suffix, behind(output)
    columns = columns or every_column(candidates.columns, target is not None)
    note(scorer.rate.prepare(candidates.rows, reasons is None and columns.has("reasons")))
    history = history.without(scorer.facts.kept_out)
    makes = history if elsewhere is None else elsewhere.without(scorer.facts.kept_out)
    most = reasons if reasons and columns.has("reasons") else 0
    call = call_record(
        history, candidates, scorer, label, columns, level=level, target=target, reasons=reasons, chunk=chunk
    ) if resume else {}  # fmt: skip
    with (
        aside(output, note=note, takes_over=(lambda left: is_of(left, call)) if resume else None) as folder,
        FeatureBuilder(makes, scorer.settings, scorer.classifier) as builder,
    ):
        if resume:
            write_record(folder, call)
        lister = _lister(
            builder, scorer, label, candidates, columns=columns, level=level, target=target,
            reasons=reasons is None, look=look, progress=progress,
        )  # fmt: skip
        tally, whole = Tally(), folder / f"whole{ending}"
        best = _Reasons(lister, candidates.columns, most)
        if whole.is_dir():
            shutil.rmtree(whole)
        if resume or seal or most or columns.has("rank"):
            parts = ScoredParts(folder, durable=resume)
            _resume(parts, lister, tally, note, candidates.rows)
            for table in _scored(lister, candidates, chunk, tally, progress, parts.count):
                parts.add(table)
            _write(parts, whole, columns, best if most else None)
        else:
            parts = None
            with TableFiles(whole) as files:
                for table in _scored(lister, candidates, chunk, tally, progress):
                    files.write(table.select(columns.names))
        history.stamp.require_unchanged("DATA")
        candidates.stamp.require_unchanged("candidates")
        if seal and parts:
            seal(tally.rows, (batch for table in parts for batch in table.to_batches()))
        (replace if ending else replace_folder)(whole, output)
    return tally.summary(best.texts)


def _lister(
    builder: FeatureBuilder,
    scorer: Scorer,
    label: str,
    candidates: Candidates,
    *,
    columns: FileColumns,
    level: float,
    target: Target | None,
    reasons: bool,
    look: Look | None,
    progress: Progress | None,
) -> Lister:
    """What scores the list where the builder's history is."""
    engine = builder.history.engine
    if isinstance(engine, Spark):
        return SparkScorer(
            builder, engine, scorer, label, candidates, columns=columns, level=level, target=target, reasons=reasons,
            look=look,
        )  # fmt: skip
    return ListScorer(
        builder, scorer, label, candidates.rows, columns=columns, level=level, target=target, reasons=reasons,
        look=look, progress=progress,
    )  # fmt: skip


def check_candidates(
    history: History, candidates: Candidates, output: Path, target: Target | None, columns: FileColumns
) -> None:
    """Raise InputError where `output` is a part of the input, or cannot hold a column of the candidates."""
    check_not_read(output, history.stamp.also(candidates.stamp))
    made = score_columns(target is not None)
    held = [one for one in candidates.schema if one.name in (*columns.own, *made)]
    check_columns(pa.schema(held), output, made)


def _resume(parts: ScoredParts, lister: Lister, tally: Tally, note: Note, rows: int) -> None:
    """Count what an earlier run has scored."""
    for table in parts:
        lister.look_again(table)
        tally.add(table)
    if tally.rows:
        note([f"{tally.rows:,} of {rows:,} candidates had been scored by a run that was killed; it goes on from there"])


def _scored(
    lister: Lister, candidates: Candidates, chunk: int, tally: Tally, progress: Progress | None, first: int = 0
) -> Iterator[pa.Table]:
    """The chunks with their scores, counted. first: the chunks before it are scored already."""
    for table in lister.score(islice(candidates.batches(chunk), first, None)):
        tally.add(table)
        yield table
        if progress:
            progress("scores", tally.rows, candidates.rows)


class _Reasons:
    """Gives reasons to the best rows alone. texts: those that were given, by candidate."""

    def __init__(self, scorer: Lister, columns: tuple[str, ...], most: int) -> None:
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


def _write(parts: ScoredParts, whole: Path, columns: FileColumns, reasons: _Reasons | None) -> None:
    """All chunks into what becomes the output, with their ranks, and reasons for the best, where these are wanted."""
    with TableFiles(whole) as files:
        if not (reasons or columns.has("rank")):
            for table in parts:
                files.write(table.select(columns.names))
            return
        for table, ranks in zip(parts, parts.ranks(), strict=True):
            table = table.append_column("rank", ranks)
            files.write((reasons.fill(table) if reasons else table).select(columns.names))
