"""What a user would pick instead of us: rules of thumb, a regression, boosters, automatic machine learning.

Every model is set up as its documentation or a careful afternoon would have it: spend as the weight of a rate, early
stopping on the newest 15 % of the results, then all of them with that number of trees.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

HELD_OUT, ROUNDS, PATIENCE, FEWEST = 0.15, 1500, 50, 10
THREADS, LEAST_ROWS = 2, 40
BOOSTING: dict[str, Any] = {
    "learning_rate": 0.05, "num_leaves": 15, "min_child_samples": 20, "subsample": 0.8, "subsample_freq": 1,
    "colsample_bytree": 0.7, "random_state": 0, "deterministic": True, "force_row_wise": True, "verbose": -1,
    "n_jobs": 1,
}  # fmt: skip


@dataclass(frozen=True)
class Task:
    """What a model gets: past results in the order of their start, and the candidates.

    known, test: features of past results and of candidates; categories share their levels. counts, spend (dollars),
    settled (bool; whether the counting is over): of the past results. test_spend: dollars. seconds: what a search may
    take.
    """

    known: pd.DataFrame
    test: pd.DataFrame
    counts: np.ndarray
    spend: np.ndarray
    settled: np.ndarray
    test_spend: np.ndarray
    seconds: float

    @property
    def rate(self) -> float:
        """Conversions per dollar of all."""
        return float(self.counts.sum() / self.spend.sum())

    def only_settled(self) -> Task:
        """Without the results that are still being counted. Raises ValueError where hardly any are left."""
        kept = self.settled
        if kept.sum() < LEAST_ROWS:
            raise ValueError(f"the counting is over for {kept.sum()} of {len(kept)} results only")
        return replace(
            self, known=self.known[kept], counts=self.counts[kept], spend=self.spend[kept], settled=self.settled[kept]
        )


PeerModel = Callable[[Task], np.ndarray]


def one_rate(task: Task) -> np.ndarray:
    """The same for everybody."""
    return np.full(len(task.test), task.rate)


def past_rate(task: Task) -> np.ndarray:
    """The creator's own past rate, on the log scale, with one average result added."""
    return task.rate * np.exp(task.test["record_creator"].to_numpy())


def by_price(task: Task) -> np.ndarray:
    """What deals of about that price brought: the rate of each fifth of the prices."""
    edges = np.unique(np.quantile(task.spend, [0.2, 0.4, 0.6, 0.8]))
    place = np.searchsorted(edges, task.spend)
    counts = np.bincount(place, task.counts, len(edges) + 1)
    rates = counts / np.maximum(np.bincount(place, task.spend, len(edges) + 1), 1e-9)
    return rates[np.searchsorted(edges, task.test_spend)]


def regression(task: Task, power: float) -> np.ndarray:
    """A Tweedie regression by glum (power 1 is Poisson's): medians for gaps, standardised numbers, a column a level."""
    from glum import GeneralizedLinearRegressor

    columns = pd.concat([task.known, task.test], ignore_index=True)
    categories = _categories(columns)
    numbers = columns.drop(columns=categories)
    past = numbers.iloc[: len(task.known)]
    numbers = numbers.clip(past.min(), past.max(), axis=1)
    spread = past.std().replace(0, 1).fillna(1)
    numbers = ((numbers.fillna(past.median()) - past.mean()) / spread).fillna(0)
    design = pd.concat([numbers, pd.get_dummies(columns[categories], dtype=float)], axis=1)
    family: Any = "poisson"
    if power != 1:
        from glum import TweedieDistribution

        family = TweedieDistribution(power)
    model = GeneralizedLinearRegressor(family=family, link="log", alpha=0.01, max_iter=300)
    weight = task.spend / task.spend.mean()
    model.fit(design.iloc[: len(task.known)].to_numpy(), task.counts / task.spend / task.rate, sample_weight=weight)
    return task.rate * model.predict(design.iloc[len(task.known) :].to_numpy())


