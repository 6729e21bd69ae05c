"""Spines from data frames: keys read as a file's are, and faults reported at once."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd
import pytest

from features.faults import InputError
from features.spine import SCHEMA, read_spine


def _rows(creators: Any, **others: Any) -> pd.DataFrame:
    return pd.DataFrame({"creator_id": creators, "brand": "b", "starts_at": pd.Timestamp("2025-03-01")} | others)


@pytest.mark.parametrize(
    "creators",
    [
        pd.Series([17, 18]),
        pd.Series([17, 18], dtype="Int64"),
        pd.Series([17.0, 18.0]),
        pd.Series(["17", "18"]),
        pd.Series(["17", "18"], dtype="string"),
        pd.Series([17, "18"], dtype=object),
        pd.Series(["17", "18"], dtype="category"),
        pd.Series([np.int32(17), Decimal(18)], dtype=object),
    ],
    ids=lambda creators: str(creators.dtype),
)
def test_a_whole_number_is_read_as_its_text(creators: pd.Series) -> None:
    assert read_spine(_rows(creators))["creator_id"].to_pylist() == ["17", "18"]


def test_other_values_are_read_as_a_file_s_are() -> None:
    one = UUID(int=1)
    given = _rows(["a"] * 4, brand=[True, one, "", None], objective=[1.0, np.nan, 3.0, pd.NA])
    table = read_spine(given)
    assert table["brand"].to_pylist() == ["true", str(one), None, None]
    assert table["objective"].to_pylist() == ["1", None, "3", None]
    assert table["product_country"].to_pylist() == [None] * 4
    assert table.schema.equals(SCHEMA)


def test_all_that_cannot_be_read_is_reported_at_once() -> None:
    given = _rows(["a", 1.5, ["b"]], brand=["b", "b", pd.Timestamp("2025-01-01")])
    given.loc[1, "starts_at"] = pd.NaT
    with pytest.raises(InputError) as raised:
        read_spine(given)
    assert str(raised.value).splitlines() == [
        "spine.creator_id: 2 rows are unreadable as a text, first row 2: received 1.5. Write a text or a whole number.",
        "spine.brand: 1 row is unreadable as a text, first row 3: received Timestamp('2025-01-01 00:00:00'). "
        "Write a text or a whole number.",
        "spine.starts_at: 1 row is without a value, first row 2. Every row needs it.",
    ]
    with pytest.raises(InputError, match=r"spine\.creator_id: 3 rows are without a value, first row 1"):
        read_spine(given.drop(columns="creator_id").assign(brand="b", starts_at=pd.Timestamp("2025-03-01")))
