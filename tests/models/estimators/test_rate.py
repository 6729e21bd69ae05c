"""The recipes, and trees that predict as LightGBM does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from models.estimators import blocks, mixed, rate
from models.estimators.count_data import CountData
from models.estimators.encoding import Encoding
from models.estimators.rate import RECIPES, Trees, fit_component
from models.training import Trained
from tests.support.past_market import matrix, spine


@pytest.mark.parametrize("times", [2, 16])
def test_more_money_with_as_many_more_conversions_leaves_the_rate(times: int) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(800, 1))
    exposure = np.full(800, 4000.0)
    counts = rng.poisson(exposure * 0.05 * np.exp(0.5 * x[:, 0])).astype(float)
    encoding = Encoding(("x",), {}, ())
    features = np.column_stack([x, np.zeros(800)])
    for recipe in RECIPES:
        one, more = (
            fit_component(CountData(features, encoding, counts * k, exposure * k, np.zeros(800)), recipe, 0).log_rate(
                features
            )
            for k in (1, times)
        )
        assert np.abs(one - more).max() < 0.1, recipe.name


def test_trees_predict_with_the_threads_they_train_with(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    """LightGBM crashes where one thread predicts with another number of threads than a second one trains with."""
    predict, settings = rate._predict, []

    def spy(*arguments: Any) -> Any:
        settings.append(arguments[9])
        return predict(*arguments)

    monkeypatch.setattr(rate, "_predict", spy)
    frame = spine(20)
    trained.scorer.score(matrix(frame), frame)
    assert settings
    assert set(settings) == {b"num_threads=1"}


def test_trees_predict_as_lightgbm_does(trained: Trained) -> None:
    trees = next(c for c in trained.scorer.rate.components if isinstance(c, Trees))
    frame = spine(20)
    features = trained.scorer.encoding.transform(matrix(frame), frame.creator_id.to_numpy(object))
    own = np.ascontiguousarray(features[:, :-1])
    expected = np.asarray(trees.booster.predict(own, raw_score=True, num_threads=1)) + trees.offset
    np.testing.assert_array_equal(trees.log_rate(features), expected)


def small_data() -> CountData:
    rng = np.random.default_rng(0)
    features = np.column_stack([rng.lognormal(size=(200, 2)), rng.integers(0, 4, 200)])
    counts = rng.poisson(3.0, 200).astype(float)
    return CountData(features, Encoding(("x", "y"), {}, ("a", "b", "c")), counts, np.ones(200), np.zeros(200))


def test_the_mixed_model_predicts_the_same_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    data = small_data()
    model = mixed.fit_mixed(data)
    whole = model.log_rate(data.features)
    assert np.ptp(whole) > 0
    monkeypatch.setattr(blocks, "BLOCK_VALUES", 100)
    np.testing.assert_array_equal(model.log_rate(data.features), whole)


@pytest.mark.parametrize(("many", "alone"), [(199, True), (200, False)])
def test_fits_of_many_rows_take_turns(many: int, alone: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    fit, seen = mixed._fit, []

    def spy(*arguments: Any) -> Any:
        seen.append(mixed._ONE_OF_MANY_ROWS.locked())
        return fit(*arguments)

    monkeypatch.setattr(mixed, "_fit", spy)
    monkeypatch.setattr(mixed, "MANY_ROWS", many)
    data = small_data()
    mixed.fit_mixed(data)
    mixed.fit_further_terms(data, data.features[:, :1], 1.0)
    assert seen == [alone, alone]
    assert not mixed._ONE_OF_MANY_ROWS.locked()
