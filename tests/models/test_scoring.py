"""Scores: the same in any company, inside their intervals, and with the warnings that they deserve."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd

from models.scorer import SCORES
from models.scoring import FAR_AHEAD
from models.training import Trained
from tests.support.past_market import matrix, spine


def test_chunks_and_order_of_rows_change_no_bit_of_a_score(trained: Trained) -> None:
    candidates = spine(101, seed=5)
    whole = trained.scorer.score(matrix(candidates), candidates)
    parts = [candidates.iloc[i : i + 7].reset_index(drop=True) for i in range(0, len(candidates), 7)]
    rows = [
        trained.scorer.score(matrix(candidates).iloc[i : i + 7].reset_index(drop=True), p)
        for i, p in zip(range(0, 101, 7), parts, strict=True)
    ]
    pd.testing.assert_frame_equal(pd.concat(rows, ignore_index=True), whole, check_exact=True)
    order = np.random.default_rng(0).permutation(len(candidates))
    shuffled = trained.scorer.score(matrix(candidates).iloc[order].reset_index(drop=True), candidates.iloc[order])
    pd.testing.assert_frame_equal(shuffled, whole.iloc[order].reset_index(drop=True), check_exact=True)


def test_every_rate_lies_inside_its_own_interval_to_the_bit(trained: Trained) -> None:
    candidates = spine(800, seed=6)
    candidates["spend"] = np.exp(
        np.random.default_rng(6).uniform(-3, 12, len(candidates))
    )  # far below and above one conversion
    for level in (0.01, 0.5, 0.8, 0.999):
        scores = trained.scorer.score(matrix(candidates), candidates, level)
        rate = scores.conversions_per_dollar
        assert (scores.conversions_per_dollar_low <= rate).all()
        assert (rate <= scores.conversions_per_dollar_high).all()


def test_scores_hold_together(trained: Trained) -> None:
    candidates = spine(60, seed=9)
    candidates.loc[0, "spend"] = 10_000_000.0
    features = matrix(candidates)
    features.loc[1, "objective"] = "unheard of"
    features.loc[2, "platform"] = None
    scores = trained.scorer.score(features, candidates)
    assert tuple(scores.columns) == SCORES
    rate = scores.conversions_per_dollar
    np.testing.assert_allclose(scores.conversions, rate * candidates.spend)
    np.testing.assert_allclose(scores.cost_per_conversion * rate, 1)
    assert (scores.conversions_per_dollar_low <= scores.conversions_per_dollar_high).all()
    assert "outside_training_range" in json.loads(scores.warnings[0])
    assert "unknown_category" in json.loads(scores.warnings[1])
    assert "unknown_creator" in json.loads(scores.warnings[2])
    wide = trained.scorer.score(features, candidates, level=0.95)
    assert (wide.conversions_per_dollar_high >= scores.conversions_per_dollar_high).all()
    assert (wide.conversions_per_dollar_low <= scores.conversions_per_dollar_low).all()


def test_a_deal_far_ahead_of_all_results_is_scored_with_a_warning(trained: Trained) -> None:
    candidates = spine(4, seed=9)
    last = pd.Timestamp(trained.scorer.facts.last_start)
    candidates["starts_at"] = [last + pd.Timedelta(days=days) for days in (30, 365, 366, 3650)]
    scores = trained.scorer.score(matrix(candidates), candidates)
    assert [FAR_AHEAD in json.loads(codes) for codes in scores.warnings] == [False, False, True, True]
    without = trained.scorer.score(matrix(candidates), candidates.drop(columns="starts_at"))
    pd.testing.assert_frame_equal(without.drop(columns="warnings"), scores.drop(columns="warnings"), check_exact=True)
    assert not without.warnings.str.contains(FAR_AHEAD).any()
