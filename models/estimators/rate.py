"""The rate of conversions per dollar: an ensemble of LightGBM in a few recipes and a mixed model, on the log scale.

Fitting y = count / exposure with weights has the same optimum as a count with an offset, and needs none to predict.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import lightgbm as lgb
import numpy as np
from lightgbm.basic import _LIB

from models.estimators.binned import BinnedRows, label_rows
from models.estimators.count_data import DISPERSION, CountData, count_loss, level_shift
from models.estimators.fast_trees import FastTrees, fast_trees
from models.estimators.mixed import MixedModel, fit_mixed
from models.explanations.tree_shap import TreeShap

ROUNDS, PATIENCE, FEWEST_TREES = 1500, 50, 5
# Rows from which on numba is loaded and tables are made, a second and a half on the whole: LightGBM takes as long.
WORTH_COMPILED = 50_000
Objective = Literal["poisson", "tweedie", "log", "negative_binomial", "mixed"]


@dataclass(frozen=True)
class Recipe:
    """A way to fit the rate: its loss, and what it changes of LightGBM's settings or of the mixed model's `strength`.

    A name before a dash is that of a family, whose first recipe is the usual one.
    """

    name: str
    objective: Objective
    settings: dict[str, float] = field(default_factory=dict)

    @property
    def family(self) -> str:
        """The name without the suffix of its settings."""
        return self.name.partition("-")[0]


RECIPES = (
    Recipe("poisson", "poisson"),
    Recipe("tweedie", "tweedie", {"tweedie_variance_power": 1.5}),
    Recipe("log", "log"),
    Recipe("negative_binomial", "negative_binomial"),
    Recipe("mixed", "mixed"),
)


class Trees:
    """A fitted booster whose raw score plus `offset` is the log rate; `centre` is its training rows' average."""

    def __init__(self, recipe: str, text: str, offset: float, centre: float) -> None:
        self.recipe, self.text, self.offset, self.centre = recipe, text, offset, centre
        self.booster = lgb.Booster(model_str=text)
        self._columns = self.booster.num_feature()

    def log_rate(self, features: np.ndarray) -> np.ndarray:
        """Log conversions per dollar, (rows,)."""
        return _raw_scores(self.booster, self._own(features)) + self.offset

    def contributions(self, features: np.ndarray) -> np.ndarray:
        """Exact SHAP values of the log rate (rows, columns); they add up to the log rate less a constant."""
        return self.shap.contributions(self._own(features))

    @cached_property
    def shap(self) -> TreeShap:
        """What contributions are looked up in."""
        return TreeShap(self.text)

    def _own(self, features: np.ndarray) -> np.ndarray:
        """The columns that trees look at: all but the creator's code."""
        return np.ascontiguousarray(features[:, : self._columns])


# A function object of its own: LightGBM's must not learn these types.
_predict = _LIB["LGBM_BoosterPredictForMat"]
_predict.argtypes = [
    ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_int32, ctypes.c_int32, ctypes.c_int, ctypes.c_int,
    ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_void_p,
]  # fmt: skip
FLOAT64, ROW_MAJOR, RAW_SCORE = 1, 1, 1


def _raw_scores(booster: lgb.Booster, features: np.ndarray) -> np.ndarray:
    """Sums of leaves (rows,), as `booster.predict` gives them.

    LightGBM's C function is called directly: for a few rows the Python around it costs more than the trees. A number of
    threads other than training's would crash a training that runs beside it.
    """
    rows, columns = features.shape
    out = np.empty(rows)
    length = ctypes.c_int64(0)
    status = _predict(
        booster._handle, _address(features), FLOAT64, rows, columns, ROW_MAJOR, RAW_SCORE, 0, -1, b"num_threads=1",
        ctypes.addressof(length), _address(out),
    )  # fmt: skip
    if status or length.value != rows:
        raise RuntimeError(f"LightGBM could not predict {rows} rows of {columns} columns")
    return out


def _address(array: np.ndarray) -> int:
    return int(array.__array_interface__["data"][0])


Component = Trees | MixedModel


def fit_component(count_data: CountData, recipe: Recipe, seed: int, binned: BinnedRows | None = None) -> Component:
    """Fit one recipe; `binned` as `fit_trees` takes it. Raises ValueError for results that are too few."""
    if recipe.objective == "mixed":
        return replace(fit_mixed(count_data, **recipe.settings), recipe=recipe.name)
    return fit_trees(count_data, recipe, seed, binned=binned)


