"""Refuses mappings whose files DuckDB could read only by guessing, and names the option that replaces the guess."""

import copy
import functools
import json
import os
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq

from features.engines.duckdb import name, quote
from features.faults import fail
from features.history.csv_files import first_fault
from features.history.mapping_reads import Reader, arguments_key, option_name, parse, walk

_ENDS = (rb"\r\n", rb"(?<!\r)\n", rb"\r(?!\n)")
_CSV = ("read_csv", "read_csv_auto")
_PARQUET = ("read_parquet", "parquet_scan")
_JSON = ("read_json", "read_json_auto", "read_ndjson", "read_ndjson_auto")
_TYPED = {"types", "dtypes", "column_types", "columns", "auto_type_candidates", "dateformat", "timestampformat"}
_NAMED = {"names", "column_names", "normalize_names", "columns"}
# Three numbers of which the first is no year of four digits
_DATE = r"^\s*(\d{1,2})[-/. ](\d{1,2})[-/. ](\d{4}|\d{2})(\D|$)"


@dataclass(frozen=True)
class _Reading:
    """One file that a mapping reads by one function; `ask` shows beforehand how it would be read."""

    connection: duckdb.DuckDBPyConnection
    reader: Reader
    file: str
    mapping: Path

    @property
    def name(self) -> str:
        return Path(self.file).name

    def ask(self, query: str, without: Collection[str] = ()) -> list[tuple[Any, ...]]:
        """Rows of a query of one function; `f` stands for the reader's own. It reads the file with the reader's options
        but those of `without`. Nothing if it fails: the mapping fails then too, or reads the file without a guess."""
        describe, select = query.startswith("DESCRIBE "), query.removeprefix("DESCRIBE ")
        parsed = parse(self.connection, select.replace(" f('", f" {self.reader.function}('"))
        function = next(node for node in walk(parsed) if node.get("type") == "TABLE_FUNCTION")["function"]
        arguments = function[arguments_key(function)]
        for node in walk(arguments[0]):
            for key in {"literal", "value"} & node.keys():
                node[key]["text" if "text" in node[key] else "value"] = os.path.abspath(self.file)
        dropped = {*without, *map(option_name, arguments[1:])} - {""}
        arguments += [one for one in copy.deepcopy(self.reader.arguments) if option_name(one) not in dropped]
        text = "SELECT json_deserialize_sql(?::JSON)"
        try:
            (sql,) = self.connection.execute(text, [json.dumps(parsed)]).fetchone() or ("",)
            return self.connection.execute(("DESCRIBE " if describe else "") + sql).fetchall()
        except duckdb.Error:
            return []

    @functools.cached_property
    def columns(self) -> list[tuple[str, str]]:
        """Name and type of each column, as the mapping gets them."""
        return [(str(row[0]), str(row[1])) for row in self.ask("DESCRIBE SELECT * FROM f('')")]


def refuse_guesses(
    connection: duckdb.DuckDBPyConnection, readers: list[Reader], path: Path, table: str, is_used: Callable[[str], bool]
) -> None:
    """Refuse what DuckDB would guess: lines of a CSV to leave out, the order of day and month, which of two columns of
    one name is meant, or a folder's `key=value` in place of a file's own column.

    is_used: whether a column of a file may reach the table.
    """
    for reader in readers:
        for file, named in reader.files(path.parent):
            reading = _Reading(connection, reader, file, path)
            if reader.function in _CSV:
                _refuse_gaps(reading, table)
            if reader.function in _CSV + _JSON:
                _refuse_ambiguous_dates(reading, table, is_used)
            _refuse_doubled_names(reading, table, is_used)
            _refuse_folder_names(reading, named, table)


def _refuse_gaps(reading: _Reading, table: str) -> None:
    query = "SELECT SkipRows, Comment FROM sniff_csv('')"
    guesses = reading.ask(query) or reading.ask(query, {"columns"})
    for option, guess in zip(("skip", "comment"), guesses[0] if guesses else (), strict=False):
        if option in reading.reader.options or guess in (None, 0, "", "(empty)", "\0", "\\0"):
            continue
        lines, cure = f"lines from {guess!r} on", "comment = ''"
        if option == "skip":
            lines, cure = f"{guess} line{'' if guess == 1 else 's'} at the top", "skip = N"
        problem = f"{reading.mapping.name} would leave out {lines} of {reading.name}, since DuckDB guesses its form"
        remedy = f"Correct that file, or say what to leave out: read_csv('…', {cure})."
        raise fail(table, problem, remedy, irregular(Path(reading.file), table))


def _refuse_ambiguous_dates(reading: _Reading, table: str, is_used: Callable[[str], bool]) -> None:
    """Refuse dates such as 03/04/2025 where every value of a column fits more than one order."""
    columns = reading.columns
    for place, (column, kind) in enumerate(columns):
        option = {"DATE": "dateformat", "TIMESTAMP": "timestampformat"}.get(kind.split(" ")[0])
        if not option or option in reading.reader.options or not is_used(column):
            continue
        shown = _ambiguous(reading, column, place, len(columns))
        if shown is not None:
            problem = (
                f"{reading.mapping.name} leaves the order of day and month to a guess, "
                f"and several orders fit {reading.name}"
            )
            say = f"{reading.reader.function}('…', {option} = {_form(shown, 'dm')}), or {_form(shown, 'md')}"
            raise fail(table, problem, f"Say the order: {say}.", repr(shown), column)


