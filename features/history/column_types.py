"""What the contract is written in: kinds of columns with their types, ranges and remedies; references between tables.

Schemas are pandera's on Ibis, so the same checks run wherever Ibis does. A check's `error` says what is wrong with the
rows that fail it ("3 rows are …"), its `description` what to do. Checks return a boolean column of their own table:
pandera's built-in ones join the table to itself by position, once a check.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir
import pandera.ibis as pa
from pandera.api.ibis.types import IbisData

EXACT = 2.0**53  # from here on a float does not hold every whole number
EXACT_SINGLE = 2.0**24  # and one of 32 bits
EARLIEST, LATEST = datetime(2000, 1, 1), datetime(2100, 1, 1)


@dataclass(frozen=True)
class Kind:
    """A type of the contract: `label` for the page, `meaning` and `remedy` for a value that cannot be read as it."""

    dtype: dt.DataType
    label: str
    meaning: str
    remedy: str


_NUMBERS = "Write numbers as 1234.5: a point for decimals, neither currency nor separators of thousands."
KINDS = {
    "text": Kind(dt.string, "string", "a text", "Write a text or a whole number."),
    "prose": Kind(dt.string, "string", "a text", "Write a text."),
    "number": Kind(dt.float64, "float", "a number", _NUMBERS),
    "hours": Kind(dt.float64, "float", "a number of hours", _NUMBERS),
    "count": Kind(dt.int64, "int", "a whole number", "Write whole numbers as 1234, without separators."),
    "flag": Kind(dt.boolean, "bool", "true or false", "Write true or false, or 1 or 0."),
    "time": Kind(
        dt.Timestamp(scale=6),
        "timestamp",
        "a date and time",
        "Write ISO 8601: 2025-03-31T18:00:00Z or 2025-03-31 18:00.",
    ),
    "date": Kind(dt.date, "date", "a date", "Write ISO 8601: 2025-03-31."),
}


@dataclass(frozen=True)
class Reference:
    """`column` names rows of `parent` by its `key`.

    `carry` are columns of the parent that checks look at: beside the child's row stands the `gather`ed value of the
    parent's rows of that key. A reference that need not hold carries only; one with `unless` must hold in rows where
    that column is missing.
    """

    column: str
    parent: str
    key: str
    remedy: str = ""
    carry: tuple[str, ...] = ()
    gather: Literal["max", "sum"] = "max"
    must_hold: bool = True
    unless: str | None = None


def carried(parent: str, column: str) -> str:
    """Name under which a parent's column stands beside the child's while it is checked."""
    return f"{parent}.{column}"


def compare(
    column: str, other: str, holds: Callable[[ir.Table], ir.BooleanColumn], error: str, remedy: str
) -> pa.Check:
    """A check of `column` against `other`, a column of the same row or a carried one."""
    return pa.Check(lambda data: holds(data.table), name=column, title=other, error=error, description=remedy)


def kind_of(column: pa.Column) -> str:
    """The kind that a column of a schema was declared with."""
    return str(column.metadata["kind"])


def _rule(holds: Callable[[ir.Column], ir.BooleanColumn], error: str, remedy: str) -> pa.Check:
    def check(data: IbisData) -> ir.BooleanColumn:
        return holds(data.table[data.key])

    return pa.Check(check, error=error, description=remedy)


def _bounds(kind: str, low: float | None, above: float | None, most: float | None, remedy: str) -> list[pa.Check]:
    checks = []
    if kind == "count":
        checks.append(_rule(lambda c: c < int(EXACT), f"{EXACT:,.0f} or more", remedy))
    if kind in ("number", "hours"):
        checks.append(_rule(lambda c: ~(c.isnan() | c.isinf()), "not a finite number", remedy))
    if low is not None:
        checks.append(_rule(lambda c: c >= low, f"below {low:g}", remedy))
    if most is not None:
        checks.append(_rule(lambda c: (c <= most) | c.isnan() | c.isinf(), f"above {most:,.0f}", remedy))
    if above is not None:
        # NaN and infinity have a rule of their own; DuckDB and PostgreSQL order NaN above all numbers.
        checks.append(_rule(lambda c: c > above, f"not above {above:g}", remedy))
    if kind in ("time", "date"):
        span = (EARLIEST.date(), LATEST.date()) if kind == "date" else (EARLIEST, LATEST)
        literal = ibis.date if kind == "date" else ibis.timestamp
        checks.append(
            _rule(
                lambda c: (c >= literal(span[0])) & (c < literal(span[1])),
                f"outside {EARLIEST:%Y-%m-%d} to {LATEST:%Y-%m-%d}",
                "Check its format and, if it was a number once, its unit.",
            )
        )
    return checks


def column(
    kind: str,
    meaning: str,
    remedy: str = "",
    *,
    required: bool = False,
    unit: str = "",
    low: float | None = None,
    above: float | None = None,
    most: float | None = None,
    past: bool = False,
) -> pa.Column:
    """A column of a table: what it means and its `unit`, and, for a value out of range, what to do (`remedy`).

    past: whether it is the time of something that has happened.
    """
    return pa.Column(
        KINDS[kind].dtype,
        checks=_bounds(
            kind, low, above, most, remedy or f"It is {meaning}; leave the cell empty where it is not known."
        ),
        nullable=not required,
        required=required,
        title=unit,
        description=meaning,
        metadata={"kind": kind, "low": low, "above": above, "most": most, "past": past},
    )
