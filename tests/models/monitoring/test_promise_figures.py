"""Figures of judged promises, against sums done by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from models.monitoring.promise_figures import ALL, SHARE, figures, metrics
from models.monitoring.promises import REASONS, Settled


def judged(rows: int = 80, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    spend = np.exp(rng.normal(6, 1, rows))
    rate = 0.03 * np.exp(rng.normal(0, 0.8, rows))
    return pd.DataFrame({
        "model": np.where(np.arange(rows) % 2, "m/2", "m/10"), "creator_id": [f"c{i % 17}" for i in range(rows)],
        "starts_at": pd.Timestamp("2026-01-10") + pd.to_timedelta(np.arange(rows), unit="D"), "level": 0.8,
        "spend": spend, "exposure": 0.95 * spend, "counts": rng.poisson(0.95 * spend * rate).astype(float),
        "rate": rate * 1.2, "low": rate * 0.8, "high": rate * 1.1, "own_record": 0.03 * np.exp(rng.normal(0, 1, rows)),
    })  # fmt: skip


def bought(order: np.ndarray, spend: np.ndarray, came: np.ndarray) -> float:
    """Conversions that SHARE of the money buys in an order, the last deal in part."""
    left, total = SHARE * spend.sum(), 0.0
    for i in order:
        part = min(1.0, left / spend[i])
        total += part * came[i]
        left -= part * spend[i]
    return total


def test_figures_are_those_of_the_sums() -> None:
    deals = judged()
    table = figures(deals)
    whole = table.iloc[0]
    assert (whole.model, whole.month, whole.deals, whole.creators) == (ALL, ALL, 80, 17)
    realised = deals.counts / deals.exposure
    assert whole.coverage == np.mean((realised >= deals.low) & (realised <= deals.high))
    assert whole.level == pytest.approx(0.8)
    assert whole.bias == pytest.approx(np.log((deals.rate * deals.exposure).sum() / deals.counts.sum()))
    assert whole.bias_low < whole.bias < whole.bias_high
    spend, came = deals.spend.to_numpy(), (deals.counts / 0.95).to_numpy()
    ours, best, peer = (
        bought(np.argsort(-by.to_numpy()), spend, came)
        for by in (deals.rate, deals.counts / deals.spend, deals.own_record)
    )
    money = SHARE * spend.sum() / 1000
    assert whole.regret_hindsight == pytest.approx((best - ours) / money)
    assert whole.regret_own_record == pytest.approx((peer - ours) / money)
    assert whole.regret_hindsight > 0 > whole.regret_own_record


def test_there_is_a_row_for_every_model_month_and_both() -> None:
    table = figures(judged())
    assert table[table.month == ALL].model.tolist() == [ALL, "m/10", "m/2"]
    assert table[table.model == ALL].month.tolist() == [ALL, "2026-01", "2026-02", "2026-03"]
    both = table[(table.model != ALL) & (table.month != ALL)]
    assert len(both) == 6
    assert both.deals.sum() == 80
    part = judged()
    part = part[(part.model == "m/2") & (part.starts_at.dt.month == 2)]
    row = both[(both.model == "m/2") & (both.month == "2026-02")].iloc[0]
    assert row.bias == pytest.approx(np.log((part.rate * part.exposure).sum() / part.counts.sum()))


@pytest.mark.slow
def test_an_interval_of_the_bias_covers_what_it_promises() -> None:
    hits = 0
    for seed in range(200):
        deals = judged(120, seed)
        true = np.log((deals.rate * deals.exposure).sum() / (deals.rate / 1.2 * deals.exposure).sum())
        whole = figures(deals.assign(starts_at=pd.Timestamp("2026-01-10"), model="m/1")).iloc[0]
        hits += whole.bias_low <= true <= whole.bias_high
    assert 0.9 <= hits / 200 <= 0.99


def test_few_creators_and_no_conversions_have_no_interval_and_no_bias() -> None:
    few = figures(judged(5)).iloc[0]
    assert np.isfinite(few.bias)
    assert np.isnan(few.bias_low)
    none = figures(judged(40).assign(counts=0.0)).iloc[0]
    assert np.isnan(none.bias)
    assert none.coverage == 0
    empty = figures(judged(4).iloc[:0])
    assert len(empty) == 1
    assert np.isnan(empty.iloc[0].coverage)


def test_metrics_have_steps_by_month_and_version_and_no_gaps() -> None:
    deals = judged()
    settled = Settled(deals, dict.fromkeys(REASONS, 3), 0, (), 0, {})
    found = metrics(settled, figures(deals))
    assert all(np.isfinite(value) for _, value, _ in found)
    steps = {name: [s for n, _, s in found if n == name] for name, _, _ in found}
    assert steps["promises.coverage"] == [0]
    assert steps["promises.coverage.by_month"] == [202601, 202602, 202603]
    assert sorted(steps["promises.regret_own_record.by_version"]) == [2, 10]
    assert ("promises.superseded", 3.0, 0) in found
    assert ("promises.coverage_e_value", 1.0, 0) in found
