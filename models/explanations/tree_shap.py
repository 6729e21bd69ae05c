"""Exact, path-dependent SHAP values of a LightGBM booster by table look-up: those of `pred_contrib`, in less time.

A leaf of value v is a game v × Π_j (o_j if feature j is known else r_j) over the distinct features j of its path: o_j
is 1 where the row meets all the path's conditions on j, r_j the share of training rows that did, split by split
(Lundberg et al. 2020, Nature Machine Intelligence 2, 56–67). Its Shapley value is the integral of the multilinear
extension's slope, v (o_j − r_j) ∫₀¹ Π_{k≠j} (o_k t + r_k (1 − t)) dt (Owen 1972, Management Science 18, P64–P79), for
d features a polynomial of degree d − 1, which ⌈d/2⌉ Gauss–Legendre points integrate exactly.

A row has a say only through the o's, so the values are worked out once for each pattern of them, not for each row
(Yang 2021, arXiv:2109.09847). The splits of all trees cut a feature's values into cells. A table covers some leaves of
a tree; cells that those leaves do not tell apart are one class, and the table has each feature's SHAP value for every
combination of classes. A row then costs two look-ups for each feature of each table: its class, and its value.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial

import lightgbm as lgb
import numpy as np

from models.explanations.tree_text import Cells, Tree, cut_cells, read_trees

BLOCK_ROWS = 4096
FEW_ROWS = 64  # from here down, calls to NumPy cost more than look-ups
TABLE_SIZE = 256  # combinations of classes; leaves share a table up to here
MOST_FEATURES, MOST_LEAVES = 12, 62  # on a path, in a tree; a larger tree is left to LightGBM


@dataclass(frozen=True)
class _Table:
    """columns: (features,). classes: for each of them, cell → class × stride. values: (features, sums of those)."""

    columns: list[int]
    classes: list[np.ndarray]
    values: np.ndarray


class TreeShap:
    """A booster's tables, made once; several threads may use them at a time."""

    def __init__(self, text: str) -> None:
        """text: LightGBM's own, of all trees (`model_to_string(num_iteration=-1)`).

        Raises ValueError for a booster whose raw score is not a plain sum of constant leaves.
        """
        self.columns, trees = read_trees(text)
        self.cells, left = cut_cells(trees)
        self.tables: list[_Table] = []
        self.left_to_lightgbm: list[int] = []
        for i, tree in enumerate(trees):
            if len(tree.value) < 2:
                continue
            paths = _Paths(tree, left[i]) if len(tree.value) <= MOST_LEAVES else None
            if paths is None or paths.on_path.sum(axis=1).max() > MOST_FEATURES:
                self.left_to_lightgbm.append(i)
            else:
                self.tables.extend(_tables(paths))
        self.flat = _Flat(self.tables) if self.tables else None
        self.booster = lgb.Booster(model_str=text) if self.left_to_lightgbm else None
        self._add_tables: Callable[[np.ndarray, np.ndarray], None] | None = None

    def use(self, add_tables: Callable[..., None]) -> None:
        """Look values up in compiled code from here on, to the same bits. add_tables: the kernel's."""
        if self.flat:
            arrays = (*_flat_cells(self.cells), *self.flat.arrays())
            self._add_tables = lambda features, out: add_tables(features, *arrays, out)

    def contributions(self, features: np.ndarray, threads: int = 1) -> np.ndarray:
        """SHAP values of the raw score, (rows, columns), for features (rows, columns) of float64; NaN is missing.

        They add up to the raw score less its average over the training rows. A row's values are the same to the bit
        whatever the other rows are. Raises ValueError for another number of columns.
        """
        if features.ndim != 2 or features.shape[1] != self.columns:
            raise ValueError(
                f"features of shape {features.shape}, but the booster was fitted to {self.columns} columns"
            )
        out = np.zeros(features.shape)
        if self._add_tables:
            self._add_tables(np.require(features, np.float64, ("C", "A", "W")), out)
            for i in self.left_to_lightgbm:
                out += self._by_lightgbm(i, features)
            return out
        fill = partial(self._fill, features, out)
        starts = range(0, len(features), BLOCK_ROWS)
        if min(threads, len(starts)) < 2:
            list(map(fill, starts))
        else:
            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(fill, starts))
        return out

    def _fill(self, features: np.ndarray, out: np.ndarray, start: int) -> None:
        rows = slice(start, start + BLOCK_ROWS)
        values = np.ascontiguousarray(features[rows], dtype=float)
        cells = np.zeros(values.shape[::-1], np.intp)
        for column, of_column in self.cells.items():
            cells[column] = of_column.of(values[:, column])
        if self.flat:
            out[rows] = (self.flat.sums(cells) if len(values) <= FEW_ROWS else self._sums(cells)).T
        for i in self.left_to_lightgbm:
            out[rows] += self._by_lightgbm(i, values)

    def _by_lightgbm(self, tree: int, values: np.ndarray) -> np.ndarray:
        assert self.booster
        with_base = self.booster.predict(
            values, start_iteration=tree, num_iteration=1, pred_contrib=True, num_threads=1
        )
        return np.asarray(with_base)[:, :-1]

    def _sums(self, cells: np.ndarray) -> np.ndarray:
        sums = np.zeros(cells.shape)
        for table in self.tables:
            entry = table.classes[0].take(cells[table.columns[0]])
            for column, classes in zip(table.columns[1:], table.classes[1:], strict=True):
                entry += classes.take(cells[column])
            for column, values in zip(table.columns, table.values, strict=True):
                sums[column] += values.take(entry)
        return sums