def _form(date: str, order: str) -> str:
    """The format of a date or time with day and month in an order, "dm" or "md", as an SQL literal."""
    mark, year = re.findall(r"[-/. ]", date)[0], "Y" if re.search(r"\d{4}", date) else "y"
    half = "%I" if re.search(r"[AP]M$", date, re.IGNORECASE) else "%H"
    clock = re.sub(r"\d+", "{}", date.partition(" ")[2]).format(half, "%M", "%S", "%f")
    written = mark.join(f"%{one}" for one in (*order, year)) + (" " + re.sub("[AP]M$", "%p", clock) if clock else "")
    return quote(written)


def _ambiguous(reading: _Reading, column: str, place: int, width: int) -> str | None:
    """A value of a column of dates all of which fit several orders that differ; None where one order fits."""
    source, text = "f('', dateformat = 'text: %Y', timestampformat = 'text: %Y')", name(column)
    if reading.reader.function in _CSV:
        source = f"f('', all_varchar = true) AS t({', '.join(f'c{i}' for i in range(width))})"
        text = f"c{place}"
    a, b, c = (f"TRY_CAST(regexp_extract(v, '{_DATE}', {group}) AS INTEGER)" for group in (1, 2, 3))
    query = f"""SELECT min(v), max(a), max(b), max(c), bool_or(a <> b), bool_or(b <> c)
        FROM (SELECT v, {a} AS a, {b} AS b, {c} AS c
              FROM (SELECT CAST({text} AS VARCHAR) AS v FROM {source})) WHERE a IS NOT NULL"""
    rows = reading.ask(query, _TYPED)
    if not rows or rows[0][1] is None:
        return None
    shown, a, b, c, differs, differs_from_year = rows[0]
    day_first, month_first, year_first = b <= 12 and a <= 31, a <= 12 and b <= 31, c <= 31 and b <= 12
    if year_first:
        return str(shown) if (day_first or month_first) and (differs or differs_from_year) else None
    return str(shown) if day_first and month_first and differs else None


def _refuse_doubled_names(reading: _Reading, table: str, is_used: Callable[[str], bool]) -> None:
    """Refuse columns of one name: DuckDB calls the second `likes_1`, and a mapping that says `likes` gets the first."""
    columns = [column for column, _ in reading.columns] if reading.reader.function in _CSV + _PARQUET else []
    lower = {column.lower() for column in columns}
    renamed = any(re.sub(r"_\d+$", "", one) in lower - {one} for one in lower)  # first, since this is cheap
    held = _names_in_file(reading) if renamed else []
    for place, (column, given) in enumerate(zip(columns, held, strict=False)):
        twins = [i for i, other in enumerate(held) if other.lower() == given.lower()]
        if column != given or len(twins) < 2 or twins[0] != place or not is_used(column):
            continue
        if all(columns[i].lower() != given.lower() and is_used(columns[i]) for i in twins[1:]):
            continue  # the mapping names each of them
        problem = f"{reading.name}, which {reading.mapping.name} reads, has {len(twins)} columns of this name"
        raise fail(table, problem, "Keep one, or rename the others.", ", ".join(held[i] for i in twins), given)


def _names_in_file(reading: _Reading) -> list[str]:
    """The names of columns as the file itself has them; none where the mapping names them, or it cannot be read."""
    if reading.reader.options & _NAMED:
        return []
    if reading.reader.function in _CSV:
        first = reading.ask("SELECT * FROM f('', header = false, all_varchar = true) LIMIT 1", _TYPED)
        return [str(cell) for cell in first[0]] if first else []
    try:
        return list(pq.read_schema(reading.file).names) if reading.reader.function in _PARQUET else []
    except (OSError, ValueError):  # pyarrow's errors are ValueErrors; the mapping itself fails then
        return []


def _refuse_folder_names(reading: _Reading, named: str, table: str) -> None:
    keys = [part.partition("=")[0] for part in Path(named).parts[:-1] if "=" in part]
    function = reading.reader.function
    if not keys or not function or "hive_partitioning" in reading.reader.options:
        return
    columns = reading.ask("DESCRIBE SELECT * FROM f('', hive_partitioning = false)")
    if own := [key for key in keys if key.lower() in {str(row[0]).lower() for row in columns}]:
        remedy = f"Say {function}('…', hive_partitioning = false), or true if the folder is right."
        problem = f"{reading.mapping.name} would read {own[0]} from the name of a folder, not from the file"
        raise fail(table, problem, remedy, named)


def irregular(file: Path, table: str) -> str | None:
    """What is irregular about a CSV file: its first line that is no row, or its line ends."""
    try:
        with file.open("rb") as content:
            head = content.read(1 << 20)
        mark = max(",;\t|", key=re.split(rb"[\r\n]", head)[0].decode("utf-8", "replace").count)
        if fault := first_fault(file, table, mark):
            return fault.faults[0].problem
    except (OSError, UnicodeDecodeError, EOFError):
        return None
    return "lines that end in different ways" if sum(bool(re.search(end, head)) for end in _ENDS) > 1 else None
