"""A bounded search of settings: a few others beside each recipe's usual ones, taken only where the folds clearly prefer
them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models.estimators.count_data import count_loss, level_shift
from models.estimators.rate import RECIPES, Recipe

# fewer and more leaves than usual come first; further ones are random
TREES: tuple[dict[str, float], ...] = ({"num_leaves": 4, "lambda_l2": 5.0}, {"num_leaves": 15, "feature_fraction": 0.3})
STRENGTHS = (3.0, 0.4)
TRIES, SURE = 2, 1.0


def with_settings(tries: int, seed: int = 0, recipes: Sequence[Recipe] = RECIPES) -> tuple[Recipe, ...]:
    """Every recipe, followed by `tries` of its family with other settings; the same seed draws the same."""
    out = []
    for place, recipe in enumerate(recipes):
        rng = np.random.default_rng([seed, place])
        out.append(recipe)
        for i in range(tries):
            if recipe.objective == "mixed":
                other = {
                    "strength": STRENGTHS[i] if i < len(STRENGTHS) else round(float(np.exp(rng.normal(0, 1.2))), 2)
                }
            else:
                other = dict(TREES[i]) if i < len(TREES) else _drawn(rng)
            out.append(Recipe(f"{recipe.name}-{i + 1}", recipe.objective, recipe.settings | other))
    return tuple(out)


def _drawn(rng: np.random.Generator) -> dict[str, float]:
    return {
        "num_leaves": int(rng.choice([3, 4, 5, 7, 10, 15, 24])),
        "feature_fraction": float(rng.choice([0.2, 0.4, 0.7])),
        "lambda_l2": float(rng.choice([0.3, 1.0, 5.0, 20.0])),
        "learning_rate": float(rng.choice([0.04, 0.08])),
    }


def best_of_families(
    deviations: np.ndarray,
    base: np.ndarray,
    counts: np.ndarray,
    exposure: np.ndarray,
    variance: np.ndarray,
    fold: np.ndarray,
    recipes: Sequence[Recipe],
) -> np.ndarray:
    """Positions of one recipe a family: the usual one, or another that beats it by more than one standard error.

    Arguments as `models.estimators.ensemble.fit_weights` takes them. Losses are negative-binomial deviances with every
    fold at its own level, compared row by row (the rule of one standard error: Breiman et al. 1984, ch. 3).
    """
    families: dict[str, list[int]] = {}
    for i, recipe in enumerate(recipes):
        families.setdefault(recipe.family, []).append(i)
    chosen = []
    for members in families.values():
        best, surest = members[0], SURE
        if len(members) > 1 and len(counts) > 1:
            losses = [_loss(base + deviations[:, i], counts, exposure, variance, fold) for i in members]
            for i, loss in zip(members[1:], losses[1:], strict=True):
                better = losses[0] - loss
                spread = float(better.std(ddof=1)) / np.sqrt(len(better))
                if spread and better.mean() / spread > surest:
                    best, surest = i, float(better.mean() / spread)
        chosen.append(best)
    return np.array(chosen)


def _loss(
    log_rate: np.ndarray, counts: np.ndarray, exposure: np.ndarray, variance: np.ndarray, fold: np.ndarray
) -> np.ndarray:
    expected = exposure * np.exp(np.clip(log_rate, -40, 40))
    for j in np.unique(fold):
        mine = fold == j
        expected[mine] *= np.exp(level_shift(counts[mine], expected[mine], variance[mine]))
    return count_loss(counts, expected, variance)
