"""NEW, opened: a folder with any of the contract's tables, or one file of collaborations, its good rows cast."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import duckdb
import ibis
import pyarrow as pa

from features.engines.duckdb import DuckDB, Source, connect, name, reading_fault, refuse_doubles
from features.faults import Fault, InputError, fail
from features.history import files, unread
from features.history.checks import ROW, casts
from features.history.column_names import missing_columns
from features.history.contract import COLLABORATIONS, CONVERSIONS, TABLES
from features.history.freshness import Stamp
from features.history.row_faults import row_faults
from features.history.source import raw_table

ONE_FILE = (".csv", ".csv.gz", ".parquet")
SHOWN = 5
Refused = dict[int, list[str]]  # by number of the row, from 1, its reasons
_GOOD = "good rows of {}"


@dataclass
class NewTable:
    """A table of NEW. good: rows that keep the contract on their own, in its types, with their numbers in `ROW`; only
    columns that NEW has. repeated: how many rows repeat an earlier one in every column, and are left out."""

    good: pa.Table
    rows: int
    repeated: int
    is_csv: bool
    refused: Refused = field(default_factory=lambda: defaultdict(list))

    @property
    def given(self) -> list[str]:
        """The contract's columns that NEW has."""
        return [column for column in self.good.column_names if column != ROW]


@dataclass(frozen=True)
class Batch:
    """NEW while it is open. label: its name, without its folder."""

    label: str
    tables: dict[str, NewTable]
    notes: tuple[str, ...]
    stamp: Stamp
    _connection: duckdb.DuckDBPyConnection

    def received(self, table: str, rows: Iterable[int]) -> pa.Table:
        """Rows of a table as they came, all columns as text, in the order of their numbers, which stand in `ROW`."""
        with self._connection.cursor() as cursor:
            cursor.register("wanted rows", pa.table({ROW: pa.array(sorted(rows), pa.int64())}))
            return cursor.sql(
                f"SELECT {name(ROW)}, CAST(COLUMNS(* EXCLUDE ({name(ROW)})) AS VARCHAR) FROM {name('new ' + table)} "
                f'SEMI JOIN "wanted rows" USING ({name(ROW)}) ORDER BY {name(ROW)}'
            ).to_arrow_table()


@contextmanager
def open_batch(new: Path) -> Iterator[Batch]:
    """Open NEW for as long as the context lasts. Raises InputError for what concerns a whole file: one that cannot be
    read, or lacks columns; what concerns single rows is in `NewTable.refused`."""
    with tempfile.TemporaryDirectory() as scratch:
        engine = connect(None, None, scratch)
        stamp = Stamp.of_data(new) if new.is_dir() else Stamp.of_list(new)
        try:
            sources = _sources(engine, new)
            tables = {table: _new_table(engine, table, source) for table, source in sources.items()}
            notes = (*_notes_on_columns(sources), *(_notes_on_folder(new, sources, stamp) if new.is_dir() else ()))
            stamp.require_unchanged("NEW")
            yield Batch(new.name, tables, notes, stamp, engine.connection)
        except (InputError, duckdb.Error):
            stamp.require_unchanged("NEW")  # a file that is written right now has any fault
            raise
        finally:
            engine.close()


def _sources(engine: DuckDB, new: Path) -> dict[str, Source]:
    """Where each table of NEW lies, loaded with the numbers of its rows."""
    remedy = "Give a folder with tables of the contract, or one .csv or .parquet file of collaborations."
    if not new.exists():
        raise fail(str(new), "there is no such folder or file", remedy)
    if new.is_dir():
        found = {table: path for table in TABLES if (path := files.find(new, table, required=False))}
        if not found:
            held = ", ".join(sorted(path.name for path in new.iterdir())[:SHOWN])
            raise fail(str(new), "it holds none of the tables", remedy, held or "an empty folder")
    elif new.name.lower().endswith(ONE_FILE):
        found = {COLLABORATIONS.name: new}
    else:
        raise fail(str(new), "its ending is unknown", remedy)
    sources, faults = {}, list[Fault]()
    for table, path in found.items():
        try:
            sources[table] = _loaded(
                engine, files.source(engine.connection, path, table, _wanted(table), carry=True), table
            )
            faults += missing_columns(TABLES[table], sources[table].columns)
        except InputError as error:
            faults += error.faults
        except duckdb.Error as error:
            faults += reading_fault(error, table, path.name).faults
    if faults:
        raise InputError(faults)
    return sources


def _wanted(table: str) -> list[str]:
    return [*TABLES[table].columns]


