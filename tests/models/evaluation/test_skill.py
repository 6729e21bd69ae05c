"""The sentence on skill."""

from __future__ import annotations

import pytest

from features.comment_classifier.classifier import CommentClassifier
from features.settings import FeatureSettings
from models.evaluation.skill import measure_skill, skill_sentence
from models.report.model_card import model_card
from models.training import fit
from tests.support.past_market import fitted, matrix, spine, training


@pytest.mark.slow
def test_features_without_meaning_give_no_skill() -> None:
    from models.report import summary

    frame = spine(300)
    features = matrix(frame)[["noise", "constant"]]
    made = training(frame)
    blind = fit(type(made)(features, frame, made.results), FeatureSettings(), CommentClassifier.load())
    assert skill_sentence(measure_skill(blind.backtest)).startswith("No skill beyond")
    assert model_card(summary.study(blind)).startswith("No skill beyond")
    assert skill_sentence(measure_skill(fitted(frame).backtest)).startswith("The model tells deals apart better")
