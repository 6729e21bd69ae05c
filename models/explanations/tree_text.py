"""LightGBM's text of a booster as arrays, and the cells into which its splits cut each feature's values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

ZERO = float(np.float32(1e-35))  # LightGBM takes what is no larger for 0
CATEGORICAL, DEFAULT_LEFT, MISSING_ZERO, MISSING_NAN = 1, 2, 1, 2  # in a node's decision type


@dataclass(frozen=True)
class Tree:
    """A tree as its text has it: an entry a split, or a leaf.

    feature, threshold, decision, split_rows: (splits,). children: (splits, 2), left and right; below 0 is leaf ~child.
    value, leaf_rows: (leaves,). rows: of training. left_categories: by split.
    """

    feature: np.ndarray
    threshold: np.ndarray
    decision: np.ndarray
    children: np.ndarray
    split_rows: np.ndarray
    value: np.ndarray
    leaf_rows: np.ndarray
    left_categories: dict[int, np.ndarray]

    def sides(self) -> tuple[list[int], np.ndarray]:
        """The leaves, depth first, and their side of each split (leaves, splits): 1 left, -1 right, 0 neither."""
        children, splits = self.children.tolist(), len(self.feature)
        order: list[int] = []
        sides = np.zeros((len(self.value), splits), np.int8)
        stack = [(0, [0] * splits)]
        while stack:
            node, path = stack.pop()
            if node < 0:
                sides[len(order)] = path
                order.append(~node)
            else:
                for child, side in ((children[node][1], -1), (children[node][0], 1)):
                    stack.append((child, [*path[:node], side, *path[node + 1 :]]))
        return order, sides


@dataclass(frozen=True)
class Cells:
    """What the splits of a booster can tell of one feature: a cell is an interval, a category, or all else.

    cuts: the intervals' upper ends, or None for categories. last: the cell of what is missing or unknown.
    """

    cuts: np.ndarray | None
    last: int

    def of(self, values: np.ndarray) -> np.ndarray:
        """The cell of each value."""
        if self.cuts is not None:
            return np.where(np.isnan(values), self.last, np.searchsorted(self.cuts, values))
        known = (values > -1) & (values < self.last)  # LightGBM cuts a fraction off
        return np.where(known, values, self.last).astype(np.intp)


def read_trees(text: str) -> tuple[int, list[Tree]]:
    """The number of columns that the booster was fitted to, and its trees.

    Raises ValueError for a booster whose raw score is not a plain sum of constant leaves: linear trees, a random
    forest, several classes.
    """
    header, *blocks = text.split("\nend of trees")[0].split("\nTree=")
    fields = _fields(header)
    if "\naverage_output" in header or fields["num_tree_per_iteration"] != "1":
        raise ValueError("reasons exist for boosted trees with one output, not for a random forest or several classes")
    return int(fields["max_feature_idx"]) + 1, [_read_tree(_fields(block)) for block in blocks]


def cut_cells(trees: list[Tree]) -> tuple[dict[int, Cells], list[list[np.ndarray]]]:
    """The cells of every feature that a split uses, by column, and for each tree and split which of them go left."""
    splits: dict[int, list[tuple[int, int]]] = {}
    for i, tree in enumerate(trees):
        for split, column in enumerate(tree.feature.tolist()):
            splits.setdefault(column, []).append((i, split))
    cells = {}
    left: list[list[np.ndarray]] = [[np.empty(0)] * len(tree.feature) for tree in trees]
    for column, places in splits.items():
        i, split = places[0]
        if split in trees[i].left_categories:
            cells[column], goes_left = _cut_categories([trees[i].left_categories[split] for i, split in places])
        else:
            threshold = np.array([trees[i].threshold[split] for i, split in places])
            decision = np.array([trees[i].decision[split] for i, split in places])
            cells[column], goes_left = _cut_numbers(threshold, decision)
        for (i, split), went_left in zip(places, goes_left, strict=True):
            left[i][split] = went_left
    return cells, left


def _cut_categories(named: list[np.ndarray]) -> tuple[Cells, np.ndarray]:
    """A cell for each category up to the highest that a split names, then one for the unknown and the missing."""
    last = int(max(categories.max(initial=-1) for categories in named)) + 1
    goes_left = np.zeros((len(named), last + 1), bool)
    for i, categories in enumerate(named):
        goes_left[i, categories] = True
    return Cells(None, last), goes_left


def _cut_numbers(threshold: np.ndarray, decision: np.ndarray) -> tuple[Cells, np.ndarray]:
    """Intervals, then missing; as NumericalDecision of LightGBM's include/LightGBM/tree.h."""
    # What counts as 0 gets an interval of its own.
    cuts = np.unique([*threshold, np.nextafter(-ZERO, -np.inf), ZERO])
    values = np.concatenate([cuts, [np.inf, np.nan]])
    zero = np.abs(values) <= ZERO
    absent = np.isnan(values)
    left = np.where(zero | absent, 0.0, values) <= threshold[:, None]
    missing, default_left = decision[:, None] >> 2 & 3, decision[:, None] & DEFAULT_LEFT > 0
    default = np.where(missing == MISSING_NAN, absent, (missing == MISSING_ZERO) & (absent | zero))
    return Cells(cuts, len(cuts) + 1), np.where(default, default_left, left)


def _fields(lines: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in lines.splitlines() if "=" in line)


def _read_tree(fields: dict[str, str]) -> Tree:
    def numbers(name: str, kind: type = int) -> np.ndarray:
        return np.array(fields.get(name, "").split(), dtype=kind)

    if fields.get("is_linear", "0") != "0":
        raise ValueError("reasons exist for trees with constant leaves, not for linear trees")
    threshold, decision = numbers("threshold", float), numbers("decision_type")
    bounds, words = numbers("cat_boundaries"), numbers("cat_threshold", np.uint32)
    left_categories = {}
    for split in np.flatnonzero(decision & CATEGORICAL).tolist():
        first, end = bounds[int(threshold[split]) :][:2]
        bits = np.unpackbits(words[first:end].astype("<u4").view(np.uint8), bitorder="little")
        left_categories[split] = np.flatnonzero(bits)
    return Tree(
        numbers("split_feature"),
        threshold,
        decision,
        np.column_stack([numbers("left_child"), numbers("right_child")]),
        numbers("internal_count", float),
        numbers("leaf_value", float),
        numbers("leaf_count", float),
        left_categories,
    )
