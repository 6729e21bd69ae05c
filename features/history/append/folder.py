"""Adds to a folder of files: each table keeps its form, and all files take their places together (`journal.py`)."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from features.engines.duckdb import described, name, require_duckdb
from features.faults import OutputError, fail
from features.history import files, parquet_files
from features.history.append import log, steps
from features.history.append.csv_rows import rewrite_csv, write_csv
from features.history.append.faults import Note, writing
from features.history.append.journal import Staged, clear, finish, locked
from features.history.append.merge import CHANGED, NEW, NUMBER, Change, Changes, Present
from features.history.append.parquet_rows import like, rewritten
from features.history.contract import TABLES
from features.history.source import open_history

_WAITING = "waiting for another addition to end"


def _refuse(path: Path, table: str) -> None:
    """Refuse a form that rows cannot be added to."""
    if path.suffix == ".sql":
        remedy = (
            f"Add to what {path.name} reads; or move to a database once, train.py duckdb://FILE --add FOLDER, "
            "and add to that from then on."
        )
        raise fail(table, f"{path.name} is a mapping, which nothing can be added to", remedy)
    if path.is_symlink():
        raise fail(table, f"{path.name} is a link, which would be replaced", f"Put {path.resolve()} itself there.")
    if path.is_dir():
        keys = {
            below.partition("=")[0] for p in path.rglob("*=*/") for below in p.relative_to(path).parts if "=" in below
        }
        if columns := sorted(keys & {*TABLES[table].columns}):
            problem = (
                f"the folders of {path.name}/ are named by its column {columns[0]}, and nothing can be added to it"
            )
            raise fail(table, problem, "Write the parts again with that column in them.")


class Folder:
    """A folder of tables as files."""

    def __init__(self, data: str, note: Note) -> None:
        self.path, self.note = Path(data), note

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other additions out, and finish or remove what an interrupted one left."""
        if not self.path.is_dir():
            problem = "it is a file, not a folder" if self.path.exists() else "there is no such folder"
            remedy = "Give a folder that holds tables, or duckdb:// and the path of a file, which is made."
            raise fail(str(self.path), problem, remedy)
        self.note(finish(self.path))
        with locked(self.path, lambda: self.note([_WAITING])):
            with writing(str(self.path)):
                self.note(clear(self.path))
            yield

    @contextmanager
    def present(self, tables: Collection[str], now: datetime) -> Iterator[Present]:
        """The tables that are there, opened and checked. Raises InputError where one of `tables` cannot be added to."""
        for table in tables:
            if path := files.find(self.path, table, required=False):
                _refuse(path, table)
        with open_history(str(self.path), now=now) as history:
            there = {table: getattr(history, table) for table in history.given}
            engine = require_duckdb(history.engine)
            yield Present(engine, there, {t: self._held(engine.connection, t) for t in there})

    def _held(self, connection: duckdb.DuckDBPyConnection, table: str) -> dict[str, str]:
        """The types in which a Parquet table keeps its columns; a CSV takes anything."""
        path = files.find(self.path, table, required=False)
        if path is None or (path.suffix != ".parquet" and not path.is_dir()):
            return {}
        source = parquet_files.parquet(connection, path, table, [*TABLES[table].columns])
        types = described(connection, source.sql)
        parts = parquet_files.parts_of(path, table) if path.is_dir() else [path]
        schemas = [pq.read_schema(part) for part in parts]
        typed = {field.name for schema in schemas for field in schema if not pa.types.is_null(field.type)}
        plain = {column for column, sql in source.columns.items() if sql == name(column)}  # durations are not
        return {column: kind for column, kind in types.items() if column in typed & plain}

    def commit(self, changes: Changes, source: str, now: datetime) -> int:
        """Write all files aside, then let them take their places; returns the number of the addition."""
        number = log.next_of_folder(self.path)
        staged: Staged | None = None
        try:
            with writing(str(self.path)):
                staged = Staged(self.path)
                for change in changes.tables.values():
                    if change.rows.num_rows:
                        self._stage(staged, change, number)
                aside = staged.aside(self.path / log.FOLDER / f"{number:06}.parquet")
                steps.write_parquet(aside, log.entries(changes, number, source, now))
                staged.commit()
        except BaseException as error:
            if staged and not staged.committed:
                staged.discard()
            elif staged and isinstance(error, OutputError):
                raise self._unfinished(error) from error
            raise
        return number

    def _unfinished(self, error: OutputError) -> OutputError:
        return OutputError(
            f"{self.path}: all is written, but not all files could take their places ({error.__cause__}). "
            "The next command that reads the folder finishes the addition."
        )

    def _stage(self, staged: Staged, change: Change, number: int) -> None:
        """Write aside what a table's files become."""
        path = files.find(self.path, change.table, required=False)
        if path is None:
            target = self.path / f"{change.table}.{'csv' if change.is_csv else 'parquet'}"
            self._write_new(staged.aside(target), change)
        elif path.is_dir():
            self._stage_parts(staged, path, change, number)
        elif path.suffix == ".parquet":
            aside = staged.aside(path)
            steps.write_parquet(aside, rewritten(pq.ParquetFile(path).read(), change))
            shutil.copymode(path, aside)
        else:
            aside = staged.aside(path)
            steps.write(aside, lambda target: rewrite_csv(path, target, change))
            shutil.copymode(path, aside)

    def _write_new(self, aside: Path, change: Change) -> None:
        if change.is_csv:
            steps.write(aside, lambda target: write_csv(target, change))
        else:
            steps.write_parquet(aside, change.of_kind(NEW).select(change.given))

    def _stage_parts(self, staged: Staged, path: Path, change: Change, number: int) -> None:
        """Parts with corrections are written anew; what is new becomes a part of its own."""
        parts = parquet_files.parts_of(path, change.table)
        numbers = np.asarray(change.of_kind(CHANGED)[NUMBER].to_pylist(), dtype=np.int64)
        first = 0
        for part in parts:
            rows = pq.read_metadata(part).num_rows
            if ((numbers > first) & (numbers <= first + rows)).any():
                aside = staged.aside(part)
                table = pq.ParquetFile(part).read()
                steps.write_parquet(aside, rewritten(table, change, first, append=False))
                shutil.copymode(part, aside)
            first += rows
        if change.of_kind(NEW).num_rows:
            schemas = [pq.read_schema(part).remove_metadata() for part in parts]
            new = like(_of_first(schemas), change)
            steps.write_parquet(staged.aside(path / f"added-{number:06}.parquet"), new)


def _of_first(schemas: list[pa.Schema]) -> pa.Schema:
    """Every column of the parts once, in the type of the first part that has it with one."""
    fields: dict[str, pa.Field] = {}
    for schema in schemas:
        for field in schema:
            if field.name not in fields or pa.types.is_null(fields[field.name].type):
                fields[field.name] = field
    return pa.schema(list(fields.values()))
