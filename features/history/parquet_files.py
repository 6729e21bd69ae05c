"""A table in a Parquet file, or in a folder of Parquet parts."""

import json
import os
from collections.abc import Collection, Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from features.engines.duckdb import Source, described, first_line, literal, name, quote, refuse_doubles
from features.faults import InputError, fail
from features.history.column_names import normal
from features.history.file_kinds import kind_of

# What other programs keep beside the parts, and what holds no rows: by the first part of the name below the folder.
_LOGS = {
    "_delta_log": ("it is a Delta table: its log says which parts count, and which rows were deleted", "Delta"),
    ".hoodie": ("it is a Hudi table: its log says which parts count", "Hudi"),
    "metadata": ("it is an Iceberg table: its metadata say which parts count", "Iceberg"),
    "_spark_metadata": ("a Spark stream wrote it: its log says which parts count", "streamed"),
}
_NO_ROWS = ("_SUCCESS", "_metadata", "_common_metadata", "_committed_", "_started_", "Thumbs.db", "desktop.ini")


def parquet(connection: duckdb.DuckDBPyConnection, path: Path, table: str, wanted: Collection[str]) -> Source:
    """The file, or the parts of the folder, at `path`. Below the folder `key=value/` is a column of text, unless the
    part has it itself; above it, it is none."""
    parts = parts_of(path, table) if path.is_dir() else [path]
    schemas = {part: _schema(part, path, table, wanted) for part in parts}
    held = {part: schema.names for part, schema in schemas.items()}
    listed = f"[{', '.join(map(literal, parts))}]" if path.is_dir() else literal(path)
    options = "hive_partitioning = false" + (", union_by_name = true" if path.is_dir() else "")
    sql = f"read_parquet({listed}, {options})"
    keys = _keys(path, held, table, wanted)
    if keys:
        taken = {one.lower() for names in held.values() for one in names}
        file = next(n for i in range(len(taken) + 1) if (n := f"file {i}") not in taken)
        made = ", ".join(f"{_key(key, name(file), path)} AS {name(key)}" for key in keys)
        sql = f"read_parquet({listed}, {options}, filename = {quote(file)})"
        sql = f"(SELECT * EXCLUDE ({name(file)}), {made} FROM {sql})"
    durations = _durations(schemas.values(), table, wanted)
    return Source(path.name, sql, {n: durations.get(n, name(n)) for n in described(connection, sql)})


def _durations(schemas: Collection[pa.Schema], table: str, wanted: Collection[str]) -> dict[str, str]:
    """SQL of the durations, which pandas and Arrow write as numbers of a unit that their own notes alone tell."""
    found = {}
    for column in wanted:
        kinds = {field.type for schema in schemas for field in schema if field.name == column}
        if not any(map(pa.types.is_duration, kinds)):
            continue
        if len(kinds) > 1:
            received = ", ".join(sorted(map(str, kinds)))
            raise fail(table, "its parts differ in type", "Export all parts alike.", received, column)
        times = {"s": "* 1000000", "ms": "* 1000", "us": "* 1", "ns": "// 1000"}[kinds.pop().unit]
        found[column] = f"to_microseconds({name(column)} {times})"
    return found


def _schema(part: Path, path: Path, table: str, wanted: Collection[str]) -> pa.Schema:
    """What one part holds. Raises InputError where it is no whole Parquet file."""
    label = str(part.relative_to(path.parent))
    if part.exists() and not part.is_file():  # a pipe would be waited for
        raise fail(table, f"{label} is no regular file", "Put a file there.")
    try:
        schema = pq.read_schema(part)
    except (pa.ArrowException, OSError) as error:
        raise _no_parquet(part, label, table, error) from error
    refuse_doubles(table, schema.names, wanted)
    return schema


def _no_parquet(part: Path, label: str, table: str, error: Exception) -> InputError:
    """The fault of a part that cannot be read as Parquet."""
    if not part.exists():
        there = f"a link to {os.readlink(part)}, which is not there" if part.is_symlink() else "not there any more"
        return fail(table, f"{label} is {there}", "Set the link anew, or put the file there.")
    if isinstance(error, PermissionError):
        return fail(table, f"{label} may not be read", "Give yourself the permission to read it.")
    if part.stat().st_size == 0:
        return fail(table, f"{label} is empty", "Export or copy it again.")
    with part.open("rb") as file:
        head = file.read(4096)
    kind = kind_of(head, table)
    if not kind and b"\0" not in head and b"\n" in head:
        kind = "text", "End its name in .csv if it holds CSV, or export it as Parquet."
    if kind and not head.startswith(b"PAR1"):
        return fail(table, f"{label} is no whole Parquet file but {kind[0]}", kind[1])
    return fail(table, f"{label} is no whole Parquet file", "Export or copy it again.", first_line(error))


def passed_over(path: Path, table: str) -> list[str]:
    """Names of the files below a folder of parts that hold no rows, sorted."""
    return [str(one) for one in sorted(_files(path, table)) if _holds_no_rows(one) or _is_hidden(one)]


def _holds_no_rows(below: Path) -> bool:
    return below.name.startswith("._") or below.name.startswith(_NO_ROWS) or below.name.endswith(".crc")


def _is_hidden(below: Path) -> bool:
    return any(one.startswith(("_", ".")) for one in below.parts)


