"""What a mapping reads: the files that it names, and where DuckDB would read them otherwise than they are."""

import copy
import glob
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from features.engines.duckdb import OFFLINE, quote
from features.faults import fail
from features.history.csv_files import first_fault

PATHS = "its paths are relative to the folder that it lies in."
_READERS = re.compile(r"read_\w+|\w+_scan|parquet_\w+|sniff_csv|glob|query|query_table")
_BY_ENDING = {
    ".csv": "read_csv", ".tsv": "read_csv", ".csv.gz": "read_csv", ".tsv.gz": "read_csv", ".parquet": "read_parquet",
    ".json": "read_json", ".jsonl": "read_json", ".ndjson": "read_json",
}  # fmt: skip
_ENDS = (rb"\r\n", rb"(?<!\r)\n", rb"\r(?!\n)")


@dataclass(frozen=True)
class Reader:
    """What stands after FROM and reads files: the function that reads, None if unknown, the texts that may name files,
    the names of its options, and its arguments as DuckDB tells them, the first left out."""

    function: str | None
    texts: tuple[str, ...]
    options: frozenset[str] = frozenset()
    arguments: tuple[Any, ...] = ()

    def files(self, folder: Path) -> list[tuple[str, str]]:
        """The files that it names literally, sorted, each with its path as it is named, mostly from `folder`."""
        found = {}
        for text in self.texts:
            for file in glob.glob(os.path.join(glob.escape(str(folder)), text), recursive=True):
                found[file] = file if os.path.isabs(text) else os.path.relpath(file, folder)
        return sorted((file, named) for file, named in found.items() if os.path.isfile(file))


def reads(query: str, folder: Path) -> list[str]:
    """Patterns of the files that a SELECT names, as `glob` reads them; relative ones are in `folder`.

    Empty where it is no SELECT.
    """
    with duckdb.connect(config=OFFLINE) as connection:
        names = dict.fromkeys(text for reader in find_readers(connection, query) for text in reader.texts)
    return [os.path.join(glob.escape(os.path.abspath(folder)), os.path.expanduser(one)) for one in names if one]


def _tree(connection: duckdb.DuckDBPyConnection, query: str) -> Any:
    (told,) = connection.execute("SELECT json_serialize_sql(?)", [query]).fetchone() or ("{}",)
    return json.loads(told)


def find_readers(connection: duckdb.DuckDBPyConnection, query: str) -> list[Reader]:
    """What reads files in a SELECT: names of tables but for those of WITH, and functions; those of a query within a
    text too. A text elsewhere, as in `replace(x, '.', '')`, is no file. Empty where it is no SELECT."""
    nodes, readers = list(_nodes(_tree(connection, query))), []
    named = {entry["key"].lower() for node in nodes for entry in (node.get("cte_map") or {}).get("map", ())}
    for node in nodes:
        if node.get("type") == "BASE_TABLE" and node["table_name"].lower() not in named:
            file = node["table_name"]
            ending = next((end for end in _BY_ENDING if file.lower().endswith(end)), "")
            readers.append(Reader(_BY_ENDING.get(ending), (file,)))
        if node.get("type") == "TABLE_FUNCTION" and _READERS.fullmatch(node["function"]["function_name"].lower()):
            function = node["function"]
            texts = tuple(_texts(function))
            arguments = function[_arguments(function)]
            options = frozenset(filter(None, map(_option, _nodes(arguments))))
            readers.append(Reader(function["function_name"].lower(), texts, options, tuple(arguments[1:])))
            readers += [one for text in texts if " " in text.strip() for one in find_readers(connection, text)]
    return readers


def _arguments(function: dict[str, Any]) -> str:
    """The key of a function's arguments: DuckDB 2 calls it so, DuckDB 1 its children."""
    return "arguments" if "arguments" in function else "children"


def _option(node: dict[str, Any]) -> str:
    """The name of an option that an argument gives, by `=` or `:=`, in small letters; empty if it is none."""
    if node.get("type") == "COMPARE_EQUAL" and "column_names" in node["left"]:
        return str(node["left"]["column_names"][-1]).lower()
    # of `:=` DuckDB 2 keeps a name beside the expression, DuckDB 1 an alias of it
    return str(node.get("name") if "expression" in node else node.get("alias", "")).lower()


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
    """Every literal text below a node, but for those of options, which say how a file is read."""
    if isinstance(node, list):
        for one in node:
            yield from _texts(one)
    elif isinstance(node, dict) and not _option(node) and node.get("type") != "COMPARE_EQUAL":
        # DuckDB 2 calls it a literal's text, DuckDB 1 a value's value
        literal = node.get("literal") or node.get("value")
        text = (literal.get("text") or literal.get("value")) if isinstance(literal, dict) else None
        if isinstance(text, str):
            yield text
        for value in node.values():
            yield from _texts(value)


