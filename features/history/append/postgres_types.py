"""What a column of PostgreSQL's keeps as it is. The server rounds, cuts off or pads whatever else is assigned to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Context, Decimal, InvalidOperation
from typing import Any

from features.engines.duckdb import quote
from features.history.postgres import Column

_LIKE = {
    "bool": "BOOLEAN", "int2": "SMALLINT", "int4": "INTEGER", "int8": "BIGINT", "float4": "FLOAT", "float8": "DOUBLE",
    "date": "DATE", "timestamp": "TIMESTAMP", "timestamptz": "TIMESTAMP WITH TIME ZONE", "uuid": "UUID",
}  # fmt: skip
_MOST_CENTS = 2**63  # money is a whole number of 64 bits
# fields that an interval may be limited to, in seconds
_FIELDS = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400, "month": 0, "year": 0}
_ALL_DIGITS = Context(prec=1000)  # numeric(p) is declared with as many at most
_MICROSECONDS = 6  # decimals of a second in times and intervals
_WHOLE = 2**53  # below it a double holds every whole number
_POWERS = 22  # 10 to the power of at most that is a double


@dataclass(frozen=True)
class Exact:
    """A type that the engine has none like. holds: whether it keeps a value of the contract's as it is. sure: by the
    engine's type of a value, {v}, a condition under which it surely does, so that few values need `holds`."""

    declared: str
    holds: Callable[[Any], bool]
    sure: Mapping[str, str] = field(default_factory=dict)

    def surely(self, value: str, kind: str) -> str:
        """The condition for a column of the engine's type `kind`, as SQL; it may be NULL."""
        return self.sure.get(kind, "false").replace("{v}", value)

    def __str__(self) -> str:
        """As SQL declares it."""
        return self.declared


def held(column: Column, money_decimals: int) -> str | Exact | None:
    """The engine's type that holds what a column does, or a rule where there is none; None for any text, or where it
    is not known. money_decimals: those of the server's currency.
    """
    length = column.modifier - 4
    if column.type == "numeric" and length >= 0:
        digits, scale = length >> 16, length & 0x7FF
        scale = scale - 0x800 if scale > 0x3FF else scale
        return Exact(column.declared, _decimals(digits, scale), _surely_decimals(digits, scale))
    if column.type == "money":
        digits = len(str(_MOST_CENTS)) - 1
        return Exact("money", _money(money_decimals), _surely_decimals(digits, money_decimals))
    if column.type in ("varchar", "bpchar"):
        return f"{'CHAR' if column.type == 'bpchar' else 'VARCHAR'}({length})" if length >= 0 else None
    if column.of_type == "e":
        return f"ENUM({', '.join(map(quote, column.labels))})"
    if column.type in ("timestamp", "timestamptz") and 0 <= column.modifier < _MICROSECONDS:
        finest = f"microsecond({{v}}) % {10 ** (_MICROSECONDS - column.modifier)} = 0"
        return Exact(column.declared, _moments(column.modifier), {"TIMESTAMP": finest, "DATE": "true"})
    if column.type == "interval":
        unit = _unit(column)
        return Exact(column.declared, _spans(unit), {"DOUBLE": _surely_spans(unit)})
    return _LIKE.get(column.type)


def _decimals(digits: int, scale: int) -> Callable[[Any], bool]:
    """Numbers of so many digits, of which `scale` are decimals; below 0, it is a count of zeros."""
    limit = Decimal(10) ** (digits - scale)

    def holds(value: Any) -> bool:
        number = _number(value)
        exponent = number.as_tuple().exponent if number is not None else None
        return number == 0 or (
            number is not None
            and isinstance(exponent, int)
            and exponent >= -scale
            and number.copy_abs() < limit  # exact, as abs() is not
        )

    return holds


def _surely_decimals(digits: int, scale: int) -> dict[str, str]:
    """Conditions for `_decimals`. A double is that of so many decimals where, brought to a whole number and divided
    again, it is the same: whole number and power of ten are exact then, and the quotient is rounded once."""
    whole = digits - scale
    if scale < 0 or whole < 1:
        return {}
    found = {"VARCHAR": rf"regexp_full_match({{v}}, '0|[1-9]\d{{0,{min(whole, 999) - 1}}}')"}
    if scale <= _POWERS:
        most = min(10.0**whole, _WHOLE / 10.0**scale) if whole <= _POWERS else _WHOLE / 10.0**scale
        found["DOUBLE"] = f"abs({{v}}) < {most!r}::DOUBLE AND round({{v}} * 1e{scale}) / 1e{scale} = {{v}}"
    most_whole = min(10**whole, 2**63) - 1
    return found | {"BIGINT": f"{{v}} BETWEEN -{most_whole} AND {most_whole}"}


def _money(decimals: int) -> Callable[[Any], bool]:
    def holds(value: Any) -> bool:
        number = _number(value)
        if number is None:
            return False
        cents = number.scaleb(decimals, _ALL_DIGITS)
        return cents == cents.to_integral_value() and abs(cents) < _MOST_CENTS

    return holds


def _number(value: Any) -> Decimal | None:
    """The digits that are written, not those of the binary fraction; None for a text that is none, or not like that."""
    if isinstance(value, str):
        try:
            number = Decimal(value).normalize(_ALL_DIGITS)
        except InvalidOperation:
            return None
        return number if f"{number:f}" == value else None
    return Decimal(repr(int(value) if isinstance(value, bool) else value)).normalize(_ALL_DIGITS)


def _moments(decimals: int) -> Callable[[Any], bool]:
    """Times with so many decimals of a second."""
    unit = 10 ** (_MICROSECONDS - decimals)

    def holds(value: Any) -> bool:
        return value.microsecond % unit == 0 if isinstance(value, datetime) else isinstance(value, date)

    return holds


def _unit(column: Column) -> float:
    """Microseconds of which an interval is a multiple; 0 for one of months."""
    fields = [seconds for name, seconds in _FIELDS.items() if name in column.declared]
    if fields and fields[0] != 1:
        return fields[0] * 1e6
    decimals = column.modifier & 0xFFFF if column.modifier >= 0 else _MICROSECONDS
    return 10.0 ** (_MICROSECONDS - min(decimals, _MICROSECONDS))


def _spans(unit: float) -> Callable[[Any], bool]:
    """Hours that are a multiple of so many microseconds, as an interval gives them back."""

    def holds(value: Any) -> bool:
        return not value or (unit > 0 and round(value * 3_600e6 / unit) * unit / 3_600e6 == value)

    return holds


def _surely_spans(unit: float) -> str:
    """The condition for `_spans`."""
    several = f"round({{v}} * 3600e6 / {unit!r}::DOUBLE) * {unit!r}::DOUBLE / 3600e6 = {{v}}"
    return f"({{v}} = 0 OR {several})" if unit else "{v} = 0"
