"""How the features of the newest results that a model learnt from were distributed, in a few shares each.

A model keeps it so that a list of candidates can be compared (`models.monitoring.drift`). Of a number the shares
between its deciles are kept, of a category those of its levels. Left out is what changes by itself: records that grow
with every result, and the calendar. By chance the shares of some rows lie apart from those that they were drawn from;
how far, a bootstrap says that draws whole creators, and whole brands, whose campaigns have much in common.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from features.catalogue import BY_NAME

NEWEST = np.timedelta64(182, "D")
LEAST_NEWEST = 200
LEAST_ROWS, LEAST_CREATORS, LEAST_BRANDS = 50, 20, 10
DECILES = np.arange(1, 10) / 10
DRAWS = 100
# Standard deviations beyond the mean distance by chance: some 70 features of 52 lists a year are looked at.
BOUND = 4.0
RECORDS = ("partnership", "track_record")
BY_THEMSELVES = ("start_month", "start_weekday", "days_since_post")
# what a campaign sets for all its deals: judged only where there are LEAST_BRANDS of them
OF_CAMPAIGNS = (
    "product_niche", "product_country", "objective", "promotion_hours", "deliverables", "hours_per_deliverable",
)  # fmt: skip


@dataclass(frozen=True)
class Sample:
    """Rows to be described: matrix with the catalogue's columns, creators and brands (rows,)."""

    matrix: pd.DataFrame
    creators: np.ndarray
    brands: np.ndarray

    @classmethod
    def of(cls, matrix: pd.DataFrame, spine: pd.DataFrame) -> Sample:
        """From a matrix and the contract's columns of its rows."""
        return cls(matrix, spine.creator_id.to_numpy(object), spine.brand.to_numpy(object))

    @property
    def enough(self) -> bool:
        """Whether there is enough to say how anything is distributed."""
        return len(self.matrix) >= LEAST_ROWS and len(set(self.creators.tolist())) >= LEAST_CREATORS

    @property
    def judged(self) -> list[str]:
        """Columns that say something."""
        many = len(set(self.brands.tolist())) >= LEAST_BRANDS
        return [str(name) for name in self.matrix if not _left_out(str(name)) and (many or name not in OF_CAMPAIGNS)]

    def draws(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Of creators, and of brands where there are many: codes (rows,), and how often each is drawn (DRAWS, codes);
        the same rows, the same draws."""
        out = []
        for values, least in ((self.creators, LEAST_CREATORS), (self.brands, LEAST_BRANDS)):
            codes, found = pd.factorize(values)
            if len(found) >= least:
                rng = np.random.default_rng(len(found))
                drawn = rng.multinomial(len(found), np.full(len(found), 1 / len(found)), DRAWS)
                out.append((codes, drawn.astype(float)))  # whole numbers, multiplied as fast as only floats are
        return out


def _left_out(name: str) -> bool:
    return name in BY_THEMSELVES or (name in BY_NAME and BY_NAME[name].family in RECORDS)


@dataclass(frozen=True)
class Distribution:
    """Of one feature. cells: upper ends (cells - 1,) of a number, whose last cell is above them all, or levels of a
    category, whose last cell is of all others. shares: of the rows in which it is known (cells,). missing: share of the
    rows in which it is not. chance, missing_chance: how far both may be off by chance."""

    cells: tuple[float, ...] | tuple[str, ...]
    shares: np.ndarray
    missing: float
    chance: float
    missing_chance: float

    @property
    def number(self) -> bool:
        """Whether it is a number's."""
        return not isinstance(self.cells[0], str)


def distance(one: np.ndarray, other: np.ndarray, number: bool) -> np.ndarray:
    """Between shares over the last axis: Kolmogorov and Smirnov's for a number, the total variation for a category."""
    apart = one - other
    if number:
        return np.asarray(np.abs(apart.cumsum(-1)).max(-1))
    return np.asarray(np.abs(apart).sum(-1) / 2)


def cells_of(column: pd.Series) -> tuple[float, ...] | tuple[str, ...]:
    """Deciles of a number, levels of a category; empty where nothing is known."""
    known = column.dropna()
    if pd.api.types.is_numeric_dtype(column.dtype):
        ends = np.quantile(known.to_numpy(float), DECILES, method="inverted_cdf") if len(known) else np.empty(0)
        return tuple(float(end) for end in np.unique(ends))
    return tuple(sorted(set(known.astype(str))))


def describe(
    column: pd.Series, cells: tuple[float, ...] | tuple[str, ...], draws: Sequence[tuple[np.ndarray, np.ndarray]]
) -> Distribution:
    """How a column (rows,) lies in cells, at least one. draws: `Sample.draws` of its rows."""
    size, number = len(cells) + 1, not isinstance(cells[0], str)
    missing = column.isna().to_numpy(bool)
    if number:
        codes = np.searchsorted(np.array(cells, float), column.to_numpy(float, na_value=np.nan))
    else:
        place = {level: i for i, level in enumerate(cells)}
        codes = np.array([place.get(str(text), size - 1) for text in column.tolist()], np.intp)
    codes = np.where(missing, size, codes)
    counts = np.bincount(codes, minlength=size + 1)
    own, absent = _shares(counts)
    chance = missing_chance = 0.0
    for clusters, drawn in draws:
        of_clusters = np.bincount(clusters * (size + 1) + codes, minlength=drawn.shape[1] * (size + 1))
        shares, absents = _shares(drawn @ of_clusters.reshape(-1, size + 1))
        off = distance(shares, own, number)
        chance = max(chance, float(off.mean() + BOUND * off.std()))
        missing_chance = max(missing_chance, float(BOUND * absents.std()))
    return Distribution(cells, own, float(absent), chance, missing_chance)


def _shares(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shares of cells among the known, and of the missing among all; the last cell is that of the missing."""
    known = counts[..., :-1].sum(-1, keepdims=True)
    return counts[..., :-1] / np.maximum(known, 1), counts[..., -1] / np.maximum(counts.sum(-1), 1)


@dataclass(frozen=True)
class Learnt:
    """rows: how many of the newest results are described. features: by name."""

    rows: int
    features: Mapping[str, Distribution]

    @classmethod
    def fit(cls, matrix: pd.DataFrame, spine: pd.DataFrame, starts: np.ndarray) -> Learnt | None:
        """Describe the newest results, half a year of them or LEAST_NEWEST; None for too few.

        matrix, spine: of the results, in the order of starts, datetime64 (rows,).
        """
        newest = max(int((starts >= starts.max() - NEWEST).sum()), LEAST_NEWEST) if len(starts) else 0
        sample = Sample.of(matrix.iloc[-newest:], spine.iloc[-newest:])
        if not sample.enough:
            return None
        draws = sample.draws()
        found = {name: cells_of(sample.matrix[name]) for name in sample.judged}
        features = {name: describe(sample.matrix[name], cells, draws) for name, cells in found.items() if cells}
        return cls(len(sample.matrix), features)

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values; `from_dict` is its inverse."""
        features = [{"name": name} | vars(one) | {"shares": one.shares.tolist()} for name, one in self.features.items()]
        return {"rows": self.rows, "features": [one | {"cells": list(one["cells"])} for one in features]}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Learnt:
        """Inverse of `to_dict`."""
        features = {
            one["name"]: Distribution(
                tuple(one["cells"]), np.array(one["shares"], float), one["missing"], one["chance"],
                one["missing_chance"],
            )
            for one in values["features"]
        }  # fmt: skip
        return cls(values["rows"], features)
