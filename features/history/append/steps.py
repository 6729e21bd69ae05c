"""Every step that changes a store or a file, one function each, so that tests can let each fail, or die, in turn."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pyarrow.parquet as pq


class Executes(Protocol):
    """A connection, or a cursor, of a database."""

    def execute(self, query: str) -> object:
        """Run one statement."""


class Stages(Protocol):
    """A connection of a database that takes rows aside."""

    def stage(self, table: str, rows: pa.Table) -> None:
        """Put rows into a new temporary table."""


def make_folder(path: Path) -> None:
    """Make a folder that may be there already."""
    path.mkdir(exist_ok=True)


def write(path: Path, content: Callable[[Path], None]) -> None:
    """Let `content` write a new file, and see it on the disk."""
    content(path)
    sync(path)


def write_parquet(path: Path, table: pa.Table) -> None:
    """Write a new Parquet file, and see it on the disk."""
    pq.write_table(table, path)
    sync(path)


def sync(path: Path) -> None:
    """See on the disk what a file holds, or which names a folder has."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def move(path: Path, target: Path) -> None:
    """Give a file its name; what had it before is gone."""
    os.replace(path, target)


def remove(path: Path) -> None:
    """Remove a file that may be gone already."""
    path.unlink(missing_ok=True)


def remove_folder(path: Path) -> None:
    """Remove a folder with all that is in it."""
    shutil.rmtree(path)


def execute(connection: Executes, statement: str) -> None:
    """Run a statement that changes a database."""
    connection.execute(statement)


def stage(connection: Stages, table: str, rows: pa.Table) -> None:
    """Put rows aside in a database, for statements that follow."""
    connection.stage(table, rows)
