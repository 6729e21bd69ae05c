"""The gate between a new model and the champion, which predicts from features of its own."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest

from features.comment_classifier.classifier import CommentClassifier
from features.history.source import History, open_history
from features.matrix import FeatureBuilder
from features.settings import FeatureSettings
from models.estimators.rate import RECIPES
from models.registry import gate
from models.registry.gate import judge
from models.scorer import Scorer
from models.training import Trained, TrainingSet, fit
from tests.support.past_market import fitted, matrix, spine, training

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


def test_the_champion_is_asked_on_features_of_its_own(history: History, quick: Trained, champion: Scorer) -> None:
    with FeatureBuilder(history, SETTINGS, champion.classifier) as builder:
        own = builder.build(quick.training.spine)
    ours, theirs = (gate.judge(quick.backtest, champion, m).why for m in (quick.training.matrix, own))
    assert ours != theirs
    decision = gate.decide(quick, champion, history)
    assert decision.why == f"{theirs}; the champion's features made by its own classifier and settings"


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
    for scorer in (alike, seen, None):
        known = gate.judge(quick.backtest, scorer, quick.training.matrix)
        assert gate.decide(quick, scorer, history) == known


def test_a_model_is_promoted_unless_it_predicts_worse_than_the_champion(trained: Trained) -> None:
    frame = spine(600)
    assert judge(trained.backtest, None, matrix(frame)).promoted
    again = judge(trained.backtest, trained.scorer, matrix(frame))
    assert again.promoted
    worse = trained.backtest.rows.assign(ours=trained.backtest.rows.ours.sample(frac=1, random_state=0).to_numpy())
    refused = judge(type(trained.backtest)(worse, trained.backtest.weights, 0.0, ()), trained.scorer, matrix(frame))
    assert not refused.promoted
    assert "the champion's" in refused.why
    other = spine(600, seed=8).assign(collaboration_id=[f"new{i}" for i in range(600)])
    fresh = fitted(other)
    decision = judge(fresh.backtest, trained.scorer, training(other).matrix)
    assert f"on the newest {(fresh.backtest.rows.fold == fresh.backtest.rows.fold.max()).sum()} results" in decision.why
