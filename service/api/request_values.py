"""What a field of a request may hold, by its column of the contract: the type that msgspec reads and puts into the
schema, and the words for a value that is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any

import pandera.ibis as pa
from msgspec import Meta

from features.history.casting import read_key
from features.history.column_types import kind_of
from service.problems import FieldError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = 10**6
WHOLE = {"multipleOf": 1}
Whole = int | Annotated[float, Meta(extra_json_schema=WHOLE)]  # 5.0 is a whole number in JSON
Key = str | Whole
NOT_BLANK = {"pattern": "[^ \\t\\n\\v\\f\\r]"}  # as keys of a table are read: `read_key`
Text = Annotated[str, Meta(min_length=1, extra_json_schema=NOT_BLANK)] | Whole
Prose = Annotated[str, Meta(min_length=1)] | Whole  # in which blanks are a text
SMALLEST, LARGEST = 1e-9, 1e15  # beyond these a score may have no finite number
_DAY = (
    r"(20\d\d-((0[13578]|1[02])-(0[1-9]|[12]\d|3[01])|(0[469]|11)-(0[1-9]|[12]\d|30)|02-(0[1-9]|1\d|2[0-8]))"
    r"|20([02468][048]|[13579][26])-02-29)"
)
_TIME = r"([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,6})?)?(Z|[+-](0\d|1[0-4]):[0-5]\d)?"
MOMENT = f"^{_DAY}([T ]{_TIME})?$"
Moment = Annotated[str, Meta(extra_json_schema={"pattern": MOMENT})]
_moment = re.compile(MOMENT, re.ASCII)
NO_MOMENT = "a moment in ISO 8601 is needed, such as 2026-03-31T18:00:00Z"
Wrong = Callable[[Any], str | None]  # what is wrong with a value, None where nothing is


def values_of(column: pa.Column, most_counted: float = LARGEST) -> tuple[Any, Wrong]:
    """The type of a column's values, within the column's bounds, and what words a value that it refuses."""
    low, above, most = (column.metadata[name] for name in ("low", "above", "most"))
    match kind_of(column):
        case "text":
            return (Text if column.required else Key), wrong_text
        case "prose":
            return (Prose if column.required else Key), wrong_text
        case "number" | "hours":
            most = LARGEST if most is None else min(most, LARGEST)
            least = {"ge": SMALLEST} if above == 0 else {"gt": above, "ge": low}
            wrong: Wrong = partial(wrong_number, low=low, above=above, most=most)
            return Annotated[float, Meta(**least, le=most)], wrong
        case "count":
            most = most_counted if most is None else min(most, most_counted)
            limits = Meta(ge=low, le=most, extra_json_schema=WHOLE)
            return Annotated[float, limits], partial(wrong_count, least=low, most=most)
        case "flag":
            return bool, wrong_flag
        case _:  # a day may be given as a moment of it
            return Moment, wrong_time


def micros(text: str) -> int:
    """Microseconds since 1970 of a moment as MOMENT has it; one without a zone is UTC's. Raises ValueError."""
    if not _moment.fullmatch(text):
        raise ValueError("starts_at")
    at = datetime.fromisoformat(text)
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
    since = at - EPOCH
    return (since.days * 86_400 + since.seconds) * MICROSECOND + since.microseconds


def as_text(key: str | int | float) -> str:
    """A key as its text, as a file's is read: 7, 7.0 and "7.0" are "7", blanks alone are "". Raises ValueError for a
    number that is not whole.
    """
    if isinstance(key, str):
        return read_key(key)
    if key % 1:
        raise ValueError("a text or a whole number is needed")
    return str(int(key))


def fault(value: Any, column: pa.Column, wrong: Wrong) -> str | None:
    """What is wrong with a column's value, and what was received; None where nothing is."""
    missing = value == "" if kind_of(column) == "prose" else isinstance(value, str) and not as_text(value)
    if value is None or missing:
        return f"every row needs it: {_meaning(column)}" if column.required else None
    detail = wrong(value)
    return f"{detail}, received {shown(value)}" if detail else None


def _meaning(column: pa.Column) -> str:
    """What a column means, with its unit where the sentence does not have it."""
    unit = column.title
    return f"{column.description} ({unit})" if unit and unit not in column.description else column.description


def no_object(value: Any, row: int | None, pointer: str, table: str | None = None) -> FieldError:
    """The fault of a row that is none."""
    return FieldError(f"an object is needed, received {shown(value)}", None, row, pointer, table)


def wrong_text(value: Any) -> str | None:
    return None if isinstance(value, str) or _whole(value) else "a text or a whole number is needed"


def wrong_time(value: Any) -> str | None:
    if not isinstance(value, str):
        return NO_MOMENT
    if _moment.fullmatch(value):
        return None
    try:
        year = datetime.fromisoformat(value).year
    except ValueError:
        return NO_MOMENT
    return NO_MOMENT if 2000 <= year < 2100 else "it is outside 2000-01-01 to 2100-01-01"


def wrong_flag(value: Any) -> str | None:
    return None if isinstance(value, bool) else "true or false is needed"


def wrong_number(value: Any, low: float | None = None, above: float | None = None, most: float = LARGEST) -> str | None:
    """low: the least that it may be. above: what it must be above."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "a number is needed"
    if value > most:
        return f"it is above {most:,.10g}"
    if above is not None and value <= above:
        return f"it is not above {above:g}"
    if above == 0 and value < SMALLEST:
        return f"it is below {SMALLEST:g}"
    return f"it is below {low:g}" if low is not None and value < low else None


def wrong_count(value: Any, least: float = 1, most: float = LARGEST) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "a whole number is needed"
    if value > most:
        return f"it is above {most:,.10g}"
    if value % 1:
        return "a whole number is needed"
    return None if value >= least else f"it is below {least:g}"


def _whole(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value % 1 == 0


def shown(value: Any) -> str:
    """A value as a message shows it."""
    text = repr(value)
    return text if len(text) <= 60 else text[:59] + "…"
