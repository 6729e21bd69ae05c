"""What a budget would have bought: intervals that cover the truth, and no praise without skill."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from models.report import summary
from models.studies.budget_study import AVERAGE, CHOICES, SHARES, compare


def deals(seed: int, rows: int = 240, creators: int = 40) -> pd.DataFrame:
    """Judged rows: the model knows half of what makes creators differ, engagement a little, the others nothing."""
    rng = np.random.default_rng(seed)
    of = rng.integers(0, creators, rows)
    known, hidden = rng.normal(0, 0.6, creators), rng.normal(0, 0.5, creators)
    spend = np.exp(rng.normal(6, 0.8, rows))
    return pd.DataFrame(
        {
            "fold": np.arange(rows) * 3 // rows,
            "creator_id": of,
            "spend": spend,
            "came": rng.poisson(0.03 * np.exp(known + hidden)[of] * spend * rng.gamma(2, 0.5, rows)).astype(float),
            "ours": np.exp(known)[of] * np.exp(rng.normal(0, 0.01, rows)),
            "followers": rng.normal(0, 1, creators)[of],
            "engagement": np.exp(0.5 * known[of] + rng.normal(0, 0.5, rows)),
            "own_record": np.nan,
            "price_only": 1 / spend,
        }
    )


@pytest.mark.slow
def test_intervals_of_a_budget_cover_what_it_buys_on_average() -> None:
    worlds = [compare(deals(seed), seed) for seed in range(30)]
    covered = []
    for place, first in enumerate(worlds[0]):
        same = [world[place] for world in worlds]
        assert {(b.choice, b.share) for b in same} == {(first.choice, first.share)}
        truth = sum(b.ours for b in same) / sum(b.theirs for b in same)
        assert truth > 1.2
        covered.append(np.mean([b.low <= truth <= b.high for b in same]))
    assert min(covered) > 0.75
    assert np.mean(covered) > 0.9, "deals drawn anew instead of creators would cover 0.85"


@pytest.mark.slow
def test_a_model_that_knows_nothing_buys_no_more() -> None:
    blind = [compare(deals(seed).assign(ours=np.random.default_rng(seed).random(240)), seed) for seed in range(30)]
    average = [b for world in blind for b in world if b.choice == AVERAGE and b.share == SHARES[0]]
    assert sum(b.low <= 1 <= b.high for b in average) >= 24
    assert all(b.factor == 1 for b in compare(deals(0).assign(ours=1.0), 0) if b.choice == AVERAGE)


def test_choices_that_nothing_tells_are_left_out_and_few_creators_give_no_interval() -> None:
    rows = deals(1)
    choices = [b.choice for b in compare(rows, 0)]
    assert choices == [name for name in CHOICES if name != "own_record"] * len(SHARES)
    assert compare(rows, 0) == compare(rows, 0)
    assert compare(rows, 0) != compare(rows, 1)
    few = compare(rows[rows.creator_id < 10], 0)
    assert all(np.isnan(b.low) and np.isnan(b.high) and np.isfinite(b.factor) for b in few)
    assert "10 creators are too few for intervals" in summary.budget_line(few)
    assert compare(rows[:0], 0) == []
    assert compare(rows.assign(came=0.0), 0) == []
