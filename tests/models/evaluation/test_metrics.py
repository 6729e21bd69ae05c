"""Figures of predictions: what a budget buys, and that no figure depends on the order of the rows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.estimators import blocks
from models.evaluation.metrics import conversions_bought, covered, measure, poisson_deviance, value


def bought(rank_by: np.ndarray, spend: np.ndarray, conversions: np.ndarray, share: float) -> float:
    return float(conversions_bought(rank_by, spend, conversions, (share,))[0, 0])


def test_a_budget_buys_the_best_first_and_ties_in_equal_parts() -> None:
    spend, conversions = np.array([100.0, 50.0, 50.0, 200.0]), np.array([10.0, 8.0, 2.0, 4.0])
    assert bought(np.array([1.0, 3.0, 2.0, 0.0]), spend, conversions, 0.25) == pytest.approx(10)
    assert bought(np.array([3.0, 1.0, 1.0, np.nan]), spend, conversions, 0.375) == pytest.approx(15)
    assert bought(np.array([np.nan, np.nan, np.nan, 5.0]), spend, conversions, 0.75) == pytest.approx(14)
    assert bought(np.zeros(4), spend, conversions, 0.3) == pytest.approx(0.3 * 24)


def test_a_sample_that_has_every_deal_twice_buys_twice_as_much() -> None:
    rng = np.random.default_rng(0)
    rank_by, spend = rng.normal(0, 1, 90), np.exp(rng.normal(5, 1, 90))
    conversions = rng.poisson(9, 90).astype(float)
    twice = conversions_bought(rank_by, spend, conversions, (0.1, 0.5), np.full((1, 90), 2))
    assert twice == pytest.approx(2 * conversions_bought(rank_by, spend, conversions, (0.1, 0.5)))


def test_one_rate_for_all_buys_its_share_of_the_conversions() -> None:
    spend, conversions = np.array([10.0, 30.0, 60.0]), np.array([5.0, 3.0, 2.0])
    assert value(np.full(3, 0.2), spend, conversions, 0.1) == pytest.approx(0.1 * 10 / 5)


@pytest.mark.slow
@given(st.data())
def test_no_figure_depends_on_the_order_of_rows(data: st.DataObject) -> None:
    rows = data.draw(st.integers(2, 40))
    # few different rates, so that many tie
    rate = np.array(data.draw(st.lists(st.sampled_from([0.01, 0.02, 0.5]), min_size=rows, max_size=rows)))
    counts = np.array(data.draw(st.lists(st.integers(0, 9), min_size=rows, max_size=rows)), float)
    spend = np.array(data.draw(st.lists(st.sampled_from([1.0, 7.5, 300.0, 1e6]), min_size=rows, max_size=rows)))
    order = np.array(data.draw(st.permutations(range(rows))))

    def figures(at: np.ndarray) -> dict[str, float]:
        expected = rate[at] * spend[at]
        intervals = covered(rate[at] / 2, rate[at] * 2, counts[at] / spend[at])
        deviance = {"deviance": poisson_deviance(counts[at], expected)}
        parts = conversions_bought(rate[at], spend[at], counts[at], (0.1, 0.25))[0]
        return measure(rate[at], counts[at], spend[at]) | intervals | deviance | dict(zip("ab", parts, strict=True))

    assert figures(order) == pytest.approx(figures(np.arange(rows)), rel=1e-9, nan_ok=True)


def test_figures_of_known_predictions() -> None:
    counts, spend = np.array([10.0, 0.0, 30.0, 4.0]), np.array([100.0, 100.0, 100.0, 100.0])
    perfect = measure(counts / spend, counts, spend)
    assert perfect == pytest.approx({"skill": 1, "rank": 1, "value": 1, "total": 1})
    flat = measure(np.full(4, 0.11), counts, spend)
    assert flat["skill"] == pytest.approx(0)
    assert np.isnan(flat["rank"])
    assert flat["value"] == pytest.approx(11 / 30), "a tie shares the money out evenly"
    assert poisson_deviance(np.array([2.0]), np.array([1.0])) == pytest.approx(2 * (2 * np.log(2) - 1))


def test_samples_in_blocks_buy_what_they_buy_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    rank_by, spend, came = rng.integers(0, 20, 200).astype(float), rng.lognormal(0, 1, 200), rng.lognormal(0, 1, 200)
    weights = rng.integers(0, 4, (30, 200)).astype(np.uint16)
    whole = conversions_bought(rank_by, spend, came, (0.1, 0.5), weights)
    assert len(np.unique(whole)) == 60
    monkeypatch.setattr(blocks, "CACHE_VALUES", 1400)
    np.testing.assert_array_equal(conversions_bought(rank_by, spend, came, (0.1, 0.5), weights), whole)
