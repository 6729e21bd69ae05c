"""A target cost per conversion: how likely a deal stays within it, and the price at which to walk away."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.training import Trained
from models.uncertainty.interval import GRID, Intervals, fit_intervals
from models.uncertainty.target import Target

ALPHA = 0.1


def _unseen(rows: int, mean: float, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Predictions, over-dispersed counts and groups; mega brings 0.6 of what was predicted."""
    rng = np.random.default_rng(seed)
    expected = mean * np.exp(rng.normal(0, 1, rows))
    group = np.where(rng.random(rows) < 0.3, "mega", "nano")
    truth = expected * np.where(group == "mega", 0.6, 1.0)
    return expected, rng.poisson(truth * rng.gamma(2.0, 0.5, rows)).astype(float), group


INTERVALS = {mean: fit_intervals(*_unseen(1500, mean, seed=1)) for mean in (0.5, 8.0, 900.0)}
rows = st.tuples(
    st.sampled_from(sorted(INTERVALS)),
    st.floats(1e-3, 1e5),
    st.sampled_from(["mega", "nano", "never met"]),
    st.floats(0, 4),
    st.floats(1.0, 1e6),
    st.floats(1e-2, 1e4),
    st.floats(1e-3, 0.999),
)


def _worth(
    intervals: Intervals, expected: float, group: str, excess: float, spend: float, target: Target
) -> list[float]:
    one = (np.array([expected]), np.array([group]), np.array([excess]), np.array([spend]))
    return [float(value[0]) for value in target.worth(intervals, *one)]


@given(rows)
def test_probability_and_walk_away_price_never_disagree(
    row: tuple[float, float, str, float, float, float, float],
) -> None:
    mean, expected, group, excess, spend, cost, confidence = row
    intervals, target = INTERVALS[mean], Target(cost, confidence)
    within, price = _worth(intervals, expected, group, excess, spend, target)
    assert 0 <= within <= 1
    assert (within >= confidence) == (spend <= price)
    if price:
        assert _worth(intervals, expected, group, excess, price, target)[0] >= confidence
    above = math.nextafter(price, math.inf)
    assert _worth(intervals, expected, group, excess, above, target)[0] < confidence


@given(rows, st.floats(1, 3))
def test_a_higher_target_is_likelier_and_worth_more(
    row: tuple[float, float, str, float, float, float, float], times: float
) -> None:
    mean, expected, group, excess, spend, cost, confidence = row
    intervals = INTERVALS[mean]
    within, price = _worth(intervals, expected, group, excess, spend, Target(cost, confidence))
    more, higher = _worth(intervals, expected, group, excess, spend, Target(cost * times, confidence))
    assert more >= within
    assert higher >= price
    assert _worth(intervals, expected, group, excess, spend * times, Target(cost, confidence))[0] <= within
    assert _worth(intervals, expected, group, excess, spend, Target(cost, confidence ** (1 / times)))[1] <= price


@given(st.floats(1e-2, 1e7), st.floats(1e-3, 1e5))
def test_the_conversions_needed_are_the_fewest_that_do(spend: float, cost: float) -> None:
    counts = float(Target(cost).needed(np.array([spend]))[0])
    assert counts >= 1
    assert counts == int(counts)
    assert counts * cost >= spend
    assert counts == 1 or (counts - 1) * cost < spend


@pytest.mark.parametrize("group", ["mega", "nano", "never met"])
def test_by_brute_force(group: str) -> None:
    """The distribution written out: masses added one by one, the calibration between two points, prices tried one by
    one.
    """
    intervals, expected, excess, cost, confidence = INTERVALS[8.0], 11.7, 0.6, 2.5, 0.65
    size = 1 / float(intervals.dispersion(np.array([expected]), np.array([excess]))[0])
    chance = size / (size + expected)
    calibration = intervals.calibration[group if group in intervals.calibration else "*"]

    def reached(count: int) -> float:
        below = 0.0
        for k in range(count):
            ways = math.lgamma(k + size) - math.lgamma(size) - math.lgamma(k + 1)
            below += math.exp(ways + size * math.log(chance) + k * math.log(1 - chance))
        i = min(int(below * (len(GRID) - 1)), len(GRID) - 2)
        part = below * (len(GRID) - 1) - i
        return 1 - (calibration[i] * (1 - part) + calibration[i + 1] * part)

    best = max(k for k in range(60) if reached(k) >= confidence)
    for spend in (0.4, 2.5, 2.6, 20.0, 25.0, 60.0):
        within, price = _worth(intervals, expected, group, excess, spend, Target(cost, confidence))
        assert within == pytest.approx(reached(math.ceil(spend / cost)), abs=1e-9)
        assert price == best * cost