class _Flat:
    """All tables end to end, for few rows: the same additions in the same order, in a handful of calls."""

    def __init__(self, tables: list[_Table]) -> None:
        classes = [classes for table in tables for classes in table.classes]
        values = [values for table in tables for values in table.values]
        self.columns = np.concatenate([table.columns for table in tables])
        self.features = np.array([len(table.columns) for table in tables])
        self.classes, self.first_class = np.concatenate(classes), _starts(classes)
        self.values, self.first_value = np.concatenate(values), _starts(values)

    def arrays(self) -> tuple[np.ndarray, ...]:
        """What `shap_kernel` looks up: first place of each table, columns, and classes and values with their starts."""
        ends = np.cumsum([0, *self.features])
        parts = (ends, self.columns, self.first_class.ravel(), self.classes, self.first_value.ravel())
        return (*(np.array(part, np.uint64) for part in parts), self.values)

    def sums(self, cells: np.ndarray) -> np.ndarray:
        """Cells (columns, rows) to SHAP values (columns, rows)."""
        columns, rows = cells.shape
        classes = self.classes.take(cells[self.columns] + self.first_class)
        entries = np.add.reduceat(classes, np.cumsum(self.features) - self.features)
        values = self.values.take(np.repeat(entries, self.features, axis=0) + self.first_value)
        places = self.columns[:, None] * rows + np.arange(rows)
        return np.bincount(places.ravel(), values.ravel(), columns * rows).reshape(columns, rows)


def _flat_cells(cells: dict[int, Cells]) -> tuple[np.ndarray, ...]:
    """What `shap_kernel` finds cells by: columns, which are categories, last cells, cuts with their starts."""
    cuts = [np.empty(0) if one.cuts is None else np.asarray(one.cuts, float) for one in cells.values()]
    return (
        np.array(list(cells), np.int64),
        np.array([one.cuts is None for one in cells.values()]),
        np.array([one.last for one in cells.values()], np.int64),
        np.cumsum([0, *map(len, cuts)]).astype(np.uint64),
        np.concatenate([*cuts, np.empty(0)]),
    )


def _starts(parts: list[np.ndarray]) -> np.ndarray:
    return np.cumsum([0, *map(len, parts[:-1])])[:, None]


