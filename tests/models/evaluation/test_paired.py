"""Paired differences of two models on the same results: what they are, and how often their intervals hold the truth."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from models.estimators.count_data import count_loss
from models.evaluation import paired
from models.evaluation.metrics import value
from models.evaluation.paired import SHARES, Predictions, Resampled, compare, total


def results(seed: int, rows: int = 300, creators: int = 100) -> tuple[pd.DataFrame, np.ndarray]:
    """Rows as a backtest has them, and their true rates; the deals of a creator succeed or fail together."""
    rng = np.random.default_rng(seed)
    creator = rng.integers(0, creators, rows)
    rate = 0.02 * np.exp(0.5 * rng.normal(0, 1, creators)[creator] + 0.5 * rng.normal(0, 1, rows))
    exposure = np.exp(rng.normal(6, 1, rows))
    luck = rng.gamma(4, 0.25, creators)[creator]
    frame = {"creator_id": [f"c{i}" for i in creator], "exposure": exposure, "variance": 0.0}
    return pd.DataFrame(frame | {"counts": rng.poisson(rate * exposure * luck)}), rate


def predictions(rate: np.ndarray, spread: float = 1.0) -> Predictions:
    return Predictions(rate, rate * np.exp(-spread), rate * np.exp(spread))


def test_the_figures_are_those_of_the_rows_as_they_are() -> None:
    rows, rate = results(0)
    counts, exposure = rows.counts.to_numpy(float), rows.exposure.to_numpy()
    first, second = predictions(rate), predictions(np.sqrt(rate * 0.03), 0.3)
    found = compare(rows, first, second, 0)
    losses = [count_loss(counts, p.rate * exposure, 0.0).mean() for p in (first, second)]
    assert (found.deviance.first, found.deviance.second) == pytest.approx(losses)
    assert found.deviance.difference == pytest.approx(losses[0] - losses[1])
    values = [np.mean([value(p.rate, exposure, counts, share) for share in SHARES]) for p in (first, second)]
    assert (found.value.first, found.value.second) == pytest.approx(values)
    totals = [(p.rate @ exposure + 0.5) / (counts.sum() + 0.5) for p in (first, second)]
    assert (found.calibration.first, found.calibration.second) == pytest.approx(totals)
    assert found.calibration.difference == pytest.approx(abs(np.log(totals[0])) - abs(np.log(totals[1])))
    inside = [((counts / exposure >= p.low) & (counts / exposure <= p.high)).mean() for p in (first, second)]
    assert (found.coverage.first, found.coverage.second) == pytest.approx(inside)
    assert found.coverage.difference == pytest.approx(abs(inside[0] - 0.8) - abs(inside[1] - 0.8))
    for _, difference in found.items():
        assert difference.low <= difference.difference <= difference.high


def test_the_same_predictions_do_not_differ_and_the_order_of_rows_does_not_matter() -> None:
    rows, rate = results(1)
    for _, difference in compare(rows, predictions(rate), predictions(rate), 0).items():
        assert (difference.difference, difference.low, difference.high) == (0, 0, 0)
    worse = predictions(rate * np.exp(np.random.default_rng(0).normal(0, 0.5, len(rate))))
    one = compare(rows, predictions(rate), worse, 7)
    assert one == compare(rows, predictions(rate), worse, 7)
    assert one.deviance.high < 0 < one.value.difference


def test_missing_intervals_leave_coverage_unknown() -> None:
    rows, rate = results(2)
    bare = Predictions(rate, np.full(len(rate), np.nan), np.full(len(rate), np.nan))
    found = compare(rows, bare, predictions(rate), 0)
    assert np.isnan([found.coverage.difference, found.coverage.low, found.coverage.high]).all()
    assert np.isfinite(found.deviance.high)


def test_blocks_of_samples_give_what_all_at_once_give(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, rate = results(3)
    whole = compare(rows, predictions(rate), predictions(np.full(len(rate), 0.02)), 0)
    monkeypatch.setattr(paired, "BLOCK", 10_000)
    assert compare(rows, predictions(rate), predictions(np.full(len(rate), 0.02)), 0) == whole


def test_a_creators_deals_are_drawn_together() -> None:
    samples = Resampled.of(np.array(["a", "b", "a", "c"], object), 0)
    assert samples.creators == 3
    np.testing.assert_array_equal(samples.sums(np.array([1.0, 10, 100, 1000]))[0], 1111)
    both = samples.sums(np.array([1.0, 0, -1, 0]))
    assert not both.any(), "the two deals of a are drawn as often as each other"


@pytest.mark.slow
def test_the_interval_of_a_difference_holds_the_truth_where_creators_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paired, "SAMPLES", 200)
    rng = np.random.default_rng(5)
    differences = []
    for seed in range(60):
        rows, rate = results(seed, rows=200, creators=70)
        place, keys = pd.factorize(rows.creator_id)
        off = np.exp(0.3 * rng.normal(0, 1, len(keys))[place])
        differences.append(compare(rows, predictions(rate * off), predictions(rate), seed).deviance)
    truth = np.mean([d.difference for d in differences])
    held = np.mean([d.low <= truth <= d.high for d in differences])
    assert held >= 0.87


def test_a_total_that_is_off_is_beyond_its_interval_and_a_usual_one_is_not() -> None:
    rows, rate = results(6)
    rate = rate * rows.counts.sum() / (rate @ rows.exposure)  # luck aside
    earlier = np.array([0.1, -0.05, 0.08])
    assert not total(rows, rate, earlier, 0).off
    assert not total(rows, 1.2 * rate, earlier, 0).off
    found = total(rows, 100 * rate, earlier, 0)
    assert found.off
    assert found.total == pytest.approx(100, rel=0.01)
    assert total(rows, rate / 50, earlier, 0).off
    wild = total(rows, 2.5 * rate, np.array([0.9, -1.1, 1.0]), 0)
    assert total(rows, 2.5 * rate, earlier, 0).off
    assert not wild.off, "folds that were off before make it wide"


def test_no_conversions_at_all_is_a_total_that_is_off() -> None:
    rows, rate = results(7)
    assert total(rows.assign(counts=0), rate, np.zeros(0), 0).off
