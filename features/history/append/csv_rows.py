"""Writes a CSV table with some rows corrected and others at its end; every other cell keeps its text."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import BinaryIO, cast

import pyarrow as pa

from features.history.append.batch import key_of
from features.history.append.merge import CHANGED, NEW, NUMBER, Change
from features.history.csv_files import LONGEST, is_filled, text_of


def write_csv(target: Path, change: Change) -> None:
    """Write a new table: the columns that NEW has, and all rows of the change."""
    with _written(target, mark=False) as text:
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(change.given)
        writer.writerows(_cells(change.of_kind(NEW).select(change.given)))


def rewrite_csv(path: Path, target: Path, change: Change) -> None:
    """Write the table at `path` to `target`, changed; with its own ends of lines and its byte-order mark, if any. A
    column that is missing comes last, if there is any value for it."""
    changed = change.of_kind(CHANGED)
    corrections = dict(zip(changed[NUMBER].to_pylist(), _cells(changed.select(change.given)), strict=True))
    line_end, mark = _form(path)
    with text_of(path) as source, _written(target, mark) as text:
        csv.field_size_limit(LONGEST)
        rows = csv.reader(source, strict=True)
        writer = csv.writer(text, lineterminator=line_end)
        header = next(rows)
        missing = [c for c in change.given if c not in header and change.rows[c].null_count < change.rows.num_rows]
        places = {column: place for place, column in enumerate([*header, *missing])}
        writer.writerow([*header, *missing])
        keys = key_of(change.table)
        fixed = {column: place for column, place in places.items() if column not in keys}  # keys stay as written
        writer.writerows(_corrected(rows, len(header), fixed, corrections, change.given))
        for cells in _cells(change.of_kind(NEW).select(change.given)):
            writer.writerow(_placed([""] * len(places), places, change.given, cells))


def _corrected(
    rows: Iterator[list[str]], width: int, places: dict[str, int], corrections: dict[int, list[str]], given: list[str]
) -> Iterator[list[str]]:
    """The rows of the table as it is; a blank line stays one, and counts for nothing."""
    number = 0
    for row in rows:
        if len(row) != width and not is_filled(row):
            yield row
            continue
        number += 1
        row += [""] * (max(places.values()) + 1 - width)
        yield _placed(row, places, given, corrections[number]) if number in corrections else row


def _placed(row: list[str], places: dict[str, int], given: list[str], cells: list[str]) -> list[str]:
    for column, cell in zip(given, cells, strict=True):
        if column in places:
            row[places[column]] = cell
    return row


def _cells(rows: pa.Table) -> Iterator[list[str]]:
    for batch in rows.to_batches():
        columns = [column.to_pylist() for column in batch.columns]
        yield from ([_text(value) for value in values] for values in zip(*columns, strict=True))


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    return value.isoformat() if isinstance(value, date) else str(value)


def _form(path: Path) -> tuple[str, bool]:
    """The end of the first line, and whether a byte-order mark stands before it."""
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as content:
        head = content.read(1 << 16)
    found = re.search(rb"\r\n|\n|\r", head)
    return found[0].decode() if found else "\n", head.startswith(codecs.BOM_UTF8)


@contextmanager
def _written(target: Path, mark: bool) -> Iterator[io.TextIOWrapper]:
    with target.open("wb") as file:
        packed: BinaryIO = file
        if target.suffix == ".gz":
            packed = cast(BinaryIO, gzip.GzipFile(filename="", fileobj=file, mode="wb", mtime=0))
        with io.TextIOWrapper(packed, "utf-8-sig" if mark else "utf-8", newline="") as text:
            yield text
