"""The bounded search of settings."""

from pathlib import Path

import numpy as np

from features.comment_classifier.classifier import CommentClassifier
from features.settings import FeatureSettings
from models.estimators.rate import RECIPES
from models.estimators.recipes import best_of_families, with_settings
from models.evaluation.backtest import run_backtest
from models.scorer import Scorer
from models.training import fit
from tests.support.past_market import matrix, spine, training


def test_every_recipe_comes_with_others_of_its_family() -> None:
    assert with_settings(0) == RECIPES
    recipes = with_settings(5)
    assert recipes == with_settings(5)
    assert recipes != with_settings(5, seed=1)
    assert with_settings(2, seed=1) == with_settings(2)  # the first two are not drawn
    assert len({recipe.name for recipe in recipes}) == len(recipes) == 6 * len(RECIPES)
    for usual in RECIPES:
        family = [recipe for recipe in recipes if recipe.family == usual.name]
        assert family[0] == usual
        assert len({str(recipe.settings) for recipe in family}) == 6
        assert all(recipe.objective == usual.objective for recipe in family)
        assert all(usual.settings.items() <= recipe.settings.items() for recipe in family)


def test_another_setting_is_taken_only_where_it_is_surely_better() -> None:
    rng = np.random.default_rng(3)
    rows, recipes = 600, with_settings(1, recipes=RECIPES[:2])
    truth, exposure, base = rng.normal(0, 1, rows), np.full(rows, 500.0), np.full(rows, np.log(0.02))
    fold = np.arange(rows) // 200
    # each fold has a level of its own, which counts for no recipe
    counts = rng.poisson(exposure * np.exp(base + truth + 0.7 * fold)).astype(float)
    vague, same = truth + rng.normal(0, 0.8, rows), truth + rng.normal(0, 1e-9, rows)
    deviations = np.column_stack([vague, truth, truth, same])
    chosen = best_of_families(deviations, base, counts, exposure, np.zeros(rows), fold, recipes)
    assert [recipes[i].name for i in chosen] == ["poisson-1", "tweedie"]


def test_a_backtest_gives_weight_to_one_of_a_family() -> None:
    made = training(spine(300))
    recipes = with_settings(1, recipes=(RECIPES[0], RECIPES[-1]))
    found = run_backtest(made.matrix, made.creators, made.results, recipes=recipes, folds=2)
    assert found.weights.shape == (4,)
    for family in ("poisson", "mixed"):
        assert sum(w > 0 for w, recipe in zip(found.weights, recipes, strict=True) if recipe.family == family) <= 1
    assert found.weights.any()


def test_a_model_of_another_setting_is_saved_and_loaded(tmp_path: Path) -> None:
    recipes = with_settings(1)[-1:]
    assert recipes[0].name == "mixed-1"
    scorer = fit(training(spine(200)), FeatureSettings(), CommentClassifier.load(), recipes=recipes).scorer
    assert scorer.facts.recipes.keys() == {"mixed-1"}
    scorer.save(tmp_path / "model")
    loaded, candidates = Scorer.load(tmp_path / "model"), spine(20, seed=2)
    creators = candidates.creator_id.to_numpy(object)
    assert loaded.rate.components[0].recipe == "mixed-1"
    assert loaded.rates(matrix(candidates), creators).tolist() == scorer.rates(matrix(candidates), creators).tolist()
