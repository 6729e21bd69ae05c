"""A column of texts as its distinct texts and each row's place among them, so that each text is looked up once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, overload

import numpy as np
import pyarrow as pa


class Repeated(Sequence[Any]):
    """Texts of n rows. values: the distinct ones, None among them where a text is missing. places: intp (n,)."""

    def __init__(self, values: Sequence[str | None], places: np.ndarray) -> None:
        self.values, self.places = values, places

    @classmethod
    def of(cls, column: pa.Array) -> Repeated:
        """Of a column of strings."""
        plain = column.dictionary_decode() if isinstance(column, pa.DictionaryArray) else column
        encoded = plain.dictionary_encode(null_encoding="encode")
        return cls(encoded.dictionary.to_pylist(), encoded.indices.to_numpy().astype(np.intp))

    @classmethod
    def missing(cls, rows: int) -> Repeated:
        """A column that is not there."""
        return cls([None], np.zeros(rows, np.intp))

    def __len__(self) -> int:
        return len(self.places)

    @overload
    def __getitem__(self, at: int) -> Any: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Any]: ...
    def __getitem__(self, at: int | slice) -> Any:
        if isinstance(at, slice):
            return Repeated(self.values, self.places[at])
        return self.values[self.places[at]]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.values, object)[self.places]


def each(texts: Sequence[Any], find: Callable[[Sequence[Any]], np.ndarray]) -> np.ndarray:
    """What `find` has for each row (n,): it takes texts, and is given distinct ones where they are known."""
    return find(texts.values)[texts.places] if isinstance(texts, Repeated) else find(texts)
