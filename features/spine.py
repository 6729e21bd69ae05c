"""The spine, the list of rows to be judged: from a data frame to a table, its keys read as those of a file are."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd
import pyarrow as pa

from features.faults import Fault, InputError, shorten
from features.history.casting import read_key
from features.history.column_types import EXACT, KINDS

SCHEMA = pa.schema(
    [
        ("row_id", pa.int64()),
        ("creator_id", pa.string()),
        ("brand", pa.string()),
        ("product_niche", pa.string()),
        ("product_country", pa.string()),
        ("objective", pa.string()),
        ("starts_at", pa.timestamp("us")),
        ("promotion_hours", pa.float64()),
        ("deliverables", pa.float64()),
        ("spend", pa.float64()),
    ]
)
TEXTS = tuple(field.name for field in SCHEMA if field.type == pa.string())
NEEDED = ("creator_id", "starts_at")
UNREADABLE = object()


def read_spine(rows: pd.DataFrame) -> pa.Table:
    """Rows of SCHEMA, numbered by `row_id`, from a frame of the contract's candidate columns.

    Raises InputError, all faults at once, where the creator or the start is missing or a text cannot be read as one.
    """
    frame = rows.reset_index(drop=True).reindex(columns=SCHEMA.names)
    frame["row_id"] = range(len(frame))
    faults: list[Fault] = []
    for column in TEXTS:
        try:
            frame[column] = as_text(frame[column].to_numpy(object), column)
        except InputError as error:
            faults += error.faults
    frame["starts_at"] = pd.to_datetime(frame["starts_at"], utc=True).dt.tz_localize(None).astype("datetime64[us]")
    faults += [_missing(column, frame[column].isna()) for column in NEEDED if frame[column].isna().any()]
    if faults:
        raise InputError(faults)
    return pa.Table.from_pandas(frame, schema=SCHEMA, preserve_index=False)


def as_text(values: np.ndarray, column: str) -> np.ndarray:
    """Texts (rows,), None where there is none: a whole number is read as its text, as it is in a file.

    Raises InputError for values that a file could not hold as a text.
    """
    known = pd.api.types.infer_dtype(values, skipna=True)
    if known in ("string", "empty"):  # each text once: of many rows most repeat one
        places, distinct = pd.factorize(values)
        return np.array([*map(_text, distinct), None], object)[places]
    texts = np.array([_text(value) for value in values.tolist()], object)
    wrong = np.flatnonzero(texts == UNREADABLE)
    if len(wrong):
        problem, remedy = f"unreadable as {KINDS['text'].meaning}", KINDS["text"].remedy
        received = shorten(values[wrong[0]])
        raise InputError([Fault("spine", column, len(wrong), f"row {wrong[0] + 1:,}", received, problem, remedy)])
    return texts


def _text(value: Any) -> Any:
    """A value's text, None for a missing one, UNREADABLE for one that `features.history.casting` reads no text from."""
    if isinstance(value, str):
        return read_key(value) or None
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, int | np.integer | UUID):
        return str(value)
    if isinstance(value, Decimal):
        return (
            f"{value:f}".partition(".")[0] if value.is_finite() and value == value.to_integral_value() else UNREADABLE
        )
    if not pd.api.types.is_scalar(value):
        return UNREADABLE
    if pd.isna(value):
        return None
    exact = isinstance(value, float | np.floating) and abs(float(value)) < EXACT and value == int(value)
    return str(int(value)) if exact else UNREADABLE


def _missing(column: str, missing: pd.Series) -> Fault:
    first = f"row {int(missing.argmax()) + 1:,}"
    return Fault("spine", column, int(missing.sum()), first, None, "without a value", "Every row needs it.")
