"""A table in a CSV file, read strictly: every line becomes a row, or the first one that cannot is a fault.

Python's csv module reads it rather than the engine, whose reader guesses where a file differs from what it expects, and
may then return fewer rows than there are. Lines may end in LF, CRLF or CR, also mixed; quoted values may hold them.
"""

import csv
import gzip
import io
import itertools
import re
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import duckdb
import pyarrow as pa

from features.engines.duckdb import Source, first_line, name, refuse_doubles
from features.faults import InputError, fail, shorten
from features.history.column_names import likely, named, normal
from features.history.contract import TABLES
from features.history.file_kinds import refuse_other_kinds
from features.history.stray_rows import TOTALS

BUFFER = 1 << 20  # bytes
ROWS = 1 << 15  # of a batch
LONGEST = 1 << 25  # characters of a value
PREAMBLE = 30  # lines that are searched for the names of columns
_numbers = itertools.count()


def delimited(
    connection: duckdb.DuckDBPyConnection, path: Path, table: str, wanted: Collection[str], carry: bool
) -> Source:
    """Load the file at `path` as text, empty cells as NULL: the columns `wanted`, all columns if `carry`.

    A column without a name is called by its place, `Unnamed: 0`, as pandas does; one without any value too is left out.
    """
    try:
        with text_of(path) as text:
            refuse_other_kinds(path, table, text.buffer.peek(4096))  # type: ignore[attr-defined]
            names = _header(_rows(text), path, table, wanted)
            refuse_doubles(table, names, wanted)
            kept = {n: i for i, n in enumerate(named(names)) if carry or n in wanted}
            loaded = f"rows of {table} {next(_numbers)}"
            connection.execute(f"CREATE TABLE {name(loaded)} ({_columns(kept, ' VARCHAR') or 'nothing VARCHAR'})")
            for batch in _batches(_rows(text), len(names), kept):
                connection.register("batch of a CSV", batch)
                values = ", ".join(f"nullif(c{i}, '')" for i in kept.values()) or "NULL"
                connection.execute(f'INSERT INTO {name(loaded)} SELECT {values} FROM "batch of a CSV"')
                connection.unregister("batch of a CSV")
    except _NoRowError:
        changed = fail(table, f"{path.name} changed while it was being read", "Start again once its writer is done.")
        raise first_fault(path, table) or changed from None
    except UnicodeDecodeError as error:
        raise _encoding_fault(path, table) from error
    except (OSError, EOFError, zlib.error) as error:
        problem = f"{path.name} cannot be read"
        if isinstance(error, EOFError):
            problem = f"{path.name} is cut off: its end is missing"
        elif isinstance(error, (zlib.error, gzip.BadGzipFile)):
            problem = f"{path.name} is no whole gzip file"
        raise fail(table, problem, "Export or copy it again.", first_line(error)) from error
    empty = {n for n, i in kept.items() if not names[i].strip() and not _has_values(connection, loaded, i)}
    columns = {n: f"c{i}" for i, n in enumerate(named(names)) if n not in empty and (carry or names[i].strip())}
    return Source(path.name, name(loaded), columns, keep=True, loaded=True)


class _NoRowError(Exception):
    """A line of the file is not a row."""


def _columns(kept: dict[str, int], kind: str) -> str:
    return ", ".join(f"c{i}{kind}" for i in kept.values())


def _has_values(connection: duckdb.DuckDBPyConnection, loaded: str, column: int) -> bool:
    return bool(connection.execute(f"SELECT count(c{column}) FROM {name(loaded)}").fetchall()[0][0])


@contextmanager
def _bytes(path: Path) -> Iterator[BinaryIO]:
    """The file's content; unpacked, if its name ends in .gz."""
    with path.open("rb") as file:
        if path.suffix.lower() != ".gz":
            yield file
            return
        with gzip.GzipFile(fileobj=file) as unpacked, io.BufferedReader(unpacked, BUFFER) as buffered:
            yield cast(BinaryIO, buffered)


@contextmanager
def text_of(path: Path) -> Iterator[io.TextIOWrapper]:
    """The file's text, unpacked, without its byte-order mark, ends of lines as they are."""
    with _bytes(path) as content, io.TextIOWrapper(content, encoding="utf-8-sig", newline="") as text:
        yield text


def _rows(text: io.TextIOWrapper) -> Iterator[list[str]]:
    csv.field_size_limit(LONGEST)
    return csv.reader(text, strict=True)


def _batches(rows: Iterator[list[str]], width: int, kept: dict[str, int]) -> Iterator[pa.Table]:
    """The columns `kept` of rows that all have `width` cells; blank lines are none."""
    while True:
        try:
            batch = list(itertools.islice(rows, ROWS))
        except csv.Error as error:
            raise _NoRowError from error
        if not batch:
            return
        if set(map(len, batch)) != {width}:
            batch = [row for row in batch if is_filled(row)]
            if set(map(len, batch)) - {width}:
                raise _NoRowError
        columns = list(zip(*batch, strict=True)) or [()] * width
        arrays = [pa.array(columns[i], pa.string()) for i in kept.values()] or [pa.nulls(len(batch))]
        if any(b"\0" in values.to_pybytes() for array in arrays if (values := array.buffers()[-1])):
            raise _NoRowError
        yield pa.Table.from_arrays(arrays, [f"c{i}" for i in kept.values()] or ["nothing"])


