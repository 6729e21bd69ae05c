"""What a model keeps of the features that it learnt from: shares that add up, and how far chance may move them."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from models.learnt import DECILES, LEAST_NEWEST, NEWEST, Learnt, Sample, cells_of, describe, distance

RNG = np.random.default_rng(0)
DAY = np.timedelta64(1, "D")


def sample(rows: int, creators: int, brands: int = 30, seed: int = 0) -> Sample:
    """Rows whose features depend on their creator, some of them on their brand."""
    rng = np.random.default_rng(seed)
    who, brand = rng.integers(0, creators, rows), rng.integers(0, brands, rows)
    own = np.random.default_rng(1).normal(0, 1, 10_000)
    matrix = pd.DataFrame({
        "followers": np.where(who % 10 == 0, np.nan, np.exp(own[who])),
        "platform": np.where(own[who] > 0.5, "tiktok", "instagram").astype(object),
        "objective": np.where(own[brand] > 0, "sales", "awareness").astype(object),
        "creator_deals": 1.0, "start_month": 3.0, "reply_hours": np.nan,
    })  # fmt: skip
    return Sample(matrix, who.astype(str).astype(object), brand.astype(str).astype(object))


def spine(made: Sample) -> pd.DataFrame:
    return pd.DataFrame({"creator_id": made.creators, "brand": made.brands})


def test_records_and_the_calendar_are_left_out_and_campaigns_terms_where_brands_are_few() -> None:
    assert sample(100, 40).judged == ["followers", "platform", "objective", "reply_hours"]
    assert sample(100, 40, brands=3).judged == ["followers", "platform", "reply_hours"]
    assert sample(100, 40).enough
    assert not sample(49, 40).enough
    assert not sample(100, 15).enough


def test_shares_are_those_of_the_rows() -> None:
    made = sample(3_000, 500)
    numbers = describe(made.matrix.followers, cells_of(made.matrix.followers), [])
    assert len(numbers.cells) == len(DECILES)
    assert numbers.shares == pytest.approx(0.1, abs=0.01)
    assert numbers.missing == pytest.approx(made.matrix.followers.isna().mean())
    names = describe(made.matrix.platform, ("instagram",), [])
    assert names.shares == pytest.approx([(made.matrix.platform == "instagram").mean(), (names.shares[1])])
    assert names.shares.sum() == pytest.approx(1)
    assert cells_of(made.matrix.reply_hours) == ()
    whole = describe(pd.Series([1.0, 1.0, 2.0, np.nan]), (1.0,), [])
    assert whole.shares == pytest.approx([2 / 3, 1 / 3])  # an end belongs to the cell below it


def test_distances_are_those_of_the_field() -> None:
    one, other = np.array([0.2, 0.3, 0.5]), np.array([0.5, 0.3, 0.2])
    assert distance(one, other, True) == pytest.approx(0.3)
    assert distance(one, other, False) == pytest.approx(0.3)
    assert distance(one, np.array([0.3, 0.1, 0.6]), True) == pytest.approx(0.1)
    assert distance(one, np.array([0.3, 0.1, 0.6]), False) == pytest.approx(0.2)


def test_chance_is_that_of_whole_creators_and_brands() -> None:
    """Rows of few creators say as little as the creators are few; so do those of few brands of what brands set."""
    many, few = (sample(2_000, creators) for creators in (2_000, 50))
    wide, narrow = (
        describe(made.matrix.platform, ("instagram", "tiktok"), made.draws()[:1]).chance for made in (few, many)
    )
    assert wide > 3 * narrow
    by_creator, by_both = (
        describe(many.matrix.objective, ("awareness", "sales"), many.draws()[:n]).chance for n in (1, 2)
    )
    assert by_both > 3 * by_creator
    truth = (np.random.default_rng(1).normal(0, 1, 10_000)[:50] > 0.5).mean()
    off = [abs((sample(2_000, 50, seed=seed).matrix.platform == "tiktok").mean() - truth) for seed in range(20)]
    assert max(off) < wide


def test_the_newest_results_are_described_and_saved_whole() -> None:
    made = sample(1_000, 300)
    matrix = made.matrix.assign(followers=np.arange(1_000.0))
    starts = np.datetime64("2026-01-01") + np.arange(1_000) * DAY
    fitted = Learnt.fit(matrix, spine(made), starts)
    assert fitted
    assert fitted.rows == LEAST_NEWEST > NEWEST / DAY
    assert float(fitted.features["followers"].cells[0]) >= 800
    assert "reply_hours" not in fitted.features  # nothing is known of it
    again = Learnt.from_dict(json.loads(json.dumps(fitted.to_dict(), allow_nan=False)))
    assert again.to_dict() == fitted.to_dict()
    assert again.features["platform"].shares == pytest.approx(fitted.features["platform"].shares)
    assert Learnt.fit(matrix, spine(made), starts).to_dict() == fitted.to_dict()  # type: ignore[union-attr]
    assert Learnt.fit(matrix[:40], spine(made)[:40], starts[:40]) is None
    dense = Learnt.fit(matrix, spine(made), np.datetime64("2026-01-01") + np.arange(1_000) // 4 * DAY)
    assert dense
    assert dense.rows > 700
