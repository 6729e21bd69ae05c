"""Casting of columns, whatever type they arrive in, to the contract's types, as Ibis expressions.

A value that cannot be read becomes NULL, and `unreadable` marks where, so that no value is dropped silently.
"""

import re
import unicodedata

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from features.engines.duckdb import stands_in_duckdb
from features.history.column_types import EXACT, KINDS

BLANKS = " \t\n\r\v\f"
_WHOLE = r"^(0|-?[1-9][0-9]*)\.0+$"
_whole_text = re.compile(_WHOLE, re.ASCII)
TRUE, FALSE = ("true", "t", "yes", "y", "1"), ("false", "f", "no", "n", "0")
_UTC = dt.Timestamp(timezone="UTC")


def cast(column: ir.Column, kind: str) -> ir.Column:
    """`column` as the contract's type of `kind`; NULL where it cannot be read.

    An empty text is no value, nor is a key of blanks alone. Times without a zone are UTC; finer times are cut to
    microseconds. A date is that of UTC. In another engine than DuckDB columns have these types already (`in_place`).
    """
    if not stands_in_duckdb(column):
        return column
    if column.type().is_string() and kind != "text":
        column = column.nullif("")
    return _CASTS[kind](column)


def unreadable(column: ir.Column, kind: str) -> ir.BooleanColumn:
    """Where `column` has a value that cannot be read as `kind`."""
    given = column.notnull()
    if column.type().is_string():
        given = given & (cast(column, "text").notnull() if kind == "text" else column != "")
    return given & cast(column, kind).isnull()


def _none(kind: str) -> ir.Value:
    return ibis.null(KINDS[kind].dtype)


def read_key(text: str) -> str:
    """A text as `cast` reads it as a key: in Unicode's form NFC, a whole number without the zeros after its point;
    empty where it is blanks alone.
    """
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    if text.endswith("0") and _whole_text.fullmatch(text):
        return text.partition(".")[0]
    return text if text.strip(BLANKS) else ""


@ibis.udf.scalar.builtin
def nfc_normalize(text: str) -> str:  # type: ignore[empty-body]
    """The engine's own."""


@ibis.udf.scalar.builtin
def epoch(duration: dt.Interval("us")) -> float:  # type: ignore[empty-body,valid-type]
    """The engine's own: seconds."""


def _text(column: ir.Column) -> ir.Column:
    """A key, or another name: what must meet its like in another table, whatever type it has there."""
    kind = column.type()
    if kind.is_string():
        known = nfc_normalize(column)
        # the cheap question first: most texts do not end in a zero
        whole = known.endswith("0") & known.re_search(_WHOLE)
        return whole.ifelse(known.split(".")[0], (known.strip() == "").ifelse(_none("text"), known))
    if kind.is_floating():
        return (column.abs() < EXACT).ifelse(_whole(column).cast(dt.string), _none("text"))
    if kind.is_decimal():
        known = column.cast(dt.string)
        return known.re_search(r"^[^.]*(\.0*)?$").ifelse(known.split(".")[0], _none("text"))
    if kind.is_integer() or kind.is_boolean() or kind.is_uuid():
        return column.cast(dt.string)
    return _none("text")


def _prose(column: ir.Column) -> ir.Column:
    return column.nullif("") if column.type().is_string() else _text(column)


def _number(column: ir.Column) -> ir.Column:
    kind = column.type()
    if kind.is_string():  # the engine would read 1_000 as 1000
        return column.contains("_").ifelse(_none("number"), column.try_cast(dt.float64))
    return column.cast(dt.float64) if kind.is_numeric() else _none("number")


def _hours(column: ir.Column) -> ir.Column:
    return epoch(column) / 3600 if column.type().is_interval() else _number(column)


def _whole(column: ir.Column) -> ir.Column:
    nearest = column.try_cast(dt.int64)
    return (nearest.cast(dt.float64) == column.cast(dt.float64)).ifelse(nearest, _none("count"))


def _count(column: ir.Column) -> ir.Column:
    kind = column.type()
    if kind.is_string():
        digits = column.re_search(r"^[+-]?[0-9]+$")
        return digits.ifelse(column.try_cast(dt.int64), _whole(_number(column)))
    if kind.is_integer():
        return column if kind == dt.int64 else column.try_cast(dt.int64)
    return _whole(column) if kind.is_numeric() else _none("count")


def _flag(column: ir.Column) -> ir.Column:
    kind = column.type()
    if kind.is_boolean():
        return column
    if kind.is_numeric():
        return ibis.cases((column == 1, True), (column == 0, False))
    if kind.is_string():
        word = column.strip().lower().re_replace(r"^([01])\.0+$", r"\1")
        return ibis.cases((word.isin(TRUE), True), (word.isin(FALSE), False))
    return _none("flag")


def _time(column: ir.Column) -> ir.Column:
    kind = column.type()
    if kind.is_string():
        column = column.try_cast(_UTC)
    elif not (kind.is_timestamp() or kind.is_date()):
        return _none("time")
    return column if column.type() == KINDS["time"].dtype else column.cast(KINDS["time"].dtype)


def _date(column: ir.Column) -> ir.Column:
    return column if column.type().is_date() else _time(column).cast(dt.date)


_CASTS = {
    "text": _text, "prose": _prose, "number": _number, "hours": _hours, "count": _count, "flag": _flag, "time": _time,
    "date": _date,
}  # fmt: skip
