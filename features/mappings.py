"""A table that a `.sql` file yields from other files: what it reads, and how it is opened."""

import copy
import glob
import itertools
import json
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import duckdb

from features.engine import OFFLINE, Source, described, described_query, explain, name, quote, refuse_doubles
from features.faults import fail

PATHS = "its paths are relative to the folder that it lies in."
_CSV = ("read_csv", "read_csv_auto")
_READERS = re.compile(r"read_\w+|\w+_scan|parquet_\w+|sniff_csv|glob|query|query_table")
_CSV_ENDINGS = (".csv", ".tsv", ".csv.gz", ".tsv.gz")
_numbers = itertools.count()


def mapping(connection: duckdb.DuckDBPyConnection, path: Path, table: str, wanted: Iterable[str]) -> Source:
    """The table that the mapping at `path` yields. Raises InputError for one that is no SELECT, fails, or would read
    something else than it says."""
    remedy = "A mapping is one SELECT in DuckDB's dialect that yields the table from other files."
    try:
        query = path.read_text(encoding="utf-8-sig")
        statements = connection.extract_statements(query)
    except UnicodeDecodeError as error:
        raise fail(table, f"{path.name} is not encoded in UTF-8", "Save it as UTF-8.") from error
    except (duckdb.Error, OSError) as error:
        raise fail(table, f"{path.name} cannot be understood", remedy, explain(error)) from error
    kinds = [statement.type.name for statement in statements]
    if kinds != ["SELECT"]:
        raise fail(table, f"{path.name} is no single SELECT", remedy, ", ".join(kinds) or "no statement")
    readers = list(_readers(connection, _tree(connection, query)))
    _refuse_shadowed(readers, path, table)
    connection.execute(f"SET GLOBAL file_search_path = {quote(_search_path(connection, readers, path, table))}")
    _refuse_guessed_gaps(connection, readers, path, table)
    view = f"mapping of {table}"
    try:
        refuse_doubles(table, described_query(connection, statements[0].query), wanted)
        connection.execute(f"CREATE VIEW {name(view)} AS {statements[0].query}")
        return Source(path.name, name(view), {n: name(n) for n in described(connection, name(view))}, keep=True)
    except duckdb.Error as error:
        raise fail(table, f"{path.name} fails", "Correct the mapping; " + PATHS, explain(error)) from error


def reads(query: str, folder: Path) -> list[str]:
    """Patterns of the files that a SELECT names, as `glob` reads them; relative ones are in `folder`.

    Empty where it is no SELECT.
    """
    with duckdb.connect(config=OFFLINE) as connection:
        names = dict.fromkeys(text for node in _readers(connection, _tree(connection, query)) for text in _texts(node))
    return [os.path.join(glob.escape(os.path.abspath(folder)), os.path.expanduser(one)) for one in names if one]


def _tree(connection: duckdb.DuckDBPyConnection, query: str) -> Any:
    (told,) = connection.execute("SELECT json_serialize_sql(?)", [query]).fetchone() or ("{}",)
    return json.loads(told)


def _readers(connection: duckdb.DuckDBPyConnection, tree: Any) -> Iterator[dict[str, Any]]:
    """What stands after FROM and may read files: names of tables but for those of WITH, and functions that read; those
    of a query within a text too. A text elsewhere, as in `replace(x, '.', '')`, is no file."""
    named = {entry["key"].lower() for node in _nodes(tree) for entry in (node.get("cte_map") or {}).get("map", ())}
    for node in _nodes(tree):
        if node.get("type") == "BASE_TABLE" and node["table_name"].lower() not in named:
            yield node
        if node.get("type") == "TABLE_FUNCTION" and _READERS.fullmatch(node["function"]["function_name"].lower()):
            yield node
            for text in _texts(node):
                if " " in text.strip():
                    yield from _readers(connection, _tree(connection, text))


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """Every dictionary of a tree, from the top down."""
    if isinstance(tree, list):
        for one in tree:
            yield from _nodes(one)
    elif isinstance(tree, dict):
        yield tree
        for value in tree.values():
            yield from _nodes(value)


def _texts(node: Any) -> Iterator[str]:
    """The name of a table; or every literal text that a function is given, but for those of named arguments, which say
    how a file is read."""
    if isinstance(node, list):
        for one in node:
            yield from _texts(one)
    elif isinstance(node, dict) and node.get("type") == "BASE_TABLE":
        yield node["table_name"]
    elif isinstance(node, dict) and node.get("type") != "COMPARE_EQUAL":
        # DuckDB 2 calls it a literal's text, DuckDB 1 a value's value
        literal = node.get("literal") or node.get("value")
        text = (literal.get("text") or literal.get("value")) if isinstance(literal, dict) else None
        if isinstance(text, str):
            yield text
        for value in node.values():
            yield from _texts(value)