def _loaded(engine: DuckDB, source: Source, table: str) -> Source:
    """The source as a table `new …`, which has the numbers of rows too."""
    refuse_doubles(table, [*source.columns], source.columns)
    columns = ", ".join(f"{expression} AS {name(column)}" for column, expression in source.columns.items())
    numbered = f"SELECT {columns}, row_number() OVER () AS {name(ROW)} FROM {source.sql}"
    engine.connection.execute(f"CREATE TABLE {name('new ' + table)} AS {numbered}")
    return replace(source, sql=name("new " + table), columns={c: name(c) for c in source.columns}, loaded=False)


def _notes_on_columns(sources: dict[str, Source]) -> Iterator[str]:
    for table, source in sources.items():
        if extra := [column for column in source.columns if column not in TABLES[table].columns]:
            more = f" and {len(extra) - SHOWN:,} more" if len(extra) > SHOWN else ""
            are = "is no column of the contract and is" if len(extra) == 1 else "are no columns of the contract and are"
            yield f"NEW's {table}: {', '.join(extra[:SHOWN])}{more} {are} not added"


def _notes_on_folder(new: Path, sources: dict[str, Source], stamp: Stamp) -> Iterator[str]:
    return (f"NEW's {note}" for note in unread.notes_on_folder(new, [*sources], stamp.files))


def _new_table(engine: DuckDB, table: str, source: Source) -> NewTable:
    """Cast the rows of a table, but for those that break the contract on their own."""
    raw = raw_table(engine, source, table)
    refused: Refused = defaultdict(list)
    for fault in row_faults(table, raw, {}):
        refused[fault.row or 0].append(fault.reason)
    given = [column for column in TABLES[table].columns if column in source.columns]
    values = casts(TABLES[table], raw)
    cast = raw.select(**{c: values[c] for c in given}, **{ROW: ibis.row_number().over() + 1})
    for row, reason in _zero_bytes(engine, cast):
        refused[row].append(reason)
    numbers = pa.table({ROW: pa.array([*refused], pa.int64())})
    engine.connection.register("refused rows", numbers)
    good = _GOOD.format(table)
    engine.connection.execute(
        f"CREATE TABLE {name(good)} AS FROM ({ibis.to_sql(cast, dialect='duckdb')}) "
        f'ANTI JOIN "refused rows" USING ({name(ROW)}) ORDER BY {name(ROW)}'
    )
    engine.connection.unregister("refused rows")
    repeated = _repeats(engine, table, good, given, refused)
    kept = engine.connection.sql(f"FROM {name(good)} ORDER BY {name(ROW)}").to_arrow_table()
    rows = engine.connection.sql(f"SELECT count(*) FROM {source.sql}").fetchall()[0][0]
    return NewTable(kept, rows, repeated, source.place.endswith((".csv", ".csv.gz")), refused)


def _zero_bytes(engine: DuckDB, cast: ibis.expr.types.Table) -> Iterator[tuple[int, str]]:
    """Texts that neither a CSV file nor PostgreSQL can hold."""
    sql = ibis.to_sql(cast, dialect="duckdb")
    for column in cast.columns:
        if cast[column].type().is_string():
            query = f"SELECT {name(ROW)} FROM ({sql}) WHERE contains({name(column)}, chr(0))"
            for (row,) in engine.connection.execute(query).fetchall():
                yield row, f"{column}: it holds a zero byte. Delete the byte, or export the table again."


def key_of(table: str) -> list[str]:
    """The columns by which a row of `table` is known; conversions by collaboration and day."""
    return TABLES[table].unique or [*CONVERSIONS.columns][:2]


def _repeats(engine: DuckDB, table: str, good: str, given: list[str], refused: Refused) -> int:
    """Take rows of one key out of `good`: all but the first where they are alike, all of them where they differ."""
    keys = ", ".join(map(name, key_of(table)))
    columns = ", ".join(map(name, given))
    twice = engine.connection.execute(
        f"SELECT list({name(ROW)} ORDER BY {name(ROW)}), count(DISTINCT struct_pack({columns})) FROM {name(good)} "
        f"GROUP BY {keys} HAVING count(*) > 1"
    ).fetchall()
    out: list[int] = []
    repeated = 0
    for rows, kinds in twice:
        if kinds == 1 and table != CONVERSIONS.name:
            out += rows[1:]
            repeated += len(rows) - 1
            continue
        listed = ", ".join(f"{row:,}" for row in rows[:SHOWN]) + (" and more" if len(rows) > SHOWN else "")
        remedy = "Keep the one that counts." if table != CONVERSIONS.name else "Add them up to one row a day."
        for row in rows:
            refused[row].append(f"{' and '.join(key_of(table))}: rows {listed} have the same. {remedy}")
        out += rows
    engine.connection.register("rows out", pa.table({ROW: pa.array(out, pa.int64())}))
    engine.connection.execute(f'DELETE FROM {name(good)} WHERE {name(ROW)} IN (SELECT {name(ROW)} FROM "rows out")')
    engine.connection.unregister("rows out")
    return repeated
