"""Counts that follow what is expected of their rows, or not."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from models.monitoring.order import lost_order, rank_correlation

ROWS = 600
RNG = np.random.default_rng(1)
EXPECTED = np.exp(RNG.normal(2, 1, ROWS))
COUNTS = RNG.poisson(EXPECTED * RNG.gamma(2, 0.5, ROWS)).astype(float)


def batch_of(size: int) -> np.ndarray:
    return np.arange(ROWS) >= ROWS - size


@pytest.mark.parametrize("size", [60, 100, 200])
def test_shuffled_counts_are_found_and_ordinary_ones_pass(size: int) -> None:
    batch, counts = batch_of(size), COUNTS.copy()
    assert lost_order(EXPECTED, counts, batch, ~batch, np.random.default_rng(0)) is None
    counts[batch] = np.random.default_rng(2).permutation(counts[batch])
    found = lost_order(EXPECTED, counts, batch, ~batch, np.random.default_rng(0))
    assert found
    assert found.before > 0.6
    assert abs(found.now) < 0.3
    assert found.sureness > 4


def test_few_rows_or_no_order_before_say_nothing() -> None:
    counts = np.random.default_rng(0).permutation(COUNTS)
    for size in (10, 100):
        batch = batch_of(size)
        assert lost_order(EXPECTED, counts, batch, ~batch, np.random.default_rng(0)) is None


def test_the_correlation_is_spearmans() -> None:
    one, other = np.round(COUNTS[:80].reshape(2, 40)), EXPECTED[:80].reshape(2, 40)
    expected = [spearmanr(a, b).statistic for a, b in zip(one, other, strict=True)]
    np.testing.assert_allclose(rank_correlation(one, other), expected)
    assert rank_correlation(np.ones(5), np.arange(5.0)) == 0
