"""Rows that hold no data, one fault per kind: totals, blank rows, repeated headers."""

import functools
import operator
import re

import ibis
import ibis.expr.types as ir
import pandera.ibis as pa

from features.faults import Fault, shorten

TOTALS = r"^\W*((sub|grand)[ -]?)?(totals?|sums?|averages?|mean|summe|gesamt)\W*$"
MOST = 1000  # rows that are looked at
SEVERAL = 3  # columns of one row
_ROW = "number of the row"
_FIRST = re.compile(r"row ([\d,]+)")


def gather(schema: pa.DataFrameSchema, table: ir.Table, faults: list[Fault]) -> list[Fault]:
    """The faults of a table as it came; those of stray rows alone are replaced by one for each kind.

    A row is stray where it holds the names of its columns, no value, or less than half of the required values; with
    the word Total in it, where it lacks any of these.
    """
    if not any(fault.first for fault in faults):
        return faults
    kinds = _stray(schema, table)
    rows = {row for found in kinds.values() for row, _ in found}
    made = []
    for (problem, remedy), found in kinds.items():
        received = shorten(found[0][1]) if found[0][1] else None
        made.append(Fault(schema.name, None, len(found), f"row {found[0][0]:,}", received, problem, remedy))
    return _joined(schema, [*made, *(fault for fault in faults if not _of(fault, rows))])


def _joined(schema: pa.DataFrameSchema, faults: list[Fault]) -> list[Fault]:
    """The faults, those of one row that cannot be read in several columns as one: it may hold units or remarks."""
    unreadable = [fault for fault in faults if fault.rows == 1 and fault.problem.startswith("unreadable as ")]
    row = (unreadable or faults)[0].first
    if len(unreadable) < SEVERAL or any(fault.first != row for fault in unreadable):
        return faults
    received = ", ".join(f"{fault.column} {fault.received}" for fault in unreadable)
    remedy = "Delete it if it holds units or remarks; correct it otherwise."
    joined = Fault(schema.name, None, 1, row, received, f"unreadable in {len(unreadable)} columns", remedy)
    return [joined, *(fault for fault in faults if fault.rows != 1 or fault.first != row)]


def _of(fault: Fault, rows: set[int]) -> bool:
    """Whether a fault is one of stray rows alone, as far as its count and its first row tell."""
    place = _FIRST.match(fault.first or "")
    return bool(place and int(place[1].replace(",", "")) in rows and (fault.rows or 0) <= len(rows))


def _stray(schema: pa.DataFrameSchema, table: ir.Table) -> dict[tuple[str, str], list[tuple[int, str | None]]]:
    """Problem and remedy of each kind, with the stray rows' numbers and what they show."""
    required = [column for column, declared in schema.columns.items() if declared.required and column in table.columns]
    if len(required) < 2:
        return {}
    texts = {column: table[column].cast("string").strip().fill_null("") for column in table.columns}
    label = functools.reduce(
        lambda other, text: ibis.ifelse(text.lower().re_search(TOTALS), text, other), texts.values(), ibis.literal("")
    )
    # a number is no label, but a row may well be called Average
    counts = {
        "label": label,
        "empty": _number([texts[column] == "" for column in required]),
        "any": functools.reduce(operator.or_, [text != "" for text in texts.values()]),
        "names": _number([text == column for column, text in texts.items()]),
        "key": texts[required[0]],
    }
    rows = table.select(**{_ROW: ibis.row_number().over() + 1}, **counts)
    half = 2 * rows.empty >= len(required)
    is_stray = (rows["names"] > 1) | half | ((rows.label != "") & (rows.empty > 0))
    found = rows.filter(is_stray).order_by(_ROW).limit(MOST + 1).to_pyarrow().to_pylist()
    if len(found) > MOST or 2 * len(found) > table.count().to_pyarrow().as_py():
        return {}
    kinds: dict[tuple[str, str], list[tuple[int, str | None]]] = {}
    for row in found:
        kinds.setdefault(_kind(row, len(required)), []).append((row[_ROW], row["label"] or row["key"] or None))
    return kinds


def _number(flags: list[ir.BooleanColumn]) -> ir.IntegerColumn:
    return functools.reduce(operator.add, [flag.cast("int32").cast("int64") for flag in flags])


def _kind(row: dict[str, object], required: int) -> tuple[str, str]:
    if row["names"]:
        return "no data but the names of the columns again", "Delete these rows: the file was joined from several."
    if row["label"]:
        return "a total, not a row of data", "Delete these rows: a table holds only data."
    if not row["any"]:
        return "blank", "Delete these rows."
    return (
        f"without most of its {required} required values",
        "Delete these rows if they are remarks or totals; complete them otherwise.",
    )
