"""Notes on files and tables of DATA that look like a table of the contract but are not read."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from features.history.contract import TABLES
from features.history.files import ENDINGS, FOREIGN, forms
from features.history.parquet_files import passed_over

SHOWN = 3
_OTHERS = {"candidate", "candidates", "score", "scores", "per"}  # lists and results, which may lie there too


def notes_on_folder(
    folder: Path, tables: Collection[str], read: Iterable[str], unknown: Collection[str] = ()
) -> Iterator[str]:
    """Files named like a table that are not read, and what is passed over in folders of parts.

    tables: those that are there. read: paths of the files that are read. unknown: tables that may read other files,
    too, so that nothing can be said of those named like them.
    """
    named = {f"{table}{end}" for table in TABLES for end in ENDINGS}
    alike: dict[str, list[str]] = {}
    paths: set[str] | None = None
    for one in sorted(folder.iterdir()):
        if one.name.startswith(".") or one.name in named or not (table := table_of(one.name)) or not _has_data(one):
            continue
        paths = {os.path.realpath(path) for path in read} if paths is None else paths
        if table in unknown:
            continue
        place = os.path.realpath(one)
        if place not in paths and not any(path.startswith(place + os.sep) for path in paths):
            alike.setdefault(table, []).append(one.name)
    for table, names in alike.items():
        count = "is not read" if len(names) == 1 else f"are not read ({len(names):,} files)"
        there = f"the table is read from {table} alone" if table in tables else f"the table would be {forms(table)}"
        yield f"{table}: {_shown(names)} {count}; {there}, or {table}.sql may join several files"
    for table, parts in ((table, folder / f"{table}{end}") for table in tables for end in ("", ".parquet")):
        if parts.is_dir() and (names := passed_over(parts, table)):
            count = "1 file is" if len(names) == 1 else f"{len(names):,} files are"
            yield f"{table}: {count} skipped in {parts.name}/, which hold no rows: {_shown(names)}"


def notes_on_database(absent: Collection[str], held: Iterable[tuple[str, str]], home: str) -> Iterator[str]:
    """Tables of a database named like ones that are `absent`. held: how each table and view is written, and its name.
    home: where a table is looked for."""
    alike: dict[str, list[str]] = {}
    for shown, name in sorted(held):
        if (table := table_of(name)) in absent and table is not None:
            alike.setdefault(table, []).append(shown)
    for table, names in alike.items():
        count = "is not read" if len(names) == 1 else f"are not read ({len(names):,} tables)"
        yield f"{table}: {_shown(names)} {count}; a table or view named {table} in {home} would be"


def table_of(name: str) -> str | None:
    """The table that a file or table may hold by its name: `posts (1).csv`, `2024_posts`, `post.csv`."""
    stem = re.sub(r"(\.(csv|gz|[a-z]\w{1,7}))+$", "", name.lower())
    words = [word for word in re.split(r"[\W\d_]+", stem) if word]
    if _OTHERS & {*words}:
        return None
    whole = {table: (table, table[:-1]) if len(words) == 1 else (table,) for table in TABLES}
    return next((table for word in words for table in TABLES if word in whole[table]), None)


def _has_data(path: Path) -> bool:
    if path.is_dir():
        return any(next(path.rglob(f"*.{end}"), None) for end in ("parquet", "csv", "csv.gz"))
    return path.is_file() and path.suffix[1:].lower() in FOREIGN.split()


def _shown(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
