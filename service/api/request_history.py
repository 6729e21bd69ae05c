"""The history of creators that the data does not know, as a request tells it: rows of the contract's tables.

Their types are made from the contract's columns. What no type can say, that keys are unique and name one another and
that times are in order, the contract's own checks look at where the rows stand beside DATA
(`service.publish.added_history`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import pandera.ibis as pa
from msgspec import Meta

from features.history.column_types import kind_of
from features.history.contract import TABLES
from service.api.near import meant, unread
from service.api.request_values import (
    LARGEST,
    MOST_COUNTED,
    SMALLEST,
    WHOLE,
    Key,
    Moment,
    Text,
    Wrong,
    as_text,
    fault,
    no_object,
    wrong_count,
    wrong_flag,
    wrong_number,
    wrong_text,
    wrong_time,
)  # fmt: skip
from service.problems import FieldError

MOST_ROWS = 20_000
NAMES = ("creators", "posts", "comments", "collaborations", "conversions")
MEANING = (
    "The history of creators that the data does not know. Refused with 422, beyond what this schema says: creators "
    "that the data knows, rows of others than these, keys that repeat or name no row, times out of order, conversions "
    "by day that do not add up."
)


def _kind(column: pa.Column) -> tuple[Any, Wrong]:
    """The type of a column's values, and what tells their faults."""
    low, above = column.metadata["low"], column.metadata["above"]
    match kind_of(column):
        case "text" | "prose":
            return (Text if column.required else Key), wrong_text
        case "number" | "hours":
            least = SMALLEST if above is not None else low
            return Annotated[float, Meta(ge=least, le=LARGEST)], partial(wrong_number, zero=above is None)
        case "count":
            limits = Meta(ge=low, le=MOST_COUNTED, extra_json_schema=WHOLE)
            return Annotated[float, limits], partial(wrong_count, least=low, most=MOST_COUNTED)
        case "flag":
            return bool, wrong_flag
        case _:  # a day may be told as a moment of it
            return Moment, wrong_time


def _strict(schema: pa.DataFrameSchema) -> Callable[[msgspec.Struct], None]:
    """What msgspec's types leave open in a row, and its keys as texts."""
    kinds = [(name, kind_of(column), _kind(column)[1]) for name, column in schema.columns.items()]

    def check(row: msgspec.Struct) -> None:
        for name, kind, wrong in kinds:
            value = getattr(row, name)
            if value is None:
                continue
            if kind == "text" or (kind == "prose" and not isinstance(value, str)):
                setattr(row, name, as_text(value))
            elif kind in ("count", "time", "date") and (told := wrong(value)):
                raise ValueError(f"{name}: {told}")

    return check


def _row(schema: pa.DataFrameSchema, strict: bool) -> type[msgspec.Struct]:
    """A row of a table of the contract; what else it has is ignored, or refused where it is strict."""
    fields: list[Any] = []
    for name, column in schema.columns.items():
        values, meaning = _kind(column)[0], Meta(description=column.description)
        required = Annotated[values, meaning]  # type: ignore[valid-type]  # it is made here, where no checker looks
        fields.append((name, required) if column.required else (name, Annotated[values | None, meaning], None))
    return msgspec.defstruct(
        f"{schema.name.removesuffix('s').title()}Row",
        fields,
        namespace={"__doc__": f"A row of {schema.name}: {schema.description}.", "__post_init__": _strict(schema)},
        kw_only=True,
        forbid_unknown_fields=strict,
        omit_defaults=True,
        gc=False,
    )


def _table(name: str, strict: bool) -> tuple[Any, ...]:
    row: Any = _row(TABLES[name], strict)
    rows = Annotated[list[row], Meta(max_length=MOST_ROWS)]
    return (name, rows) if name == "creators" else (name, rows, msgspec.field(default_factory=list))


def _history(strict: bool) -> Any:
    return msgspec.defstruct(
        "Told",
        [_table(name, strict) for name in NAMES],
        namespace={"__doc__": MEANING},
        forbid_unknown_fields=True,
        omit_defaults=True,
    )


if TYPE_CHECKING:

    class Told(msgspec.Struct):
        """The history."""

    class StrictTold(Told):
        """The same, whose rows may have no other columns."""
else:
    Told, StrictTold = _history(False), _history(True)


def faults_of(told: Any) -> list[FieldError]:
    """All that is wrong with the values of a history, field by field."""
    if told is None:
        return []
    if not isinstance(told, dict):
        return [FieldError("an object with the tables' rows is needed", "history", pointer="/history")]
    known = ", ".join(NAMES)
    found = [
        FieldError(f"there is no such table; there are {known}", "history", pointer="/history", table=name[:40])
        for name in told
        if name not in NAMES
    ]
    for name in NAMES:
        rows = told.get(name, None if name == "creators" else [])
        if not isinstance(rows, list):
            found.append(FieldError("a list of rows is needed", name, pointer=f"/history/{name}", table=name))
        elif len(rows) > MOST_ROWS:
            detail = f"{len(rows):,} rows are too many: at most {MOST_ROWS:,}"
            found.append(FieldError(detail, name, pointer=f"/history/{name}", table=name))
        else:
            found += _faults(name, rows)
    return found


def _faults(table: str, rows: list[Any]) -> list[FieldError]:
    columns = [(name, column, _kind(column)[1]) for name, column in TABLES[table].columns.items()]
    found = []
    for number, row in enumerate(rows):
        pointer = f"/history/{table}/{number}"
        if not isinstance(row, dict):
            found.append(no_object(row, number, pointer, table))
            continue
        for name, column, wrong in columns:
            if detail := fault(row.get(name), column.description, column.required, wrong):
                detail += meant(row, name, TABLES[table].columns)
                found.append(FieldError(detail, name, number, f"{pointer}/{name}", table))
    return found


def notices_of(told: Any) -> list[FieldError]:
    """Columns of a history that are not read and look like one that is."""
    tables = told if isinstance(told, dict) else {}
    return [
        one for name, rows in tables.items() for one in unread(rows, TABLES[name].columns, f"/history/{name}", name)
    ]
