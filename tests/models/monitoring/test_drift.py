"""A list is compared with what a model learnt from: what differs is named with its size, and nothing else is said."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from models.learnt import Learnt, Sample
from models.monitoring.drift import LEAST_EFFECT, MOST_ROWS, Listed, differences, sentence
from models.scorer import Scorer
from tests.support.past_market import matrix, spine

DAY_ONE = np.datetime64("2026-01-05")


def rows(number: int, seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Features of creators who are in every list, and their keys."""
    rng = np.random.default_rng(seed)
    who, own = rng.integers(0, 900, number), np.random.default_rng(1).normal(0, 1, 900)
    frame = pd.DataFrame({
        "spend": np.exp(6 + 0.6 * own[who] + rng.normal(0, 0.6, number)),
        "platform": np.where(own[who] > 0.5, "tiktok", "instagram").astype(object),
        "reply_hours": np.where(who % 20 == 0, np.nan, rng.exponential(5, number)),
        "creator_deals": rng.poisson(3, number).astype(float),
    })  # fmt: skip
    return frame, pd.DataFrame({"creator_id": who.astype(str), "brand": rng.integers(0, 30, number).astype(str)})


@pytest.fixture(scope="module")
def learnt() -> Learnt:
    fitted = Learnt.fit(*rows(1_500), np.full(1_500, DAY_ONE))
    assert fitted
    return fitted


def test_a_list_like_the_results_is_passed_over(learnt: Learnt) -> None:
    for seed in range(1, 40):
        frame, keys = rows(300, seed)
        frame["creator_deals"] += 100  # records grow
        assert sentence(learnt, Sample.of(frame, keys), 300) is None


def test_what_differs_is_named_with_its_size_the_farthest_first(learnt: Learnt) -> None:
    frame, keys = rows(300, 1)
    frame["spend"] *= 4
    frame["platform"] = frame.platform.mask(np.arange(300) % 10 > 1, "snapchat")
    frame["reply_hours"] = frame.reply_hours.mask(np.arange(300) % 2 == 0)
    found = differences(learnt, Sample.of(frame, keys))
    assert [one.feature for one in found] == ["platform", "spend", "reply_hours"]
    platform, price, missing = found
    assert platform.effect == pytest.approx(0.8, abs=0.03)
    assert missing.effect == pytest.approx(0.5 * 0.95, abs=0.04)
    for one in found:
        assert LEAST_EFFECT <= one.low < one.effect < one.high <= 1
    said = sentence(learnt, Sample.of(frame, keys), 300) or ""
    assert said.startswith("the list (300 rows) differs from the 1,500 newest results that the model learnt from in ")
    assert "platform: others 80% instead of 0%, distance 0." in said
    assert "price of the deal: the middle is $1," in said
    assert f"distance {price.effect:.2f} ({price.low:.2f} to {price.high:.2f})" in said
    assert "how soon the creator replies: unknown in 5" in said
    assert f"difference {missing.effect:.2f}" in said


def test_a_feature_that_a_list_does_not_know_at_all_is_missing_once(learnt: Learnt) -> None:
    frame, keys = rows(300, 1)
    said = sentence(learnt, Sample.of(frame.assign(reply_hours=np.nan), keys), 300) or ""
    assert said.count("how soon the creator replies") == 1
    assert "unknown in 100%" in said


def test_few_rows_or_creators_say_nothing(learnt: Learnt) -> None:
    frame, keys = rows(300, 1)
    frame["spend"] *= 50
    assert differences(learnt, Sample.of(frame, keys))
    assert not differences(learnt, Sample.of(frame[:49], keys[:49]))
    assert not differences(learnt, Sample.of(frame, keys.assign(creator_id="one")))


def test_a_size_that_lies_within_its_interval_in_small_lists_is_found_in_large_ones(learnt: Learnt) -> None:
    found = []
    for number in (60, 3_000):
        frame, keys = rows(number, 1)
        found.append(bool(differences(learnt, Sample.of(frame.assign(spend=frame.spend * 1.8), keys))))
    assert found == [False, True]


def test_a_long_list_is_looked_at_evenly_whatever_the_chunks(small_scorer: Scorer) -> None:
    candidates = spine(900, seed=4)
    features = matrix(candidates)
    scores = small_scorer.score(features, candidates, reasons=False)
    judged = []
    for chunk in (900, 250):
        listed = Listed(900)
        for at in range(0, 900, chunk):
            due = at + listed.due(min(chunk, 900 - at))
            listed.add(features.iloc[due], candidates.iloc[due], scores.iloc[due])
        judged.append(listed.judge(small_scorer))
    assert judged[0] == judged[1]
    listed = Listed(3 * MOST_ROWS)
    for at in range(0, 900, 100):
        due = at + listed.due(100)
        listed.add(features.iloc[due], candidates.iloc[due], scores.iloc[due])
    said, _ = listed.judge(replace(small_scorer, learnt=_elsewhere(small_scorer.learnt)))
    assert said
    assert said.startswith(f"the list ({3 * MOST_ROWS:,} rows, 300 of them compared) differs from")
    assert listed.judge(replace(small_scorer, learnt=None))[0] is None


def _elsewhere(learnt: Learnt | None) -> Learnt:
    assert learnt
    noise = learnt.features["noise"]
    moved = replace(noise, cells=tuple(float(end) + 9 for end in noise.cells))
    return replace(learnt, features={**learnt.features, "noise": moved})
