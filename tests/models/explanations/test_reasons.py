"""Reasons multiply to the score."""

from __future__ import annotations

import json

import numpy as np

from models.training import Trained
from tests.support.past_market import matrix, spine


def test_reasons_multiply_to_the_score(trained: Trained) -> None:
    candidates = spine(50, seed=4)
    scorer = trained.scorer
    features = scorer.encoding.transform(matrix(candidates), candidates.creator_id.to_numpy(object))
    log_rate, moved = scorer.rate.log_rate(features), scorer.rate.contributions(features)
    rest = log_rate - moved.sum(axis=1)
    np.testing.assert_allclose(rest, rest[0], atol=1e-9)
    for reasons in map(json.loads, scorer.score(matrix(candidates), candidates).reasons):
        assert 0 < len(reasons) <= 5
        strength = [abs(np.log(reason["factor"])) for reason in reasons]
        assert strength == sorted(strength, reverse=True)
        assert all(set(reason) == {"feature", "value", "factor"} for reason in reasons)
    missing = json.loads(scorer.score(matrix(candidates).assign(appeal=np.nan), candidates).reasons[0])
    assert [r["value"] for r in missing if r["feature"] == "appeal"] == [None]
