"""Rows binned once: trees are to the bit those of bins of their own, whatever was fitted before."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import lightgbm as lgb
import numpy as np
import pytest

from models.estimators import binned
from models.estimators.count_data import CountData
from models.estimators.encoding import Encoding
from models.estimators.rate import RECIPES, Recipe, bin_rows, fit_trees
from models.estimators.recipes import with_settings
from tests.support.past_market import matrix, spine

OF_TREES = [recipe for recipe in RECIPES if recipe.objective != "mixed"]


@pytest.fixture(scope="module")
def data() -> CountData:
    frame = spine(500)
    creators, made = frame.creator_id.to_numpy(object), matrix(frame)
    encoding = Encoding.fit(made, creators)
    counts, spend = frame.conversions.to_numpy(float), frame.spend.to_numpy()
    return CountData(encoding.transform(made, creators), encoding, counts, spend, np.zeros(len(frame)))


def test_recipes_that_share_bins_give_the_trees_of_bins_of_their_own(data: CountData) -> None:
    recipes = [recipe for recipe in with_settings(1, recipes=OF_TREES) if recipe.objective != "mixed"]
    shared = bin_rows(data, 3)
    for recipe in [*recipes, recipes[0]]:  # the first again, after one whose labels and weights are others
        found, alone = fit_trees(data, recipe, 3, binned=shared), fit_trees(data, recipe, 3)
        assert found.text == alone.text, recipe.name
        assert (found.offset, found.centre) == (alone.offset, alone.centre)


def test_weights_of_an_earlier_recipe_do_not_stay(data: CountData) -> None:
    """LightGBM takes weights that are all 1 for none, and would keep those that it has."""
    rows = len(data.counts)
    twice = np.random.default_rng(0).multinomial(2 * rows, np.full(rows, 1 / rows)).astype(float)
    even = replace(data, counts=twice, exposure=np.ones(rows))
    shared = bin_rows(data, 0)
    fit_trees(data, OF_TREES[0], 0, binned=shared)
    assert (even.weight == 1).all()
    assert fit_trees(even, OF_TREES[0], 0, binned=shared).text == fit_trees(even, OF_TREES[0], 0).text


def test_a_recipe_with_other_bins_has_bins_of_its_own(data: CountData) -> None:
    coarse = Recipe("coarse", "poisson", {"max_bin": 4})
    shared = bin_rows(data, 0)
    assert shared.serves(OF_TREES[1].settings)
    assert not shared.serves(coarse.settings)
    found = fit_trees(data, coarse, 0, binned=shared).text
    assert found == fit_trees(data, coarse, 0).text
    assert found != fit_trees(data, OF_TREES[0], 0).text


def test_a_copy_gives_the_trees_of_the_bins_that_it_was_copied_from(data: CountData) -> None:
    rows = bin_rows(data, 0)
    copied = rows.copy()
    assert copied.whole is not rows.whole
    for recipe in OF_TREES[:2]:
        found, other = (fit_trees(data, recipe, 0, binned=of) for of in (copied, rows))
        assert found.text == other.text


def test_many_rows_are_binned_once(data: CountData, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = fit_trees(data, OF_TREES[0], 0)
    calls, bin_now = [], binned._binned

    def counted(*given: Any) -> lgb.Dataset:
        calls.append(given)
        return bin_now(*given)

    monkeypatch.setattr(binned, "_binned", counted)
    monkeypatch.setattr(binned, "MANY_ROWS", 499)
    rows = bin_rows(data, 0)
    found = fit_trees(data, OF_TREES[0], 0, binned=rows)
    assert len(calls) == 1
    assert [part.num_data() for part in (rows.whole, rows.older, rows.newest)] == [500, 425, 75]
    shift = found.log_rate(data.features) - alone.log_rate(data.features)
    assert 0 < np.abs(shift).mean() < 0.1, "bins of all rows are nearly those of the older"
