"""Weights and levels of counts: no row dominates, and nothing breaks where nothing was counted."""

from __future__ import annotations

import numpy as np
import pytest

from models.estimators.count_data import LEAST_CONVERSIONS, LEAST_ROWS, CountData, count_loss, level_shift
from models.estimators.encoding import Encoding


def made(counts: np.ndarray, exposure: np.ndarray, variance: float = 0.0) -> CountData:
    rows = len(counts)
    return CountData(np.zeros((rows, 1)), Encoding((), {}, ()), counts, exposure, np.full(rows, variance))


def test_weights_have_mean_1_rise_with_exposure_and_stay_bounded() -> None:
    exposure = np.array([1.0, 10.0, 100.0, 1e9])
    weight = made(np.array([1.0, 2.0, 5.0, 1e6]), exposure).weight
    assert weight.mean() == pytest.approx(1)
    assert (np.diff(weight) > 0).all()
    many = made(np.full(100, 1e6), np.full(100, 1e8))
    np.testing.assert_allclose(many.weight, 1)


def test_uncertain_shares_weigh_less() -> None:
    data = CountData(np.zeros((2, 1)), Encoding((), {}, ()), np.array([50.0, 50.0]), np.ones(2), np.array([0.0, 2.0]))
    assert data.weight[0] > 2 * data.weight[1]


def test_the_level_is_the_rate_and_one_huge_deal_does_not_set_it() -> None:
    assert made(np.full(50, 20.0), np.full(50, 1000.0)).level == pytest.approx(0.02)
    counts, exposure = np.r_[np.full(50, 20.0), 1e6], np.r_[np.full(50, 1000.0), 1e6]
    assert made(counts, exposure).level < 0.1
    assert made(np.zeros(5), np.full(5, 100.0)).level > 0


def test_enough_needs_rows_and_conversions() -> None:
    assert made(np.full(LEAST_ROWS, 1.0), np.ones(LEAST_ROWS)).enough
    assert not made(np.full(LEAST_ROWS - 1, 9.0), np.ones(LEAST_ROWS - 1)).enough
    few = np.zeros(LEAST_ROWS)
    few[0] = LEAST_CONVERSIONS - 1
    assert not made(few, np.ones(LEAST_ROWS)).enough


def test_rows_are_taken_together() -> None:
    data = made(np.array([1.0, 2.0, 3.0]), np.array([4.0, 5.0, 6.0])).take(np.array([2, 0]))
    assert (data.counts.tolist(), data.exposure.tolist(), len(data.features)) == ([3.0, 1.0], [6.0, 4.0], 2)


def test_the_deviance_is_0_at_the_count_and_grows_on_both_sides() -> None:
    counts = np.array([0.0, 1.0, 30.0])
    np.testing.assert_allclose(count_loss(counts, np.maximum(counts, 1e-12)), 0, atol=1e-9)
    assert (count_loss(counts, counts * 2 + 1) > 0).all()
    assert count_loss(np.array([5.0]), np.array([50.0]), 3.0) < count_loss(np.array([5.0]), np.array([50.0]))


def test_a_shift_of_the_level_is_found() -> None:
    expected = np.full(200, 40.0)
    assert level_shift(expected * 2, expected, np.zeros(200)) == pytest.approx(np.log(2), abs=0.02)
    assert level_shift(np.zeros(3), np.zeros(3), np.zeros(3)) == 0
