"""Finds a table among the files of a folder and how DuckDB reads it, before any value is read.

Each form has its own faults (an empty file, a truncated one, another separator or encoding, a mapping that fails);
they are raised as InputError.
"""

import os
from collections.abc import Collection
from pathlib import Path

import duckdb

from features.engines.duckdb import Source
from features.faults import fail, refuse_unreachable
from features.history.csv_files import delimited
from features.history.mappings import mapping
from features.history.parquet_files import parquet

ENDINGS = (".parquet", ".csv", ".csv.gz", "", ".sql")
# Data of these endings is not read: in the place of a table it is a fault, even of an optional one.
FOREIGN = (
    "xlsx xls xlsm xlsb ods numbers tsv txt tab json jsonl ndjson xml html htm zip gz bz2 xz zst 7z rar feather arrow "
    "orc avro parq pq pqt parquet csv db sqlite duckdb"
)


def forms(table: str, last: str = "or ") -> str:
    """The names under which a table is read from a folder."""
    *most, end = (f"{table}{ending or '/'}" for ending in ENDINGS)
    return f"{', '.join(most)}{'' if last else ','} {last}{end}"


def find(folder: Path, table: str, required: bool) -> Path | None:
    """The one file or folder that holds `table`; None where an optional one is absent."""
    try:
        held = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise fail(str(folder), "it cannot be read", "Give yourself the permission.", str(error)) from error
    found = [path for end in ENDINGS if os.path.lexists(path := folder / f"{table}{end}")]
    if len(found) > 1:
        names = " and ".join(path.name for path in found)
        raise fail(table, f"there is more than one form of the table: {names}", "Keep one and move the others away.")
    if not found and (others := [one for one in held if _is_alike(one, table)]):
        problem, remedy = (
            f"{others[0]} is there, but no form in which the table is read",
            f"Make it one of {forms(table, '')}.",
        )
        if others[0].lower() in [f"{table}{end}" for end in ENDINGS]:
            remedy = f"Rename it to {others[0].lower()}: names are exact."
        raise fail(table, problem, remedy)
    if not found and required:
        received = f"a folder with {', '.join(held[:8]) or 'nothing'}{' and more' if len(held) > 8 else ''}"
        raise fail(table, "the table is missing", f"Put one of {forms(table, '')} into the folder.", received)
    return found[0] if found else None


def _is_alike(file: str, table: str) -> bool:
    """Whether a file that is not read looks as if it held the table."""
    stem, separator, endings = file.lower().partition(".")
    return stem == table and (not separator or endings.rpartition(".")[2] in FOREIGN.split())


def source(
    connection: duckdb.DuckDBPyConnection, path: Path, table: str, wanted: Collection[str], *, carry: bool = False
) -> Source:
    """How the file or folder at `path` is read as `table`, whose columns of interest are `wanted`; the others can be
    left out unless they are to be carried along."""
    _refuse_unreadable(path, table)
    if path.suffix == ".sql":
        return mapping(connection, path, table, wanted)
    if path.suffixes[-1:] == [".csv"] or path.suffixes[-2:] == [".csv", ".gz"]:
        return delimited(connection, path, table, wanted, carry)
    return parquet(connection, path, table, wanted)


def _refuse_unreadable(path: Path, table: str) -> None:
    refuse_unreachable(table, path)
    if not path.exists():
        link = f"{path.name} is a link to {os.readlink(path)}, which is not there" if path.is_symlink() else None
        raise fail(table, link or f"{path.name} is not there", "Set the link anew, or put the file there.")
    if path.is_dir():
        if path.suffix not in ("", ".parquet"):
            query = f"SELECT * FROM read_csv('parts of {table}/*.csv', all_varchar = true)"
            remedy = f"Put one file there; or rename it to 'parts of {table}' and read it by {table}.sql: {query}."
            raise fail(table, f"{path.name} is a folder, not a file", remedy)
    elif not path.is_file():
        raise fail(table, f"{path.name} is no regular file", "Put a file there.")
    elif not os.access(path, os.R_OK):
        raise fail(table, f"{path.name} may not be read", "Give yourself the permission to read it.")
    elif path.stat().st_size == 0:
        remedy = "Export it again: not even the names of columns are there."
        raise fail(table, f"{path.name} is empty", "Write its SELECT." if path.suffix == ".sql" else remedy)
