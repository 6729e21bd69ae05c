"""Holds NEW against DATA: which rows are new, changed or as they were, and which cannot be added and why.

A row stands for the row of its key, in the columns that NEW has: others keep what DATA has. Nothing is ever deleted.
Rows are refused singly, but what NEW says of one collaboration, in collaborations and in conversions, is added as a
whole or not at all, for the two must agree.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from features.engines.duckdb import DuckDB, name, quote
from features.faults import shorten
from features.history.append.batch import Batch, NewTable, Refused, key_of
from features.history.append.postgres_types import Exact
from features.history.checks import ROW
from features.history.column_types import KINDS, kind_of
from features.history.contract import COLLABORATIONS, CONVERSIONS, TABLES
from features.history.notes import latest_plausible
from features.history.row_faults import row_faults

KIND, NUMBER, BEFORE = "kind", "number", "before"
NEW, CHANGED = "new", "changed"
_ORDER = ("creators", COLLABORATIONS.name, CONVERSIONS.name, "posts", "comments")  # what others refer to comes first
SQL_TYPES = {"text": "VARCHAR", "prose": "VARCHAR", "number": "DOUBLE", "hours": "DOUBLE", "count": "BIGINT",
             "flag": "BOOLEAN", "time": "TIMESTAMP", "date": "DATE"}  # fmt: skip
_SINGLE = 1e-6  # relative precision that a 32-bit float is granted
_LENGTHS = ("VARCHAR(", "CHAR(")


@dataclass(frozen=True)
class Present:
    """DATA as it is before the addition. tables: in the contract's types, under their own names in `engine`. held: by
    table, what those of its columns hold that do not hold whatever they are given, as those of a CSV do: a DuckDB type,
    or a rule."""

    engine: DuckDB
    tables: Mapping[str, ir.Table]
    held: Mapping[str, Mapping[str, str | Exact]]


@dataclass(frozen=True)
class Change:
    """What is to be done to one table. rows: the contract's columns in its types, then `kind` ("new" or "changed"),
    `number` (of a changed row: its place in DATA's table as it is read, from 1) and `before` (of a changed row: what
    DATA has of it, as JSON). given: the columns to write; the others are as they were, and empty in new rows."""

    table: str
    rows: pa.Table
    given: list[str]
    unchanged: int
    is_csv: bool

    def of_kind(self, kind: str) -> pa.Table:
        """The rows that are new, or those that are changed."""
        return self.rows.filter(pa.compute.equal(self.rows[KIND], kind))


@dataclass(frozen=True)
class Changes:
    """All that is to be written, by table of NEW, and what is not, with the reasons. notes: what is written in
    another way than it came."""

    tables: dict[str, Change]
    refused: dict[str, Refused] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def any(self) -> bool:
        """Whether there is anything to write."""
        return any(change.rows.num_rows for change in self.tables.values())


def merge(present: Present, batch: Batch, now: datetime) -> Changes:
    """What adding `batch` to `present` would do. now: UTC without a zone; an event may not lie far ahead of it."""
    merger = _Merger(present, batch)
    for table in _ORDER:
        if table in batch.tables:
            merger.compare(table)
    merger.refuse_breaches(now)
    changes = {table: merger.change(table) for table in TABLES if table in batch.tables}
    return Changes(changes, merger.refused, merger.notes())


def _was(table: str) -> str:
    return name(f"was {table}")


def _to_write(table: str) -> str:
    return f"rows to write to {table}"


class _Merger:
    """Works on tables in the engine of `present`: those that DATA has, and `rows to write to …` of those in NEW."""

    def __init__(self, present: Present, batch: Batch) -> None:
        self.present, self.batch = present, batch
        self.connection = present.engine.connection
        self.refused: dict[str, Refused] = {t: defaultdict(list, new.refused) for t, new in batch.tables.items()}
        self.unchanged: dict[str, int] = {}
        self.rounded: dict[tuple[str, str], set[int]] = {}  # rows by table and column

    def compare(self, table: str) -> None:
        """Sort the good rows of NEW into new, changed and unchanged ones."""
        new = self.batch.tables[table]
        self.connection.register(f"good {table}", new.good)
        fitted = self._fitted(table, new)
        keys = key_of(table)
        using = ", ".join(map(name, keys))
        self._keep_present(table, using, fitted)
        columns = [*TABLES[table].columns]
        final = ", ".join(f"n.{name(c)}" if c in new.given else f"w.{name(c)}" for c in columns)
        differs = " OR ".join(f"n.{name(c)} IS DISTINCT FROM w.{name(c)}" for c in new.given if c not in keys)
        before = ", ".join(f"{name(c)} := w.{name(c)}" for c in columns)
        self.connection.execute(
            f"CREATE TABLE {name(_to_write(table))} AS SELECT {final}, n.{name(ROW)}, "
            f"CASE WHEN w.{NUMBER} IS NULL THEN {quote(NEW)} WHEN w.times > 1 THEN 'several' "
            f"WHEN {differs or 'false'} THEN {quote(CHANGED)} ELSE 'unchanged' END AS {KIND}, w.{NUMBER}, "
            f"CASE WHEN w.{NUMBER} IS NOT NULL THEN to_json(struct_pack({before}))::VARCHAR END AS {BEFORE} "
            f"FROM {fitted} n LEFT JOIN {_was(table)} w USING ({using}) ORDER BY n.{name(ROW)}"
        )
        self._refuse_unclear(table)
        count = f"SELECT count(*) FROM {name(_to_write(table))} WHERE {KIND} = 'unchanged'"
        self.unchanged[table] = self.connection.execute(count).fetchall()[0][0] + new.repeated
        self.connection.execute(f"DELETE FROM {name(_to_write(table))} WHERE {KIND} = 'unchanged'")

    def _keep_present(self, table: str, using: str, fitted: str) -> None:
        """The rows of DATA whose keys NEW has, with their places. Several rows of a day are one, of their sum."""
        columns = ", ".join(map(name, TABLES[table].columns))
        if table not in self.present.tables:
            nulls = ", ".join(f"NULL::{SQL_TYPES[kind_of(d)]} AS {name(c)}" for c, d in TABLES[table].columns.items())
            query = f"SELECT {nulls}, 0 AS {NUMBER}, 0 AS times WHERE false"
        else:
            rows = f"SELECT {columns}, row_number() OVER () AS {NUMBER} FROM {name(table)}"
            query = f"SELECT *, 1 AS times FROM ({rows}) SEMI JOIN {fitted} USING ({using})"
            if table == CONVERSIONS.name:
                query = (
                    f"SELECT {using}, sum(conversions)::BIGINT AS conversions, min({NUMBER}) AS {NUMBER}, "
                    f"count(*) AS times FROM ({query}) GROUP BY {using}"
                )
        self.connection.execute(f"CREATE TABLE {_was(table)} AS {query}")

    def _fitted(self, table: str, new: NewTable) -> str:
        """The good rows as DATA's columns would hold them; those that these cannot hold are refused."""
        held = self.present.held.get(table, {})
        values = {column: name(column) for column in new.given}
        unfit: set[int] = set()
        for column in new.given:
            stored, kind = held.get(column), SQL_TYPES[kind_of(TABLES[table].columns[column])]
            if stored is None or stored in ("VARCHAR", "INTERVAL", kind):
                continue
            if isinstance(stored, str) and not stored.startswith(_LENGTHS):
                values[column] = f"TRY_CAST(TRY_CAST({name(column)} AS {stored}) AS {kind})"
            for row, value in self._unheld(table, column, values[column], stored, kind):
                unfit.add(row)
                self.refused[table][row].append(
                    f"{column}: DATA keeps it as {stored}, which cannot hold {shorten(value)}. "
                    f"Change the type of the column there, or the value."
                )
        listed = ", ".join(f"{value} AS {name(column)}" for column, value in values.items())
        fitted = name(f"fitted {table}")
        source = f"SELECT {listed}, {name(ROW)} FROM {name(f'good {table}')}"
        self.connection.execute(f"CREATE TABLE {fitted} AS {source}")
        self._drop(fitted, unfit)
        return fitted

    def _unheld(self, table: str, column: str, value: str, stored: str | Exact, kind: str) -> list[tuple[int, str]]:
        """Rows and values that DATA's column would change; those of 32 bits go to `rounded`."""
        own, rows = name(column), name(f"good {table}")
        if isinstance(stored, Exact):
            doubtful = f"{own} IS NOT NULL AND NOT coalesce({stored.surely(own, kind)}, false)"
            query = f"SELECT {name(ROW)}, {own}::VARCHAR, {own} FROM {rows} WHERE {doubtful}"
            found = self.connection.execute(query).fetchall()
            return [(row, text) for row, text, one in found if not stored.holds(one)]
        if length := re.fullmatch(r"(VAR)?CHAR\((\d+)\)", stored):
            text = f"{own}::VARCHAR"
            fits = f"length({text}) <= {length[2]}" + ("" if length[1] else f" AND NOT ends_with({text}, ' ')")
        elif stored == "FLOAT" and kind == "DOUBLE":
            fits = f"abs({value} - {own}) <= {_SINGLE} * abs({own})"
            rounded = f"SELECT {name(ROW)} FROM {rows} WHERE {value} != {own} AND {fits}"
            self.rounded[table, column] = {row for (row,) in self.connection.execute(rounded).fetchall()}
        else:
            fits = f"{value} = {own}"
        query = (
            f"SELECT {name(ROW)}, {own}::VARCHAR FROM {rows} WHERE {own} IS NOT NULL AND NOT coalesce({fits}, false)"
        )
        return self.connection.execute(query).fetchall()

    def _refuse_unclear(self, table: str) -> None:
        """Refuse another count of a day for which DATA has several rows."""
        if table != CONVERSIONS.name:
            return
        unclear = self.connection.execute(
            f"SELECT n.{name(ROW)} FROM {name(_to_write(table))} n JOIN {_was(table)} w USING ({NUMBER}) "
            f"WHERE n.{KIND} = 'several' AND n.conversions != w.conversions"
        ).fetchall()
        for (row,) in unclear:
            self.refused[table][row].append(
                "date: DATA has several rows of this day, and nothing says which to correct. Make them one there."
            )
        self._drop(name(_to_write(table)), [row for (row,) in unclear])
        self.connection.execute(f"UPDATE {name(_to_write(table))} SET {KIND} = 'unchanged' WHERE {KIND} = 'several'")

    def refuse_breaches(self, now: datetime) -> None:
        """Refuse the rows with which DATA would break the contract, parents before the tables that refer to them."""
        merged = self._merged_tables()
        latest = latest_plausible(merged, now)
        for table in _ORDER:
            if table == COLLABORATIONS.name:
                self._refuse_collaborations(merged, latest)
            elif table in self.batch.tables and table != CONVERSIONS.name:
                for fault in row_faults(table, self._rows(table), merged, latest, values=False):
                    if fault.row is not None:
                        self.refused[table][fault.row].append(fault.reason)
                self._drop(name(_to_write(table)), self.refused[table])

    def _refuse_collaborations(self, merged: dict[str, ir.Table], latest: datetime) -> None:
        """What NEW says of a collaboration goes out whole where DATA with it would break the contract."""
        pair = [table for table in (COLLABORATIONS.name, CONVERSIONS.name) if table in self.batch.tables]
        if not pair:
            return
        key = key_of(COLLABORATIONS.name)[0]
        named = " UNION ".join(f"SELECT {name(key)} FROM {name(_to_write(table))}" for table in pair)
        self.connection.execute(f'CREATE TABLE "collaborations of NEW" AS {named}')
        touched = self.present.engine.table("collaborations of NEW")
        both = {
            table: self.present.engine.view(f"touched {table}", merged[table].semi_join(touched, key))
            for table in (COLLABORATIONS.name, CONVERSIONS.name)
            if table in merged
        }
        reasons: dict[str, list[str]] = defaultdict(list)
        for table, rows in both.items():
            for fault in row_faults(table, rows, merged | both, latest, values=False):
                place = f"row {fault.row:,} of {table}" if fault.row is not None else f"DATA's {table}"
                reasons[fault.key or ""].append(f"with {place}: {fault.reason}")
                if fault.row is not None:
                    self.refused[table][fault.row].append(fault.reason)
        for table in pair:
            rows = name(_to_write(table))
            keyed = self.connection.execute(f"SELECT {name(ROW)}, {name(key)} FROM {rows}").fetchall()
            out = [(row, reasons[of]) for row, of in keyed if of in reasons]
            for row, others in out:
                if not self.refused[table].get(row):
                    self.refused[table][row].append(others[0])
            self._drop(rows, [row for row, _ in out])

    def _rows(self, table: str) -> ir.Table:
        """The rows to write, of one table, with their numbers."""
        return self.present.engine.table(_to_write(table)).drop(KIND, NUMBER, BEFORE)

    def _merged_tables(self) -> dict[str, ir.Table]:
        """Each table as it would be, as a view: DATA's rows that stay, with NULL in `ROW`, and the rows to write."""
        merged: dict[str, ir.Table] = {}
        for table in TABLES:
            there = self.present.tables.get(table)
            if there is not None:
                there = there.mutate(**{ROW: ibis.null("int64")})
            if table not in self.batch.tables:
                if there is not None:
                    merged[table] = there
                continue
            rows = self._rows(table)
            merged[table] = rows if there is None else there.anti_join(rows, key_of(table)).union(rows)
        return {table: self.present.engine.view(f"merged {table}", rows) for table, rows in merged.items()}

    def _drop(self, table: str, rows: Collection[int]) -> None:
        """Take rows out of a table of the engine, by their numbers."""
        self.connection.register("rows out", pa.table({ROW: pa.array([*rows], pa.int64())}))
        self.connection.execute(f'DELETE FROM {table} WHERE {name(ROW)} IN (SELECT {name(ROW)} FROM "rows out")')
        self.connection.unregister("rows out")

    def notes(self) -> tuple[str, ...]:
        """What is rounded in the rows to write, as they are now."""
        notes = []
        for (table, column), rounded in self.rounded.items():
            rows = self.connection.execute(f"SELECT {name(ROW)} FROM {name(_to_write(table))}").fetchall()
            if count := sum(row in rounded for (row,) in rows):
                few = "1 value of NEW is" if count == 1 else f"{count:,} values of NEW are"
                notes.append(f"{table}: DATA keeps {column} in 32 bits, so {few} rounded to 7 digits")
        return tuple(notes)

    def change(self, table: str) -> Change:
        """What is to be done to a table, as it is now."""
        new = self.batch.tables[table]
        rows = self.connection.sql(f"FROM {name(_to_write(table))} ORDER BY {name(ROW)}").to_arrow_table()
        schema = ibis.schema({c: KINDS[kind_of(d)].dtype for c, d in TABLES[table].columns.items()}).to_pyarrow()
        plain = rows.select(schema.names).cast(schema)
        for column in (KIND, NUMBER, BEFORE):
            plain = plain.append_column(column, rows[column])
        return Change(table, plain, new.given, self.unchanged[table], new.is_csv)
