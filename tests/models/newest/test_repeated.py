"""Columns of texts as distinct texts and places."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from models.newest.repeated import Repeated, each

TEXTS = ["b", None, "a", "b", "", None, "é☕"]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int8(), pa.string())])
def test_it_is_the_column(kind: pa.DataType) -> None:
    column = Repeated.of(pa.array(TEXTS, pa.string()).cast(kind))
    assert list(column) == TEXTS
    assert list(column[2:5]) == TEXTS[2:5]
    assert np.array(column, object).tolist() == TEXTS
    assert sorted(column.values, key=str) == sorted(set(TEXTS), key=str)


def test_a_column_that_is_not_there_is_missing_everywhere() -> None:
    assert list(Repeated.missing(3)) == [None] * 3
    assert list(Repeated.of(pa.array([], pa.string()))) == []


def test_each_text_is_looked_up_once() -> None:
    looked_up: list[Any] = []

    def find(texts: Sequence[Any]) -> np.ndarray:
        looked_up.extend(texts)
        return np.array([len(text or "") for text in texts], np.intp)

    lengths = [len(text or "") for text in TEXTS]
    assert each(Repeated.of(pa.array(TEXTS)), find).tolist() == lengths
    assert len(looked_up) == len(set(TEXTS))
    assert each(TEXTS, find).tolist() == lengths
