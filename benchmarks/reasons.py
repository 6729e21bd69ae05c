"""How fast the reasons of scores come: our tables against LightGBM's `pred_contrib`, in turn, on the same rows.

    python -m benchmarks.reasons [--rows 100000] [--trees 400] [--threads 1]

Boosters with 7, 15 and 31 leaves are fitted to seeded, made-up campaigns: 90 columns, six of them categories, gaps in
most. `build` is the time to make the tables, `first` the rate of a first call that makes them, `ratio` the rate of a
later call over that of LightGBM; `MB` is the size of the tables.
"""

from __future__ import annotations

import argparse
from time import perf_counter

import lightgbm as lgb
import numpy as np

from models.explanations.tree_shap import TreeShap

COLUMNS, CATEGORIES = 90, (3, 6, 8, 15, 40, 120)
TRAINING_ROWS, SEED = 20_000, 7


def campaigns(rows: int, seed: int) -> np.ndarray:
    """Skewed numbers, counts and shares with gaps, then codes of categories, (rows, 90)."""
    random = np.random.default_rng(seed)
    features = random.normal(size=(rows, COLUMNS))
    features[:, ::3] = np.exp(features[:, ::3])
    features[:, 1::7] = np.floor(np.abs(features[:, 1::7]) * 3)
    features[:, 2::11] = 1 / (1 + np.exp(-features[:, 2::11]))
    for column, codes in enumerate(CATEGORIES, COLUMNS - len(CATEGORIES)):
        features[:, column] = np.floor(codes * random.random(rows) ** 2)
    gaps = np.random.default_rng(SEED).choice([0.0, 0.05, 0.3], COLUMNS)
    features[random.random(features.shape) < gaps] = np.nan
    return features


def fit(leaves: int, trees: int) -> str:
    """LightGBM's text of a booster of counts."""
    features, random = campaigns(TRAINING_ROWS, SEED), np.random.default_rng(SEED)
    known = np.nan_to_num(features)
    signal = np.tanh(known) @ (random.normal(size=COLUMNS) * (random.random(COLUMNS) < 0.5) * 0.3)
    signal += 0.4 * np.sin(known[:, -2]) + 0.3 * (known[:, -3] % 4) + 0.3 * np.tanh(known[:, 0] * known[:, 1])
    counts = random.poisson(np.exp(signal - signal.mean()))
    settings = {
        "objective": "poisson", "num_leaves": leaves, "learning_rate": 0.08, "min_data_in_leaf": 20, "max_bin": 127,
        "bagging_fraction": 0.8, "bagging_freq": 1, "feature_fraction": 0.4, "lambda_l2": 1.0, "cat_smooth": 20.0,
        "min_data_per_group": 50, "seed": SEED, "num_threads": 1, "verbosity": -1,
    }  # fmt: skip
    names = list(range(COLUMNS - len(CATEGORIES), COLUMNS))
    data = lgb.Dataset(features, counts, categorical_feature=names)
    return lgb.train(settings, data, trees).model_to_string(num_iteration=-1)


def compare(text: str, features: np.ndarray, threads: int) -> str:
    """A line of the table that is printed."""
    start = perf_counter()
    shap = TreeShap(text)
    build = perf_counter() - start
    booster, differs, ours, theirs = lgb.Booster(model_str=text), 0.0, 0.0, 0.0
    for rows in np.array_split(features, 4):
        start = perf_counter()
        values = shap.contributions(rows, threads)
        ours += perf_counter() - start
        start = perf_counter()
        reference = np.asarray(booster.predict(rows, pred_contrib=True, num_threads=threads))[:, :-1]
        theirs += perf_counter() - start
        differs = max(differs, float(np.abs(values - reference).max()))
    start = perf_counter()
    shap.contributions(features[:1])
    single = perf_counter() - start
    size = sum(table.values.nbytes + sum(classes.nbytes for classes in table.classes) for table in shap.tables) / 1e6
    left, number = len(shap.left_to_lightgbm), len(features)
    return (
        f"{number / ours:10,.0f} {number / theirs:10,.0f} {theirs / ours:7.1f} {differs:9.1e} {build:7.2f} "
        f"{number / (build + ours):10,.0f} {single * 1e3:8.1f} {size:6.0f} {left:5d}"
    )


def main() -> None:
    """Print a line for each number of leaves."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--trees", type=int, default=400)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--leaves", type=int, nargs="+", default=[7, 15, 31])
    args = parser.parse_args()
    features = campaigns(args.rows, SEED + 1)
    print(f"{args.rows:,} rows, {args.trees} trees, threads: {args.threads}; rows a second")
    print("leaves       ours   LightGBM   ratio   differs build s      first 1 row ms     MB  left")
    for leaves in args.leaves:
        print(f"{leaves:6d} {compare(fit(leaves, args.trees), features, args.threads)}", flush=True)


if __name__ == "__main__":
    main()
