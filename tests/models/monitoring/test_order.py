"""Counts that follow what is expected of their rows, or not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from models.monitoring.order import earlier_mean, lost_order, rank_correlation, unrelated
from tests.support.past_market import spine, training

ROWS = 600
RNG = np.random.default_rng(1)
EXPECTED = np.exp(RNG.normal(2, 1, ROWS))
COUNTS = RNG.poisson(EXPECTED * RNG.gamma(2, 0.5, ROWS)).astype(float)


SPARSE_SEEDS = range(6)


def batch_of(size: int) -> np.ndarray:
    return np.arange(ROWS) >= ROWS - size


@pytest.mark.parametrize("size", [60, 100, 200])
def test_shuffled_counts_are_found_and_ordinary_ones_pass(size: int) -> None:
    batch, counts = batch_of(size), COUNTS.copy()
    assert lost_order(EXPECTED, counts, batch, ~batch, np.random.default_rng(0)) is None
    counts[batch] = np.random.default_rng(2).permutation(counts[batch])
    found = lost_order(EXPECTED, counts, batch, ~batch, np.random.default_rng(0))
    assert found
    assert found.before > 0.6
    assert abs(found.now) < 0.3
    assert found.sureness > 4


def test_few_rows_or_no_order_before_say_nothing() -> None:
    counts = np.random.default_rng(0).permutation(COUNTS)
    for size in (10, 100):
        batch = batch_of(size)
        assert lost_order(EXPECTED, counts, batch, ~batch, np.random.default_rng(0)) is None


def test_the_correlation_is_spearmans() -> None:
    one, other = np.round(COUNTS[:80].reshape(2, 40)), EXPECTED[:80].reshape(2, 40)
    expected = [spearmanr(a, b).statistic for a, b in zip(one, other, strict=True)]
    np.testing.assert_allclose(rank_correlation(one, other), expected)
    assert rank_correlation(np.ones(5), np.arange(5.0)) == 0


def in_another_order(frame: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The same with all counts in another order."""
    return frame.assign(conversions=np.random.default_rng(seed).permutation(frame.conversions.to_numpy()))


def test_all_counts_in_another_order_are_found() -> None:
    (finding,) = unrelated(training(in_another_order(spine(400), 1)))
    assert finding.likely == "counts beside the wrong rows"
    assert not finding.kept_out
    assert "what the deals cost (0.0" in finding.sentence or "what the deals cost (-0.0" in finding.sentence


@pytest.mark.slow
@pytest.mark.parametrize("rows", [200, 400])
def test_ordinary_counts_are_never_found_and_shuffled_ones_mostly(rows: int) -> None:
    markets = [spine(rows, seed) for seed in range(30)]
    assert not any([*unrelated(training(frame))] for frame in markets)
    found = sum(bool([*unrelated(training(in_another_order(frame, seed)))]) for seed, frame in enumerate(markets))
    assert found >= {200: 10, 400: 24}[rows]


def test_counts_that_follow_their_creators_or_brands_alone_pass() -> None:
    frame = spine(400)
    for column in ("creator_id", "brand"):
        usual = 5.0 * 2.0 ** (pd.factorize(frame[column])[0] % 4)
        frame["conversions"] = np.random.default_rng(0).poisson(usual)
        assert list(unrelated(training(frame))) == []


def sparse(
    rows: int, mean: float, seed: int, *, creators: int = 500, brands: int = 1, elasticity: float = 1.0,
    noise: float = 0.0, differ: float = 0.0,
) -> pd.DataFrame:  # fmt: skip
    """Poisson counts that follow spend, with a log-noise of deals and creators who differ."""
    rng = np.random.default_rng(1_000 + seed)
    spend, who = np.exp(rng.normal(6, 0.6, rows)), rng.integers(0, creators, rows)
    level = spend**elasticity * np.exp(noise * rng.normal(size=rows) + differ * rng.normal(size=creators)[who])
    return spine(rows, seed).assign(
        spend=spend, creator_id=[f"c{i:03}" for i in who], brand=[f"b{i}" for i in rng.integers(0, brands, rows)],
        conversions=rng.poisson(mean * level / level.mean()),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "mean", "settings"),
    [
        (1_000, 0.02, {}),
        (1_000, 0.03, {"brands": 5}),
        (2_000, 0.05, {}),
        (600, 5.0, {"creators": 2_500, "elasticity": 0.3, "noise": 1.0}),
        (600, 5.0, {"elasticity": 0.3, "noise": 1.5}),
        (600, 5.0, {"creators": 2_500, "elasticity": 0.2, "noise": 1.5}),
    ],
    ids=["20 conversions", "30 of five brands", "100 conversions", "noisy", "noisier", "even prices"],
)
def test_sparse_or_noisy_counts_that_follow_spend_pass(rows: int, mean: float, settings: dict[str, Any]) -> None:
    for seed in SPARSE_SEEDS:
        assert list(unrelated(training(sparse(rows, mean, seed, **settings)))) == []


def test_a_market_with_returning_creators_shows_that_all_counts_are_in_another_order() -> None:
    frames = [sparse(1_000, 20.0, seed, creators=100, brands=5, noise=0.6, differ=0.7) for seed in range(5)]
    assert not any([*unrelated(training(frame))] for frame in frames)
    assert sum(bool([*unrelated(training(in_another_order(frame, i)))]) for i, frame in enumerate(frames)) >= 3


def test_few_or_young_results_and_even_prices_say_nothing() -> None:
    frame = in_another_order(spine(400), 1)
    for other in (
        frame[:199],
        frame.assign(observed_until=frame.starts_at + pd.Timedelta("1D")),
        frame.assign(spend=100.0 + frame.noise),
    ):
        assert list(unrelated(training(other))) == []


def test_the_earlier_mean_knows_only_rows_before() -> None:
    counts, groups = np.array([0.0, np.e - 1, np.e**3 - 1, 5.0]), np.array(["a", "a", "a", "b"])
    np.testing.assert_allclose(earlier_mean(counts, groups), [np.nan, 0.0, 0.5, np.nan])
