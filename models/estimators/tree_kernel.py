"""The raw scores of boosters, in code that numba compiles; `models.estimators.tree_tables` makes the arrays.

As QuickScorer (Lucchese et al. 2015, SIGIR, 73–82): a tree's leaves are the bits of a word, from left to right. Every
split at which a row goes right clears the leaves to the left of it, in any order; the lowest bit that is left is the
row's leaf. A value is first replaced by a code, its place among the thresholds, so that the test of a split is one
comparison of small integers, which the compiler does for many rows at a time. Leaves are added in the order of trees,
as LightGBM does, so the sums have its bits: nothing here may let the compiler reorder them (`fastmath`).

Everything compiled is in this file, for numba's cache on disk is renewed when this file changes, not another one.
Importing it takes a second, and the first time on a machine compiles.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numba.core import types
from numba.extending import intrinsic

BLOCK_ROWS = 2048  # of codes and words at a time: more leave the processor's second cache
FEW_ROWS = 4  # in a block up to which a loop over the rows of each split costs more than the comparisons
TILE_ROWS = 64  # coded at a time: as many rows of features stay in it while column after column is read
# by types of codes and of words; `tree_tables.SIZES` has the same
SIZES = (("u1", "u1"), ("u1", "u4"), ("u2", "u8"))
SIGNATURES = [
    f"void(f8[:,::1], i8[::1], i8[::1], f8[::1], f8[:,::1], {code}[:,::1], "
    f"i8[::1], i8[::1], i8[::1], f8[::1], i8[::1], {code}[::1], {code}[::1], {word}[::1], i8[::1], {word}[::1], "
    f"f8[:,::1])"
    for code, word in SIZES
]


@intrinsic
def _lowest_bit(typing_context: Any, word: Any) -> Any:
    """The place of the lowest bit that is set, of a word that is not 0."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = builder.cttz(arguments[0], context.get_constant(types.boolean, True))
        return place if word.bitwidth == 64 else builder.zext(place, context.get_value_type(types.uint64))

    return types.uint64(word), generate


@numba.njit
def _encode(
    features: np.ndarray,
    first: int,
    rows: int,
    column: np.ndarray,
    steps: np.ndarray,
    last: np.ndarray,
    cuts: np.ndarray,
    code: np.ndarray,
    codes: np.ndarray,
) -> None:
    """The codes of a block of rows, (columns that splits use, BLOCK_ROWS)."""
    for start in range(0, rows, TILE_ROWS):
        end = min(start + TILE_ROWS, rows)
        for i in range(len(column)):
            of_column, of_place, feature = codes[i], code[i], column[i]
            if steps[i] == 0:
                unknown = last[i]
                for row in range(start, end):
                    value = features[first + row, feature]
                    known = value if value > -1.0 and value < unknown else unknown
                    of_column[row] = of_place[np.uint64(np.int64(known))]
            else:
                own, depth = cuts[i], steps[i]
                for row in range(start, end):
                    value = features[first + row, feature]
                    place = np.uint64(0)
                    for step in range(depth):
                        half = np.uint64(1) << np.uint64(depth - 1 - step)
                        # true for NaN, too, which thus comes to the last place
                        beyond = not (value <= own[place + half - np.uint64(1)])
                        place += np.uint64(beyond) << np.uint64(depth - 1 - step)
                    of_column[row] = of_place[place]


@numba.njit
def _add_tree(
    codes: np.ndarray,
    rows: int,
    split: int,
    end: int,
    split_column: np.ndarray,
    shift: np.ndarray,
    width: np.ndarray,
    word: np.ndarray,
    table: np.ndarray,
    tables: np.ndarray,
    value: np.ndarray,
    words: np.ndarray,
    out: np.ndarray,
) -> None:
    """Add the leaf of each row of a block to `out`."""
    kind, small = words.dtype.type, codes.dtype.type
    whole = kind(~kind(0))
    for row in range(rows):
        words[row] = whole
    for i in range(split, end):
        of_column = codes[split_column[i]]
        if table[i] < 0:
            left, by, at_most = word[i], shift[i], width[i]
            for row in range(rows):
                words[row] &= left if small(of_column[row] + by) > at_most else whole
        else:
            by_code = tables[table[i] :]
            for row in range(rows):
                words[row] &= by_code[of_column[row]]
    for row in range(rows):
        out[row] += value[_lowest_bit(words[row])]


@numba.njit
def _add_leaves(
    codes: np.ndarray,
    rows: int,
    split: int,
    end: int,
    split_column: np.ndarray,
    shift: np.ndarray,
    width: np.ndarray,
    word: np.ndarray,
    table: np.ndarray,
    tables: np.ndarray,
    first_leaf: int,
    value: np.ndarray,
    out: np.ndarray,
) -> None:
    """As `_add_tree`, row by row."""
    kind, small = word.dtype.type, codes.dtype.type
    for row in range(rows):
        left = kind(~kind(0))
        for i in range(split, end):
            code = codes[split_column[i], row]
            if table[i] >= 0:
                left &= tables[table[i] + code]
            elif small(code + shift[i]) > width[i]:
                left &= word[i]
        out[row] += value[first_leaf + np.int64(_lowest_bit(left))]


def _add_up(
    features: np.ndarray,
    column: np.ndarray,
    steps: np.ndarray,
    last: np.ndarray,
    cuts: np.ndarray,
    code: np.ndarray,
    first_tree: np.ndarray,
    first_split: np.ndarray,
    first_leaf: np.ndarray,
    value: np.ndarray,
    split_column: np.ndarray,
    shift: np.ndarray,
    width: np.ndarray,
    word: np.ndarray,
    table: np.ndarray,
    tables: np.ndarray,
    out: np.ndarray,
) -> None:
    block = min(len(features), BLOCK_ROWS)
    codes = np.empty((len(column), block), code.dtype)
    words = np.empty(block, word.dtype)
    for first in range(0, len(features), BLOCK_ROWS):
        rows = min(BLOCK_ROWS, len(features) - first)
        _encode(features, first, rows, column, steps, last, cuts, code, codes)
        for booster in range(len(out)):
            sums = out[booster, first : first + rows]
            for tree in range(first_tree[booster], first_tree[booster + 1]):
                if rows <= FEW_ROWS:
                    _add_leaves(
                        codes, rows, first_split[tree], first_split[tree + 1], split_column, shift, width, word, table,
                        tables, first_leaf[tree], value, sums,
                    )  # fmt: skip
                    continue
                _add_tree(
                    codes, rows, first_split[tree], first_split[tree + 1], split_column, shift, width, word, table,
                    tables, value[first_leaf[tree] :], words, sums,
                )  # fmt: skip


def _compiled() -> Callable[..., None]:
    """`_add_up` for all SIZES, from numba's cache on disk where it can be written."""
    try:
        return numba.njit(SIGNATURES, cache=True, nogil=True)(_add_up)
    except (RuntimeError, OSError):  # no folder for it, or none that takes it
        return numba.njit(SIGNATURES, nogil=True)(_add_up)


add_up = _compiled()