def is_filled(row: list[str]) -> bool:
    """Whether a line is more than blanks."""
    return len(row) > 1 or bool(row and row[0].strip())


def _header(rows: Iterator[list[str]], path: Path, table: str, wanted: Collection[str]) -> list[str]:
    """The names of columns, which the first line holds."""
    try:
        names = next(rows, [])
    except csv.Error as error:
        raise _NoRowError from error
    if any("\0" in column for column in names):
        raise _encoding_fault(path, table)
    known = {normal(column) for column in wanted}
    if not known & {normal(column) for column in names}:
        try:
            top = [names, *itertools.islice(rows, PREAMBLE)]
        except csv.Error:
            top = [names]
        _refuse_separators(top, path, table, known)
        _refuse_preamble(top, path, table, wanted)
    if not any(map(str.strip, names)):
        raise fail(table, f"{path.name} has no names of columns in its first line", "Export it with a header.")
    return names


def _refuse_separators(top: list[list[str]], path: Path, table: str, known: set[str]) -> None:
    for line, (mark, called) in itertools.product(map(",".join, top), ((";", "';'"), ("\t", "tabs"), ("|", "'|'"))):
        if len(known & {normal(cell) for cell in line.split(mark)}) > 1:
            raise fail(
                table,
                f"{path.name} is separated by {called}, not by commas",
                "Export it with commas between columns and points in decimals"
                + (f", or read it by {table}.sql." if table in TABLES else "."),
                shorten(line),
            )


def _refuse_preamble(top: list[list[str]], path: Path, table: str, wanted: Collection[str]) -> None:
    """Refuse a file whose names of columns stand below its first line."""
    above = likely(top[0], wanted)
    for place, row in enumerate(top[1:], 1):
        pairs = likely(row, wanted)
        if len(pairs) > max(1, len(above)) and len([cell for cell in row if cell.strip()]) > 1:
            raise fail(
                table,
                f"the names of columns stand in line {place + 1} of {path.name}, not in its first",
                f"Delete the {place} line{'' if place == 1 else 's'} above them.",
                shorten(",".join(top[0])),
            )


def _encoding_fault(path: Path, table: str) -> InputError:
    """The fault of a text in another encoding: its first line that is no UTF-8."""
    remedy = "Export it as UTF-8 (Excel: 'CSV UTF-8')."
    problem = f"{path.name} is not encoded in UTF-8"
    with _bytes(path) as content:
        for number, line in enumerate(content, 1):
            if b"\0" in line:
                return fail(table, f"{problem}: line {number} holds a zero byte", remedy)
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                guess = line.decode("cp1252", "replace").strip()
                bad = len(line[: error.start].decode("utf-8").lstrip())
                remedy = f"If {shorten(guess[bad : bad + 1])} is right there, it is Windows-1252. {remedy}"
                return fail(table, f"{problem}: see line {number}", remedy, shorten(guess[max(0, bad - 20) :]))
    return fail(table, problem, remedy)


def first_fault(path: Path, table: str, mark: str = ",") -> InputError | None:
    """The fault of the first line that is not a row, with `mark` between columns; None if all are rows."""
    with text_of(path) as text:
        reader = csv.reader(text, strict=True, delimiter=mark)
        start, width = 1, 0
        try:
            for row in reader:
                width = width or len(row)
                if len(row) != width and is_filled(row):
                    return _ragged(path, table, start, row, width)
                if any("\0" in cell for cell in row):
                    remedy = "Export it again, or delete the zero byte."
                    return fail(table, f"line {start} of {path.name} holds a zero byte", remedy, shorten(",".join(row)))
                start = reader.line_num + 1
        except csv.Error as error:
            if "unexpected end" in str(error) or "field limit" in str(error):
                problem = f"the value in double quotes that begins in line {start} of {path.name} does not end"
                return fail(table, problem, "Close the quotes; double those within a quoted value.", _line(path, start))
            problem = f"line {start} of {path.name} has text after a closing double quote"
            remedy = 'Double the quotes within quoted values: "6"" tall".'
            return fail(table, problem, remedy, _line(path, start))
    return None


def _ragged(path: Path, table: str, line: int, row: list[str], width: int) -> InputError:
    remedy = "Put values that hold a comma into double quotes; write decimals with a point."
    filled = [cell for cell in row if cell.strip()]
    if any(cell.lstrip(" ").startswith('"') and cell.startswith(" ") for cell in row):
        remedy = "Delete the blanks before opening double quotes: they make the quotes part of the text."
    elif len(row) > width and not any(cell.strip() for cell in row[width:]):
        remedy = "Delete the commas at the end of the line, or name these columns in the first line."
    elif filled and re.match(TOTALS, filled[0].lower()):
        remedy = "Delete the line: it is a total, not a row of data."
    elif len(filled) <= 1:
        remedy = "Delete the line if it is a remark or a sum; put values that hold a line break into double quotes."
    columns = f"{len(row)} column{'' if len(row) == 1 else 's'}"
    problem = f"line {line} of {path.name} has {columns} where the header has {width}"
    return fail(table, problem, remedy, shorten(",".join(row)))


def _line(path: Path, number: int) -> str:
    with text_of(path) as text:
        return shorten(next(itertools.islice(text, number - 1, None), "").rstrip("\r\n"))
