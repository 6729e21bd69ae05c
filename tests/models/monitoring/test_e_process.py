"""The alarm on promises: what it bets on, that it is rarely false however often one looks, and that it comes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from models.monitoring.e_process import (
    BOUND,
    HALF_BEGUN,
    LEAST_DEALS,
    STAKES,
    Week,
    advantage_fortune,
    advantages,
    blocks,
    coverage_fortune,
)


def weeks(covered: Sequence[float], advantage: Sequence[float] | float = 0.1, deals: int = 20) -> list[Week]:
    better = np.broadcast_to(advantage, len(covered))
    return [
        Week(f"{i:04}", deals, 0.8, float(c), float(a)) for i, (c, a) in enumerate(zip(covered, better, strict=True))
    ]


def test_weeks_are_joined_until_a_block_has_enough_deals_and_the_rest_waits() -> None:
    made = [Week("a", 4, 0.8, 1.0, 0.5), Week("b", 6, 0.9, 0.5, -0.5), Week("c", LEAST_DEALS, 0.8, 0.7, 0.0),
            Week("d", LEAST_DEALS - 1, 0.8, 0.0, -1.0)]  # fmt: skip
    (two, first), (three, second) = blocks(made)
    assert (two, first.monday, first.deals, three, second) == (2, "b", 10, 3, made[2])
    assert (first.level, first.covered, first.advantage) == pytest.approx((0.86, 0.7, -0.1))
    assert coverage_fortune(made).ends == ("b", "c")


def test_a_fortune_is_the_mixture_over_shares_and_beginnings() -> None:
    covered = [0.6, 0.9, 0.5, 0.75]
    gains = (0.75 - np.array(covered)) / 0.25
    expected = []
    for n in range(1, len(gains) + 1):
        total = HALF_BEGUN / (HALF_BEGUN + n)
        for began in range(n):
            weight = HALF_BEGUN / (HALF_BEGUN + began) - HALF_BEGUN / (HALF_BEGUN + began + 1)
            total += weight * np.mean([np.prod(1 + stake * gains[began:n]) for stake in STAKES])
        expected.append(total)
    found = coverage_fortune(weeks(covered))
    assert found.values == pytest.approx(expected)
    assert found.now == found.values[-1]
    assert coverage_fortune([]).now == 1.0


def test_a_fortune_cannot_be_expected_to_grow_where_all_is_as_promised() -> None:
    gain = np.random.default_rng(0).choice([-1.0, 1 / 3], 400_000, p=[0.25, 0.75])  # mean 0, and as rough as may be
    for stake in STAKES:
        assert np.mean(1 + stake * gain) == pytest.approx(1, abs=0.005)
    assert min(coverage_fortune(weeks([1.0] * 300)).values) > 0  # the worst that can happen to who bets


def test_an_advantage_is_judged_by_its_sign_week_by_week() -> None:
    assert advantage_fortune(weeks([0.8] * 30, 0.01)).values == advantage_fortune(weeks([0.8] * 30, 0.9)).values
    assert max(advantage_fortune(weeks([0.8] * 30, 0.01)).values) < 1
    assert advantage_fortune(weeks([0.8] * 30, -0.01)).alarms
    assert advantage_fortune(weeks([0.8] * 30, 0.0)).values == pytest.approx([1.0] * 30)


def test_an_alarm_is_raised_once_and_the_fortune_begins_again() -> None:
    found = coverage_fortune(weeks([0.5] * 40))
    first, second = found.alarms[:2]
    assert found.values[first] >= BOUND > max(found.values[:first])
    assert second - first == first + 1
    assert found.raised_after(0) == found.raised_after(first) == tuple(f"{at:04}" for at in found.alarms)
    assert found.raised_after(first + 1) == tuple(f"{at:04}" for at in found.alarms[1:])
    ended = coverage_fortune(weeks([0.5] * (first + 1)))
    assert ended.alarms == (first,)
    assert ended.now == 1.0


def test_an_advantage_lies_within_bounds_and_favours_the_closer_rate() -> None:
    counts, exposure = np.array([10.0, 0.0, 1e6]), np.array([100.0, 100.0, 1.0])
    ours, theirs = np.array([0.1, 0.001, 1e-9]), np.array([0.4, 0.5, 1e6])
    found = advantages(counts, exposure, ours, theirs)
    assert (found[:2] > 0).all()
    assert found[2] == -1.0
    assert (np.abs(found) <= 1).all()
    np.testing.assert_allclose(advantages(counts, exposure, theirs, ours), -found)


@pytest.mark.slow
def test_false_alarms_are_rare_over_years_and_a_fallen_coverage_or_a_lost_advantage_is_found() -> None:
    from benchmarks.ledger_alarm import WORLDS, first_alarms

    good, bound, fallen, lost = WORLDS
    assert not np.isfinite(np.stack(first_alarms(good, 20, 104))).any()
    # 40 replays: 6 alarms or more have a chance of 1.4 % where each has one of 5 %
    assert np.isfinite(np.stack(first_alarms(bound, 40, 156))).any(0).sum() <= 5
    assert np.nanmedian(first_alarms(fallen, 10, 104)[0]) < 40
    assert np.nanmedian(first_alarms(lost, 10, 104)[1]) < 60
