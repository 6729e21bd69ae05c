"""Reasons multiply to the score."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from models.explanations.reasons import FEW_ROWS, LEAST_FACTOR, top_reasons
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


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40))
def test_many_rows_are_written_as_each_by_itself(seed: int, rows: int) -> None:
    rng = np.random.default_rng(seed)
    moved = rng.normal(0, rng.choice([0.003, 0.3, 3.0]), (rows, 7))
    moved[rng.random(moved.shape) < 0.2] = rng.choice([0.0, math.log(1.0625), math.log(99995), -math.log(1e5)])
    ties = np.log((rng.integers(1000, 9999, moved.shape) + 0.5) * 10.0 ** rng.integers(-6, 3, moved.shape))
    moved = np.where(rng.random(moved.shape) < 0.2, ties, moved)
    numbers = np.where(rng.random(rows) < 0.3, np.nan, rng.normal(0, 1e4, rows))
    texts = rng.choice(np.array(["a", 'say "so"', "é☕", "", None, 3], object), rows)
    columns: dict[str, Any] = {
        "number": numbers, "zero": rng.choice([0.0, -0.0, np.inf], rows), "text": texts,
        "alike": pd.Series(texts[:1].tolist() * rows, dtype=object), "whole": pd.Series(rng.integers(0, 9, rows)),
        "known": pd.Series(["x", None] * rows, dtype="str").head(rows), "same": np.full(rows, 1 / 3),
    }  # fmt: skip
    names = tuple(columns)
    frame = pd.DataFrame(columns)
    alone = [top_reasons(moved[[i]], names, frame.iloc[[i]])[0] for i in range(rows)]
    assert top_reasons(moved, names, columns) == alone
    often = pd.concat([frame] * FEW_ROWS)
    assert top_reasons(np.vstack([moved] * FEW_ROWS), names, often) == alone * FEW_ROWS
    for text in alone:
        json.loads(text)


def test_rows_without_any_reason_have_none() -> None:
    moved = np.full((FEW_ROWS + 1, 2), math.log(LEAST_FACTOR) / 2)
    assert top_reasons(moved, ("a", "b"), {"a": moved[:, 0], "b": moved[:, 1]}) == ["[]"] * len(moved)
