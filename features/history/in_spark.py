"""DATA's Parquet files as a history in Spark, which reads them itself: executors must see them under the same path.

The contract is not checked here: `features.history.source.open_history` of the same folder does that, and reads more.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from features.engines.engine import Query
from features.engines.spark import Spark
from features.faults import Fault, InputError
from features.history import files
from features.history.casting import BLANKS, cast
from features.history.column_types import kind_of
from features.history.contract import TABLES, TYPES
from features.history.source import History

_WHOLE = r"^(0|-?[1-9][0-9]*)\.0+$"  # a whole number, as `features.history.casting` finds it


def in_spark(history: History, data: str | Path, engine: Spark) -> History:
    """The same history with its tables in Spark; usable as long as `engine` and `history` are open.

    history: of `data`, a folder, opened and checked by DuckDB. Raises InputError, all faults at once, for a table that
    is not Parquet and columns of types that Spark does not read as DuckDB does; SparkError for what it cannot read.
    """
    tables: dict[str, Any] = dict.fromkeys(TABLES)
    faults: list[Fault] = []
    for table in history.given:
        path = files.find(Path(data).absolute(), table, required=True)
        if path is None or path.suffix not in ("", ".parquet"):
            remedy = f"Write it as {table}.parquet, or as a folder {table}/ of Parquet parts."
            received = path.name if path else None
            faults.append(Fault(table, received=received, problem="Spark reads Parquet alone", remedy=remedy))
            continue
        raw = engine.files(f"raw {table}", path)
        if found := [*_faults(table, raw)]:
            faults += found
            continue
        tables[table] = engine.view(table, raw.select(**_columns(table, raw)))
        faults += _texts_in_another_form(engine, table, raw)
    if faults:
        raise InputError(faults)
    return replace(history, engine=engine, **tables)


def _faults(table: str, raw: ir.Table) -> Iterator[Fault]:
    """Columns of types that are not read."""
    for column, kind in _kinds(table, raw).items():
        there = raw[column].type()
        if not _is_read(there, kind):
            remedy = f"Write it as {TYPES[kind]}."
            yield Fault(table, column, received=str(there), problem="its type is not read in Spark", remedy=remedy)


def _is_read(there: dt.DataType, kind: str) -> bool:
    if kind in ("number", "hours", "count"):
        return bool(there.is_numeric())
    if kind in ("time", "date"):
        return bool(there.is_timestamp() or there.is_date())
    if kind == "flag":
        return bool(there.is_boolean() or there.is_numeric())
    return bool(there.is_string() or there.is_integer() or (kind == "text" and there.is_numeric()))


def _kinds(table: str, raw: ir.Table) -> dict[str, str]:
    return {column: kind_of(declared) for column, declared in TABLES[table].columns.items() if column in raw.columns}


def _columns(table: str, raw: ir.Table) -> Mapping[str, ir.Value]:
    """The contract's columns in its types; NULLs where the table has none."""
    there = _kinds(table, raw)
    return {
        column: _read(raw[column], there[column]) if column in there else ibis.null(TYPES[kind_of(declared)])
        for column, declared in TABLES[table].columns.items()
    }


def _read(column: ir.Column, kind: str) -> ir.Value:
    if kind != "text" or not column.type().is_string():
        return cast(column, kind).cast(TYPES[kind])
    # as `features.history.casting` reads a key, but for Unicode's form NFC, which Spark cannot make
    whole = column.endswith("0") & column.re_search(_WHOLE)
    blank = column.re_search(f"^[{BLANKS}]*$")
    return whole.ifelse(column.split(".")[0], blank.ifelse(ibis.null("string"), column))


def _texts_in_another_form(engine: Spark, table: str, raw: ir.Table) -> Iterator[Fault]:
    """Keys that DuckDB would bring to Unicode's form NFC, and Spark cannot."""
    for column, kind in _kinds(table, raw).items():
        if kind == "text" and raw[column].type().is_string():
            text = raw[column]
            others = raw.filter(text.length() != _bytes(text)).select(text=text).distinct()
            texts = engine.fetch(Query.of(others, engine.dialect))["text"].to_pylist()
            if wrong := sorted(text for text in texts if not unicodedata.is_normalized("NFC", text)):
                problem = f"{len(wrong):,} texts are not in Unicode's form NFC, which Spark cannot make"
                yield Fault(table, column, received=wrong[0], problem=problem, remedy="Write them in that form.")


@ibis.udf.scalar.builtin(name="octet_length")
def _bytes(text: str) -> int:  # type: ignore[empty-body]
    """The engine's own: of a text in UTF-8."""