def refuse_shadowed(readers: list[Reader], path: Path, table: str) -> None:
    """DuckDB looks into the current folder first: refuse what it would find there instead of beside the mapping."""
    for text in (text for node in readers for text in node.texts if not os.path.isabs(text)):
        found = {Path(one).resolve() for one in glob.glob(text, recursive=True) if Path(one).is_file()}
        beside = {Path(one).resolve() for one in glob.glob(os.path.join(glob.escape(str(path.parent)), text))}
        if found and found != beside:
            raise fail(
                table,
                f"{path.name} reads {quote(text)}, which is in the current folder too",
                f"Run from another folder: {PATHS}",
            )


def refuse_dropped_rows(readers: list[Reader], path: Path, table: str) -> None:
    """Refuse options that let DuckDB leave out rows which it cannot read, without saying which or how many."""
    for reader in readers:
        for option in sorted(reader.options & {"ignore_errors", "store_rejects"}):
            problem = f"{path.name} would leave out the rows that cannot be read, since it says {option}"
            raise fail(table, problem, f"Leave {option} out and correct these rows, or leave them out by a WHERE.")


def refuse_guesses(connection: duckdb.DuckDBPyConnection, readers: list[Reader], path: Path, table: str) -> None:
    """Refuse what DuckDB would do by a guess of its own: leave out lines of a CSV, at its top or as comments, or put a
    folder's `key=value` in place of a file's own column."""
    for reader in readers:
        for file, named in reader.files(path.parent):
            if reader.function in ("read_csv", "read_csv_auto"):
                _refuse_gaps(connection, reader, file, path, table)
            keys = [part.partition("=")[0] for part in Path(named).parts[:-1] if "=" in part]
            if keys and reader.function and "hive_partitioning" not in reader.options:
                columns = _ask(connection, "DESCRIBE SELECT * FROM f('', hive_partitioning = false)", reader, file)
                if own := [key for key in keys if key.lower() in {str(row[0]).lower() for row in columns}]:
                    remedy = f"Say {reader.function}('…', hive_partitioning = false), or true if the folder is right."
                    problem = f"{path.name} would read {own[0]} from the name of a folder, not from the file"
                    raise fail(table, problem, remedy, named)


def _refuse_gaps(connection: duckdb.DuckDBPyConnection, reader: Reader, file: str, path: Path, table: str) -> None:
    guesses = _ask(connection, "SELECT SkipRows, Comment FROM sniff_csv('')", reader, file)
    for option, guess in zip(("skip", "comment"), guesses[0] if guesses else (), strict=False):
        if option in reader.options or guess in (None, 0, "", "(empty)", "\0", "\\0"):
            continue
        lines, cure = f"lines from {guess!r} on", "comment = ''"
        if option == "skip":
            lines, cure = f"{guess} line{'' if guess == 1 else 's'} at the top", "skip = N"
        problem = f"{path.name} would leave out {lines} of {Path(file).name}, since DuckDB guesses its form"
        remedy = f"Correct that file, or say what to leave out: read_csv('…', {cure})."
        raise fail(table, problem, remedy, irregular(Path(file), table))


def _ask(connection: duckdb.DuckDBPyConnection, query: str, reader: Reader, file: str) -> list[tuple[Any, ...]]:
    """What a query of one function tells if that reads `file` with the reader's options; nothing if it fails.

    The function is the reader's own if it is called `f`.
    """
    describe, select = query.startswith("DESCRIBE "), query.removeprefix("DESCRIBE ")
    tree = _tree(connection, select.replace("f('", f"{reader.function}('") if describe else select)
    function = next(node for node in _nodes(tree) if node.get("type") == "TABLE_FUNCTION")["function"]
    arguments = function[_arguments(function)]
    for node in _nodes(arguments[0]):
        for key in {"literal", "value"} & node.keys():
            node[key]["text" if "text" in node[key] else "value"] = os.path.abspath(file)
    arguments += copy.deepcopy(reader.arguments)
    try:
        (sql,) = connection.execute("SELECT json_deserialize_sql(?::JSON)", [json.dumps(tree)]).fetchone() or ("",)
        return connection.execute(("DESCRIBE " if describe else "") + sql).fetchall()
    except duckdb.Error:  # the mapping itself fails then, or reads it without a guess
        return []


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
