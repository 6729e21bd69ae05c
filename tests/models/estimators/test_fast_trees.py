"""Compiled trees have LightGBM's bits for whatever values there are, and where they cannot be had nothing changes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.estimators import rate, tree_kernel
from models.estimators.fast_trees import FastTrees, fast_trees
from models.estimators.mixed import MixedModel
from models.estimators.rate import RateModel, Trees
from models.estimators.tree_tables import SIZES
from models.training import Trained
from tests.support.boosters import COLUMNS, MANY_THRESHOLDS, ODD, at_thresholds, fitted, made_up, odd, squared
from tests.support.past_market import matrix, spine

KERNEL = "models.estimators.tree_kernel"
CASES: list[dict[str, Any]] = [
    {},
    {"num_leaves": 7, "trees": 60},
    {"num_leaves": 31, "min_data_in_leaf": 3},
    {"num_leaves": 64, "min_data_in_leaf": 3},
    {"use_missing": False},
    {"zero_as_missing": True},
    {"zero_as_missing": True, "num_leaves": 8},
    {"max_cat_to_onehot": 100},
    MANY_THRESHOLDS,
    {"min_gain_to_split": 30.0, "feature_fraction": 0.1},
    {"min_gain_to_split": 1e9},
    {"boosting": "dart", "objective": "tweedie"},
    {"objective": squared},
]


def named(case: dict[str, Any]) -> str:
    return " ".join(f"{name}={getattr(value, '__name__', value)}" for name, value in case.items())


def made_fast(texts: Sequence[str]) -> FastTrees:
    """What `fast_trees` gives where all is well."""
    made, notes = fast_trees(texts)
    assert notes == ()
    assert made
    return made


@cache
def booster(text: str) -> lgb.Booster:
    return lgb.Booster(model_str=text)


def by_lightgbm(texts: Sequence[str], features: np.ndarray) -> bytes:
    """The reference, as bytes: 0.0 and -0.0 differ."""
    return np.array([booster(text).predict(features, raw_score=True, num_threads=1) for text in texts]).tobytes()


@pytest.mark.parametrize("case", CASES, ids=named)
def test_scores_have_the_bits_of_lightgbm(case: dict[str, Any]) -> None:
    text = fitted(**case)
    features = np.concatenate([made_up(1500, 5), odd(1500, 6), at_thresholds(text, 600, 7)])
    assert made_fast([text]).raw_scores(features).tobytes() == by_lightgbm([text], features)


@pytest.fixture(scope="module")
def boosters() -> list[list[str]]:
    """For every pair of types that is compiled, two boosters whose columns are the same."""
    return [[fitted(num_leaves=leaves), fitted(num_leaves=leaves, seed=5, trees=9)] for leaves in (7, 31, 64)]


@pytest.fixture(scope="module")
def fast(boosters: list[list[str]]) -> list[FastTrees]:
    return [made_fast(texts) for texts in boosters]


values = st.one_of(st.floats(), st.sampled_from(ODD), st.integers(-3, 100).map(float), st.floats(-2, 2))


@settings(max_examples=40, deadline=None)
@given(features=arrays(np.float64, st.tuples(st.integers(1, 40), st.just(COLUMNS)), elements=values))
def test_any_values_have_the_bits_of_lightgbm(
    boosters: list[list[str]], fast: list[FastTrees], features: np.ndarray
) -> None:
    for texts, made in zip(boosters, fast, strict=True):
        assert made.raw_scores(features).tobytes() == by_lightgbm(texts, features)


def test_no_rows_give_no_scores(fast: list[FastTrees]) -> None:
    assert fast[0].raw_scores(np.empty((0, COLUMNS))).shape == (2, 0)


def test_every_pair_of_types_is_compiled_and_no_model_compiles_anything(fast: list[FastTrees]) -> None:
    kernel: Any = tree_kernel.add_up
    names = [(np.dtype(code).str[1:], np.dtype(word).str[1:]) for code, word, _ in SIZES]
    assert names == list(tree_kernel.SIZES)
    assert len(kernel.signatures) == len(SIZES)
    for made in fast:
        made.raw_scores(made_up(3, 1))
    assert len(kernel.signatures) == len(SIZES)


def test_a_row_has_the_same_bits_in_any_company_order_and_layout(fast: list[FastTrees]) -> None:
    made = fast[1]
    features = odd(2 * tree_kernel.BLOCK_ROWS + 77, 7)
    expected = made.raw_scores(features)
    for parts in (300, 2000):  # some of 14 and 15 rows, some of two and three, whose loop is another one
        few = [made.raw_scores(part) for part in np.array_split(features, parts)]
        assert np.concatenate(few, axis=1).tobytes() == expected.tobytes()
    assert made.raw_scores(np.asfortranarray(features)).tobytes() == expected.tobytes()
    assert made.raw_scores(np.column_stack([features, features[:, 0]])).tobytes() == expected.tobytes()
    fixed = features.copy()
    fixed.flags.writeable = False
    assert made.raw_scores(fixed).tobytes() == expected.tobytes()
    with ThreadPoolExecutor(2) as pool:
        assert {scores.tobytes() for scores in pool.map(made.raw_scores, [features] * 4)} == {expected.tobytes()}


def test_too_few_columns_are_refused(fast: list[FastTrees]) -> None:
    with pytest.raises(ValueError, match="features have 3 columns, but trees look at 12"):
        fast[0].raw_scores(np.zeros((5, 3)))


def without_numba(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numba", None)
    monkeypatch.delitem(sys.modules, KERNEL)


def test_without_numba_lightgbm_scores_and_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    without_numba(monkeypatch)
    assert fast_trees([fitted(trees=2)]) == (None, ())


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("raise ImportError('Numba needs NumPy 2.1.\\nGot 2.4.')", "ImportError: Numba needs NumPy 2.1."),
        ("raise OSError('libLLVM.so: cannot open')", "OSError: libLLVM.so: cannot open"),
        ("__version__ = '0.1'", "ModuleNotFoundError: No module named 'numba.core'"),
    ],
)  # fmt: skip
def test_a_numba_that_fails_is_one_note(fault: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "numba").mkdir()
    (tmp_path / "numba" / "__init__.py").write_text(fault + "\n")
    with monkeypatch.context() as patch:
        patch.syspath_prepend(tmp_path)
        for name in [name for name in sys.modules if name == KERNEL or name.partition(".")[0] == "numba"]:
            patch.delitem(sys.modules, name)
        made, (note,) = fast_trees([fitted(trees=2)])
        sys.modules.pop("numba", None)
    assert made is None
    assert f"numba is installed but cannot be used ({said})" in note
    assert "\n" not in note


def test_a_booster_that_tables_cannot_hold_is_left_to_lightgbm() -> None:
    made, (note,) = fast_trees([fitted(trees=2, num_leaves=90, min_data_in_leaf=3)])
    assert made is None
    assert "LightGBM scores the trees" in note
    assert "more than 64" in note


def test_where_no_cache_can_be_written_it_is_compiled_without(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []

    def njit(signatures: list[str], **options: bool) -> Any:
        tried.append(options)
        if options.get("cache"):
            raise RuntimeError("cannot cache function '_add_up': no locator available")
        return lambda function: function

    monkeypatch.setattr(numba, "njit", njit)
    assert tree_kernel._compiled() is tree_kernel._add_up
    assert tried == [{"cache": True, "nogil": True}, {"nogil": True}]


@pytest.mark.long
def test_a_kernel_without_a_cache_has_the_same_bits(monkeypatch: pytest.MonkeyPatch, boosters: list[list[str]]) -> None:
    from numba.core.caching import CacheImpl

    monkeypatch.setattr(CacheImpl, "_locator_classes", [])
    add_up, features = tree_kernel._compiled(), odd(500, 3)
    for texts in boosters:
        assert FastTrees(texts, add_up).raw_scores(features).tobytes() == by_lightgbm(texts, features)


def copied(model: RateModel) -> RateModel:
    return RateModel(model.components, model.weights, model.level_correction, model.constant)


def test_the_log_rate_has_the_same_bits_with_and_without(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = spine(300)
    features = trained.scorer.encoding.transform(matrix(frame), frame.creator_id.to_numpy(object))
    plain = copied(trained.scorer.rate)
    assert {type(component) for component in plain.components} == {Trees, MixedModel}
    expected = plain.log_rate(features)

    compiled = copied(plain)
    assert compiled.prepare(rate.WORTH_COMPILED - 1) == ()
    assert compiled.fast is None, "so few rows are not worth it"
    assert compiled.prepare(rate.WORTH_COMPILED) == ()
    assert compiled.fast
    monkeypatch.setattr(rate, "_predict", None)  # LightGBM is not asked
    assert compiled.log_rate(features).tobytes() == expected.tobytes()
    few = [compiled.log_rate(part) for part in np.array_split(features, 80)]
    assert np.concatenate(few).tobytes() == expected.tobytes()


def test_the_log_rate_is_the_same_where_numba_is_not_installed(
    trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = spine(50)
    features = trained.scorer.encoding.transform(matrix(frame), frame.creator_id.to_numpy(object))
    bare = copied(trained.scorer.rate)
    without_numba(monkeypatch)
    assert bare.prepare(10**9) == ()
    assert bare.fast is None
    assert bare.log_rate(features).tobytes() == copied(bare).log_rate(features).tobytes()


def test_a_model_without_trees_loads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    without_numba(monkeypatch)
    monkeypatch.setattr(rate, "fast_trees", None)
    assert RateModel([], [], 0.0, -3.0).prepare(10**9) == ()
