"""Boosters of LightGBM fitted to made-up numbers and categories, and rows with values that they never saw."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import lightgbm as lgb
import numpy as np

from models.explanations.tree_text import read_trees

COLUMNS, CATEGORICAL = 12, [8, 9, 10, 11]
# settings of a booster some of whose columns have more thresholds than 8 bits can tell apart
MANY_THRESHOLDS: dict[str, Any] = {
    "trees": 120, "num_leaves": 31, "min_data_in_leaf": 3, "max_bin": 2000, "rows": 6000, "extra_trees": True,
}  # fmt: skip
TINY = float(np.float32(1e-35))  # the largest that LightGBM takes for 0
ODD = [np.nan, 0, -0.0, 1e-36, -1e-36, TINY, -TINY, 1e-34, np.inf, -np.inf, -1, -0.5, 0.7, 3.9, 1e9, 1e12, 1e301]


def made_up(rows: int, seed: int) -> np.ndarray:
    """Numbers with many zeros and gaps, then categories of 3, 12, 40 and 90 codes with gaps."""
    random = np.random.default_rng(seed)
    features = random.normal(size=(rows, COLUMNS))
    features[:, 1] = np.floor(features[:, 1] * 2)
    features[:, 2] = np.exp(features[:, 2])
    features[:, 3] = features[:, 3] > 0.5
    for column, codes in zip(CATEGORICAL, (3, 12, 40, 90), strict=True):
        features[:, column] = random.integers(0, codes, rows)
    features[random.random(features.shape) < 0.1] = 0
    features[:, 4:][random.random((rows, COLUMNS - 4)) < 0.15] = np.nan
    return features


def odd(rows: int, seed: int) -> np.ndarray:
    """Rows like those of training, with values that it never saw."""
    random = np.random.default_rng(seed)
    features = made_up(rows, seed)
    return np.where(random.random(features.shape) < 0.3, random.choice(ODD, features.shape), features)


def counts(features: np.ndarray, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    known = np.nan_to_num(features)
    signal = np.sin(known[:, :8]) @ random.normal(size=8) + (known[:, 10] % 5) / 3 + known[:, 9] % 2 * known[:, 0]
    return random.poisson(np.exp(np.clip(signal, -3, 3))).astype(float)


def fitted(trees: int = 30, rows: int = 3000, objective: str | Callable = "poisson", **settings: Any) -> str:
    features = made_up(rows, 1)
    data = lgb.Dataset(features, counts(features), categorical_feature=CATEGORICAL)
    usual = {
        "objective": objective, "num_leaves": 15, "min_data_in_leaf": 10, "min_data_per_group": 10, "cat_smooth": 2.0,
        "bagging_fraction": 0.8, "bagging_freq": 1, "feature_fraction": 0.6, "verbosity": -1, "num_threads": 1,
        "seed": 3,
    }  # fmt: skip
    return lgb.train(usual | settings, data, trees).model_to_string(num_iteration=-1)


def squared(raw: np.ndarray, data: lgb.Dataset) -> tuple[np.ndarray, np.ndarray]:
    return raw - np.log1p(data.get_label()), np.ones_like(raw)  # type: ignore[arg-type]


def at_thresholds(text: str, rows: int, seed: int) -> np.ndarray:
    """Rows of values at the thresholds of the booster's splits, and next to them."""
    random = np.random.default_rng(seed)
    features = odd(rows, seed)
    for tree in read_trees(text)[1]:
        numbers = [split for split in range(len(tree.feature)) if split not in tree.left_categories]
        for split in numbers:
            threshold = tree.threshold[split]
            near = [threshold, np.nextafter(threshold, np.inf), np.nextafter(threshold, -np.inf)]
            features[random.integers(0, rows, 3), tree.feature[split]] = near
    return features
