"""Long arrays a block of rows at a time, so that what is made of them takes no more memory than a block.

Data of some ten thousand rows are one block: whatever is multiplied by blocks is to the bit what the whole gives.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

BLOCK_VALUES = 1 << 23  # float64 of a table that is one block: 64 MiB
CACHE_VALUES = 1 << 19  # float64 of a block that a processor's cache holds: 4 MiB


def blocks(rows: int, width: int) -> Iterator[slice]:
    """Slices of rows in order, for sums that depend on where a block ends in their last bits.

    Rows with `width` values each are one block up to BLOCK_VALUES in all, blocks as `small_blocks` makes them beyond.
    """
    if rows * width > BLOCK_VALUES:
        yield from small_blocks(rows, width)
    elif rows:
        yield slice(0, rows)


def small_blocks(rows: int, width: int) -> Iterator[slice]:
    """Slices of rows in order, of about CACHE_VALUES, for what does not depend on where a block ends."""
    step = max(min(CACHE_VALUES, BLOCK_VALUES) // max(width, 1), 1)
    for start in range(0, rows, step):
        yield slice(start, min(start + step, rows))


def added(total: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """`total` (width,) and rows (rows, width), one added after the other.

    That is how NumPy adds the rows of a whole table, so blocks of it, in turn, have the same sum to the bit.
    """
    return np.asarray(np.concatenate([total[None], rows]).sum(axis=0))
