"""Arrivals by day of age, kept sparse: the sums of a table of results × days."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from models.estimators import blocks
from models.estimators.arrivals import MOST_DAYS, Arrivals
from models.estimators.outcomes import Outcomes
from tests.support.past_market import COUNTED, arriving


def outcomes(rows: int = 400) -> Outcomes:
    frame, daily = arriving(rows, tau=6.0)
    return Outcomes.from_tables(frame, daily, 30.0)


def dense(arrivals: Arrivals) -> np.ndarray:
    table = np.zeros((len(arrivals.listed), arrivals.days))
    table[arrivals.row, arrivals.day] = arrivals.came
    return table


@pytest.mark.parametrize("values", [100, 10_000, 1 << 23])
def test_sums_are_those_of_the_table_to_the_bit(values: int, monkeypatch: pytest.MonkeyPatch) -> None:
    arrivals = Arrivals.of(outcomes())
    monkeypatch.setattr(blocks, "BLOCK_VALUES", values)
    rng = np.random.default_rng(1)
    weight, part = rng.random(len(arrivals.listed)), rng.integers(-1, 3, len(arrivals.listed))
    weights = weight[:, None] * (arrivals.whole[:, None] > np.arange(arrivals.days))
    table = dense(arrivals)
    everything = np.zeros(len(part), int)
    (of_all, up_to_all), (came, up_to) = arrivals.sums(weight, [(everything, 1), (part, 4)])
    np.testing.assert_array_equal(of_all[0], (weights * table).sum(0))
    np.testing.assert_array_equal(up_to_all[0], (weights * table.cumsum(1)).sum(0))
    for label in range(4):
        mine = part == label
        np.testing.assert_array_equal(came[label], (weights * table)[mine].sum(0))
        np.testing.assert_array_equal(up_to[label], (weights * table.cumsum(1))[mine].sum(0))
    chosen = np.flatnonzero(part == 1)
    found = [block for _, block in arrivals.blocks(chosen)]
    np.testing.assert_array_equal(np.concatenate(found), table[chosen])
    np.testing.assert_array_equal(arrivals.totals, table.cumsum(1)[:, -1])


def test_what_comes_after_the_last_day_counts_for_it_and_a_day_begun_for_none() -> None:
    frame, _ = arriving(3, tau=6.0)
    frame["starts_at"] = COUNTED - pd.Timedelta(days=2000)
    first = frame.starts_at.iloc[0]
    days = [first, first + pd.Timedelta(days=1500), first + pd.Timedelta(days=1600), COUNTED]
    daily = pd.DataFrame({"collaboration_id": frame.collaboration_id[0], "date": days, "conversions": [1.0, 2, 4, 8]})
    arrivals = Arrivals.of(Outcomes.from_tables(frame, daily, 30.0))
    assert (arrivals.listed.tolist(), arrivals.days) == ([0], MOST_DAYS)
    assert (arrivals.day.tolist(), arrivals.came.tolist()) == ([0, MOST_DAYS - 1], [1.0, 6.0])