def parts_of(path: Path, table: str) -> list[Path]:
    """The parts of a folder, sorted; raises InputError where something else there may hold rows, or says which do."""
    parts, others = [], []
    found = sorted(_files(path, table))
    for below in found:
        first = below.parts[0]
        if first in _LOGS and (first != "metadata" or below.name.endswith((".metadata.json", ".avro"))):
            problem, program = _LOGS[first]
            remedy = f"Save the rows that count as plain Parquet, by the program that writes {program} tables."
            raise fail(table, f"{path.name}/ holds {first}/: {problem}", remedy)
        if "_temporary" in below.parts:
            remedy = "Wait until it is done, or write the folder again; then delete _temporary/."
            raise fail(table, f"{path.name}/ holds _temporary/: its writer is not done, or failed", remedy)
        if _holds_no_rows(below):
            continue
        if below.suffix == ".parquet" and not _is_hidden(below):
            parts.append(path / below)
        elif not _is_hidden(below) or below.suffix.lower() in (".parquet", ".csv"):
            others.append(below)
    if others and (parts or not all(one.suffix == "" for one in others)):
        counted = "a file that is no part" if len(others) == 1 else f"{len(others)} files that are no parts"
        problem = f"{path.name}/ holds {counted}"
        remedy = "Move them away; parts end in .parquet, and neither they nor their folders begin with _ or a point."
        raise fail(table, problem, remedy, ", ".join(map(str, others[:3])))
    if not parts:
        raise fail(table, f"the folder {path.name}/ holds no .parquet file", "Put the table's parts into it.")
    _refuse_uncommitted(path, found, table)
    return parts


def _refuse_uncommitted(path: Path, found: list[Path], table: str) -> None:
    """Refuse parts that logs of Databricks' commits do not count: removed ones, and those of an unfinished write."""
    for log in (one for one in found if one.name.startswith("_started_")):
        if (committed := log.with_name(log.name.replace("_started_", "_committed_"))) not in found:
            problem = f"{path.name}/ holds {log} but no {committed.name}: its writer is not done, or failed"
            remedy = f"Wait until it is done, or write the folder again; then delete {log.name}."
            raise fail(table, problem, remedy)
    for log in (one for one in found if one.name.startswith("_committed_")):
        if log.name.startswith("_committed_vacuum"):  # of old parts that were deleted
            continue
        try:
            removed = {log.with_name(str(one)) for one in json.loads((path / log).read_text("utf-8"))["removed"]}
        except (OSError, ValueError, KeyError, TypeError) as error:
            remedy = "Write the folder again, or delete the log if all parts count."
            raise fail(table, f"{path.name}/{log} does not say which parts count", remedy, first_line(error)) from error
        if gone := sorted(removed & {*found}):
            count = f"{len(gone)} part{'' if len(gone) == 1 else 's'}"
            problem = f"{path.name}/ holds {count} of which {log} says that they no longer count"
            remedy = "Delete them, or save the rows that count as plain Parquet."
            raise fail(table, problem, remedy, ", ".join(map(str, gone[:3])))


def _files(path: Path, table: str) -> Iterator[Path]:
    """Every file below a folder, relative to it."""

    def unreadable(error: OSError) -> None:
        raise fail(table, f"{path.name}/ cannot be read", "Give yourself the permission.", str(error)) from error

    for folder, folders, files in os.walk(path, onerror=unreadable):
        for one in folders:
            if (Path(folder) / one).is_symlink():
                link = (Path(folder) / one).relative_to(path.parent)
                raise fail(
                    table, f"{link} is a link to a folder, which is not followed", "Put the folder itself there."
                )
            if one in ("_delta_log", "_spark_metadata", "_temporary"):  # refused even if it is empty
                yield (Path(folder) / one / "any").relative_to(path)
        for one in files:
            yield (Path(folder) / one).relative_to(path)


def _keys(path: Path, held: dict[Path, list[str]], table: str, wanted: Collection[str]) -> list[str]:
    """The keys of folders below `path` that are columns and that no part has itself."""
    found: list[str] = []
    names = {normal(column) for column in wanted}
    for part in held if path.is_dir() else ():
        for folder in part.relative_to(path).parts[:-1]:
            key, separator, _ = folder.partition("=")
            if separator and normal(key) in names and key not in found:  # an inexact name is a fault further on
                found.append(key)
    kept = []
    for key in found:
        having = [part for part, names in held.items() if normal(key) in map(normal, names)]
        below = [part for part in held if any(one.startswith(f"{key}=") for one in part.relative_to(path).parts[:-1])]
        without = next((part for part in held if part not in (having or below)), None)
        if without is not None:
            problem = "some parts have the column themselves, others only by the name of their folder"
            if not having:
                problem = "some parts have the column by the name of their folder, others not at all"
            received = str(without.relative_to(path.parent))
            raise fail(table, problem, "Write all parts in one way.", received, key)
        if not having:
            kept.append(key)
    return kept


def _key(key: str, file: str, path: Path) -> str:
    """A key's value in the name of a file, as text."""
    below = f"substr(replace({file}, '\\', '/'), {len(str(path)) + 1})"
    pattern = "/" + "".join(f"\\x{{{ord(one):x}}}" for one in key) + "=([^/]*)/"
    text = f"url_decode(regexp_extract({below}, {quote(pattern)}, 1))"
    return f"nullif(nullif({text}, ''), '__HIVE_DEFAULT_PARTITION__')"