@pytest.mark.parametrize("mean", [0.5, 8.0, 900.0])
def test_probabilities_come_true_group_by_group(mean: float) -> None:
    intervals = INTERVALS[mean]
    expected, counts, group = _unseen(6000, mean, seed=2)
    for times in (0.3, 1.0, 2.5):
        spend = np.full(len(expected), 100.0)
        target = Target(100.0 / (times * mean))
        within, _ = target.worth(intervals, expected, group, np.zeros(len(expected)), spend)
        came = counts * target.cost >= spend
        for name in ("mega", "nano"):
            mine = group == name
            assert within[mine].mean() == pytest.approx(came[mine].mean(), abs=0.04), (times, name)
        for low in (0.0, 0.25, 0.5, 0.75):
            part = (within >= low) & (within < low + 0.25)
            if part.sum() >= 300:
                assert within[part].mean() == pytest.approx(came[part].mean(), abs=0.06), (times, low)


@pytest.mark.parametrize("mean", [8.0, 900.0])
def test_the_probability_agrees_with_the_interval(mean: float) -> None:
    """Row by row where counts are fine; where they are coarse, on average: a whole number cannot be split."""
    intervals = INTERVALS[mean]
    expected, _, group = _unseen(3000, mean, seed=3)
    low, high = intervals.bounds(expected, group, 1 - 2 * ALPHA)
    under = 1 - intervals.reached(expected, group, np.ceil(low))
    over = intervals.reached(expected, group, np.floor(high) + 1)
    assert under.mean() == pytest.approx(ALPHA, abs=0.03)
    assert over.mean() == pytest.approx(ALPHA, abs=0.03)
    if mean > 100:
        fine = low > 50
        assert fine.sum() > 1000
        np.testing.assert_allclose(under[fine], ALPHA, atol=0.03)
        np.testing.assert_allclose(over[fine], ALPHA, atol=0.03)


def test_a_deal_that_hardly_brings_one_conversion_is_worth_nothing() -> None:
    intervals = INTERVALS[0.5]
    within, price = _worth(intervals, 0.01, "nano", 0.0, 10.0, Target(20.0))
    assert within < 0.1
    assert price == 0
    assert _worth(intervals, 0.01, "nano", 0.0, 10.0, Target(20.0, confidence=within * 0.99))[1] >= 20.0
    assert _worth(intervals, 1e-12, "nano", 0.0, 10.0, Target(20.0))[1] == 0


@pytest.mark.parametrize("expected", [1e17, 1e30])
def test_a_price_beyond_all_measure_has_a_worth(expected: float) -> None:
    within, price = _worth(INTERVALS[900.0], expected, "nano", 0.0, expected, Target(20.0))
    assert within > 0.99
    assert price > expected


@pytest.mark.parametrize("confidence", [1e-300, 1e-9, 0.01, 1 - 1e-12])
def test_far_tails_have_an_exact_worth_soon(confidence: float) -> None:
    rng = np.random.default_rng(2)  # results that have nothing to do with what was predicted, some far beyond it
    intervals = fit_intervals(
        np.exp(rng.normal(0, 4, 400)), rng.poisson(np.exp(rng.normal(2, 2, 400))), np.full(400, "nano")
    )
    expected = np.array([1e-9, 1.0, 1e6])
    group = np.full(3, "nano")
    most = intervals.most(expected, group, confidence)
    assert (intervals.reached(expected, group, most) >= confidence).all()
    assert (intervals.reached(expected, group, most + 1) < confidence).all()


def test_doubt_makes_extremes_likelier() -> None:
    intervals = INTERVALS[900.0]
    sure, unsure = (_worth(intervals, 900.0, "nano", excess, 100.0, Target(100 / 300)) for excess in (0.0, 5.0))
    assert unsure[0] < sure[0]
    assert unsure[1] < sure[1]


@pytest.mark.parametrize("cost", [0.0, -1.0, math.inf, math.nan])
def test_what_is_no_price_is_refused(cost: float) -> None:
    with pytest.raises(ValueError, match="target cost: dollars above 0"):
        Target(cost)


@pytest.mark.parametrize("confidence", [0.0, 1.0, 50.0, math.nan])
def test_what_is_no_probability_is_refused(confidence: float) -> None:
    with pytest.raises(ValueError, match="confidence: a number between 0 and 1"):
        Target(20.0, confidence)
    with pytest.raises(ValueError, match="confidence: a number between 0 and 1"):
        INTERVALS[8.0].most(np.ones(1), np.array(["nano"]), confidence)


def test_probabilities_within_a_target_hold_in_the_backtest(trained: Trained) -> None:
    """Intervals learnt on the older folds, used on the newer ones at prices from dear to cheap."""
    rows = trained.backtest.rows
    old, new = rows[rows.fold < 3], rows[rows.fold >= 3]
    assert min(len(old), len(new)) > 100
    intervals = fit_intervals((old.ours * old.exposure).to_numpy(), old.counts.to_numpy(), old.group.to_numpy())
    spend, counts = new.exposure.to_numpy(), new.counts.to_numpy()
    expected, group = (new.ours * new.exposure).to_numpy(), new.group.to_numpy()
    usual = float(np.median(1 / new.ours))
    for times in (0.5, 1.0, 2.0, 4.0):
        target = Target(times * usual)
        within, _ = target.worth(intervals, expected, group, new.excess.to_numpy(), spend)
        assert within.mean() == pytest.approx((counts * target.cost >= spend).mean(), abs=0.09), times
        assert within.std() > 0.1
