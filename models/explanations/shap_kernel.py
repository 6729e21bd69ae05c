"""The SHAP values of a booster's tables, in code that numba compiles: `models.explanations.tree_shap` makes the arrays.

Every value is added in the order of tables, as NumPy adds them there, so the sums have the same bits: nothing here may
let the compiler reorder them (`fastmath`). Everything compiled is in this file, for numba's cache on disk is renewed
when this file changes, not another one. Importing it takes a second, and the first time on a machine compiles.
"""

from __future__ import annotations

from collections.abc import Callable

import numba
import numpy as np

BLOCK_ROWS = 128  # of cells and sums at a time: they stay in the processor's first caches
# features; used to cuts; first_feature to values; out
SIGNATURE = (
    "void(f8[:,::1], i8[::1], b1[::1], i8[::1], u8[::1], f8[::1], "
    "u8[::1], u8[::1], u8[::1], u8[::1], u8[::1], f8[::1], f8[:,::1])"
)


@numba.njit
def _cells(
    features: np.ndarray,
    first: int,
    rows: int,
    used: np.ndarray,
    is_category: np.ndarray,
    last: np.ndarray,
    first_cut: np.ndarray,
    cuts: np.ndarray,
    cells: np.ndarray,
) -> None:
    """The cells of a block of rows (columns, BLOCK_ROWS), as `tree_text.Cells.of` has them."""
    for place in range(len(used)):
        column, beyond = used[place], last[place]
        begin, end = first_cut[place], first_cut[place + 1]
        for i in range(rows):
            value = features[first + i, column]
            if is_category[place]:
                cells[column, i] = np.int64(value) if value > -1 and value < beyond else beyond
            elif np.isnan(value):
                cells[column, i] = beyond
            else:
                at, left = begin, end - begin  # halved without a branch, which no processor could foresee
                while left > 1:
                    half = left >> np.uint64(1)
                    at += half if cuts[at + half - np.uint64(1)] < value else np.uint64(0)
                    left -= half
                cells[column, i] = at - begin + np.uint64(cuts[at] < value)


def _add_tables(
    features: np.ndarray,
    used: np.ndarray,
    is_category: np.ndarray,
    last: np.ndarray,
    first_cut: np.ndarray,
    cuts: np.ndarray,
    first_feature: np.ndarray,
    columns: np.ndarray,
    first_class: np.ndarray,
    classes: np.ndarray,
    first_value: np.ndarray,
    values: np.ndarray,
    out: np.ndarray,
) -> None:
    block = min(len(features), BLOCK_ROWS)
    cells = np.zeros((features.shape[1], block), np.uint64)
    sums = np.empty((features.shape[1], block))
    entry = np.empty(block, np.uint64)
    for first in range(0, len(features), BLOCK_ROWS):
        rows = min(BLOCK_ROWS, len(features) - first)
        _cells(features, first, rows, used, is_category, last, first_cut, cuts, cells)
        sums[:] = 0.0
        for table in range(len(first_feature) - 1):
            entry[:rows] = 0
            for j in range(first_feature[table], first_feature[table + 1]):
                column, start = columns[j], first_class[j]
                for i in range(rows):
                    entry[i] += classes[start + cells[column, i]]
            for j in range(first_feature[table], first_feature[table + 1]):
                column, start = columns[j], first_value[j]
                for i in range(rows):
                    sums[column, i] += values[start + entry[i]]
        for i in range(rows):
            for column in range(features.shape[1]):
                out[first + i, column] = sums[column, i]


def _compiled() -> Callable[..., None]:
    try:
        return numba.njit(SIGNATURE, cache=True, nogil=True)(_add_tables)
    except (RuntimeError, OSError):  # no folder for it, or none that takes it
        return numba.njit(SIGNATURE, nogil=True)(_add_tables)


add_tables = _compiled()