def bin_rows(count_data: CountData, seed: int, threads: int = 1) -> BinnedRows:
    """Rows, in the order of time, for the fits of several recipes with this seed."""
    return BinnedRows(count_data, _settings(len(count_data.counts), seed, threads))


def fit_trees(
    count_data: CountData, recipe: Recipe, seed: int, threads: int = 1, binned: BinnedRows | None = None
) -> Trees:
    """Fit one recipe; the number of trees is where the newest of the rows are fitted best by the others.

    Rows must be in the order of time. binned: `bin_rows` of the same rows and seed, which saves time where several
    recipes are fitted. Raises ValueError for results that are too few.
    """
    rows = len(count_data.counts)
    if not count_data.enough:
        raise ValueError(f"{rows} results with {count_data.counts.sum():.0f} conversions are too few for trees")
    settings = _settings(rows, seed, threads) | recipe.settings
    if binned is None or not binned.serves(recipe.settings):
        binned = BinnedRows(count_data, settings)
    older = binned.older_rows
    trees = FEWEST_TREES
    if count_data.counts[:older].sum() > 0:
        first = _Problem(count_data.take(slice(0, older)), recipe, settings, binned.older)
        second = first.held_out(count_data.take(slice(older, rows)), binned.newest)
        trees = max(first.train(ROUNDS, second).best_iteration, FEWEST_TREES)
    problem = _Problem(count_data, recipe, settings, binned.whole)
    text = problem.train(trees).model_to_string(num_iteration=-1)
    fitted = Trees(recipe.name, text, problem.offset, 0.0)
    log_rate, shift = fitted.log_rate(count_data.features), 0.0
    if recipe.objective == "log":
        shift = level_shift(count_data.counts, count_data.exposure * np.exp(log_rate), count_data.variance)
    fitted.offset += shift
    fitted.centre = float(np.average(log_rate, weights=count_data.weight)) + shift
    return fitted