def lightgbm(task: Task, objective: str, label: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """LightGBM's predictions for the past results and for the candidates."""
    from lightgbm import LGBMRegressor, early_stopping

    older = slice(0, int(len(label) * (1 - HELD_OUT)))
    newer = slice(older.stop, None)
    first = LGBMRegressor(objective=objective, n_estimators=ROUNDS, **BOOSTING)
    first.fit(
        task.known.iloc[older], label[older], sample_weight=weight[older],
        eval_set=[(task.known.iloc[newer], label[newer])], eval_sample_weight=[weight[newer]],
        callbacks=[early_stopping(PATIENCE, verbose=False)],
    )  # fmt: skip
    trees = max(first.best_iteration_ or 0, FEWEST)
    model = LGBMRegressor(objective=objective, n_estimators=trees, **BOOSTING)
    model.fit(task.known, label, sample_weight=weight)
    return np.asarray(model.predict(task.known)), np.asarray(model.predict(task.test))


def lightgbm_poisson(task: Task) -> np.ndarray:
    """LightGBM on the rate with its Poisson loss, weighed by spend."""
    return lightgbm(task, "poisson", task.counts / task.spend, task.spend)[1]


def log_rate(task: Task) -> np.ndarray:
    """The logarithm of the rate, half a conversion added."""
    return np.log((task.counts + 0.5) / task.spend)


def from_log(task: Task, known: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Rates from predicted log rates, scaled so that their total is right on the past."""
    return np.exp(test) * (task.counts.sum() / (np.exp(known) * task.spend).sum())


def lightgbm_log(task: Task) -> np.ndarray:
    """LightGBM on the log rate with squared loss."""
    return from_log(task, *lightgbm(task, "regression", log_rate(task), np.ones(len(task.counts))))


def catboost_tweedie(task: Task) -> np.ndarray:
    """CatBoost on the rate with its Tweedie loss, weighed by spend, categories its own way."""
    from catboost import CatBoostRegressor, Pool

    categories = _categories(task.known)

    def pool(rows: slice) -> Any:
        return Pool(_texts(task.known.iloc[rows]), label[rows], weight=task.spend[rows], cat_features=categories)

    label = task.counts / task.spend
    older = int(len(label) * (1 - HELD_OUT))
    settings: dict[str, Any] = {
        "loss_function": "Tweedie:variance_power=1.5", "learning_rate": 0.05, "verbose": 0, "random_seed": 0,
        "thread_count": THREADS, "allow_writing_files": False,
    }  # fmt: skip
    first = CatBoostRegressor(iterations=ROUNDS, early_stopping_rounds=PATIENCE, **settings)
    first.fit(pool(slice(0, older)), eval_set=pool(slice(older, None)))
    model = CatBoostRegressor(iterations=max(first.tree_count_, FEWEST), **settings)
    model.fit(pool(slice(None)))
    return np.asarray(model.predict(_texts(task.test), prediction_type="Exponent"))


def _texts(features: pd.DataFrame) -> pd.DataFrame:
    """Categories as text: CatBoost takes no gaps in them."""
    texts = {name: features[name].astype("object").fillna("missing").astype(str) for name in _categories(features)}
    return features.assign(**texts)


def _categories(features: pd.DataFrame) -> list[str]:
    return [str(name) for name in features.select_dtypes("category")]


def flaml_log(task: Task) -> np.ndarray:
    """FLAML on the log rate: what it finds in `seconds`, the newest results held out. Only this one is not repeatable:
    how far it gets depends on the machine."""
    from flaml import AutoML

    model = AutoML()
    model.fit(
        task.known, log_rate(task), task="regression", metric="rmse", time_budget=task.seconds, eval_method="holdout",
        split_type="time", seed=1, n_jobs=THREADS, verbose=0, mlflow_logging=False,
    )  # fmt: skip
    return from_log(task, np.asarray(model.predict(task.known)), np.asarray(model.predict(task.test)))


def without_young(model: PeerModel) -> PeerModel:
    """The same, learning only from results whose counting is over."""
    return lambda task: model(task.only_settled())


PEER_MODELS: dict[str, PeerModel] = {
    "one rate for all": one_rate,
    "rate by price": by_price,
    "creator's past rate": past_rate,
    "glum Poisson": lambda task: regression(task, 1.0),
    "glum Tweedie 1.5": lambda task: regression(task, 1.5),
    "LightGBM Poisson": lightgbm_poisson,
    "LightGBM Poisson, no young": without_young(lightgbm_poisson),
    "LightGBM log": lightgbm_log,
    "LightGBM log, no young": without_young(lightgbm_log),
    "CatBoost Tweedie 1.5": catboost_tweedie,
    "FLAML log": flaml_log,
}
