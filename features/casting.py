"""Casting of columns, whatever type they arrive in, to the contract's types, as Ibis expressions.

A value that cannot be read becomes NULL, and `unreadable` tells where, so that nothing is lost in silence.
"""

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from features.columns import KINDS

_UTC = dt.Timestamp(timezone="UTC")


def cast(column: ir.Column, kind: str) -> ir.Column:
    """`column` as the contract's type of `kind`; NULL where it cannot be read.

    An empty text is no value. Times without a zone are UTC; finer times are cut to microseconds. A date is that of UTC.
    """
    if column.type().is_string() and kind != "text":
        column = column.nullif("")
    return _CASTS[kind](column)


def unreadable(column: ir.Column, kind: str) -> ir.BooleanColumn:
    """Where `column` has a value that cannot be read as `kind`."""
    given = column.notnull()
    if column.type().is_string():
        given = given & (column != "")
    return given & cast(column, kind).isnull()


def _none(kind: str) -> ir.Value:
    return ibis.null(KINDS[kind].dtype)


def _text(column: ir.Column) -> ir.Column:
    kind = column.type()
    if kind.is_string():
        return column.nullif("")
    if kind.is_floating():
        return _whole(column).cast(dt.string)
    if kind.is_integer() or kind.is_boolean() or kind.is_uuid() or kind.is_decimal():
        return column.cast(dt.string)
    return _none("text")


def _number(column: ir.Column) -> ir.Column:
    kind = column.type()
    if kind.is_string():
        return column.try_cast(dt.float64)
    return column.cast(dt.float64) if kind.is_numeric() else _none("number")


def _whole(column: ir.Column) -> ir.Column:
    nearest = column.try_cast(dt.int64)
    return (nearest.cast(dt.float64) == column.cast(dt.float64)).ifelse(nearest, _none("count"))


def _count(column: ir.Column) -> ir.Column:
    kind = column.type()
    if kind.is_string():
        digits = column.re_search(r"^[+-]?[0-9]+$")
        return digits.ifelse(column.try_cast(dt.int64), _whole(column.try_cast(dt.float64)))
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
        word = column.lower()
        return ibis.cases((word.isin(["true", "1", "1.0"]), True), (word.isin(["false", "0", "0.0"]), False))
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


_CASTS = {"text": _text, "number": _number, "count": _count, "flag": _flag, "time": _time, "date": _date}
