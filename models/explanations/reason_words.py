"""Reasons as a person reads them: the catalogue's labels, values with their units, numbers rounded."""

from __future__ import annotations

import calendar
import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from features.catalogue import BY_NAME

MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
BARE = ("", "ratio", "class", "standard deviation of ln", "conversions per dollar")


def reason_words(reasons: str | Sequence[Mapping[str, Any]]) -> list[str]:
    """Each reason in words: "price per follower ($0.012) ×0.81".

    reasons: {feature, value, factor} each, or the JSON text of them, as a table of scores holds it.
    """
    read = json.loads(reasons) if isinstance(reasons, str) else reasons
    return [f"{feature_words(one['feature'], one['value'])} {factor(one['factor'])}" for one in read]


def factor(value: float) -> str:
    """A factor on a score: ×3.25, ×0.81, ×0.0123, ×1,230."""
    return f"×{value:.2f}" if 0.1 <= value < 100 else f"×{_digits(value)}"


def feature_words(name: str, value: Any) -> str:
    """A feature's label with its value: "price per follower ($0.012)"."""
    known = BY_NAME.get(name)
    return f"{known.label if known else name} ({measured(value, known.unit if known else '')})"


def measured(value: Any, unit: str) -> str:
    """A feature's value with its unit: $1,230, 12 %, November."""
    if value is None:
        return "unknown"
    if isinstance(value, str):
        return value
    if unit in _UNITS:
        return _UNITS[unit](value)
    return _digits(value) if unit in BARE else f"{_digits(value)} {unit.removesuffix('s') if value == 1 else unit}"


def _digits(value: float) -> str:
    """Three digits, or a whole number: 0.0123, 1.2, 12.3, 1,235."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    rounded = float(f"{value:.3g}")
    places = max(0, 2 - math.floor(math.log10(abs(rounded)))) if rounded else 0
    text = f"{rounded:.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _percent(value: float) -> str:
    return f"{100 * value:,.{1 if value and abs(value) < 0.1 else 0}f} %"


def _dollars(value: float) -> str:
    if value >= 1:
        return f"${value:,.0f}" if value >= 1000 or value == int(value) else f"${value:,.2f}"
    return f"${_digits(value)}"


def _of_market(value: float) -> str:
    return f"{_digits(value)} × the market's"


def _change(value: float) -> str:
    return f"{'−' if value < 0 else '+'}{_percent(abs(math.expm1(value)))}"


_UNITS: dict[str, Callable[[float], str]] = {
    "share": _percent,
    "US dollars": _dollars,
    "0 or 1": lambda value: "yes" if value else "no",
    "log ratio": _change,
    "× market rate": _of_market,
    "× market rate of clicks": _of_market,
    "month": lambda value: calendar.month_name[int(value)],
    "day": lambda value: calendar.day_name[int(value)],
}
