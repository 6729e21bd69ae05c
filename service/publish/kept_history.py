"""A private copy of DATA, in the state folder: what was checked is what is read, whatever becomes of DATA's files."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from features.engines.dialects import sql
from features.engines.duckdb import name, quote, require_duckdb
from features.engines.postgres import SCHEME
from features.faults import fail
from features.history.contract import TABLES
from features.history.freshness import Stamp
from features.history.postgres_state import UNREACHABLE, state_of
from features.history.source import open_history

HISTORY, STAMP = "history.duckdb", "stamp.json"


def keep(data: str, folder: Path) -> tuple[str, ...]:
    """Copy the tables of DATA, opened and checked, into a DuckDB file of a new folder, with the stamp of DATA's files;
    what its owner should know although it is no fault (`History.notes`).

    DATA is let go of when this returns. Raises InputError for data that is at fault or changes meanwhile.
    """
    folder.mkdir()
    # before anything is read: what comes meanwhile is read again
    state = state_of(data) if data.startswith(f"{SCHEME}://") else None
    if state == UNREACHABLE:  # kept as it is, it would look the same for good, and nothing new would be noticed
        problem = "the database does not say whether anything is new in it"
        raise fail("DATA", problem, "Check that it runs, and that its catalogue and tables may be read.")
    with open_history(data) as history:
        connection = require_duckdb(history.engine).connection
        connection.execute(f"ATTACH {quote(folder / HISTORY)} AS kept")
        names: list[str] = []
        for table in TABLES:
            found = getattr(history, table)
            if found is not None:
                # what DATA lacks stays absent: a column of missing values would count as there
                given = [column for column in found.columns if column in history.given[table]]
                connection.execute(f"CREATE TABLE kept.{name(table)} AS {sql(found[given], 'duckdb')}")
                if connection.execute(f"SELECT 1 FROM kept.{name(table)} LIMIT 1").fetchone():
                    names += [table, *(f"{table}.{column}" for column in given)]
        connection.execute("DETACH kept")
        history.stamp.require_unchanged("DATA")
        stamp = history.stamp
        kept = {"paths": stamp.paths, "patterns": stamp.patterns, "files": stamp.files, "state": state, "names": names}
        (folder / STAMP).write_text(json.dumps(kept), encoding="utf-8")
        return history.notes


def stamp_of(folder: Path, data: str) -> Stamp:
    """Of DATA when it was copied. Raises OSError where the copy is not there, or not whole."""
    found = json.loads((folder / STAMP).read_text(encoding="utf-8"))
    files = {path: tuple(identity) for path, identity in found["files"].items()}
    return Stamp(tuple(found["paths"]), tuple(found["patterns"]), files).watching(data, found.get("state"))


def names_in(folder: Path) -> list[str]:
    """Tables with rows, and their columns as TABLE.COLUMN, of a copy. Raises OSError where it is not there."""
    found: list[str] = json.loads((folder / STAMP).read_text(encoding="utf-8"))["names"]
    return found


def missing_text(names: Iterable[str]) -> str:
    """What a person should know of tables and columns that DATA had and lacks now."""
    gone = set(names)
    shown = sorted(one for one in gone if one.partition(".")[0] not in gone - {one})
    return (
        f"DATA no longer has {', '.join(shown)}: the features made from it count as missing. "
        "Bring it back, or restart the service if this is meant"
    )
