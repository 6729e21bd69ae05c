"""Completion of young results: the curve is found, by kind of deal, or counts are taken as final."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from models.estimators import blocks
from models.estimators.maturity import BY_AGE, BY_DAY, FINAL, Maturity, fit_maturity
from models.estimators.outcomes import Outcomes
from tests.support.dense_maturity import dense_maturity
from tests.support.past_market import COUNTED, arriving, spine


@pytest.mark.parametrize("by_day", [True, False])
def test_the_completion_curve_is_found(by_day: bool) -> None:
    frame, daily = arriving(600, tau=6.0)
    curve = fit_maturity(Outcomes.from_tables(frame, daily if by_day else None, 30.0))
    ages = np.array([2.0, 6.0, 12.0, 25.0])
    found = curve.share(ages, np.full(4, 72.0))
    np.testing.assert_allclose(found, 1 - np.exp(-ages / 6.0), atol=0.05 if by_day else 0.12)
    assert curve.source == (BY_DAY if by_day else BY_AGE)
    assert curve.share(np.array([4000.0]), np.array([72.0]))[0] == 1
    again = Maturity.from_dict(curve.to_dict())
    np.testing.assert_array_equal(again.share(ages, np.full(4, 72.0)), found)


def test_tiers_and_platforms_have_curves_of_their_own() -> None:
    frame, daily = arriving(900, tau=1.0)
    tier = np.array(["nano", "mega", "micro"])[np.arange(900) % 3]
    platform = np.array(["tiktok", "youtube"])[np.arange(900) // 3 % 2]
    mean = np.array([9.0, 2.0, 5.0])[np.arange(900) % 3] * np.where(platform == "tiktok", 1.0, 1.6)
    rng = np.random.default_rng(2)
    row = np.repeat(np.arange(900), 40)
    came = frame.starts_at.to_numpy()[row] + (rng.exponential(mean[row]) * 86400e6).astype("timedelta64[us]")
    seen = came < COUNTED.to_datetime64()
    frame["conversions"] = np.bincount(row[seen], minlength=900)
    date = pd.Series(came[seen].astype("datetime64[D]").astype("datetime64[us]"))
    daily = pd.DataFrame({"collaboration_id": frame.collaboration_id.to_numpy()[row[seen]], "date": date})
    daily = daily.groupby(["collaboration_id", "date"], as_index=False).size().rename(columns={"size": "conversions"})
    results = Outcomes.from_tables(frame, daily, 30.0).with_kinds(pd.DataFrame({"tier": tier, "platform": platform}))
    curve = fit_maturity(results)
    for age in (3.0, 8.0):
        ages, hours = np.full(900, age), np.full(900, 72.0)
        true = 1 - np.exp(-age / mean)
        assert np.abs(curve.share(ages, hours, tier, platform) - true).max() < 0.1
        assert np.abs(curve.share(ages, hours) - true).max() > 0.15
    # the few that a curve is known from make it unsure, not wrong: the young have the larger variance
    assert (np.diff(curve.log_variance(np.arange(1.0, 20.0))) <= 1e-9).all()
    strange = np.full(900, "strange")
    np.testing.assert_array_equal(curve.share(ages, hours, strange, strange), curve.share(ages, hours))
    again = Maturity.from_dict(curve.to_dict())
    np.testing.assert_array_equal(again.share(ages, hours, tier, platform), curve.share(ages, hours, tier, platform))


def test_days_that_were_not_counted_whole_leave_completion_to_the_ages() -> None:
    frame = spine(60)
    day = frame.starts_at[:30].dt.floor("D")
    frame["observed_until"] = frame.starts_at + pd.Timedelta(days=20)
    frame.loc[:29, "observed_until"] = day + pd.Timedelta(hours=23, minutes=59)
    listed = {"collaboration_id": frame.collaboration_id[:30], "date": day, "conversions": frame.conversions[:30]}
    assert fit_maturity(Outcomes.from_tables(frame, pd.DataFrame(listed), 30.0)).source == BY_AGE


def test_counts_of_one_age_are_final() -> None:
    frame = spine(100)
    frame["observed_until"] = frame.starts_at + pd.Timedelta("24h")
    curve = fit_maturity(Outcomes.from_tables(frame, None, 30.0))
    assert curve.source == FINAL
    assert (curve.share(np.array([0.1, 1.0]), np.array([24.0, 24.0])) == 1).all()


@pytest.mark.parametrize("values", [5_000, 1 << 23])
@pytest.mark.parametrize("tau", [1.0, 40.0])
def test_completion_has_the_bits_of_a_table_of_results_and_days(
    values: int, tau: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "BLOCK_VALUES", values)
    frame, daily = arriving(900, tau)
    rng = np.random.default_rng(3)
    tiers, platforms = np.array(["nano", "mega", None], object), np.array(["tiktok", "youtube", None], object)
    kinds = pd.DataFrame({"tier": rng.choice(tiers, 900), "platform": rng.choice(platforms, 900)})
    results = Outcomes.from_tables(frame, daily, 30.0).with_kinds(kinds)
    found, expected = fit_maturity(results), dense_maturity(results)
    assert len(found.bounds) > 1
    assert found.exponents.keys() == {"tiktok", "youtube"}
    assert found.to_dict() == expected.to_dict()
