"""The estimator, its blend, its encoding, its saved form and its reasons."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from features.comment_classifier.classifier import CommentClassifier
from features.settings import FeatureSettings
from models.estimators import rate
from models.estimators.count_data import CountData
from models.estimators.encoding import MISSING, OTHER, Encoding
from models.estimators.rate import RECIPES, Trees, fit_component
from models.evaluation.skill import measure_skill, skill_sentence
from models.scorer import SCORES, ModelError, Scorer
from models.scoring import FAR_AHEAD
from models.training import Trained, fit
from tests.support.past_market import fitted, matrix, spine, training


@pytest.fixture(scope="module")
def trained() -> Trained:
    """A model of 600 results."""
    return fitted(spine(600))


def _files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_same_data_and_seed_give_the_same_bytes(trained: Trained, tmp_path: Path) -> None:
    trained.scorer.save(tmp_path / "a")
    fitted(spine(600)).scorer.save(tmp_path / "b")
    fitted(spine(600), seed=1).scorer.save(tmp_path / "c")
    assert _files(tmp_path / "a") == _files(tmp_path / "b")
    assert _files(tmp_path / "a")["rate_0.txt"] != _files(tmp_path / "c")["rate_0.txt"]


def test_the_true_rate_is_found(trained: Trained) -> None:
    asked = spine(500, seed=7)
    rates = trained.scorer.rates(matrix(asked), asked.creator_id.to_numpy(object))
    assert np.corrcoef(np.log(rates), np.log(asked.rate))[0, 1] > 0.85
    assert (rates * asked.spend).sum() / (asked.rate * asked.spend).sum() == pytest.approx(1, abs=0.15)
    figures = trained.backtest.figures().set_index("model")[:4]
    skill, rank = figures.skill.to_dict(), figures["rank"].to_dict()
    assert rank["ours"] > rank["own_record"] + 0.2
    assert skill["ours"] > skill["one_rate"] + 0.2


def test_a_saved_model_scores_to_the_bit_as_before(trained: Trained, tmp_path: Path) -> None:
    asked = spine(80, seed=3)
    trained.scorer.save(tmp_path / "model")
    loaded = Scorer.load(tmp_path / "model")
    pd.testing.assert_frame_equal(
        loaded.score(matrix(asked), asked), trained.scorer.score(matrix(asked), asked), check_exact=True
    )
    loaded.save(tmp_path / "again")
    assert _files(tmp_path / "model") == _files(tmp_path / "again")


@pytest.mark.parametrize("damage", ["change", "remove", "add", "checksums"])
def test_a_tampered_model_is_refused(trained: Trained, tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "model"
    trained.scorer.save(folder)
    file = folder / "rate_0.txt"
    if damage == "change":
        file.write_text(file.read_text().replace("shrinkage=0.08", "shrinkage=0.09", 1))
    elif damage == "remove":
        file.unlink()
    elif damage == "add":
        (folder / "more.py").write_text("1")
    else:
        (folder / "checksums.json").unlink()
    said = {
        "change": "rate_0.txt was changed",
        "remove": "rate_0.txt is missing",
        "add": "more.py does not belong",
        "checksums": "no checksums.json",
    }
    with pytest.raises(ModelError, match=said[damage]):
        Scorer.load(folder)


def test_chunks_and_order_of_rows_change_no_bit_of_a_score(trained: Trained) -> None:
    asked = spine(101, seed=5)
    whole = trained.scorer.score(matrix(asked), asked)
    parts = [asked.iloc[i : i + 7].reset_index(drop=True) for i in range(0, len(asked), 7)]
    rows = [
        trained.scorer.score(matrix(asked).iloc[i : i + 7].reset_index(drop=True), p)
        for i, p in zip(range(0, 101, 7), parts, strict=True)
    ]
    pd.testing.assert_frame_equal(pd.concat(rows, ignore_index=True), whole, check_exact=True)
    order = np.random.default_rng(0).permutation(len(asked))
    shuffled = trained.scorer.score(matrix(asked).iloc[order].reset_index(drop=True), asked.iloc[order])
    pd.testing.assert_frame_equal(shuffled, whole.iloc[order].reset_index(drop=True), check_exact=True)


def test_every_rate_lies_inside_its_own_interval_to_the_bit(trained: Trained) -> None:
    asked = spine(800, seed=6)
    asked["spend"] = np.exp(np.random.default_rng(6).uniform(-3, 12, len(asked)))  # far below and above one conversion
    for level in (0.01, 0.5, 0.8, 0.999):
        scores = trained.scorer.score(matrix(asked), asked, level)
        rate = scores.conversions_per_dollar
        assert (scores.conversions_per_dollar_low <= rate).all()
        assert (rate <= scores.conversions_per_dollar_high).all()


def test_codes_of_categories_depend_on_the_saved_levels_alone() -> None:
    seen = pd.DataFrame({"x": ["b", "a", "a", "b", "b", "a", None, "rare"], "empty": [None] * 8}, dtype=object)
    encoding = Encoding.fit(seen, np.array(["c1", "c2"] * 4, dtype=object))
    assert encoding.columns == ("x",)
    assert encoding.levels == {"x": ("a", "b")}
    asked = pd.DataFrame({"x": ["b", None, "new", "rare", "a"]}, dtype=object)
    creators = np.array(["c2", "c1", "new", None, "c2"], dtype=object)
    assert encoding.transform(asked, creators)[:, -1].tolist() == [2, 1, 0, 0, 2]
    assert encoding.transform(asked, creators)[:, 0].tolist() == [3, MISSING, OTHER, OTHER, 2]
    assert encoding.transform(asked.astype("category"), creators)[:, 0].tolist() == [3, MISSING, OTHER, OTHER, 2]
    further = encoding.extended({"x": ("a", "rare"), "y": ("z",)})
    assert further.levels == {"x": ("a", "b", "rare")}
    assert further.transform(asked, creators)[:, 0].tolist() == [3, MISSING, OTHER, 4, 2]
    numbered = Encoding.fit(seen, np.array([7, 8] * 4))
    for creators in (np.array([8, 7, 9, 8, 7]), np.array(["8", "7", "", "8", 7.0], dtype=object)):
        assert numbered.transform(asked, creators)[:, -1].tolist() == [2, 1, 0, 2, 1]
    assert (encoding.place("x"), encoding.place("y", otherwise=-1)) == (0, -1)
    with pytest.raises(ValueError, match="does not know the column 'y'"):
        encoding.place("y")
    assert Encoding.from_dict(json.loads(json.dumps(encoding.to_dict()))) == encoding
    with pytest.raises(ValueError, match=r"lacks 1 of the 1 columns .*'x'"):
        encoding.transform(asked.rename(columns={"x": "y"}), creators)


def test_scores_hold_together(trained: Trained) -> None:
    asked = spine(60, seed=9)
    asked.loc[0, "spend"] = 10_000_000.0
    features = matrix(asked)
    features.loc[1, "objective"] = "unheard of"
    features.loc[2, "platform"] = None
    scores = trained.scorer.score(features, asked)
    assert tuple(scores.columns) == SCORES
    rate = scores.conversions_per_dollar
    np.testing.assert_allclose(scores.conversions, rate * asked.spend)
    np.testing.assert_allclose(scores.cost_per_conversion * rate, 1)
    assert (scores.conversions_per_dollar_low <= scores.conversions_per_dollar_high).all()
    assert "outside_training_range" in json.loads(scores.warnings[0])
    assert "unknown_category" in json.loads(scores.warnings[1])
    assert "unknown_creator" in json.loads(scores.warnings[2])
    wide = trained.scorer.score(features, asked, level=0.95)
    assert (wide.conversions_per_dollar_high >= scores.conversions_per_dollar_high).all()
    assert (wide.conversions_per_dollar_low <= scores.conversions_per_dollar_low).all()


def test_a_deal_far_ahead_of_all_results_is_scored_with_a_warning(trained: Trained) -> None:
    asked = spine(4, seed=9)
    last = pd.Timestamp(trained.scorer.facts.last_start)
    asked["starts_at"] = [last + pd.Timedelta(days=days) for days in (30, 365, 366, 3650)]
    scores = trained.scorer.score(matrix(asked), asked)
    assert [FAR_AHEAD in json.loads(told) for told in scores.warnings] == [False, False, True, True]
    without = trained.scorer.score(matrix(asked), asked.drop(columns="starts_at"))
    pd.testing.assert_frame_equal(without.drop(columns="warnings"), scores.drop(columns="warnings"), check_exact=True)
    assert not without.warnings.str.contains(FAR_AHEAD).any()


def test_reasons_multiply_to_the_score(trained: Trained) -> None:
    asked = spine(50, seed=4)
    scorer = trained.scorer
    features = scorer.encoding.transform(matrix(asked), asked.creator_id.to_numpy(object))
    log_rate, moved = scorer.rate.log_rate(features), scorer.rate.contributions(features)
    rest = log_rate - moved.sum(axis=1)
    np.testing.assert_allclose(rest, rest[0], atol=1e-9)
    for told in map(json.loads, scorer.score(matrix(asked), asked).reasons):
        assert 0 < len(told) <= 5
        strength = [abs(np.log(reason["factor"])) for reason in told]
        assert strength == sorted(strength, reverse=True)
        assert all(set(reason) == {"feature", "value", "factor"} for reason in told)
    missing = json.loads(scorer.score(matrix(asked).assign(appeal=np.nan), asked).reasons[0])
    assert [r["value"] for r in missing if r["feature"] == "appeal"] == [None]


@pytest.mark.parametrize("times", [2, 16])
def test_more_money_with_as_many_more_conversions_leaves_the_rate(times: int) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(800, 1))
    exposure = np.full(800, 4000.0)
    counts = rng.poisson(exposure * 0.05 * np.exp(0.5 * x[:, 0])).astype(float)
    encoding = Encoding(("x",), {}, ())
    features = np.column_stack([x, np.zeros(800)])
    for recipe in RECIPES:
        one, more = (
            fit_component(CountData(features, encoding, counts * k, exposure * k, np.zeros(800)), recipe, 0).log_rate(
                features
            )
            for k in (1, times)
        )
        assert np.abs(one - more).max() < 0.1, recipe.name


@pytest.mark.parametrize("case", ["30", "one_creator", "one_brand", "constant", "mostly_none", "two"])
def test_odd_data_are_survived(case: str) -> None:
    frame = spine({"30": 30, "two": 2}.get(case, 130))
    if case == "one_creator":
        frame["creator_id"] = "c001"
    elif case == "one_brand":
        frame["brand"] = "north"
    elif case == "constant":
        frame["appeal"], frame["spend"], frame["promotion_hours"] = 0.0, 500.0, 24.0
    elif case == "mostly_none":
        frame["conversions"] = np.where(np.arange(len(frame)) == 100, 1, 0)
    elif case == "two":
        frame["conversions"] = [0, 3]
    scores = fitted(frame).scorer.score(matrix(frame), frame)
    numbers = scores.select_dtypes("number").to_numpy()
    assert np.isfinite(numbers).all()
    assert (scores.conversions_per_dollar > 0).all()
    level = frame.conversions.sum() / frame.spend.sum()
    assert 0.2 < (scores.conversions.sum() / frame.spend.sum()) / level < 5


def test_recipes_that_no_fold_could_judge_do_not_speak() -> None:
    frame = spine(45)
    made = fitted(frame)
    assert len(made.backtest.rows)
    assert not made.scorer.facts.recipes
    assert made.scorer.rates(matrix(frame), frame.creator_id.to_numpy(object)).std() == 0


def test_features_without_meaning_give_no_skill() -> None:
    from models.report import summary
    from models.report.model_card import model_card

    frame = spine(300)
    features = matrix(frame)[["noise", "constant"]]
    made = training(frame)
    blind = fit(type(made)(features, frame, made.results), FeatureSettings(), CommentClassifier.load())
    assert skill_sentence(measure_skill(blind.backtest)).startswith("No skill beyond")
    assert model_card(summary.study(blind)).startswith("No skill beyond")
    assert skill_sentence(measure_skill(fitted(frame).backtest)).startswith("The model tells deals apart better")


def test_trees_predict_with_the_threads_they_train_with(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    """LightGBM crashes where one thread predicts with another number of threads than a second one trains with."""
    predict, settings = rate._predict, []

    def spy(*arguments: Any) -> Any:
        settings.append(arguments[9])
        return predict(*arguments)

    monkeypatch.setattr(rate, "_predict", spy)
    frame = spine(20)
    trained.scorer.score(matrix(frame), frame)
    assert settings
    assert set(settings) == {b"num_threads=1"}


def test_trees_predict_as_lightgbm_does(trained: Trained) -> None:
    trees = next(c for c in trained.scorer.rate.components if isinstance(c, Trees))
    frame = spine(20)
    features = trained.scorer.encoding.transform(matrix(frame), frame.creator_id.to_numpy(object))
    own = np.ascontiguousarray(features[:, :-1])
    expected = np.asarray(trees.booster.predict(own, raw_score=True, num_threads=1)) + trees.offset
    np.testing.assert_array_equal(trees.log_rate(features), expected)
