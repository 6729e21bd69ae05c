"""Levels that older rows lead one to expect, and how much of a batch's mean chance explains."""

from __future__ import annotations

import numpy as np
import pytest

from models.monitoring.residuals import Residuals, clipped_mean, deviations, measure

ROWS = 900


def market(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Log spend with the level of its creator and brand, the size that explains some of it, creators, brands."""
    rng = np.random.default_rng(seed)
    creators, brands, size = rng.integers(0, 120, ROWS), rng.integers(0, 30, ROWS), rng.normal(0, 1, ROWS)
    level = rng.normal(0, 0.6, 120)[creators] + rng.normal(0, 0.3, 30)[brands]
    return level + 0.7 * size + rng.normal(0, 0.4, ROWS), size, creators, brands


def measured(
    seed: int, shift: float = 0.0, newest: int = 100, brand_shift: float = 0.0
) -> tuple[Residuals, np.ndarray]:
    target, size, creators, brands = market(seed)
    batch = np.arange(ROWS) >= ROWS - newest
    brands = np.where(batch & (brands < 8), 99, brands) if brand_shift else brands
    target = target + shift * batch + brand_shift * (brands == 99)
    values = deviations(target, np.ones(ROWS), size[:, None], brands, creators, ~batch)
    return measure(values, np.ones(ROWS), ~batch, creators, (brands,), np.random.default_rng(0)), batch


def test_creator_and_brand_explain_what_they_cost() -> None:
    residuals, batch = measured(0)
    target, *_ = market(0)
    assert residuals.values[batch].std() < 0.65 * target[batch].std()
    assert residuals.spread.scale == pytest.approx(0.5, abs=0.15)


def test_a_slip_does_not_hide_in_its_own_baseline() -> None:
    shifted, batch = measured(0, shift=4.6)
    plain, _ = measured(0)
    np.testing.assert_allclose(shifted.values[batch], plain.values[batch] + 4.6)
    np.testing.assert_allclose(shifted.values[~batch], plain.values[~batch])


@pytest.mark.slow
def test_the_spread_is_that_of_batches() -> None:
    off = np.array([residuals.mean(batch) for residuals, batch in (measured(seed, newest=60) for seed in range(25))])
    assert 0.4 < (off[:, 0] / off[:, 1]).std() < 1.4
    residuals, batch = measured(0, newest=10)
    assert residuals.mean(batch)[1] > 1.5 * off[:, 1].mean()


def test_the_level_of_a_new_brand_is_open() -> None:
    residuals, batch = measured(0, brand_shift=1.0)
    new = np.isclose(residuals.unknown[0][1], residuals.unknown[0][1].max())
    assert residuals.mean(batch & new)[1] > 2 * residuals.mean(batch & ~new)[1]


def test_nothing_known_gives_no_level() -> None:
    nothing = np.full(5, np.nan)
    older = np.array([True, True, True, False, False])
    assert np.isnan(deviations(nothing, np.ones(5), np.zeros((5, 0)), np.zeros(5), np.zeros(5), older)).all()
    residuals = measure(nothing, np.zeros(5), older, np.zeros(5), (), np.random.default_rng(0))
    assert residuals.mean(~older) == (0.0, np.inf)


def test_no_row_dominates_a_mean() -> None:
    values = np.array([0.0, 0.1, -0.1, 0.2, -0.2, 50.0])
    assert float(clipped_mean(values, np.ones(6), 0.2)) < 0.2
