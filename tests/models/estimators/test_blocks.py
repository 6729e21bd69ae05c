"""Blocks of rows: all of them once, in order, and sums to the bit those of the whole."""

from __future__ import annotations

import numpy as np
import pytest

from models.estimators import blocks


@pytest.mark.parametrize(("rows", "width", "values"), [(10, 3, 9), (10, 3, 1), (0, 3, 9), (7, 0, 4), (9, 3, 9)])
def test_blocks_are_all_rows_in_order(rows: int, width: int, values: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK_VALUES", values)
    found = list(blocks.blocks(rows, width))
    assert [i for block in found for i in range(rows)[block]] == list(range(rows))
    assert all((block.stop - block.start) * width <= max(values, width) for block in found)


@pytest.mark.parametrize("step", [1, 7, 1000])
def test_rows_added_a_block_at_a_time_have_the_sum_of_the_table(step: int) -> None:
    table = np.random.default_rng(0).lognormal(0, 3, (1000, 5))
    total = np.zeros(5)
    for start in range(0, 1000, step):
        total = blocks.added(total, table[start : start + step])
    np.testing.assert_array_equal(total, table.sum(axis=0))
    assert (total != table[::-1].sum(axis=0)).any(), "the order shows in the last bits, or this would prove nothing"


def test_a_table_that_is_one_block_is_many_small_ones() -> None:
    rows = blocks.BLOCK_VALUES // 10
    assert len(list(blocks.blocks(rows, 10))) == 1
    small = list(blocks.small_blocks(rows, 10))
    assert [i.stop for i in small[:-1]] == [i.start for i in small[1:]]
    assert len(small) > 10
    assert max(block.stop - block.start for block in small) * 10 <= blocks.CACHE_VALUES
