"""Finds a table among the files of a folder, and says how DuckDB reads it, before any value is looked at.

Each form has its own faults (an empty file, a truncated one, another separator or encoding, a mapping that fails);
they are raised as InputError.
"""

import csv
import glob
import gzip
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TextIO

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from features.faults import Fault, InputError, shorten

ENDINGS = (".parquet", ".csv", ".csv.gz", "", ".sql")


@dataclass(frozen=True)
class Source:
    """A table as it lies: `sql` follows FROM; `columns` are its exact names, in order, each with what it is called
    in `sql`."""

    place: str
    sql: str
    columns: dict[str, str]
    keep: bool = False  # whether it is loaded once, rather than read whenever it is used


def quote(text: object) -> str:
    """A text as an SQL literal."""
    return "'" + str(text).replace("'", "''") + "'"


def _literal(path: Path) -> str:
    """A path as an SQL literal that means this file alone: DuckDB takes *, ? and [ for patterns."""
    return quote(glob.escape(str(path)))


def name(text: str) -> str:
    """A text as an SQL identifier."""
    return '"' + text.replace('"', '""') + '"'


def first_line(error: BaseException) -> str:
    """What an engine says first; the rest is SQL that the user has not written."""
    return str(error).strip().split("\n")[0].strip().rstrip(".")


def fail(where: str, problem: str, remedy: str, received: str | None = None, column: str | None = None) -> InputError:
    """One fault, to be raised."""
    return InputError([Fault(where, column, received=received, problem=problem, remedy=remedy)])


def find(folder: Path, table: str, required: bool) -> Path | None:
    """The one file or folder that holds `table`; None where an optional one is absent."""
    found = [path for end in ENDINGS if (path := folder / f"{table}{end}").exists()]
    if len(found) > 1:
        names = " and ".join(path.name for path in found)
        raise fail(table, f"there is more than one form of the table: {names}", "Keep one and move the others away.")
    if not found and required:
        forms = ", ".join(f"{table}{end or '/'}" for end in ENDINGS)
        held = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
        received = f"a folder with {', '.join(held[:8]) or 'nothing'}{' and more' if len(held) > 8 else ''}"
        raise fail(table, "the table is missing", f"Put one of {forms} into the folder.", received)
    return found[0] if found else None


def source(connection: duckdb.DuckDBPyConnection, path: Path, table: str, wanted: Iterable[str]) -> Source:
    """How the file or folder at `path` is read as `table`, whose columns of interest are `wanted`."""
    if path.is_file() and path.stat().st_size == 0:
        raise fail(table, f"{path.name} is empty", "Export it again: not even the names of columns are there.")
    if path.suffix == ".sql":
        return _mapping(connection, path, table, wanted)
    if path.suffixes[-1:] == [".csv"] or path.suffixes[-2:] == [".csv", ".gz"]:
        return _delimited(path, table, wanted)
    return _parquet(connection, path, table, wanted)


def refuse_doubles(table: str, names: list[str], wanted: Iterable[str]) -> None:
    """Refuse names of `wanted` that stand more than once, be it in capitals: the engine would take one at will."""
    counts = Counter(map(str.lower, names))
    faults = [
        Fault(
            table,
            column,
            received=", ".join(n for n in names if n.lower() == column.lower()),
            problem=f"there are {counts[column.lower()]} columns of this name",
            remedy="Keep one, or rename the others.",
        )
        for column in wanted
        if counts[column.lower()] > 1
    ]
    if faults:
        raise InputError(faults)


def _parquet(connection: duckdb.DuckDBPyConnection, path: Path, table: str, wanted: Iterable[str]) -> Source:
    parts = sorted(path.rglob("*.parquet")) if path.is_dir() else [path]
    if not parts:
        raise fail(table, f"the folder {path.name}/ holds no .parquet file", "Put the table's parts into it.")
    for part in parts:
        label = str(part.relative_to(path.parent))
        try:
            names = pq.read_schema(part).names
        except (pa.ArrowException, OSError) as error:
            raise fail(
                table, f"{label} is no whole Parquet file", "Export or copy it again.", first_line(error)
            ) from error
        refuse_doubles(table, names, wanted)
    listed = ", ".join(_literal(part) for part in parts)
    sql = f"read_parquet([{listed}], union_by_name = true)" if path.is_dir() else f"read_parquet({listed})"
    return Source(path.name, sql, {n: name(n) for n in described(connection, sql)})


def described(connection: duckdb.DuckDBPyConnection, sql: str) -> dict[str, str]:
    """Name and DuckDB type of each column of what follows FROM."""
    return {row[0]: row[1] for row in connection.execute(f"DESCRIBE SELECT * FROM {sql}").fetchall()}


