"""The gate asks a champion on features of its own classifier and settings."""

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
from models.scorer import Scorer
from models.training import Trained, TrainingSet, fit

SETTINGS = FeatureSettings(tier_bounds=(2_000, 20_000, 50_000, 200_000))


@pytest.fixture(scope="module")
def history(tiny_market: Path) -> Iterator[History]:
    with open_history(tiny_market / "data") as opened:
        yield opened


@pytest.fixture(scope="module")
def trained(history: History) -> Trained:
    """A quick model of the tiny market."""
    settings, classifier = FeatureSettings(), CommentClassifier.load()
    return fit(TrainingSet.from_history(history, settings, classifier), settings, classifier, recipes=RECIPES[-1:])


@pytest.fixture(scope="module")
def champion(trained: Trained) -> Scorer:
    """The same rates from comments that another classifier reads, other tiers, and half of the newest rows unseen."""
    shipped, past = trained.scorer.classifier, trained.scorer.past
    milder = CommentClassifier(shipped.slots, shipped.weights, shipped.shape_weights, [s / 3 for s in shipped.scale])
    return dataclasses.replace(trained.scorer, settings=SETTINGS, classifier=milder, past=past[: len(past) * 7 // 8])


def test_the_champion_is_asked_on_features_of_its_own(history: History, trained: Trained, champion: Scorer) -> None:
    with FeatureBuilder(history, SETTINGS, champion.classifier) as builder:
        own = builder.build(trained.training.spine)
    ours, theirs = (gate.judge(trained.backtest, champion, m).why for m in (trained.training.matrix, own))
    assert ours != theirs
    told = gate.decide(trained, champion, history)
    assert told.why == f"{theirs}; the champion's features made by its own classifier and settings"


def test_features_are_made_anew_only_where_they_differ(
    history: History, trained: Trained, champion: Scorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> pd.DataFrame:
        raise duckdb.IOException("the disk is full")

    monkeypatch.setattr(FeatureBuilder, "build", broken)
    unlike = gate.decide(trained, champion, history)
    assert "asked on the challenger's features, for its own cannot be made (the disk is full)" in unlike.why
    alike = dataclasses.replace(champion, settings=trained.scorer.settings, classifier=trained.scorer.classifier)
    seen = dataclasses.replace(champion, past=trained.scorer.past)
    for scorer in (alike, seen, None):
        known = gate.judge(trained.backtest, scorer, trained.training.matrix)
        assert gate.decide(trained, scorer, history) == known
