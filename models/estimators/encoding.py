"""From the feature matrix to the numbers that the estimators see; the levels of categories travel with the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from features.spine import as_text

MISSING, OTHER, FIRST_LEVEL = 0, 1, 2
# The same for all deals of a day: what it seems to explain is the level, which `models.estimators.level_trend` follows,
# and candidates lie beyond all values that it had in training.
SAME_FOR_ALL = ("market_rate",)


@dataclass(frozen=True)
class Encoding:
    """Columns that the model uses, in its order, the levels of the categories among them, and the creators.

    columns: names, a subset of the matrix's. levels: by category column, its levels; level i has the code i + 2.
    A missing category has code 0; a level that is unknown, or was rare in training, has code 1. creators: those of the
    training rows; creator i has the code i + 1, any other 0.
    """

    columns: tuple[str, ...]
    levels: Mapping[str, tuple[str, ...]]
    creators: tuple[str, ...]

    @classmethod
    def fit(cls, matrix: pd.DataFrame, creators: np.ndarray, rare: int = 3) -> Encoding:
        """Learn columns and levels: without the columns of SAME_FOR_ALL or with no value; a level of fewer than `rare`
        rows is rare."""
        columns, levels = [], {}
        for name in matrix.columns:
            column = matrix[name]
            if name in SAME_FOR_ALL or column.isna().all():
                continue
            columns.append(str(name))
            if not pd.api.types.is_numeric_dtype(column.dtype):
                counts = column.dropna().astype(str).value_counts()
                levels[str(name)] = tuple(sorted(counts.index[counts >= rare]))
        return cls(tuple(columns), levels, tuple(sorted(set(as_text(creators, "creator_id").tolist()))))

    def extended(self, levels: Mapping[str, Sequence[str]]) -> Encoding:
        """The same, with further levels of its categories after those that it has: their codes stay what they are."""
        own = {
            name: (*known, *(v for v in levels.get(name, ()) if v not in known)) for name, known in self.levels.items()
        }
        return replace(self, levels=own)

    @property
    def categorical(self) -> list[int]:
        """Positions of the category columns."""
        return [i for i, name in enumerate(self.columns) if name in self.levels]

    def transform(self, matrix: pd.DataFrame, creators: np.ndarray) -> np.ndarray:
        """Codes and numbers, float64 (rows, columns + 1), NaN for a missing number; the last one is the creator's code.

        creators: creator_id of every row (rows,); a whole number is read as its text.

        Raises ValueError for columns that the matrix lacks, InputError for a creator_id that is no text.
        """
        self.require(matrix)
        out = np.empty((len(matrix), len(self.columns) + 1))
        for i, name in enumerate(self.columns):
            values = matrix[name]
            out[:, i] = self._codes(name, values) if name in self.levels else values.to_numpy(float, na_value=np.nan)
        wanted = pd.Index(as_text(creators, "creator_id"), dtype=object)
        out[:, -1] = pd.Index(self.creators, dtype=object).get_indexer(wanted) + 1
        return out

    @property
    def pair(self) -> tuple[int, int] | None:
        """Positions of the creator's and the product's niche, where the model knows both."""
        names = ("creator_niche", "product_niche")
        if not all(name in self.columns for name in names):
            return None
        return self.columns.index(names[0]), self.columns.index(names[1])

    def place(self, name: str, otherwise: int | None = None) -> int:
        """Position of a column; `otherwise` for one that the model does not know.

        Raises ValueError for such a column where nothing else is known.
        """
        if name in self.columns:
            return self.columns.index(name)
        if otherwise is None:
            raise ValueError(f"the model does not know the column {name!r}; it knows {len(self.columns)} others")
        return otherwise

    def require(self, matrix: pd.DataFrame) -> None:
        """Raise ValueError where the matrix lacks a column that the model was trained on."""
        if absent := [name for name in self.columns if name not in matrix.columns]:
            raise ValueError(
                f"the matrix lacks {len(absent)} of the {len(self.columns)} columns that the model was trained on: "
                f"{absent[:8]}"
            )

    def _codes(self, name: str, values: pd.Series) -> np.ndarray:
        codes = {level: i + FIRST_LEVEL for i, level in enumerate(self.levels[name])}
        places, found = pd.factorize(values)  # the place of a missing one is -1, the last
        return np.array([*(codes.get(str(v), OTHER) for v in found), MISSING], float)[places]

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values; `from_dict` is its inverse."""
        return {
            "columns": list(self.columns),
            "levels": {k: list(v) for k, v in self.levels.items()},
            "creators": list(self.creators),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Encoding:
        """Inverse of `to_dict`."""
        return cls(
            tuple(values["columns"]), {k: tuple(v) for k, v in values["levels"].items()}, tuple(values["creators"])
        )
