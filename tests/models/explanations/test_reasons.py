"""Reasons multiply to the score."""

from __future__ import annotations

import json

import numpy as np

from models.training import Trained
from tests.support.past_market import matrix, spine


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
