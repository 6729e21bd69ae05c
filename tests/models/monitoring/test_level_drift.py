"""The level of the newest results: a shift is found with its size, a level that was always off is none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from models.monitoring.level_drift import (
    LEAST_DEALS,
    SHIFTS,
    WEEKS,
    LevelDrift,
    LevelShift,
    Scored,
    examine,
    level,
    score,
    shift,
)
from models.monitoring.training_rows import training_rows
from models.scorer import Scorer
from models.uncertainty.interval import Intervals, fit_intervals
from tests.support.past_market import matrix, spine, training

NEWEST = np.datetime64("2026-01-01")


def deals(
    rows: int, seed: int, *, factor: float = 1.0, creators: int = 500, own: float = 0.0
) -> tuple[np.ndarray, ...]:
    """Expected and realised counts, and codes of creators of whom the model does not know their own factor."""
    rng = np.random.default_rng(seed)
    who = rng.integers(0, creators, rows)
    expected = np.exp(rng.normal(3, 1, rows))
    rate = expected * factor * np.exp(rng.normal(0, own, creators)[who]) * rng.gamma(1.5, 1 / 1.5, rows)
    return expected, rng.poisson(rate).astype(float), who


@pytest.fixture(scope="module")
def intervals() -> Intervals:
    expected, counts, _ = deals(2_000, 0)
    return fit_intervals(expected, counts, np.full(2_000, "*"))


def found(intervals: Intervals, made: tuple[np.ndarray, ...]) -> tuple[float, float]:
    expected, counts, who = made
    return level(score(intervals, expected, np.full(len(expected), "*"), counts), who)


@pytest.mark.parametrize("factor", [0.5, 0.8, 1.0, 1.2, 2.0])
def test_a_level_is_found_whatever_it_is(intervals: Intervals, factor: float) -> None:
    effect, error = found(intervals, deals(4_000, 1, factor=factor))
    assert effect == pytest.approx(np.log(factor), abs=0.06)
    assert 0.005 < error < 0.03


@pytest.mark.slow
def test_its_error_is_that_of_chance_with_creators_who_come_again(intervals: Intervals) -> None:
    for creators, own in ((10_000, 0.0), (40, 0.5)):
        made = [found(intervals, deals(300, seed, creators=creators, own=own)) for seed in range(2, 62)]
        spread = float(np.std([effect for effect, _ in made]))
        assert float(np.mean([error for _, error in made])) == pytest.approx(spread, rel=0.25)


def test_the_newest_weeks_are_held_against_those_before(intervals: Intervals) -> None:
    expected, counts, who = deals(6_000, 3, factor=1.5)  # always half as much again: no shift
    ages = np.linspace(0, 29.9, 6_000)
    group = np.full(6_000, "*")
    steady = shift(score(intervals, expected, group, counts), ages, who, 4, NEWEST)
    assert steady
    assert not steady.drifted
    assert (steady.deals, steady.since) == (int((ages < 4).sum()), "2025-12-04")
    less = np.random.default_rng(0).binomial(counts.astype(int), np.where(ages < 4, 0.7, 1.0)).astype(float)
    moved = shift(score(intervals, expected, group, less), ages, who, 4, NEWEST)
    assert moved
    assert moved.drifted
    assert moved.low < np.log(0.7) < moved.high < 0
    assert str(moved).startswith(f"the {moved.deals} newest results (of {moved.creators} creators, started since 2025-")
    few = ages >= 4 - LEAST_DEALS / 6_000 * 20
    assert shift(score(intervals, expected, group, less).take(few), ages[few], who[few], 4, NEWEST) is None
    assert shift(score(intervals, expected, group, less), ages, who % 10, 4, NEWEST) is None


def test_results_beyond_all_promises_are_found_and_those_that_show_nothing_are_none(intervals: Intervals) -> None:
    expected, counts, who = deals(3_000, 6)
    ages, group = np.linspace(0, 29.9, 3_000), np.full(3_000, "*")
    gone = shift(score(intervals, expected, group, np.where(ages < 4, 0.0, counts)), ages, who, 4, NEWEST)
    assert gone
    assert gone.high < np.log(0.3)
    blank = Scored(np.zeros((3_000, len(SHIFTS))), np.ones(3_000))
    assert level(blank, who) == (0.0, np.inf)
    assert shift(blank, ages, who, 4, NEWEST) is None


@pytest.mark.parametrize(
    ("effect", "half_width", "drifted"),
    [(-0.3, 0.2, True), (0.3, 0.31, False), (-0.09, 0.02, False), (0.1, 0.05, True)],
)
def test_a_shift_is_one_that_is_large_and_sure(effect: float, half_width: float, drifted: bool) -> None:
    assert LevelShift(4, "2026-01-01", 999, 99, effect, effect - half_width, effect + half_width).drifted == drifted


def test_a_shift_of_the_quarter_is_an_alarm_while_it_lasts() -> None:
    quarter, now = (
        LevelShift(13, "2026-01-01", 999, 99, -0.3, -0.4, -0.2),
        LevelShift(4, "2026-03-01", 99, 60, 0, -1, 1),
    )
    for effect, alarms in ((-0.2, 1), (-0.05, 0), (0.2, 0)):
        drift = LevelDrift((replace(now, effect=effect), quarter), unseen=True)
        assert len(drift.alarms) == alarms
        assert all("the 999 newest results" in alarm.sentence for alarm in drift.alarms)
    assert len(LevelDrift((quarter,), unseen=True).alarms) == 1  # too few results in the newest weeks
    assert LevelDrift((quarter,), unseen=False).alarms == ()


@pytest.fixture(scope="module")
def later() -> pd.DataFrame:
    """Results of twenty weeks after the sixty that a model was trained on, in the order of their start."""
    new = spine(300, seed=5).assign(collaboration_id=lambda t: "n" + t.collaboration_id)
    last = spine(60).starts_at.max()
    return new.assign(starts_at=last + (new.starts_at - new.starts_at.min()) * 140 / 640 + pd.Timedelta(hours=1))


def test_a_training_holds_what_the_champion_never_saw(small_scorer: Scorer, later: pd.DataFrame) -> None:
    newest = later.starts_at > later.starts_at.max() - pd.Timedelta(weeks=4)
    for factor, alarms in ((1.0, 0), (0.3, 1)):
        counts = np.random.default_rng(0).binomial(later.conversions, np.where(newest, factor, 1.0))
        frame = pd.concat([spine(60), later.assign(conversions=counts)], ignore_index=True)
        drift = examine(training(frame), small_scorer, None)
        assert drift.unseen
        assert drift.shifts[0].weeks == WEEKS[0]
        assert len(drift.alarms) == alarms
        if alarms:
            said = str(drift.alarms[0])
            assert said.startswith("drift: the ")
            assert "most likely the level of the market has moved" in said
        assert drift.metrics["drift.level_4_weeks"] == pytest.approx(np.exp(drift.shifts[0].effect))
        assert drift.to_dict()[0]["drifted"] == bool(alarms)
        new = drift.promised.reindex(later.collaboration_id)
        rates = small_scorer.rates(matrix(frame)[60:], later.creator_id.to_numpy(object))
        np.testing.assert_allclose(new, rates)


def test_promises_go_on_from_training_to_training(small_scorer: Scorer, later: pd.DataFrame) -> None:
    """A champion that knows a result says nothing of it; what was promised before it came is what counts."""
    frame = pd.concat([spine(60), later], ignore_index=True)
    first = examine(training(frame), small_scorer, None)
    before = training_rows(training(frame), promised=first.promised)
    assert before.promised.notna().sum() == len(first.promised) > len(later)
    knows = replace(small_scorer, past=pd.DataFrame({"collaboration_id": frame.collaboration_id, "rate": np.nan}))
    again = examine(training(frame), knows, before)
    pd.testing.assert_series_equal(again.promised, first.promised)
    assert not again.unseen
    other = examine(training(frame.assign(spend=frame.spend + 1)), knows, before)  # terms that nothing was promised for
    assert not other.shifts
    assert not len(other.promised)
    alone = examine(training(frame), None, before)  # a champion out of reach
    assert not alone.shifts
    pd.testing.assert_series_equal(alone.promised, first.promised)
