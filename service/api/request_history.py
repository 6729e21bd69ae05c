"""The history of creators that the data does not know, as a request has it: rows of the contract's tables.

Their types are made from the contract's columns. What no type can say, that keys are unique and name one another and
that times are in order, the contract's own checks look at where the rows stand beside DATA
(`service.publish.added_history`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import pandera.ibis as pa
from msgspec import Meta

from features.history.column_types import kind_of
from features.history.contract import TABLES
from service.api.misspelt import hint, misspelt
from service.api.request_values import Wrong, as_text, fault, no_object, values_of
from service.problems import FieldError

MOST_COUNTED = 1e12  # the sums of 20,000 such counts are far from where 64 bits end
MOST_ROWS = 20_000
NAMES = ("creators", "posts", "comments", "collaborations", "conversions")
MEANING = (
    "The history of creators that the data does not know. Refused with 422, beyond what this schema says: creators "
    "that the data knows, rows of others than these, keys that repeat or name no row, times out of order, conversions "
    "by day that do not add up."
)


def _values(column: pa.Column) -> tuple[Any, Wrong]:
    return values_of(column, MOST_COUNTED)


def _strict(schema: pa.DataFrameSchema) -> Callable[[msgspec.Struct], None]:
    """What msgspec's types leave open in a row, and its keys as texts."""
    kinds = [(name, kind_of(column), _values(column)[1]) for name, column in schema.columns.items()]

    needed = {name for name, column in schema.columns.items() if column.required}

    def check(row: msgspec.Struct) -> None:
        for name, kind, wrong in kinds:
            value = getattr(row, name)
            if value is None:
                continue
            if kind == "text" or (kind == "prose" and not isinstance(value, str)):
                if not (text := as_text(value)) and name in needed:
                    raise ValueError(f"{name}: a text is needed")
                setattr(row, name, text)
            elif kind in ("count", "time", "date") and (detail := wrong(value)):
                raise ValueError(f"{name}: {detail}")

    return check


def _row(schema: pa.DataFrameSchema, strict: bool) -> type[msgspec.Struct]:
    """A row of a table of the contract; what else it has is ignored, or refused where it is strict."""
    fields: list[Any] = []
    for name, column in schema.columns.items():
        values, meaning = _values(column)[0], Meta(description=column.description)
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
        "History",
        [_table(name, strict) for name in NAMES],
        namespace={"__doc__": MEANING},
        forbid_unknown_fields=True,
        omit_defaults=True,
    )


if TYPE_CHECKING:

    class History(msgspec.Struct):
        """The history."""

    class StrictHistory(History):
        """The same, whose rows may have no other columns."""
else:
    History, StrictHistory = _history(False), _history(True)


def faults_of(history: Any) -> list[FieldError]:
    """All that is wrong with the values of a history, field by field."""
    if history is None:
        return []
    if not isinstance(history, dict):
        return [FieldError("an object with the tables' rows is needed", "history", pointer="/history")]
    known = ", ".join(NAMES)
    found = [
        FieldError(f"there is no such table; there are {known}", "history", pointer="/history", table=name[:40])
        for name in history
        if name not in NAMES
    ]
    for name in NAMES:
        rows = history.get(name, None if name == "creators" else [])
        if not isinstance(rows, list):
            found.append(FieldError("a list of rows is needed", name, pointer=f"/history/{name}", table=name))
        elif len(rows) > MOST_ROWS:
            detail = f"{len(rows):,} rows are too many: at most {MOST_ROWS:,}"
            found.append(FieldError(detail, name, pointer=f"/history/{name}", table=name))
        else:
            found += _faults(name, rows)
    return found


def _faults(table: str, rows: list[Any]) -> list[FieldError]:
    columns = [(name, column, _values(column)[1]) for name, column in TABLES[table].columns.items()]
    found = []
    for number, row in enumerate(rows):
        pointer = f"/history/{table}/{number}"
        if not isinstance(row, dict):
            found.append(no_object(row, number, pointer, table))
            continue
        for name, column, wrong in columns:
            if detail := fault(row.get(name), column, wrong):
                detail += hint(row, name, TABLES[table].columns)
                found.append(FieldError(detail, name, number, f"{pointer}/{name}", table))
    return found


def notices_of(history: Any) -> list[FieldError]:
    """Columns of a history that are not read and look like one that is."""
    tables = history if isinstance(history, dict) else {}
    return [
        one for name, rows in tables.items() for one in misspelt(rows, TABLES[name].columns, f"/history/{name}", name)
    ]
