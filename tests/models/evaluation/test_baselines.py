"""Rules of thumb: what each knows, and that none breaks on odd rows."""

from __future__ import annotations

import numpy as np
import pytest

from models.estimators.count_data import CountData
from models.estimators.encoding import Encoding
from models.evaluation import baselines
from models.evaluation.baselines import NAMES, own_record, poisson_regression, predict_baselines, price_only

ENCODING = Encoding(("x",), {}, ())


def known(counts: np.ndarray, exposure: np.ndarray) -> CountData:
    rng = np.random.default_rng(0)
    features = np.column_stack([rng.normal(size=len(counts)), np.zeros(len(counts))])
    return CountData(features, ENCODING, counts, exposure, np.zeros(len(counts)))


def test_every_baseline_is_a_finite_rate() -> None:
    data = known(np.array([0.0, 3.0, 9.0, 1.0]), np.array([10.0, 100.0, 100.0, 50.0]))
    creators = np.array(["a", "a", "b", "c"], object)
    features = np.array([[np.nan, 0.0], [1e9, 0.0]])
    found = predict_baselines(data, creators, ENCODING, features, np.array(["a", "new"], object), np.array([1.0, 1e9]))
    assert tuple(found) == NAMES
    assert all(np.isfinite(rates).all() and (rates >= 0).all() and rates.shape == (2,) for rates in found.values())
    np.testing.assert_allclose(found["one_rate"], 13 / 260)


def test_a_record_lies_between_the_creator_s_own_rate_and_that_of_all() -> None:
    data = known(np.array([10.0, 10.0, 0.0, 0.0]), np.full(4, 100.0))
    creators = np.array(["good", "good", "bad", "bad"], object)
    good, bad, new = own_record(data, creators, np.array(["good", "bad", "new"], object))
    assert new == pytest.approx(0.05)
    assert 0.05 < good < 0.1
    assert 0 < bad < 0.05


def test_where_conversions_do_not_follow_the_money_cheap_deals_have_the_better_rate() -> None:
    exposure = np.exp(np.linspace(2, 8, 60))
    found = price_only(known(np.full(60, 5.0), exposure), np.array([10.0, 100.0, 1000.0]))
    assert (np.diff(found) < 0).all()
    assert found[0] / found[1] == pytest.approx(10, rel=0.1)


@pytest.mark.parametrize(("counts", "exposure"), [(np.zeros(5), np.arange(1.0, 6)), (np.ones(5), np.full(5, 7.0))])
def test_without_counts_or_prices_to_learn_from_price_gives_one_rate(counts: np.ndarray, exposure: np.ndarray) -> None:
    found = price_only(known(counts, exposure), np.array([1.0, 9.0]))
    assert found[0] == found[1] > 0


def test_the_regression_is_fitted_to_the_newest_rows_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    data = known(rng.poisson(9, 60).astype(float), rng.random(60) + 0.5)
    wanted = np.array([[-1.0, 0.0], [1.0, 0.0]])
    newest = poisson_regression(data.take(slice(40, 60)), ENCODING, wanted)
    assert (poisson_regression(data, ENCODING, wanted) != newest).all()
    monkeypatch.setattr(baselines, "MOST_VALUES", 20)
    np.testing.assert_array_equal(poisson_regression(data, ENCODING, wanted), newest)
