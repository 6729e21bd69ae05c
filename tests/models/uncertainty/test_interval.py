"""Prediction intervals cover what they say, whatever the size of the counts."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import gammaincinv
from scipy.stats import nbinom

from models.estimators import blocks
from models.uncertainty.interval import GRID, Intervals, _quantile, _shrunk_distribution, fit_intervals


@pytest.mark.parametrize("mean", [0.3, 3.0, 60.0, 3000.0])
def test_intervals_cover_what_they_say(mean: float) -> None:
    rng = np.random.default_rng(1)
    expected = mean * np.exp(rng.normal(0, 0.8, 6000))
    counts = rng.poisson(expected * rng.gamma(2.0, 0.5, 6000) * np.exp(rng.normal(0, 0.2, 6000)))
    group = np.where(np.arange(6000) % 2, "nano", "mega")
    intervals = fit_intervals(expected[:3000], counts[:3000], group[:3000])
    for level in (0.5, 0.8, 0.95):
        low, high = intervals.bounds(expected[3000:], group[3000:], level)
        inside = (counts[3000:] >= low) & (counts[3000:] <= high)
        tolerance = 0.03 if mean > 1 else 0.25  # counts of nought and one cannot be split finer
        assert level - 0.03 < inside.mean() < level + tolerance
        if mean > 1:
            for name in ("nano", "mega"):
                assert inside[group[3000:] == name].mean() == pytest.approx(level, abs=0.05)
    again = Intervals.from_dict(intervals.to_dict())
    np.testing.assert_array_equal(again.bounds(expected, group, 0.8), intervals.bounds(expected, group, 0.8))


def test_quantiles_of_counts_are_those_of_the_law() -> None:
    rng = np.random.default_rng(4)
    expected, dispersion = np.exp(rng.uniform(-20, 13, 4000)), np.exp(rng.uniform(-4, 4, 4000))
    share = np.concatenate([rng.uniform(0.0001, 0.9999, 3990), np.full(10, 1e-9)])
    size = 1 / dispersion
    np.testing.assert_array_equal(
        _quantile(share, expected, dispersion), nbinom.ppf(share, size, size / (size + expected))
    )
    assert _quantile(np.zeros(1), np.ones(1), np.ones(1)).tolist() == [0], "no count is below 0"


@pytest.mark.parametrize("share", [1e-9, 0.1, 0.9, 1 - 1e-9])
def test_quantiles_of_huge_counts_are_those_of_the_gamma_law(share: float) -> None:
    expected, size = np.array([1e12, 1e15]), np.array([20.0, 0.5])
    found = _quantile(np.full(2, share), expected, 1 / size)
    np.testing.assert_allclose(found, gammaincinv(size, share) * expected / size, rtol=1e-6, atol=1)


def test_intervals_without_any_backtest_are_wide_and_nest() -> None:
    intervals = fit_intervals(np.array([]), np.array([]), np.array([], str))
    low, high = intervals.bounds(np.array([0.0, 0.5, 50.0]), np.array(["x", "x", "x"]), 0.8)
    assert low.tolist()[:2] == [0, 0]
    assert low[2] < 15
    assert high[2] > 80
    for level in (0, 1, -1, float("nan")):
        with pytest.raises(ValueError, match="between 0 and 1"):
            intervals.bounds(np.ones(1), np.array(["x"]), level)


def test_drawn_counts_are_reached_as_often_as_they_should() -> None:
    """Of uniform probabilities `quantiles` makes results that `reached` has right, tier by tier and where unlike."""
    rng = np.random.default_rng(0)
    expected = np.exp(rng.normal(2, 1, 3_000))
    group = np.where(rng.random(3_000) < 0.3, "nano", "micro")
    counts = rng.poisson(expected * np.where(group == "nano", 1.3, 0.8) * rng.gamma(2, 0.5, 3_000)).astype(float)
    fitted = fit_intervals(expected, counts, group)
    for excess in (0.0, 4.0):
        drawn = fitted.quantiles(expected, group, rng.random(3_000), excess)
        for limit in (1.0, 5.0, 20.0):
            promised = fitted.reached(expected, group, np.full(3_000, limit), excess).mean()
            assert (drawn >= limit).mean() == pytest.approx(promised, abs=0.03)


@pytest.mark.parametrize("values", [900, 1 << 23])
def test_the_calibration_adds_results_one_after_the_other(values: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK_VALUES", values)
    rng = np.random.default_rng(2)
    below = rng.random(50)
    reached = np.minimum(below + rng.random(50) * (rng.random(50) < 0.8), 1.0)
    total = 20.0 * GRID
    for low, high in zip(below, reached, strict=True):
        total = total + np.clip((GRID - low) / max(high - low, 1e-12), 0, 1)
    found = _shrunk_distribution(below, reached, GRID, 20.0)
    np.testing.assert_array_equal(found, np.append(total[:-1] / 70.0, 1.0))


def test_intervals_do_not_depend_on_the_size_of_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    expected = np.exp(rng.normal(2, 1, 700))
    counts = rng.poisson(expected * rng.gamma(2.0, 0.5, 700)).astype(float)
    excess = np.where(rng.random(700) < 0.1, 0.5, 0.0)
    group = np.where(np.arange(700) % 2, "nano", "mega")
    whole = fit_intervals(expected, counts, group, excess)
    monkeypatch.setattr(blocks, "BLOCK_VALUES", 1000)
    assert fit_intervals(expected, counts, group, excess).to_dict() == whole.to_dict()
