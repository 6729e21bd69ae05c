"""How fast compiled trees are, and that their scores have LightGBM's bits, in turn on the same rows.

    python -m benchmarks.trees [--rows 1000000] [--fewer 200000] [--rounds 3]

The first case is a booster of 600 trees of 31 leaves on 40 columns, the second a blend as `train.py` makes it: four
boosters of 7 leaves, 3,300 trees in all, on 90 columns. Columns have gaps, six are categories; the campaigns are
those of `benchmarks.reasons`, seeded and made up. One thread scores all. LightGBM is timed on `--fewer` rows, in as
many parts as there are rounds, each before as many rows of ours; times are microseconds a row, medians of the rounds.
Equality is that of all `--rows`. Calls of few rows are timed again and again (medians); below FEW_ROWS of
`models.estimators.rate`, LightGBM answers in both.
"""

from __future__ import annotations

import argparse
from statistics import median
from time import perf_counter

import lightgbm as lgb
import numpy as np

from benchmarks.reasons import CATEGORIES, COLUMNS, SEED, TRAINING_ROWS, campaigns
from models.estimators.rate import RateModel, Trees

SMALL = 40  # columns of the first case: the last ones
# objective and trees of a blend's recipes
BLEND = {"poisson": 1500, "tweedie": 900, "regression": 600, "huber": 300}
FEW = (1, 16, 100, 1000)


def booster(features: np.ndarray, objective: str, leaves: int, trees: int) -> str:
    """LightGBM's text of a booster of made-up counts."""
    random = np.random.default_rng(SEED)
    known = np.nan_to_num(features)
    signal = np.tanh(known) @ (random.normal(size=features.shape[1]) * 0.3) + 0.4 * np.sin(known[:, -2])
    signal += 0.3 * (known[:, -3] % 4) + 0.3 * np.tanh(known[:, 0] * known[:, 1])
    counts = random.poisson(np.exp(signal - signal.mean()))
    label = np.log1p(counts) if objective in ("regression", "huber") else counts
    settings = {
        "objective": objective, "num_leaves": leaves, "learning_rate": 0.03, "min_data_in_leaf": 20, "max_bin": 127,
        "bagging_fraction": 0.8, "bagging_freq": 1, "feature_fraction": 0.4, "lambda_l2": 1.0, "cat_smooth": 20.0,
        "min_data_per_group": 50, "seed": SEED, "num_threads": 1, "verbosity": -1,
    }  # fmt: skip
    names = list(range(features.shape[1] - len(CATEGORIES), features.shape[1]))
    data = lgb.Dataset(features, label, categorical_feature=names)
    return lgb.train(settings, data, trees).model_to_string(num_iteration=-1)


def cases() -> dict[str, tuple[RateModel, int]]:
    """By name: a model, and how many columns it looks at."""
    features = campaigns(TRAINING_ROWS, SEED)
    single = [Trees("poisson", booster(features[:, -SMALL:], "poisson", 31, 600), 0.0, 0.0)]
    blend = [Trees(name, booster(features, name, 7, trees), 0.0, 0.0) for name, trees in BLEND.items()]
    sizes = f"{len(BLEND)} recipes, {sum(BLEND.values()):,} × 7 leaves"
    return {
        f"600 × 31 leaves, {SMALL} columns": (RateModel(single, [1.0], 0.0, 0.0), SMALL),
        f"{sizes}, {COLUMNS} columns": (RateModel(blend, [0.3] * len(blend), 0.0, 0.0), COLUMNS),
    }


def spent(model: RateModel, features: np.ndarray) -> float:
    """Microseconds a row by the clock."""
    start = perf_counter()
    model.log_rate(features)
    return (perf_counter() - start) / len(features) * 1e6


def fast(model: RateModel) -> RateModel:
    """The same model with compiled trees. Ends the program where there are none."""
    compiled = RateModel(model.components, model.weights, model.level_correction, model.constant)
    if notes := compiled.prepare(10**9):
        raise SystemExit(" ".join(notes))
    if not compiled.fast:
        raise SystemExit('numba is not installed: python -m pip install ".[fast]"')
    return compiled


def compare(name: str, model: RateModel, features: np.ndarray, fewer: int, rounds: int) -> None:
    """Print what a case takes, and whether all bits are equal."""
    ours = fast(model)
    start = perf_counter()
    fast(model)
    first = perf_counter() - start
    times = [(spent(model, rows), spent(ours, rows)) for rows in np.array_split(features[:fewer], rounds)]
    theirs, own = (median(column) for column in zip(*times, strict=True))
    parts = np.array_split(features, max(1, len(features) // 100_000))
    equal = all(model.log_rate(part).tobytes() == ours.log_rate(part).tobytes() for part in parts)
    print(f"{name}\n  {len(features):,} rows, all bits equal: {'yes' if equal else 'NO'}; tables made in {first:.2f} s")
    print(f"  µs a row: {theirs:.2f} by LightGBM, {own:.2f} compiled; {theirs / own:.1f} times as fast")
    for number in FEW:
        few, calls = features[:number], range(2000 // number + 5)
        theirs, own = (median(spent(which, few) * number for _ in calls) for which in (model, ours))
        print(f"  µs a call of {number:,} rows: {theirs:,.0f} by LightGBM, {own:,.0f} compiled", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000, help="for equality (%(default)s)")
    parser.add_argument("--fewer", type=int, default=200_000, help="for the times (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="(%(default)s)")
    args = parser.parse_args()
    features = campaigns(args.rows, SEED + 1)
    for name, (model, columns) in cases().items():
        compare(name, model, features[:, -columns:], args.fewer, args.rounds)


if __name__ == "__main__":
    main()