class _Paths:
    """A tree seen from its leaves, depth first, and from the distinct features of its splits.

    columns: (features,). value: (leaves,). on_path: (leaves, features). share: of training rows that meet a leaf's
    conditions on a feature, 1 where it has none. classes: for each feature, cell → class, as far as the tree
    distinguishes them. meets: (leaves, classes of the first feature, then of the next …). bounds: where each feature's
    begin and end.
    """

    def __init__(self, tree: Tree, goes_left: list[np.ndarray]) -> None:
        by_feature = np.argsort(tree.feature, kind="stable")
        columns, starts = np.unique(tree.feature[by_feature], return_index=True)
        self.columns = columns.tolist()
        self.classes = []
        self.bounds = [0]
        left = []
        for splits in np.split(by_feature, starts[1:]):
            by_cell = np.array([goes_left[split] for split in splits.tolist()])
            first, classes = _distinct(_key(by_cell).tolist())
            self.classes.append(np.array(classes))
            self.bounds.append(self.bounds[-1] + len(first))
            left.append(by_cell[:, first])
        leaves, sides = tree.sides()
        sides = sides[:, by_feature]
        self.value = tree.value[leaves, None]
        self.on_path = np.logical_or.reduceat(sides, starts, axis=1)
        rows = np.concatenate([tree.split_rows, tree.leaf_rows[::-1]])  # a leaf ~i is at [-1 - i]
        share = (rows[tree.children] / tree.split_rows[:, None])[by_feature].T
        shares = np.where(sides == 0, 1.0, np.where(sides > 0, share[0], share[1]))
        self.share = np.multiply.reduceat(shares, starts, axis=1)
        meets = []
        for went_left, condition in zip(left, np.split(sides[:, :, None], starts[1:], axis=1), strict=True):
            meets.append(((condition == 0) | (went_left == (condition > 0))).all(axis=1))
        self.meets = np.concatenate(meets, axis=1)


def _key(facts: np.ndarray) -> np.ndarray:
    """The columns of (at most 62, n) truth values as one integer each."""
    return (1 << np.arange(len(facts))) @ facts


def _distinct(keys: list[int]) -> tuple[list[int], list[int]]:
    """Where each distinct key comes first, and for each key which of those it is."""
    number = {key: i for i, key in enumerate(dict.fromkeys(keys))}
    return [keys.index(key) for key in number], [number[key] for key in keys]


def _tables(paths: _Paths) -> list[_Table]:
    """Neighbouring leaves share a table; where it would grow too large each half of them gets its own."""
    pending, tables = [np.arange(len(paths.value))], []
    while pending:
        leaves = pending.pop()
        table = _table(paths, leaves)
        if table is None:
            half = len(leaves) // 2
            pending += [leaves[half:], leaves[:half]]
        else:
            tables.append(table)
    return tables


def _table(paths: _Paths, leaves: np.ndarray) -> _Table | None:
    """The table of some leaves, None if it is too large; that of one leaf never is."""
    on_path, meets = paths.on_path[leaves], paths.meets[leaves]
    used = np.flatnonzero(on_path.any(axis=0)).tolist()
    keys = _key(meets).tolist()
    merged = []
    size = 1
    for i in used:
        first, classes = _distinct(keys[paths.bounds[i] : paths.bounds[i + 1]])
        merged.append(([paths.bounds[i] + place for place in first], classes))
        size *= len(first)
        if size > TABLE_SIZE and len(leaves) > 1:
            return None
    met = np.empty((len(used), len(leaves), size))
    by_cell, stride = [], 1
    for row, (i, (first, classes)) in enumerate(zip(used, merged, strict=True)):
        by_cell.append(np.array(classes)[paths.classes[i]] * stride)
        met[row].reshape(len(leaves), -1, len(first), stride)[:] = meets[:, None, first, None]
        stride *= len(first)
    share = paths.share[leaves][:, used].T[:, :, None]
    values = _shapley(met, share, paths.value[leaves], int(on_path.sum(axis=1).max()))
    return _Table([paths.columns[i] for i in used], by_cell, values)


def _shapley(met: np.ndarray, share: np.ndarray, value: np.ndarray, longest: int) -> np.ndarray:
    """Sums over leaves of the integral at the top, (features, entries).

    met: o, (features, leaves, entries). share: r, (features, leaves, 1). value: (leaves, 1). longest: most features on
    the path of a leaf; its other features have o = r = 1.
    """
    slope = value * (met - share)
    total = np.zeros(met.shape[::2])
    for point, weight in _gauss((longest + 1) // 2):
        # No row of training may have come to a leaf: a factor of next to 0 instead of 0 can be divided out.
        factors = np.maximum(met * point + share * (1 - point), 1e-150)
        total += weight * (slope * (factors.prod(axis=0) / factors)).sum(axis=1)
    return total


@cache
def _gauss(points: int) -> list[tuple[float, float]]:
    """Points and weights of Gauss–Legendre quadrature on [0, 1]."""
    places, weights = np.polynomial.legendre.leggauss(points)
    return list(zip(((1 + places) / 2).tolist(), (weights / 2).tolist(), strict=True))
