"""The recipes, and trees that predict as LightGBM does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from models.estimators import rate
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