def _delimited(path: Path, table: str, wanted: Iterable[str]) -> Source:
    names = _header(path, table)
    known = set(wanted)
    if not known & set(names):
        for mark, called in ((";", "';'"), ("\t", "tabs"), ("|", "'|'")):
            if known & {cell.strip(' "') for cell in ",".join(names).split(mark)}:
                raise fail(
                    table,
                    f"{path.name} is separated by {called}, not by commas",
                    f"Export it with commas between columns and points in decimals, or read it by {table}.sql.",
                    shorten(",".join(names)),
                )
    refuse_doubles(table, names, known)
    columns = ", ".join(f"c{position}: 'VARCHAR'" for position in range(len(names)))
    sql = (
        f"read_csv({_literal(path)}, header = true, delim = ',', quote = '\"', escape = '\"', "
        f"auto_detect = false, columns = {{{columns}}})"
    )
    return Source(path.name, sql, {column: f"c{position}" for position, column in enumerate(names)}, keep=True)


def _lines(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _header(path: Path, table: str) -> list[str]:
    try:
        with _lines(path) as lines:
            names = next(csv.reader(lines), [])
    except UnicodeDecodeError as error:
        raise encoding_fault(path.name, table) from error
    except (OSError, EOFError, csv.Error) as error:
        raise fail(table, f"{path.name} cannot be read", "Export or copy it again.", first_line(error)) from error
    if any("\0" in column for column in names):
        raise encoding_fault(path.name, table)
    if not any(names):
        raise fail(table, f"{path.name} has no names of columns in its first line", "Export it with a header.")
    return names


def encoding_fault(place: str, table: str) -> InputError:
    """The fault of a text file in another encoding."""
    return fail(table, f"{place} is not encoded in UTF-8", "Export it as UTF-8 (Excel: 'CSV UTF-8').")


def reading_fault(error: duckdb.Error, table: str, place: str) -> InputError:
    """What DuckDB met while it read `place`, as a fault."""
    text = str(error)
    if "not utf-8" in text.lower() or "invalid unicode" in text.lower():
        return encoding_fault(place, table)
    line = re.search(r"CSV Error on Line: (\d+)", text)
    widths = re.search(r"Expected Number of Columns: (\d+) Found: (\d+)", text)
    original = re.search(r"Original Line: (.*)", text)
    if line and widths:
        return fail(
            table,
            f"line {line[1]} of {place} has {widths[2]} columns where the header has {widths[1]}",
            "Put values that hold a comma into double quotes; write decimals with a point.",
            shorten(original[1]) if original else None,
        )
    if line:
        detail = next((part for part in text.split("\n")[2:] if part.strip()), "it is no CSV").strip().rstrip(".")
        return fail(
            table,
            f"line {line[1]} of {place} cannot be read ({detail})",
            "Double the quotes within quoted values.",
            shorten(original[1]) if original else None,
        )
    return fail(table, f"{place} cannot be read", "Export or copy it again.", first_line(error))


def _mapping(connection: duckdb.DuckDBPyConnection, path: Path, table: str, wanted: Iterable[str]) -> Source:
    remedy = "A mapping is one SELECT in DuckDB's dialect that yields the table from other files."
    try:
        query = path.read_text(encoding="utf-8-sig")
        statements = connection.extract_statements(query)
    except (duckdb.Error, UnicodeDecodeError, OSError) as error:
        raise fail(table, f"{path.name} cannot be understood", remedy, first_line(error)) from error
    kinds = [statement.type.name for statement in statements]
    if kinds != ["SELECT"]:
        raise fail(table, f"{path.name} is no single SELECT", remedy, ", ".join(kinds) or "no statement")
    _refuse_shadowed(query, path, table)
    connection.execute(f"SET GLOBAL file_search_path = {quote(path.parent.resolve())}")
    view = f"mapping of {table}"
    try:
        refuse_doubles(table, list(described_query(connection, statements[0].query)), wanted)
        connection.execute(f"CREATE VIEW {name(view)} AS {statements[0].query}")
        return Source(path.name, name(view), {n: name(n) for n in described(connection, name(view))}, keep=True)
    except duckdb.Error as error:
        raise fail(table, f"{path.name} fails", "Correct the mapping; " + _PATHS, first_line(error)) from error


_PATHS = "its paths are relative to the folder that it lies in."


def described_query(connection: duckdb.DuckDBPyConnection, query: str) -> list[str]:
    """Names of a query's columns, doubles included."""
    return [row[0] for row in connection.execute(f"DESCRIBE {query}").fetchall()]


def _refuse_shadowed(query: str, path: Path, table: str) -> None:
    """DuckDB looks into the current folder first: refuse what it would find there instead of beside the mapping."""
    tokens = [*duckdb.tokenize(query), (len(query.encode()), None)]
    text = query.encode()
    for (start, kind), (end, _) in pairwise(tokens):
        literal = text[start:end].decode().strip()
        if kind not in (duckdb.token_type.string_const, duckdb.token_type.identifier) or literal[:1] not in "'\"":
            continue
        found = glob.glob(literal[1:-1])
        if Path(literal[1:-1]).is_absolute() or not found:
            continue
        beside = glob.glob(str(path.parent / literal[1:-1]))
        if {Path(one).resolve() for one in found} != {Path(one).resolve() for one in beside}:
            raise fail(
                table,
                f"{path.name} reads {literal}, which is in the current folder too",
                f"Run from another folder: {_PATHS}",
            )
