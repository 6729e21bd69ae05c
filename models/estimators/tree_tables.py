"""Boosters as the arrays that `models.estimators.tree_kernel` adds them up from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.explanations.tree_text import CATEGORICAL, Cells, Tree, cut_cells, read_trees

MOST_LEAVES = 64
# Types of codes and of words, with the most leaves that a word holds: each pair is compiled.
SIZES: tuple[tuple[Any, Any, int], ...] = (
    (np.uint8, np.uint8, 8),
    (np.uint8, np.uint32, 32),
    (np.uint16, np.uint64, MOST_LEAVES),
)


@dataclass(frozen=True)
class TreeTables:
    """The columns that splits use, and the trees of all boosters, one after the other.

    Columns: column, its place among the features. steps: of the search among its cuts, 0 for categories. last:
    categories from here on are unknown. cuts: (columns, 2 ** most steps − 1), padded with infinity. code: (columns,
    places), by place among the cuts, or by category; the last place is that of what is missing or unknown.

    Trees: first_tree of each booster, first_split of each tree, with an end; first_leaf; value of each leaf. Splits:
    split_column among the columns here; a row goes left where code + shift, which overflows to 0, is at most `width`;
    word: all leaves but those to the left. table: where a split of categories has its words by code in `tables`; -1
    for a number. All splits of a tree on one column of categories are one.
    """

    column: np.ndarray
    steps: np.ndarray
    last: np.ndarray
    cuts: np.ndarray
    code: np.ndarray
    first_tree: np.ndarray
    first_split: np.ndarray
    first_leaf: np.ndarray
    value: np.ndarray
    split_column: np.ndarray
    shift: np.ndarray
    width: np.ndarray
    word: np.ndarray
    table: np.ndarray
    tables: np.ndarray


@dataclass(frozen=True)
class _Column:
    """A column's code by cell, (cells,), and what its splits compare it with, (splits,).

    by_code: (splits, codes), whether a category's code goes left; None for numbers.
    """

    cells: Cells
    code: np.ndarray
    special: np.ndarray
    shift: np.ndarray
    width: np.ndarray
    by_code: np.ndarray | None


def tabulate(texts: Sequence[str]) -> TreeTables:
    """Tables of boosters whose features are the same, from LightGBM's texts of them.

    Raises ValueError for a booster that they cannot hold: raw scores that are no plain sum of constant leaves, trees
    of more than 64 leaves, a column whose splits disagree on what a missing value or a category is.
    """
    boosters = [read_trees(text)[1] for text in texts]
    trees = [tree for booster in boosters for tree in booster]
    leaves = max((len(tree.value) for tree in trees), default=1)
    if leaves > MOST_LEAVES:
        raise ValueError(f"a tree has {leaves} leaves, more than {MOST_LEAVES}")
    places = _places(trees)
    cells, left = cut_cells(trees)
    columns = {}
    for column, splits in places.items():
        goes_left = np.array([left[tree][split] for tree, split in splits])
        columns[column] = (_categories if cells[column].cuts is None else _numbers)(cells[column], goes_left)
    most = max((int(column.code.max()) for column in columns.values()), default=0)
    size = next((s for s in SIZES if leaves <= s[2] and most < np.iinfo(s[0]).max), None)
    if size is None:
        raise ValueError(f"a column has {most} thresholds that differ, more than {np.iinfo(np.uint16).max}")
    return _Writer(size[0], size[1], columns, places).tables(boosters)


def _places(trees: list[Tree]) -> dict[int, list[tuple[int, int]]]:
    """By column that a split uses, in order: the tree and the split of each."""
    places: dict[int, list[tuple[int, int]]] = {}
    for i, tree in enumerate(trees):
        for split, column in enumerate(tree.feature.tolist()):
            places.setdefault(column, []).append((i, split))
    for column, splits in places.items():
        if len({bool(trees[i].decision[split] & CATEGORICAL) for i, split in splits}) > 1:
            raise ValueError(f"column {column} has categories in some splits and numbers in others")
    return dict(sorted(places.items()))


def _categories(cells: Cells, goes_left: np.ndarray) -> _Column:
    """Categories that no split tells apart share a code."""
    by_code, code = np.unique(goes_left, axis=1, return_inverse=True)
    none = np.zeros(len(goes_left), int)
    return _Column(cells, code.ravel(), np.zeros(len(code.ravel()), bool), none, none, by_code)


def _numbers(cells: Cells, goes_left: np.ndarray) -> _Column:
    """Codes rise with the value, but for what is special: missing values, and zeros that count as missing.

    A special cell has the highest code, which is made the lowest by adding 1 where a split sends it left.
    """
    assert cells.cuts is not None
    zero = int(np.searchsorted(cells.cuts, 0.0))
    like_zero = bool((goes_left[:, zero] == goes_left[:, cells.last]).all())
    special = np.zeros(cells.last + 1, bool)
    if not (like_zero and _falls(goes_left[:, :-1])):
        special[cells.last] = True
        special[zero] = like_zero
    ordinary = np.flatnonzero(~special[:-1])
    ordered = goes_left[:, ordinary]
    if not _falls(ordered) or not ordered[:, 0].all():
        raise ValueError("splits of a column disagree on what a missing value is")
    changes = (ordered[:, 1:] != ordered[:, :-1]).any(axis=0)
    rising = np.concatenate([[0], np.cumsum(changes)])
    code = np.zeros(cells.last + 1, int)
    code[ordinary] = rising
    if not special[-1]:
        code[-1] = code[zero]
    starts = np.concatenate([[0], np.flatnonzero(changes) + 1])
    shift = goes_left[:, -1] & special[-1]
    width = ordered[:, starts].sum(axis=1) - 1 + shift
    return _Column(cells, code, special, shift, width, None)


def _falls(goes_left: np.ndarray) -> bool:
    """Whether every split sends a first part of the cells left, and the rest right."""
    return bool((goes_left[:, :-1] >= goes_left[:, 1:]).all())


class _Writer:
    """Writes columns and trees into arrays of their types."""

    def __init__(
        self, code: Any, word: Any, columns: dict[int, _Column], places: dict[int, list[tuple[int, int]]]
    ) -> None:
        self.code, self.word, self.columns = code, word, columns
        self.split = {
            place: (number, column, i)
            for number, (column, splits) in enumerate(places.items())
            for i, place in enumerate(splits)
        }

    def tables(self, boosters: list[list[Tree]]) -> TreeTables:
        """All of it."""
        trees = [tree for booster in boosters for tree in booster]
        values, ends, splits, by_code, size = [], [], [], [], 0
        for i, tree in enumerate(trees):
            order, sides = tree.sides() if len(tree.feature) else ([0], np.zeros((1, 0)))
            values.append(tree.value[order])
            words = ~((sides == 1).T @ (np.uint64(1) << np.arange(len(order), dtype=np.uint64)))
            shared: dict[int, np.ndarray] = {}  # a column's splits of categories in this tree are one
            for j, word in enumerate(words.astype(self.word)):
                number, column, k = self.split[i, j]
                found, table = self.columns[column], -1
                if found.by_code is not None:
                    own = np.where(found.by_code[k], ~self.word(0), word)
                    if number in shared:
                        shared[number] &= own
                        continue
                    shared[number] = own
                    by_code.append(own)
                    table, size = size, size + len(own)
                splits.append((number, found.shift[k], found.width[k], word, table))
            ends.append(len(splits))
        fields: list[tuple[Any, ...]] = list(zip(*splits, strict=True)) or [()] * 5
        return TreeTables(
            *self._columns(),
            _starts([len(booster) for booster in boosters]),
            np.array([0, *ends], np.int64),
            _starts([len(tree.value) for tree in trees]),
            np.concatenate([*values, np.empty(0)]),
            np.array(fields[0], np.int64),
            np.array(fields[1], self.code),
            np.array(fields[2], self.code),
            np.array(fields[3], self.word),
            np.array(fields[4], np.int64),
            np.concatenate([*by_code, np.empty(0, self.word)]),
        )

    def _columns(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """The first five fields of the tables."""
        columns = list(self.columns.values())
        # one more than the cuts, so that no number comes to the last place
        steps = [0 if c.cells.cuts is None else (len(c.cells.cuts) + 1).bit_length() for c in columns]
        ends = [c.cells.last if c.cells.cuts is None else 2**k - 1 for c, k in zip(columns, steps, strict=True)]
        cuts = np.full((len(columns), 2 ** max(steps, default=0) - 1), np.inf)
        code = np.zeros((len(columns), max(ends, default=0) + 1), self.code)
        for i, (column, end) in enumerate(zip(columns, ends, strict=True)):
            of_cell = np.where(column.special, np.iinfo(self.code).max, column.code)
            code[i, : len(of_cell) - 1], code[i, end] = of_cell[:-1], of_cell[-1]
            if column.cells.cuts is not None:
                cuts[i, : len(column.cells.cuts)] = column.cells.cuts
        last = [float(column.cells.last) for column in columns]
        return np.array(list(self.columns), np.int64), np.array(steps, np.int64), np.array(last), cuts, code


def _starts(lengths: list[int]) -> np.ndarray:
    return np.cumsum([0, *lengths], dtype=np.int64)
