"""Scores of a tiny made-up market, as they were when somebody last looked: from features to model to every column.

`python -m pytest tests/models/test_golden.py --overwrite-golden` writes them anew, after a change that is meant to move
them; the difference then shows in the commit. Sums are taken in another order on other processors, which moves the last
bits of a number: hence a tolerance, of 1e-9 for rates and of one digit for factors, which have four digits.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.comment_classifier.classifier import CommentClassifier
from features.history.source import open_candidates, open_history
from features.matrix import FeatureBuilder
from features.settings import FeatureSettings
from models.scorer import SCORES
from models.training import TrainingSet, fit

GOLDEN = Path(__file__).parent / "golden" / "scores.csv"
NUMBERS = SCORES[:5]


@pytest.fixture(scope="module")
def scores(tiny_market: Path) -> pd.DataFrame:
    """The score columns of the tiny market's 30 candidates beside their ids."""
    settings, classifier = FeatureSettings(), CommentClassifier.load()
    with open_history(tiny_market / "data", threads=1) as history:
        training = TrainingSet.from_history(history, settings, classifier)
        scorer = fit(training, settings, classifier, seed=0).scorer
        candidates = next(open_candidates(history, tiny_market / "candidates.parquet").batches(1000)).to_pandas()
        with FeatureBuilder(history, settings, classifier) as builder:
            matrix = builder.build(candidates)
    return pd.concat([candidates[["candidate_id"]], scorer.score(matrix, candidates)], axis=1)


@pytest.fixture(scope="module")
def golden(scores: pd.DataFrame, request: pytest.FixtureRequest) -> pd.DataFrame:
    if request.config.getoption("--overwrite-golden"):
        GOLDEN.parent.mkdir(exist_ok=True)
        scores.to_csv(GOLDEN, index=False, lineterminator="\n")
    return pd.read_csv(GOLDEN)


def test_numbers_are_the_golden_ones(scores: pd.DataFrame, golden: pd.DataFrame) -> None:
    assert golden.columns.tolist() == ["candidate_id", *SCORES]
    assert scores.candidate_id.tolist() == golden.candidate_id.tolist()
    for name in NUMBERS:
        np.testing.assert_allclose(scores[name], golden[name], rtol=1e-9, atol=0, err_msg=name)


def test_warnings_and_reasons_are_the_golden_ones(scores: pd.DataFrame, golden: pd.DataFrame) -> None:
    assert scores.warnings.tolist() == golden.warnings.tolist()
    for ours, theirs in zip(scores.reasons.map(json.loads), golden.reasons.map(json.loads), strict=True):
        assert [reason["feature"] for reason in ours] == [reason["feature"] for reason in theirs]
        for one, other in zip(ours, theirs, strict=True):
            alike = one["value"] if isinstance(one["value"], str | None) else pytest.approx(one["value"], rel=1.1e-5)
            assert other["value"] == alike
            assert one["factor"] == pytest.approx(other["factor"], rel=1.1e-3)


def test_the_golden_scores_are_worth_keeping(golden: pd.DataFrame) -> None:
    assert len(golden) == 30
    assert golden.conversions_per_dollar.nunique() > 20
    assert golden.warnings.nunique() > 1
    assert golden.reasons.map(json.loads).map(len).max() >= 4
