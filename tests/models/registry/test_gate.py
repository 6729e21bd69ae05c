"""The gate between a new model and the champion, which predicts from features of its own."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest

from features.comment_classifier.classifier import CommentClassifier
from features.history.source import History, open_history
from features.matrix import FeatureBuilder
from features.settings import FeatureSettings
from models.estimators.rate import RECIPES
from models.evaluation.paired import Comparison, Difference
from models.evaluation.skill import Skill
from models.registry import gate
from models.registry.gate import Decision
from models.registry.window import LEAST_UNSEEN, champion_predictions
from models.scorer import Scorer
from models.training import Trained, TrainingSet, fit
from tests.support.past_market import fitted, spine

SETTINGS = FeatureSettings(tier_bounds=(2_000, 20_000, 50_000, 200_000))


@pytest.fixture(scope="module")
def history(tiny_market: Path) -> Iterator[History]:
    with open_history(tiny_market / "data") as opened:
        yield opened


@pytest.fixture(scope="module")
def quick(history: History) -> Trained:
    """A quick model of the tiny market."""
    settings, classifier = FeatureSettings(), CommentClassifier.load()
    return fit(TrainingSet.from_history(history, settings, classifier), settings, classifier, recipes=RECIPES[-1:])


@pytest.fixture(scope="module")
def champion(quick: Trained) -> Scorer:
    """The same rates from comments that another classifier reads, other tiers, and half of the newest rows unseen."""
    shipped, past = quick.scorer.classifier, quick.scorer.past
    milder = CommentClassifier(shipped.slots, shipped.weights, shipped.shape_weights, [s / 3 for s in shipped.scale])
    return dataclasses.replace(quick.scorer, settings=SETTINGS, classifier=milder, past=past[: len(past) * 7 // 8])


@pytest.mark.long
def test_the_champion_is_asked_on_features_of_its_own(history: History, quick: Trained, champion: Scorer) -> None:
    with FeatureBuilder(history, SETTINGS, champion.classifier) as builder:
        own = builder.build(quick.training.spine)
    ours, theirs = (gate.judge(quick, champion, m).why for m in (quick.training.matrix, own))
    assert ours != theirs
    decision = gate.decide(quick, champion, history)
    assert decision.why == f"{theirs}; the champion's features made by its own classifier and settings"


@pytest.mark.long
def test_features_are_made_anew_only_where_they_differ(
    history: History, quick: Trained, champion: Scorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> pd.DataFrame:
        raise duckdb.IOException("the disk is full")

    monkeypatch.setattr(FeatureBuilder, "build", broken)
    unlike = gate.decide(quick, champion, history)
    assert "scored on the challenger's features, for its own cannot be made (the disk is full)" in unlike.why
    alike = dataclasses.replace(champion, settings=quick.scorer.settings, classifier=quick.scorer.classifier)
    seen = dataclasses.replace(champion, past=quick.scorer.past)
    for scorer in (alike, seen):
        known = gate.judge(quick, scorer, quick.training.matrix)
        assert gate.decide(quick, scorer, history) == known
    assert gate.decide(quick, None, history) == gate.first(quick)


def predicting(trained: Trained, factor: np.ndarray | float) -> Trained:
    """The same training, had its backtest predicted so many times the rates."""
    rows = trained.backtest.rows
    moved = {name: rows[name] * factor for name in ("ours", "low", "high")}
    return dataclasses.replace(trained, backtest=dataclasses.replace(trained.backtest, rows=rows.assign(**moved)))


def remembering(trained: Trained, factor: np.ndarray | float = 1.0, drop: int = 0) -> Scorer:
    """The model as a champion whose own backtest predicted so many times the rates; without the newest `drop` rows."""
    past = trained.scorer.past.set_index("collaboration_id")
    tested = trained.backtest.rows.collaboration_id
    past.loc[tested] = past.loc[tested].mul(factor, axis=0)
    return dataclasses.replace(trained.scorer, past=past.reset_index().iloc[: len(past) - drop])


def count(trained: Trained) -> int:
    return len(trained.backtest.rows)


def judge(trained: Trained, champion: Scorer, *kept_out: Scorer) -> Decision:
    return gate.judge(trained, champion, trained.training.matrix, kept_out)


def noise(trained: Trained, spread: float, seed: int = 0) -> np.ndarray:
    return np.exp(np.random.default_rng(seed).normal(0, spread, len(trained.backtest.rows)))


@pytest.mark.slow
def test_the_first_is_promoted_and_what_is_odd_about_it_is_said(trained: Trained) -> None:
    decision = gate.first(trained)
    assert (decision.promoted, decision.why, decision.alarms) == (True, "it is the first", ())
    facts = dataclasses.replace(trained.scorer.facts, skill=Skill("price_only", 0.3, 300))
    unskilled = dataclasses.replace(trained, scorer=dataclasses.replace(trained.scorer, facts=facts))
    decision = gate.first(unskilled)
    assert decision.promoted
    assert not decision.alarms
    assert "it has no skill beyond a rule of thumb" in decision.why
    decision = gate.first(predicting(trained, 100))
    assert decision.promoted
    assert "most likely a slip of unit or currency" in decision.alarms[0].sentence


def test_a_better_one_is_promoted_on_the_same_data(trained: Trained) -> None:
    decision = judge(trained, remembering(trained, noise(trained, 0.6)))
    assert decision.promoted
    assert decision.why.startswith(f"it is significantly better, on the newest {count(trained)} results")
    assert decision.comparison is not None
    assert decision.comparison.deviance.high < 0
    assert (decision.rows, decision.left_out) == (count(trained), 0)


def test_a_worse_one_stays_out_whatever_is_new(trained: Trained) -> None:
    worse = predicting(trained, noise(trained, 0.6))
    for drop in (0, 40):
        decision = judge(worse, remembering(trained, drop=drop))
        assert not decision.promoted
        assert decision.why.startswith("it is significantly worse in deviance")
        assert not decision.alarms, "that a model is no better is no reason to look"


def test_as_good_a_one_is_promoted_for_new_results_only(trained: Trained) -> None:
    decision = judge(trained, remembering(trained))
    assert not decision.promoted
    assert decision.why.startswith("it is as good, but there is no result that was not trained on before")
    older = remembering(trained, drop=25)
    decision = judge(trained, older)
    assert decision.promoted
    assert decision.why.startswith("it is surely not worse, and 25 results came in since")
    facts = dataclasses.replace(trained.scorer.facts, conversions=1.0)
    decision = judge(trained, dataclasses.replace(trained.scorer, facts=facts))
    assert decision.why.startswith("it is surely not worse, and results have changed since")


def test_what_a_version_that_was_taken_back_had_seen_is_no_reason_to_renew(trained: Trained) -> None:
    older = remembering(trained, drop=25)
    assert not judge(trained, older, trained.scorer).promoted
    assert judge(trained, older, remembering(trained, drop=5)).promoted
    much_worse = remembering(trained, noise(trained, 0.6), drop=25)
    assert judge(trained, much_worse, trained.scorer).promoted, "better is better"
    assert not gate.judge(trained, older, trained.training.matrix, None).promoted, "it cannot be read"


def agreeing(trained: Trained, champion: Scorer, older: float) -> Trained:
    """The same training, had its backtest predicted what the champion does; `older` times as much of the 50 oldest."""
    rows = trained.backtest.rows
    theirs = champion_predictions(champion, rows, trained.training.matrix)
    factor = np.where(np.arange(len(rows)) < 50, older, 1.0)
    moved = {"ours": theirs.rate * factor, "low": theirs.low * factor, "high": theirs.high * factor}
    return dataclasses.replace(trained, backtest=dataclasses.replace(trained.backtest, rows=rows.assign(**moved)))


@pytest.mark.parametrize("older", [1 / 20, 20.0])
def test_enough_results_that_came_in_since_are_judged_alone(trained: Trained, older: float) -> None:
    # the 50 oldest tested results are known to both by their backtests, which disagree
    champion = remembering(trained, drop=count(trained) - 50)
    decision = judge(agreeing(trained, champion, older), champion)
    assert (decision.promoted, decision.rows, decision.left_out) == (True, count(trained) - 50, 0)
    assert "results that neither had seen, all that came in since the champion was trained (" in decision.why
    assert decision.comparison is not None
    assert decision.comparison.deviance.difference == 0
    few = remembering(trained, drop=LEAST_UNSEEN - 1)
    decision = judge(agreeing(trained, few, older), few)
    assert not decision.promoted
    assert decision.rows == count(trained)
    assert "came in since the champion was trained" not in decision.why


def test_results_of_few_creators_are_not_judged_alone(trained: Trained) -> None:
    champion = remembering(trained, drop=count(trained) - 50)
    rows = trained.backtest.rows
    creators = np.where(np.arange(len(rows)) < 50, rows.creator_id, rows.creator_id.iloc[-1])
    narrow = dataclasses.replace(
        trained, backtest=dataclasses.replace(trained.backtest, rows=rows.assign(creator_id=creators))
    )
    assert judge(narrow, champion).rows == count(trained)


def test_rows_that_the_champion_cannot_predict_honestly_are_left_out_and_counted(trained: Trained) -> None:
    scorer = remembering(trained)
    past = scorer.past.copy()
    past.loc[past.index[-70:], ["rate", "low", "high"]] = np.nan  # trained on, not tested
    decision = judge(trained, dataclasses.replace(scorer, past=past))
    assert (decision.rows, decision.left_out) == (count(trained) - 70, 70)
    assert f"on the newest {count(trained) - 70} results that neither had seen; 70 were left out" in decision.why
    last = count(trained) - 40
    past.loc[past.index[-last:], "rate"] = np.nan
    decision = judge(predicting(trained, 1.01), dataclasses.replace(scorer, past=past))
    assert not decision.promoted
    assert not decision.alarms
    assert decision.why.startswith("too few results can be compared, 40 of ")
    assert f"{last} were left out; 50 of 20 are needed" in decision.why


def test_no_model_without_skill_replaces_one_with_skill(trained: Trained) -> None:
    facts = dataclasses.replace(trained.scorer.facts, skill=Skill("price_only", 0.3, 300))
    unskilled = dataclasses.replace(trained, scorer=dataclasses.replace(trained.scorer, facts=facts))
    decision = judge(unskilled, remembering(trained, noise(trained, 0.6)))
    assert not decision.promoted
    assert decision.why.startswith("it has no skill, and the champion has, on the newest")
    assert [alarm.source for alarm in decision.alarms] == ["gate"]
    both = dataclasses.replace(remembering(trained, noise(trained, 0.6)), facts=facts)
    assert judge(unskilled, both).promoted, "neither has skill, and it is the better one"
    decision = gate.unopposed(unskilled, "the champion cannot be used", skilled=True)
    assert (decision.promoted, len(decision.alarms)) == (False, 1)
    assert gate.unopposed(unskilled, "the champion cannot be used", skilled=False).promoted


@pytest.mark.parametrize("factor", [100.0, 0.01])
def test_none_whose_total_is_off_is_promoted(trained: Trained, factor: float) -> None:
    decision = judge(predicting(trained, factor), remembering(trained, factor * noise(trained, 0.6)))
    assert not decision.promoted
    assert decision.why.startswith(
        "its total on the newest results is off by more than its own interval, on the newest"
    )
    assert "the new model predicts" in decision.alarms[0].sentence
    assert decision.total is not None
    assert decision.total.off


def test_a_person_may_decide_and_what_the_gate_found_is_kept(trained: Trained) -> None:
    off = judge(predicting(trained, 100.0), remembering(trained))
    always, never = off.overruled("always"), gate.first(trained).overruled("never")
    assert (always.promoted, always.by) == (True, "person")
    assert always.alarms == off.alarms
    assert always.why.startswith(
        "a person decided so (--promote always); by itself the gate would not have promoted it"
    )
    assert (never.promoted, never.by) == (False, "person")
    assert off.overruled("if-better") is off


def test_differences_that_are_certain_and_too_small_to_matter_do_no_harm() -> None:
    def difference(low: float, high: float, second: float = 1.0) -> Difference:
        return Difference(second, second, (low + high) / 2, low, high)

    small, none = difference(0.001, 0.002), difference(0.0, 0.0)
    renewed = "20 results came in since"
    assert gate.weigh(Comparison(small, difference(-0.002, -0.001), small, small), renewed)[0]
    nan = difference(np.nan, np.nan, np.nan)
    assert gate.weigh(Comparison(difference(-0.2, -0.1), none, none, nan), None)[0]
    cases = {
        "deviance": Comparison(difference(0.01, 0.2), none, none, none),
        "value": Comparison(difference(-0.2, -0.1), difference(-0.2, -0.01), none, none),
        "calibration": Comparison(difference(-0.2, -0.1), none, difference(0.2, 0.4), none),
        "coverage": Comparison(difference(-0.2, -0.1), none, none, difference(0.1, 0.2)),
    }
    for name, comparison in cases.items():
        assert gate.weigh(comparison, renewed) == (False, f"it is significantly worse in {name}")
    unsure = Comparison(difference(-0.1, 0.1), none, none, none)
    assert gate.weigh(unsure, renewed) == (False, "it is neither better nor surely as good")
    blurred = Comparison(none, difference(-0.1, 0.1), none, none)
    assert gate.weigh(blurred, renewed) == (False, "it is neither better nor surely as good")


@pytest.mark.slow
def test_a_model_of_other_results_is_compared_on_scores(trained: Trained) -> None:
    other = spine(600, seed=8).assign(collaboration_id=[f"new{i}" for i in range(600)])
    fresh = fitted(other)
    decision = judge(fresh, trained.scorer)
    assert f"on the newest {count(fresh)} results that neither had seen, all that came in since" in decision.why
    lost = fresh.training.matrix.drop(columns="appeal")
    cannot = gate.judge(fresh, trained.scorer, lost)
    assert cannot.promoted
    assert "the champion cannot score today's features" in cannot.why