def _settings(rows: int, seed: int, threads: int) -> dict[str, Any]:
    return {
        "learning_rate": 0.08,
        "num_leaves": 7,
        "min_data_in_leaf": int(np.clip(rows // 20, 5, 20)),
        "bagging_fraction": 0.8,
        "bagging_freq": 1,
        "feature_fraction": 0.4,
        "lambda_l2": 1.0,
        "cat_smooth": 20.0,
        "min_data_per_group": int(np.clip(rows // 50, 5, 50)),
        "max_bin": 127,
        "verbosity": -1,
        "seed": seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": threads,
    }


class _Problem:
    """A recipe's labels, weights and loss on rows that are binned."""

    def __init__(
        self,
        count_data: CountData,
        recipe: Recipe,
        settings: dict[str, Any],
        data: lgb.Dataset,
        level: float | None = None,
    ) -> None:
        self.count_data, self.recipe, self.settings = count_data, recipe, settings
        self.level = count_data.level if level is None else level
        counts, exposure = count_data.counts, count_data.exposure
        label = counts / exposure
        weight: np.ndarray | None = count_data.weight
        self.offset = 0.0
        if recipe.objective == "log":
            self.offset = float(np.log(self.level))
            label = np.log((counts + 0.5) / (exposure * self.level + 0.5))
        elif recipe.objective == "negative_binomial":
            self.offset = float(np.log(self.level))
            label, weight = np.arange(len(counts), dtype=float), None
        self.data = label_rows(data, label, weight)
        self._at_level, self._damping = exposure * self.level, DISPERSION + count_data.variance

    def held_out(self, count_data: CountData, data: lgb.Dataset) -> _Problem:
        """The same problem on other rows."""
        return _Problem(count_data, self.recipe, self.settings, data, self.level)

    def train(self, rounds: int, held_out: _Problem | None = None) -> lgb.Booster:
        objective: str | Callable = {"log": "regression"}.get(self.recipe.objective, self.recipe.objective)
        settings, loss = self.settings, None
        if self.recipe.objective == "negative_binomial":
            # LightGBM copies its settings deeply, and with a method the object and all its rows
            objective, settings = lambda raw, data: self._gradient(raw), settings | {"metric": "None"}
            loss = held_out._loss if held_out else None
        return lgb.train(
            settings | {"objective": objective},
            self.data,
            rounds,
            valid_sets=[held_out.data] if held_out else None,
            feval=loss,
            callbacks=[lgb.early_stopping(PATIENCE, verbose=False)] if held_out else None,
        )

    def _expected(self, raw: np.ndarray) -> np.ndarray:
        out = np.clip(raw, -20, 20)
        np.exp(out, out=out)
        out *= self._at_level
        return out

    def _gradient(self, raw: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of the negative-binomial log likelihood in the log rate, and its expected curvature."""
        expected = self._expected(raw)
        damped = self._damping * expected
        damped += 1
        slope = expected - self.count_data.counts
        slope /= damped
        expected /= damped
        expected += 1e-6
        return slope, expected

    def _loss(self, raw: np.ndarray, data: lgb.Dataset) -> tuple[str, float, bool]:
        loss = count_loss(self.count_data.counts, self._expected(raw), self.count_data.variance)
        return "negative_binomial", float(loss.mean()), False


class RateModel:
    """An ensemble on the log scale of components, each a recipe's fit.

    log rate = base + level_correction + Σ weight × (component's log rate − its centre), base = the centres' weighted
    mean, or `constant` where there are none. weights: one a component, at least 0. level_correction: of the log rate,
    from recent results.
    """

    def __init__(
        self, components: Sequence[Component], weights: Sequence[float], level_correction: float, constant: float
    ) -> None:
        if len(components) != len(weights):
            raise ValueError(f"{len(components)} components and {len(weights)} weights")
        self.components, self.weights = list(components), [float(w) for w in weights]
        self.level_correction, self.constant = level_correction, constant
        self.fast: FastTrees | None = None

    def prepare(self, rows: float, reasons: bool = True) -> tuple[str, ...]:
        """Score trees in compiled code from here on, to the same bits, if as many rows are to come as are worth it.

        rows: in all, over all calls; infinite for a service. reasons: whether they are to have contributions.
        Returns notes for a person.
        """
        trees = [component for component in self.components if isinstance(component, Trees)]
        if self.fast or not trees or rows < WORTH_COMPILED:
            return ()
        self.fast, notes = fast_trees([one.text for one in trees])
        if self.fast and reasons:
            from models.explanations.shap_kernel import add_tables

            for one in trees:
                one.shap.use(add_tables)
        return notes

    @cached_property
    def base(self) -> float:
        """Log rate of an average row."""
        total = sum(self.weights)
        if not total:
            return self.constant + self.level_correction
        return (
            sum(w * c.centre for w, c in zip(self.weights, self.components, strict=True)) / total
            + self.level_correction
        )

    def log_rate(self, features: np.ndarray) -> np.ndarray:
        """Log conversions per dollar (rows,), of encoded features (rows, columns + 1)."""
        return self._log_rate(features, [None] * len(self.components))

    def contributions(self, features: np.ndarray) -> np.ndarray:
        """Exact SHAP values of the log rate (rows, columns)."""
        return self._weighted([component.contributions(features) for component in self.components], features)

    def explained(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """`log_rate` and `contributions` in less time than both take."""
        parts = [component.contributions(features) for component in self.components]
        return self._log_rate(features, parts), self._weighted(parts, features)

    def _weighted(self, parts: Sequence[np.ndarray], features: np.ndarray) -> np.ndarray:
        out = np.zeros((len(features), features.shape[1] - 1))
        for weight, part in zip(self.weights, parts, strict=True):
            out += weight * part
        return out

    def _log_rate(self, features: np.ndarray, contributions: Sequence[np.ndarray | None]) -> np.ndarray:
        """contributions: of each component, None where they are not known."""
        out = np.full(len(features), self.base)
        raw = iter(self.fast.raw_scores(features) if self.fast else ())
        for weight, component, part in zip(self.weights, self.components, contributions, strict=True):
            if isinstance(component, MixedModel) and part is not None:
                log_rate = component.total(part)
            elif self.fast and isinstance(component, Trees):
                log_rate = next(raw) + component.offset
            else:
                log_rate = component.log_rate(features)
            out += weight * (log_rate - component.centre)
        return out
