"""SHAP values by table against LightGBM's own `pred_contrib`, and that a row's do not depend on its neighbours."""

from __future__ import annotations

from typing import Any

import lightgbm as lgb
import numpy as np
import pytest

from models.explanations import tree_shap
from models.explanations.tree_shap import TreeShap
from tests.support.boosters import COLUMNS, at_thresholds, counts, fitted, made_up, odd, squared


def agrees(text: str, features: np.ndarray) -> TreeShap:
    """Compare with LightGBM, which is the reference."""
    booster, shap = lgb.Booster(model_str=text), TreeShap(text)
    expected = booster.predict(features, pred_contrib=True, num_threads=1)
    np.testing.assert_allclose(shap.contributions(features), expected[:, :-1], rtol=0, atol=1e-10)  # type: ignore[call-overload]
    return shap


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"num_leaves": 7, "trees": 60},
        {"num_leaves": 31},
        {"use_missing": False},
        {"zero_as_missing": True},
        {"max_cat_to_onehot": 100},
        {"objective": "tweedie", "max_bin": 31},
        {"objective": squared},
    ],
    ids=lambda settings: " ".join(f"{name}={getattr(value, '__name__', value)}" for name, value in settings.items()),
)
def test_values_are_those_of_lightgbm(settings: dict[str, Any]) -> None:
    text = fitted(**settings)
    shap = agrees(text, np.concatenate([made_up(300, 5), odd(700, 6)]))
    assert shap.tables
    assert not shap.left_to_lightgbm
    assert any(cells.cuts is None for cells in shap.cells.values())


def test_the_cases_hold_every_kind_of_missing() -> None:
    kinds = set()
    cases: list[dict[str, Any]] = [{}, {"use_missing": False}, {"zero_as_missing": True}]
    for settings in cases:
        _, trees = tree_shap.read_trees(fitted(**settings))
        kinds |= {(int(d) >> 2 & 3, bool(d & 2)) for tree in trees for d in tree.decision if not d & 1}
    assert {kind for kind, _ in kinds} == {0, 1, 2}
    assert {(1, True), (1, False), (2, True), (2, False)} <= kinds


def adds_up(text: str, features: np.ndarray) -> None:
    score = lgb.Booster(model_str=text).predict(features, raw_score=True)
    rest = score - TreeShap(text).contributions(features).sum(axis=1)
    np.testing.assert_allclose(rest, rest[0], rtol=0, atol=1e-10)


def test_values_add_up_to_the_score() -> None:
    adds_up(fitted(), odd(200, 8))


def test_trees_of_a_single_leaf_move_nothing() -> None:
    assert not agrees(fitted(min_gain_to_split=1e9), odd(50, 2)).tables
    some = agrees(fitted(min_gain_to_split=30.0, feature_fraction=0.1), odd(500, 2))
    _, trees = tree_shap.read_trees(fitted(min_gain_to_split=30.0, feature_fraction=0.1))
    assert some.tables
    assert any(len(tree.value) == 1 for tree in trees)


def test_a_leaf_that_no_row_of_training_reached() -> None:
    # LightGBM divides by its 0 rows and gives NaN.
    text = fitted(trees=1, num_leaves=4)
    line = next(line for line in text.splitlines() if line.startswith("leaf_count="))
    rows = line.split("=")[1].split()
    text = text.replace(line, "leaf_count=" + " ".join(["0", *rows[1:]])).replace("tree_sizes", "sizes")
    adds_up(text, odd(300, 4))


def test_trees_that_are_too_large_for_tables_are_told_by_lightgbm() -> None:
    random = np.random.default_rng(0)
    features = (random.random((6000, 20)) < 0.8).astype(float)
    chain = np.cumprod(features, axis=1).sum(axis=1) + random.normal(size=6000) * 0.1
    stairs = random.random((6000, 1))
    for given, label, leaves in ((features, chain, 31), (stairs, np.sin(40 * stairs[:, 0]), 80)):
        settings = {"num_leaves": leaves, "min_data_in_leaf": 5, "verbosity": -1, "num_threads": 1}
        text = lgb.train(settings, lgb.Dataset(given, label), 4).model_to_string(num_iteration=-1)
        assert agrees(text, given[:300]).left_to_lightgbm


@pytest.mark.parametrize("limit", [4, 16, 100_000])
def test_the_size_of_tables_changes_nothing_but_rounding(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree_shap, "TABLE_SIZE", limit)
    agrees(fitted(num_leaves=9), odd(300, 3))


def test_a_row_has_the_same_bits_in_any_company(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree_shap, "MOST_FEATURES", 5)  # so that some trees go to LightGBM
    shap, features = TreeShap(fitted()), odd(500, 7)
    assert shap.left_to_lightgbm
    assert shap.tables
    expected = shap.contributions(features).tobytes()
    alone = np.concatenate([shap.contributions(row[None]) for row in features])
    assert alone.tobytes() == expected
    order = np.random.default_rng(1).permutation(len(features))
    assert shap.contributions(features[order])[np.argsort(order)].tobytes() == expected
    assert shap.contributions(np.asfortranarray(features)).tobytes() == expected
    monkeypatch.setattr(tree_shap, "BLOCK_ROWS", 70)
    assert shap.contributions(features, threads=2).tobytes() == expected
    monkeypatch.setattr(tree_shap, "FEW_ROWS", 0)
    assert shap.contributions(features).tobytes() == expected
    assert TreeShap(fitted()).contributions(features).tobytes() == expected


def test_no_rows_give_no_values() -> None:
    assert TreeShap(fitted(trees=3)).contributions(np.empty((0, COLUMNS))).shape == (0, COLUMNS)


def test_what_is_not_a_plain_sum_of_leaves_is_refused() -> None:
    with pytest.raises(ValueError, match="random forest"):
        TreeShap(fitted(trees=3, boosting="rf"))
    with pytest.raises(ValueError, match="linear trees"):
        TreeShap(fitted(trees=3, objective="regression", linear_tree=True))
    features = made_up(500, 1)
    several = {"objective": "multiclass", "num_class": 3, "verbosity": -1, "num_threads": 1}
    booster = lgb.train(several, lgb.Dataset(features, counts(features) % 3), 2)
    with pytest.raises(ValueError, match="several classes"):
        TreeShap(booster.model_to_string(num_iteration=-1))


def test_another_number_of_columns_is_refused() -> None:
    with pytest.raises(ValueError, match=r"shape \(5, 3\), but the booster was fitted to 12 columns"):
        TreeShap(fitted(trees=3)).contributions(np.zeros((5, 3)))


@pytest.mark.parametrize("settings", [{}, {"num_leaves": 7, "trees": 60}, {"num_leaves": 100, "min_data_in_leaf": 3}])
def test_compiled_code_has_the_same_bits(settings: dict[str, Any]) -> None:
    from models.explanations.shap_kernel import BLOCK_ROWS, add_tables

    text = fitted(**settings)
    features = np.concatenate([made_up(BLOCK_ROWS + 70, 5), odd(300, 6), at_thresholds(text, 200, 7)])
    plain, compiled = TreeShap(text), TreeShap(text)
    compiled.use(add_tables)
    expected = plain.contributions(features)
    assert compiled.contributions(features).tobytes() == expected.tobytes()
    assert compiled.contributions(features[7:8]).tobytes() == expected[7:8].tobytes()
    assert np.abs(expected).max() > 0
