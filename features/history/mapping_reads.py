"""What a mapping reads: the files and the columns that its SELECT names."""

import glob
import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from features.engines.duckdb import OFFLINE, quote
from features.faults import fail

PATHS = "its paths are relative to the folder that it lies in."
_READERS = re.compile(r"read_\w+|\w+_scan|parquet_\w+|sniff_csv|glob|query|query_table")
_BY_ENDING = {
    **{f"{end}{packed}": "read_csv" for end in (".csv", ".tsv") for packed in ("", ".gz", ".zst")},
    **{f"{end}{packed}": "read_json" for end in (".json", ".jsonl", ".ndjson") for packed in ("", ".gz", ".zst")},
    ".parquet": "read_parquet",
}


@dataclass(frozen=True)
class Reader:
    """What follows FROM and reads files: its function, None if unknown, the texts that may name files, the names of its
    options, its arguments after the first as DuckDB parses them, and whether an expression names the files, so that
    `texts` are not their names."""

    function: str | None
    texts: tuple[str, ...]
    options: frozenset[str] = frozenset()
    arguments: tuple[Any, ...] = ()
    by_expression: bool = False

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


def parse(connection: duckdb.DuckDBPyConnection, query: str) -> Any:
    """DuckDB's parse of a query; without statements where it is no SELECT."""
    (parsed,) = connection.execute("SELECT json_serialize_sql(?)", [query]).fetchone() or ("{}",)
    return json.loads(parsed)


def find_readers(connection: duckdb.DuckDBPyConnection, query: str) -> list[Reader]:
    """What reads files in a SELECT: names of tables but for those of WITH, and functions; those of a query within a
    text too. A text elsewhere, as in `replace(x, '.', '')`, is no file. Empty where it is no SELECT."""
    parsed, readers = list(walk(parse(connection, query))), []
    named = {entry["key"].lower() for node in parsed for entry in (node.get("cte_map") or {}).get("map", ())}
    for node in parsed:
        if node.get("type") == "BASE_TABLE" and node["table_name"].lower() not in named:
            file = node["table_name"]
            ending = next((end for end in _BY_ENDING if file.lower().endswith(end)), "")
            readers.append(Reader(_BY_ENDING.get(ending), (file,)))
        if node.get("type") == "TABLE_FUNCTION" and _READERS.fullmatch(node["function"]["function_name"].lower()):
            function = node["function"]
            texts = tuple(_texts(function))
            arguments = function[arguments_key(function)]
            options = frozenset(filter(None, map(option_name, arguments)))
            by_expression = not all(map(_is_literal, arguments[:1]))
            readers.append(
                Reader(function["function_name"].lower(), texts, options, tuple(arguments[1:]), by_expression)
            )
            readers += [one for text in texts if " " in text.strip() for one in find_readers(connection, text)]
    return readers


def arguments_key(function: dict[str, Any]) -> str:
    """The key of a function's arguments: DuckDB 2 calls it so, DuckDB 1 its children."""
    return "arguments" if "arguments" in function else "children"


def _is_literal(node: dict[str, Any]) -> bool:
    """Whether an argument is a text, or a list of texts, as it stands."""
    node = node.get("expression", node)  # DuckDB 2 keeps it beside its name
    if node["type"] == "OPERATOR_CAST":
        return _is_literal(node["child"])
    is_list = node["type"] == "ARRAY_CONSTRUCTOR" or node.get("function_name") == "list_value"
    return node["type"] == "VALUE_CONSTANT" or (is_list and all(map(_is_literal, node[arguments_key(node)])))


def notes_on_names(readers: Iterable[Reader], place: str, table: str) -> tuple[str, ...]:
    """The note on files that `place` names by an expression, where there are any."""
    if not any(reader.by_expression for reader in readers):
        return ()
    consequence = "they are neither watched for changes nor checked for what DuckDB would guess"
    return (f"{table}: {place} names files by an expression, so {consequence}; name them literally or by a pattern",)


def option_name(node: dict[str, Any]) -> str:
    """The name of an option that an argument gives, by `=` or `:=`, in small letters; empty if it is none."""
    if node.get("type") == "COMPARE_EQUAL" and "column_names" in node["left"]:
        return str(node["left"]["column_names"][-1]).lower()
    # of `:=` DuckDB 2 keeps a name beside the expression, DuckDB 1 an alias of it
    if "expression" in node:
        return str(node["name"]).lower() or option_name(node["expression"])
    return str(node.get("alias", "")).lower()


def walk(tree: Any) -> Iterator[dict[str, Any]]:
    """Every dictionary of a tree, from the top down."""
    if isinstance(tree, list):
        for one in tree:
            yield from walk(one)
    elif isinstance(tree, dict):
        yield tree
        for value in tree.values():
            yield from walk(value)


def columns_used(connection: duckdb.DuckDBPyConnection, query: str) -> tuple[frozenset[str], bool]:
    """Names of columns, in small letters, that a SELECT mentions, and whether it takes all by `*`; `"*"` is among the
    names where columns are renamed by their place, so that any may be meant."""
    named, has_star = set(), False
    for node in walk(parse(connection, query)):
        if node.get("type") == "COLUMN_REF":
            named.add(node["column_names"][-1].lower())
        has_star |= node.get("type") == "STAR"
        if node.get("column_name_alias"):
            named.add("*")
        if node.get("type") == "TABLE_FUNCTION" and node["function"]["function_name"].lower() == "query":
            for text in _texts(node["function"]):
                inner, inner_star = columns_used(connection, text)
                named, has_star = named | inner, has_star | inner_star
    return frozenset(named), has_star


def _texts(node: Any) -> Iterator[str]:
    """Every literal text below a node, but for those of options, which say how a file is read."""
    if isinstance(node, list):
        for one in node:
            yield from _texts(one)
    elif isinstance(node, dict) and not option_name(node) and node.get("type") != "COMPARE_EQUAL":
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