def _refuse_shadowed(readers: list[dict[str, Any]], path: Path, table: str) -> None:
    """DuckDB looks into the current folder first: refuse what it would find there instead of beside the mapping."""
    for text in (text for node in readers for text in _texts(node) if not os.path.isabs(text)):
        found = {Path(one).resolve() for one in glob.glob(text, recursive=True) if Path(one).is_file()}
        beside = {Path(one).resolve() for one in glob.glob(os.path.join(glob.escape(str(path.parent)), text))}
        if found and found != beside:
            raise fail(
                table,
                f"{path.name} reads {quote(text)}, which is in the current folder too",
                f"Run from another folder: {PATHS}",
            )


def _search_path(connection: duckdb.DuckDBPyConnection, readers: list[dict[str, Any]], path: Path, table: str) -> Path:
    """The folder of the mapping, by a name without `key=value`: DuckDB would make a column of it that replaces the
    files' own."""
    folder = path.parent.resolve()
    if not any("=" in part for part in folder.parts):
        return folder
    scratch = Path(connection.execute("SELECT current_setting('temp_directory')").fetchall()[0][0]).resolve()
    upwards = [text for node in readers for text in _texts(node) if ".." in Path(text).parts]
    if upwards or any("=" in part for part in scratch.parts) or not scratch.is_dir():
        key = next(part for part in folder.parts if "=" in part)
        received = f"{path.name} reads {quote(upwards[0])} there" if upwards else None
        problem = f"the folder {key}/ above it would be read as a column"
        raise fail(table, problem, "Rename it without '=', or move the data.", received)
    link = scratch / f"folder {next(_numbers)}"
    link.symlink_to(folder, target_is_directory=True)
    return link


def _refuse_guessed_gaps(
    connection: duckdb.DuckDBPyConnection, readers: list[dict[str, Any]], path: Path, table: str
) -> None:
    """Refuse lines of a CSV that DuckDB would leave out by a guess of its own: those that it skips at the top, and
    those that it takes for comments."""
    for reader in readers:
        for file in _csv_files(reader, path.parent):
            given = {node["left"]["column_names"][-1].lower() for node in _nodes(reader) if "right" in node}
            for option, column in (("skip", "SkipRows"), ("comment", "Comment")):
                guess = None if option in given else _guess(connection, reader, file, column)
                if guess not in (None, 0, "", "(empty)", "\0", "\\0"):
                    lines = f"the first {guess} lines" if option == "skip" else f"lines from {guess!r} on"
                    value = 0 if option == "skip" else "''"
                    raise fail(
                        table,
                        f"{path.name} would leave out {lines} of {Path(file).name}, since DuckDB guesses its form",
                        f"Correct that file where its lines differ in columns, or say how many to leave out: "
                        f"read_csv('…', {option} = {value}).",
                    )


def _csv_files(reader: dict[str, Any], folder: Path) -> list[str]:
    """The CSV files that a reader reads, as far as it names them literally."""
    if reader["type"] == "BASE_TABLE":
        texts = [text for text in _texts(reader) if text.lower().endswith(_CSV_ENDINGS)]
    else:
        texts = list(_texts(reader)) if reader["function"]["function_name"].lower() in _CSV else []
    return sorted(
        {f for text in texts for f in glob.glob(os.path.join(glob.escape(str(folder)), text), recursive=True)}
    )


def _guess(connection: duckdb.DuckDBPyConnection, reader: dict[str, Any], file: str, column: str) -> Any:
    """What DuckDB guesses of a CSV file that is read as the reader says; None if it cannot say."""
    tree = _tree(connection, f"SELECT {column} FROM sniff_csv({quote(os.path.abspath(file))})")
    if reader["type"] == "TABLE_FUNCTION":
        function = next(node for node in _nodes(tree) if node.get("type") == "TABLE_FUNCTION")["function"]
        key = "arguments" if "arguments" in function else "children"
        function[key] += copy.deepcopy(reader["function"][key][1:])
    try:
        (sql,) = connection.execute("SELECT json_deserialize_sql(?::JSON)", [json.dumps(tree)]).fetchone() or ("",)
        row = connection.execute(sql).fetchone()
    except duckdb.Error:  # the mapping itself fails then, or reads it without a guess
        return None
    return row[0] if row else None
