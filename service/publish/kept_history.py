"""A private copy of DATA, in the state folder: what was checked is what is read, whatever becomes of DATA's files."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from features.engines.duckdb import name, quote
from features.history.contract import TABLES
from features.history.freshness import Stamp
from features.history.source import open_history

HISTORY, STAMP = "history.duckdb", "stamp.json"


def keep(data: str, folder: Path) -> tuple[str, ...]:
    """Copy the tables of DATA, opened and checked, into a DuckDB file of a new folder, with the stamp of DATA's files;
    what its owner should know although it is no fault (`History.notes`).

    DATA is let go of when this returns. Raises InputError for data that is at fault or changes meanwhile.
    """
    folder.mkdir()
    with open_history(data) as history:
        connection = history.backend.con
        connection.execute(f"ATTACH {quote(folder / HISTORY)} AS kept")
        for table in TABLES:
            found = getattr(history, table)
            if found is not None:
                # what DATA lacks stays absent: a column of missing values would count as there
                columns = ", ".join(name(column) for column in found.columns if column in history.given[table])
                connection.execute(f"CREATE TABLE kept.{name(table)} AS SELECT {columns} FROM {name(found.get_name())}")
        connection.execute("DETACH kept")
        history.stamp.require_unchanged("DATA")
        kept = asdict(history.stamp) | {"tables": [table for table in TABLES if table in history.given]}
        (folder / STAMP).write_text(json.dumps(kept), encoding="utf-8")
        return history.notes


def stamp_of(folder: Path) -> Stamp:
    """Of DATA's files when they were copied. Raises OSError where the copy is not there, or not whole."""
    found = json.loads((folder / STAMP).read_text(encoding="utf-8"))
    files = {path: tuple(identity) for path, identity in found["files"].items()}
    return Stamp(tuple(found["paths"]), tuple(found["patterns"]), files)


def gone(before: Path, after: Path) -> list[str]:
    """Tables of one copy that a later one lacks. Raises OSError where a copy is not there."""
    old, new = (json.loads((one / STAMP).read_text(encoding="utf-8"))["tables"] for one in (before, after))
    return [table for table in old if table not in new]
