"""How far past results support a deal: whether creators and deals like it were ever hired.

A deal is described by a few key terms: numbers (size, views, engagement, price, price per follower and per view,
promotion) as weights on knots one spread apart on their log scale, categories and the pair of tier and platform as
indicators. What the results leave open of a sum of effects of these terms, in units of one effect's prior variance, is

    h = P x′ (X′X + P I)⁻¹ x

the posterior variance of a Bayesian linear regression and the ridge regression's leverage (Hoerl & Kennard 1970,
Technometrics 12, 55-67; Rasmussen & Williams 2006, Gaussian Processes, eq. 2.9). A term that no result has shown adds
1, one that P results have shown about ½. Effects are local: a line that goes on beyond all results is no support.

A training row's own h is taken without all results of its creator: it is what a creator never hired before would have
had. The threshold is a high quantile of these, so few ordinary newcomers lie above it. What is unknown of a deal (no
posts, a creator that is not in the table) counts as usual and adds nothing; other warnings say so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from models.estimators.blocks import BLOCK_VALUES, blocks

NUMBERS = (
    "followers", "views_per_follower", "engagement_rate_median", "spend", "spend_per_follower", "spend_per_view",
    "promotion_hours", "deliverables",
)  # fmt: skip
CATEGORIES = ("tier", "platform", "creator_niche", "product_niche", "country")
PAIR = ("tier", "platform")
PRIOR_RESULTS, ORDINARY, EACH_SIDE, BLOCK = 5.0, 0.98, 4, 4096
KNOT_COUNT = 2 * EACH_SIDE + 1
# Sums of such whole multiples are exact in any order, so a row's value does not depend on the rows beside it.
WEIGHT_GRID, OPEN_GRID = 2.0**10, 2.0**30


@dataclass(frozen=True)
class Knots:
    """Knots of a number: `middle` ± 0 to EACH_SIDE times `scale` of log(value + shift), or of the value itself."""

    shift: float | None
    middle: float
    scale: float

    @classmethod
    def fit(cls, values: np.ndarray) -> Knots | None:
        """Learn it from values (rows,) with NaN; None for one that never varies."""
        known = values[~np.isnan(values)]
        if len(np.unique(known)) < 2:
            return None
        positive = known[known > 0]
        shift = float(np.quantile(positive, 0.05)) if len(positive) and known.min() >= 0 else None
        transformed = known if shift is None else np.log(known + shift)
        return cls(shift, float(transformed.mean()), float(transformed.std()))


@dataclass(frozen=True)
class Terms:
    """How a deal is described: a block of columns a number, a category, and PAIR, each less what is usual.

    levels: of the categories, as training met them. pairs: those of PAIR that it met, by both places among the levels.
    usual: means of the columns (terms,), in whole multiples of 1 / WEIGHT_GRID.
    """

    knots: Mapping[str, Knots]
    levels: Mapping[str, tuple[str, ...]]
    pairs: tuple[tuple[int, int], ...]
    usual: np.ndarray

    @classmethod
    def fit(cls, matrix: pd.DataFrame) -> Terms:
        """Learn them from a training's matrix."""
        fitted = {name: Knots.fit(_numbers(matrix[name])) for name in NUMBERS if name in matrix}
        levels = {name: tuple(sorted(_texts(matrix[name]).dropna().unique())) for name in CATEGORIES if name in matrix}
        levels = {name: known for name, known in levels.items() if known}
        terms = cls({name: one for name, one in fitted.items() if one is not None}, levels, (), np.empty(0))
        if all(name in levels for name in PAIR):
            codes, names = terms.read(matrix)[1], list(levels)
            first, second = (codes[:, names.index(name)].tolist() for name in PAIR)
            terms = replace(terms, pairs=tuple(sorted({p for p in zip(first, second, strict=True) if min(p) >= 0})))
        terms = replace(terms, usual=np.zeros(sum(terms.sizes)))
        total = np.sum([x.sum(axis=0) for x in terms.parts(*terms.read(matrix))], axis=0)
        known = [np.full(size, part.sum()) for part, size in zip(terms.split(total), terms.sizes, strict=True)]
        return replace(terms, usual=np.round(total / np.concatenate([*known, []]) * WEIGHT_GRID) / WEIGHT_GRID)

    @property
    def sizes(self) -> list[int]:
        """Columns of each block; the last one of a category is of levels that training never met."""
        sizes = [KNOT_COUNT] * len(self.knots) + [len(known) + 1 for known in self.levels.values()]
        return [*sizes, len(self.pairs) + 1] if self.pairs else sizes

    def split(self, row: np.ndarray) -> list[np.ndarray]:
        """A row's blocks."""
        return np.split(row, np.cumsum(self.sizes)[:-1]) if len(row) else []

    @cached_property
    def places(self) -> dict[str, dict[str, int]]:
        """By category, the place of each of its levels."""
        return {name: {level: i for i, level in enumerate(known)} for name, known in self.levels.items()}

    def read(self, matrix: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        """Numbers (rows, knots) and codes of categories (rows, levels) of a matrix, as `describe` takes them.

        A code is the level's place, the number of levels for one that was never met, -1 for a missing one. Raises
        KeyError for a column that the matrix lacks.
        """
        numbers = [_numbers(matrix[name]) for name in self.knots]
        codes = []
        for name, known in self.places.items():
            places, found = pd.factorize(_texts(matrix[name]))  # the place of a missing one is -1, the last
            codes.append(np.array([*(known.get(text, len(known)) for text in found), -1], np.intp)[places])
        rows = len(matrix)
        return (
            np.array(numbers, float).reshape(len(numbers), rows).T,
            np.array(codes, np.intp).reshape(len(codes), rows).T,
        )

    def describe(self, numbers: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """Terms (rows, terms) of rows that are `read`. What is missing counts as usual, which is 0."""
        tables = self._tables
        places = np.empty((len(numbers), len(tables.last)))
        places[:, : len(self.knots)] = self._among_knots(numbers)
        places[:, len(self.knots) : len(self.knots) + len(self.levels)] = codes
        if self.pairs:
            first, second = codes.take(tables.pair, axis=1).T
            places[:, -1] = tables.met[first, second]
        known = places >= 0
        x = known.take(tables.block, axis=1) * -self.usual
        at = np.fmax(places, 0.0)
        lower = np.minimum(at.astype(np.intp), tables.last)
        weight = np.rint((at - lower) * WEIGHT_GRID) / WEIGHT_GRID
        flat = np.arange(len(x))[:, None] * x.shape[1] + tables.starts + lower
        x.reshape(-1)[flat] += (1 - weight) * known
        x.reshape(-1)[flat + 1] += weight * known
        return x

    def parts(self, numbers: np.ndarray, codes: np.ndarray) -> Iterator[np.ndarray]:
        """`describe` of all rows, a block of them at a time."""
        for rows in blocks(len(numbers), sum(self.sizes)):
            yield self.describe(numbers[rows], codes[rows])

    def _among_knots(self, numbers: np.ndarray) -> np.ndarray:
        """Where numbers (rows, knots) lie among the knots, from 0 to 2 EACH_SIDE; beyond the last they stay there."""
        tables = self._tables
        transformed = numbers.copy()
        positive = np.maximum(numbers.take(tables.logged, axis=1), 0.0)
        transformed[:, tables.logged] = np.log(positive + tables.shift)
        return np.minimum(np.maximum((transformed - tables.middle) / tables.scale, -EACH_SIDE), EACH_SIDE) + EACH_SIDE

    @cached_property
    def _tables(self) -> _Tables:
        """What `describe` looks up."""
        knots = list(self.knots.values())
        logged = [i for i, one in enumerate(knots) if one.shift is not None]
        # pairs by both codes; that of a missing one is -1, the last row or column
        met = np.full([len(self.levels.get(name, ())) + 2 for name in PAIR], len(self.pairs))
        met[-1, :] = met[:, -1] = -1
        if self.pairs:
            met[tuple(zip(*self.pairs, strict=True))] = np.arange(len(self.pairs))
        names = list(self.levels)
        return _Tables(
            logged=np.array(logged, np.intp),
            shift=np.array([knots[i].shift for i in logged], float),
            middle=np.array([one.middle for one in knots], float),
            scale=np.array([one.scale for one in knots], float),
            pair=np.array([names.index(name) for name in PAIR] if self.pairs else [], np.intp),
            met=met,
            starts=np.cumsum([0, *self.sizes])[:-1],
            block=np.repeat(np.arange(len(self.sizes)), self.sizes),
            last=np.array(self.sizes, np.intp) - 2,
        )


@dataclass(frozen=True)
class _Tables:
    """Of blocks in order: logged are those of numbers whose logarithm counts, with its `shift`; pair and met those of
    PAIR; starts, block and last place a block's columns among all of them."""

    logged: np.ndarray
    shift: np.ndarray
    middle: np.ndarray
    scale: np.ndarray
    pair: np.ndarray
    met: np.ndarray
    starts: np.ndarray
    block: np.ndarray
    last: np.ndarray


def _numbers(column: pd.Series) -> np.ndarray:
    return column.to_numpy(float, na_value=np.nan)


def _texts(column: pd.Series) -> pd.Series:
    return column.astype(object).where(column.notna(), None)


@dataclass(frozen=True)
class Support:
    """What a training's results support.

    left_open: P (X′X + P I)⁻¹ in whole multiples of 1 / OPEN_GRID, (terms, terms). threshold: of h.
    """

    terms: Terms
    left_open: np.ndarray
    threshold: float

    def excess(self, matrix: pd.DataFrame) -> np.ndarray:
        """h less the threshold, at least 0 (rows,): above 0 a deal is unlike the results.

        matrix: the catalogue's columns. Raises KeyError for a column that training had.
        """
        return self.excess_of(*self.terms.read(matrix))

    def excess_of(self, numbers: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """The same of rows that are `Terms.read`."""
        out = np.empty(len(numbers))
        for at in range(0, len(out), BLOCK):
            x = self.terms.describe(numbers[at : at + BLOCK], codes[at : at + BLOCK])
            out[at : at + BLOCK] = np.vecdot(np.rint(x @ self.left_open), x)
        return np.maximum(out / OPEN_GRID - self.threshold, 0.0)

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values; `from_dict` is its inverse."""
        return {
            "knots": [[name, v.shift, v.middle, v.scale] for name, v in self.terms.knots.items()],
            "levels": [[name, *known] for name, known in self.terms.levels.items()],
            "pairs": [list(pair) for pair in self.terms.pairs],
            "usual": (self.terms.usual * WEIGHT_GRID).astype(int).tolist(),
            "left_open": [" ".join(str(int(v)) for v in row[: i + 1]) for i, row in enumerate(self.left_open)],
            "threshold": self.threshold,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Support:
        """Inverse of `to_dict`."""
        terms = Terms(
            {name: Knots(*saved) for name, *saved in values["knots"]},
            {name: tuple(known) for name, *known in values["levels"]},
            tuple((first, second) for first, second in values["pairs"]),
            np.array(values["usual"], float) / WEIGHT_GRID,
        )
        left_open = np.zeros((len(values["left_open"]),) * 2)
        for i, row in enumerate(values["left_open"]):
            left_open[i, : i + 1] = left_open[: i + 1, i] = np.array(row.split(), float)
        return cls(terms, left_open, values["threshold"])


def fit_support(matrix: pd.DataFrame, creators: np.ndarray) -> Support:
    """Learn it from a training's matrix and the creator_id of its rows (rows,), at least one."""
    terms = Terms.fit(matrix)
    numbers, codes = terms.read(matrix)
    size = sum(terms.sizes)
    products = PRIOR_RESULTS * np.eye(size)
    for x in terms.parts(numbers, codes):
        products += x.T @ x
    inverse = np.linalg.inv(products)
    left_open = np.round((inverse + inverse.T) / 2 * PRIOR_RESULTS * OPEN_GRID)
    found = np.empty(len(matrix))
    for rows in _whole_creators(creators, size):
        found[rows] = _without_own(terms.describe(numbers[rows], codes[rows]), inverse, creators[rows])
    return Support(terms, left_open, float(np.quantile(found, ORDINARY)))


def _whole_creators(creators: np.ndarray, width: int) -> list[np.ndarray]:
    """Positions of rows, a block of about BLOCK_VALUES or more at a time, all rows of a creator in one of them."""
    count = len(creators) * width // BLOCK_VALUES + 1
    if count == 1:
        return [np.arange(len(creators))]
    numbers = pd.factorize(creators)[0]
    order = np.argsort(numbers, kind="stable")
    ends = np.searchsorted(numbers[order], numbers[order][len(order) * np.arange(1, count) // count])
    return np.split(order, np.unique(ends[ends > 0]))


def _without_own(x: np.ndarray, inverse: np.ndarray, creators: np.ndarray) -> np.ndarray:
    """h of every row had its creator no results (rows,).

    Woodbury's formula, with a small block a creator, those of one size together; for a creator with more rows than
    there are terms the inverse is computed again.
    """
    out, spread = np.empty(len(x)), x @ inverse
    numbers = pd.factorize(creators)[0]
    order = np.argsort(numbers, kind="stable")
    sizes = np.bincount(numbers)
    of_row = sizes[numbers[order]]
    for size in np.unique(sizes).tolist():
        rows = order[of_row == size].reshape(-1, size)
        if size > x.shape[1]:
            full = np.linalg.inv(inverse)
            for own in rows:
                out[own] = np.einsum("ij,jk,ik->i", x[own], np.linalg.inv(full - x[own].T @ x[own]), x[own])
        else:
            own = spread[rows] @ x[rows].transpose(0, 2, 1)
            without = own + own @ np.linalg.solve(np.eye(size) - own, own)
            out[rows] = np.diagonal(without, axis1=1, axis2=2)
    return PRIOR_RESULTS * out
