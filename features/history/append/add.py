"""Adds new and corrected rows to DATA: whole or not at all, across its tables, and with a log of what stood before."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from features.engines.postgres import SCHEME
from features.faults import Fault, InputError, fail
from features.history.append.batch import Batch, open_batch
from features.history.append.duckdb_file import DuckDBFile
from features.history.append.faults import CollisionError, Note, not_written
from features.history.append.folder import Folder
from features.history.append.merge import CHANGED, NEW, Changes, Present, merge
from features.history.append.postgres_database import PostgresDatabase
from features.history.append.refused import write_refused
from features.history.contract import TABLES
from features.history.databases import FORMS
from features.secrets import mask

Store = DuckDBFile | Folder | PostgresDatabase
TRIES = 5  # of an addition that meets another application's writing


@dataclass(frozen=True)
class Counts:
    """Rows of one table of NEW, by what became of them."""

    new: int
    changed: int
    unchanged: int
    refused: int


@dataclass(frozen=True)
class Added:
    """What an addition did. data: what to open from now on. counts: by table of NEW. refused_file: the list of the rows
    that were refused, with their reasons; None if none was. batch: the addition's number in the log (`log.read_log`);
    None if nothing was added."""

    data: str
    counts: dict[str, Counts]
    refused_file: Path | None
    batch: int | None

    @property
    def refused(self) -> int:
        """How many rows were refused."""
        return sum(counts.refused for counts in self.counts.values())

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        listed = str(self.refused_file) if self.refused_file else None
        counts = {table: vars(count) for table, count in self.counts.items()}
        return {"data": mask(self.data), "counts": counts, "refused_file": listed, "batch": self.batch}

    def sentences(self) -> list[str]:
        """What happened, a line for each table, then what to do about rows that were refused."""
        lines = [
            f"{table}: {c.new:,} new, {c.changed:,} corrected, {c.unchanged:,} unchanged, {c.refused:,} refused"
            for table, c in self.counts.items()
        ]
        if self.refused_file:
            count = "1 row was" if self.refused == 1 else f"{self.refused:,} rows were"
            lines.append(f"{count} refused: {self.refused_file} has each with its reason; correct and add them again")
        data = mask(self.data)
        lines.append(f"added to {data} as number {self.batch}" if self.batch else f"nothing to add to {data}")
        return lines


def add_results(data: str, new: Path, *, now: datetime, note: Note = lambda sentences: None) -> Added:
    """Add the tables of NEW, a folder or one file of collaborations, to DATA: a folder or a database URL.

    A row whose key DATA does not have is new; one whose key it has is unchanged, or a correction, which counts from
    now on, while the log keeps what stood before. Rows that break the contract, or would with what is there, are
    listed beside NEW; all others are added together, or none if anything fails. `duckdb://FILE` is made if it is
    not there, and so are tables that a PostgreSQL database lacks. now: UTC without a zone. note: takes sentences
    that a person should read.

    Raises InputError for a NEW, or a DATA, that is at fault as a whole, and OutputError where DATA or the list cannot
    be written; nothing is added then.
    """
    store = _store(data, note)
    with open_batch(new) as batch:
        note(batch.notes)
        for tries in range(1, TRIES + 1):
            try:
                changes, listed, number = _add(store, data, new, batch, now)
                break
            except CollisionError as error:
                if tries == TRIES:
                    cure = "Add again later; where a constraint of a table is named, correct NEW or the constraint."
                    raise not_written(mask(data), f"{TRIES} tries have failed: {error}", cure) from error
    note(changes.notes)
    counts = {
        table: Counts(
            change.of_kind(NEW).num_rows, change.of_kind(CHANGED).num_rows, change.unchanged,
            len(changes.refused[table]),
        )
        for table, change in changes.tables.items()
    }  # fmt: skip
    return Added(data, counts, listed, number)


def _add(store: Store, data: str, new: Path, batch: Batch, now: datetime) -> tuple[Changes, Path | None, int | None]:
    """What was to be done, the list of refused rows, and the number of the addition."""
    with store.locked():
        with store.present(batch.tables.keys(), now) as present:
            changes = merge(present, batch, now)
            _refuse_incomplete(data, present, changes)
        batch.stamp.require_unchanged("NEW")
        listed = write_refused(new, batch, changes)
        return changes, listed, store.commit(changes, batch.label, now) if changes.any else None


def _store(data: str, note: Note) -> Store:
    scheme, separator, rest = data.partition("://")
    if not separator:
        return Folder(data, note)
    if scheme == SCHEME:
        return PostgresDatabase(data, note)
    if scheme != "duckdb":
        raise fail(f"{scheme}://…", "databases of this kind cannot be added to", FORMS)
    return DuckDBFile(rest, note)


def _refuse_incomplete(data: str, present: Present, changes: Changes) -> None:
    """Refuse to begin a DATA without the tables that it must have."""
    faults: list[Fault] = []
    for table, schema in TABLES.items():
        change = changes.tables.get(table)
        if schema.metadata["optional"] or table in present.tables or (change and change.rows.num_rows):
            continue
        problem = "DATA does not have the table yet, and NEW has no row of it that can be added"
        reasons = [reason for row in changes.refused.get(table, {}).values() for reason in row]
        remedy = f"Give at least collaborations and creators to begin {data}."
        faults += fail(table, problem, remedy, reasons[0] if reasons else None).faults
    if faults:
        raise InputError(faults)
