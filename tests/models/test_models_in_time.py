"""What depends on time: what was known when, completion of late results, folds, intervals, the gate."""

import itertools
from dataclasses import replace

import ibis
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import gammaincinv
from scipy.stats import nbinom

from features.families.track_record import checkpoints
from features.settings import FeatureSettings
from models.estimators.ensemble import fit_level, fit_weights
from models.estimators.maturity import BY_AGE, BY_DAY, FINAL, Maturity, fit_maturity
from models.estimators.outcomes import DAY, Outcomes
from models.evaluation.backtest import make_folds
from models.evaluation.metrics import measure, poisson_deviance
from models.registry.gate import judge
from models.report.model_card import model_card
from models.report.summary import study, unlike
from models.training import Trained
from models.uncertainty.interval import Intervals, _quantile, fit_intervals
from models.uncertainty.target import Target
from tests.support.past_market import COUNTED, fitted, matrix, spine, training


@pytest.fixture(scope="module")
def trained() -> Trained:
    """A model of 600 results."""
    return fitted(spine(600))


def _arriving(rows: int, tau: float, seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Collaborations counted at one moment, young ones among them, whose conversions come with an exponential delay."""
    rng = np.random.default_rng(seed)
    frame = spine(rows, seed)
    frame["starts_at"] = COUNTED - pd.to_timedelta(np.sort(rng.integers(12, 120 * 24, rows))[::-1], unit="h")
    final = rng.poisson(40, rows)
    row = np.repeat(np.arange(rows), final)
    came = frame.starts_at.to_numpy()[row] + (rng.exponential(tau, len(row)) * 86400e6).astype("timedelta64[us]")
    seen = came < COUNTED.to_datetime64()
    frame["conversions"] = np.bincount(row[seen], minlength=rows)
    date = pd.Series(came[seen].astype("datetime64[D]").astype("datetime64[us]"))
    daily = pd.DataFrame({"collaboration_id": frame.collaboration_id.to_numpy()[row[seen]], "date": date})
    daily = daily.groupby(["collaboration_id", "date"], as_index=False).size().rename(columns={"size": "conversions"})
    return frame, daily


@pytest.mark.parametrize("by_day", [True, False])
def test_the_completion_curve_is_found(by_day: bool) -> None:
    frame, daily = _arriving(600, tau=6.0)
    curve = fit_maturity(Outcomes.from_tables(frame, daily if by_day else None, 30.0))
    ages = np.array([2.0, 6.0, 12.0, 25.0])
    found = curve.share(ages, np.full(4, 72.0))
    np.testing.assert_allclose(found, 1 - np.exp(-ages / 6.0), atol=0.05 if by_day else 0.12)
    assert curve.source == (BY_DAY if by_day else BY_AGE)
    assert curve.share(np.array([4000.0]), np.array([72.0]))[0] == 1
    again = Maturity.from_dict(curve.to_dict())
    np.testing.assert_array_equal(again.share(ages, np.full(4, 72.0)), found)


def test_tiers_and_platforms_have_curves_of_their_own() -> None:
    frame, daily = _arriving(900, tau=1.0)
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
    told = {"collaboration_id": frame.collaboration_id[:30], "date": day, "conversions": frame.conversions[:30]}
    assert fit_maturity(Outcomes.from_tables(frame, pd.DataFrame(told), 30.0)).source == BY_AGE


def test_counts_of_one_age_are_final() -> None:
    frame = spine(100)
    frame["observed_until"] = frame.starts_at + pd.Timedelta("24h")
    curve = fit_maturity(Outcomes.from_tables(frame, None, 30.0))
    assert curve.source == FINAL
    assert (curve.share(np.array([0.1, 1.0]), np.array([24.0, 24.0])) == 1).all()


def test_what_was_known_at_a_moment() -> None:
    frame, daily = _arriving(200, tau=6.0)
    results = Outcomes.from_tables(frame, daily, 30.0)
    moment = np.datetime64(COUNTED - pd.Timedelta("40D"), "us")
    rows, then = results.as_of(moment)
    assert (then.starts < moment).all()
    assert (then.until <= moment).all()
    assert (then.counts <= results.counts[rows]).all()
    early = daily[daily.date + pd.Timedelta("1D") <= pd.Timestamp(moment)].groupby("collaboration_id").conversions.sum()
    expected = early.reindex(frame.collaboration_id.to_numpy()[rows]).fillna(0).to_numpy()
    later = frame.assign(conversions=np.where(frame.starts_at > pd.Timestamp(moment), 999, frame.conversions))
    np.testing.assert_array_equal(Outcomes.from_tables(later, daily, 30.0).as_of(moment)[1].counts, then.counts)
    np.testing.assert_array_equal(then.counts, expected)
    untold = Outcomes.from_tables(frame, None, 30.0)
    rows, then = untold.as_of(moment)
    assert ((untold.known[rows] <= moment) | (then.counts == 0)).all()
    np.testing.assert_array_equal(then.counts, untold.counts[rows])


def test_a_promotion_without_end_is_counted_when_it_was_last_watched() -> None:
    frame = spine(3).assign(promotion_hours=[24.0, 1e12, 1e300], clicks=1.0)
    found = checkpoints(ibis.memtable(frame), None, FeatureSettings()).order_by("collaboration_id").to_pandas()
    window = (frame.starts_at + pd.Timedelta("31D")).tolist()
    assert found["at"].tolist() == [window[0], COUNTED, COUNTED]
    results = Outcomes.from_tables(frame, None, 30.0)
    assert results.known.tolist() == found["at"].to_numpy("datetime64[us]").tolist()
    assert (results.final[1:] > np.datetime64("2200-01-01")).all()


def test_what_comes_later_never_changes_what_was_known() -> None:
    frame, daily = _arriving(200, tau=20.0)
    frame.loc[::7, "conversions"] = 0  # some never bring any
    daily = daily[~daily.collaboration_id.isin(frame.collaboration_id[::7])]
    moment = np.datetime64(COUNTED - pd.Timedelta("60D"), "us")
    ended = daily[daily.date + pd.Timedelta("1D") <= pd.Timestamp(moment)]
    rows, then = Outcomes.from_tables(frame, daily, 30.0).as_of(moment)
    assert then.daily is not None
    late = frame.collaboration_id[frame.starts_at > pd.Timestamp(moment)]
    assert len(late) > 20
    cut = daily[~daily.collaboration_id.isin(late[:5])]  # deals that are not told by day at all
    for later in (ended, cut):
        told = Outcomes.from_tables(frame, later, 30.0)
        again, so_far = told.as_of(moment)
        np.testing.assert_array_equal(again, rows)
        np.testing.assert_array_equal(so_far.counts, then.counts)
        np.testing.assert_array_equal(so_far.until, then.until)


@given(rows=st.integers(2, 200), folds=st.integers(1, 6), window=st.sampled_from([0.0, 30.0]))
def test_folds_have_a_gap_and_never_overlap(rows: int, folds: int, window: float) -> None:
    frame = spine(rows)
    results = Outcomes.from_tables(frame, None, window)
    made = make_folds(results, np.arange(rows), folds)
    judged = [row for fold in made for row in fold.test]
    assert len(set(judged)) == len(judged)
    for fold in made:
        assert (results.starts[fold.test] >= fold.cutoff).all()
        ends = results.starts[fold.train] + ((results.hours[fold.train] / 24 + window) * DAY.astype("timedelta64[s]")
                                             .astype(float)).astype("timedelta64[s]")  # fmt: skip
        # a nought is a nought at any moment; any other count teaches only once its window has passed
        assert (ends[results.counts[fold.train] > 0] <= fold.cutoff).all()
    for earlier, later in itertools.pairwise(made):
        assert earlier.cutoff < later.cutoff
        assert earlier.test.max() < later.test.min()


@pytest.mark.parametrize("mean", [0.3, 3.0, 60.0, 3000.0])
def test_intervals_cover_what_they_say(mean: float) -> None:
    rng = np.random.default_rng(1)
    expected = mean * np.exp(rng.normal(0, 0.8, 6000))
    counts = rng.poisson(expected * rng.gamma(2.0, 0.5, 6000) * np.exp(rng.normal(0, 0.2, 6000)))
    group = np.where(np.arange(6000) % 2, "nano", "mega")
    intervals = fit_intervals(expected[:3000], counts[:3000], group[:3000])
    for level in (0.5, 0.8, 0.95):
        low, high = intervals.bounds(expected[3000:], group[3000:], level)
        inside = (counts[3000:] >= low) & (counts[3000:] <= high)
        slack = 0.03 if mean > 1 else 0.25  # counts of nought and one cannot be split finer
        assert level - 0.03 < inside.mean() < level + slack
        if mean > 1:
            for name in ("nano", "mega"):
                assert inside[group[3000:] == name].mean() == pytest.approx(level, abs=0.05)
    again = Intervals.from_dict(intervals.to_dict())
    np.testing.assert_array_equal(again.bounds(expected, group, 0.8), intervals.bounds(expected, group, 0.8))


def test_quantiles_of_counts_are_those_of_the_law() -> None:
    rng = np.random.default_rng(4)
    expected, dispersion = np.exp(rng.uniform(-20, 13, 4000)), np.exp(rng.uniform(-4, 4, 4000))
    share = np.concatenate([rng.uniform(0.0001, 0.9999, 3990), np.full(10, 1e-9)])
    size = 1 / dispersion
    np.testing.assert_array_equal(
        _quantile(share, expected, dispersion), nbinom.ppf(share, size, size / (size + expected))
    )
    assert _quantile(np.zeros(1), np.ones(1), np.ones(1)).tolist() == [0], "no count is below 0"


@pytest.mark.parametrize("share", [1e-9, 0.1, 0.9, 1 - 1e-9])
def test_quantiles_of_huge_counts_are_those_of_the_gamma_law(share: float) -> None:
    expected, size = np.array([1e12, 1e15]), np.array([20.0, 0.5])
    found = _quantile(np.full(2, share), expected, 1 / size)
    np.testing.assert_allclose(found, gammaincinv(size, share) * expected / size, rtol=1e-6, atol=1)


def test_intervals_without_any_backtest_are_wide_and_nest() -> None:
    intervals = fit_intervals(np.array([]), np.array([]), np.array([], str))
    low, high = intervals.bounds(np.array([0.0, 0.5, 50.0]), np.array(["x", "x", "x"]), 0.8)
    assert low.tolist()[:2] == [0, 0]
    assert low[2] < 15
    assert high[2] > 80
    for level in (0, 1, -1, float("nan")):
        with pytest.raises(ValueError, match="between 0 and 1"):
            intervals.bounds(np.ones(1), np.array(["x"]), level)


def test_coverage_in_the_backtest(trained: Trained) -> None:
    assert 0.7 < float(trained.backtest.figures().coverage.iloc[0]) < 0.9


def test_probabilities_within_a_target_hold_in_the_backtest(trained: Trained) -> None:
    """The law learnt on the older folds, asked about the newer ones at prices from dear to cheap."""
    rows = trained.backtest.rows
    old, new = rows[rows.fold < 3], rows[rows.fold >= 3]
    assert min(len(old), len(new)) > 100
    intervals = fit_intervals((old.ours * old.exposure).to_numpy(), old.counts.to_numpy(), old.group.to_numpy())
    spend, counts = new.exposure.to_numpy(), new.counts.to_numpy()
    expected, group = (new.ours * new.exposure).to_numpy(), new.group.to_numpy()
    usual = float(np.median(1 / new.ours))
    for times in (0.5, 1.0, 2.0, 4.0):
        target = Target(times * usual)
        within, _ = target.worth(intervals, expected, group, new.excess.to_numpy(), spend)
        assert within.mean() == pytest.approx((counts * target.cost >= spend).mean(), abs=0.09), times
        assert within.std() > 0.1


def test_rows_unlike_the_results_are_told(trained: Trained) -> None:
    backtest = trained.backtest
    rows = backtest.rows
    chosen = np.r_[:10, len(rows) - 30 : len(rows)]  # the first ten were judged before there was an interval
    rows = rows.assign(excess=np.isin(np.arange(len(rows)), chosen) * 0.5)
    odd = replace(backtest, rows=rows)
    told = rows[-30:]
    rate = told.counts / told.exposure
    inside = ((rate >= told.low - 1e-12) & (rate <= told.high + 1e-12)).mean()
    assert odd.coverage_unlike() == (40, 30, pytest.approx(inside))
    assert np.isnan(replace(backtest, rows=rows[10:-30]).coverage_unlike()[2])
    assert f"40 of {len(rows)} tested results ({40 / len(rows):.1%}) were unlike those known before" in unlike(odd)
    assert 0 <= backtest.rows.excess.gt(0).mean() < 0.1
    assert unlike(backtest) in model_card(study(trained))


def test_the_blend_prefers_the_recipe_that_is_right() -> None:
    rng = np.random.default_rng(0)
    truth, noise = rng.normal(0, 1, 2000), rng.normal(0, 1, 2000)
    exposure, base = np.full(2000, 1000.0), np.full(2000, np.log(0.02))
    counts = rng.poisson(exposure * np.exp(base + truth)).astype(float)
    right = fit_weights(np.column_stack([truth, noise]), base, counts, exposure, np.zeros(2000), np.arange(2000) // 500)
    assert right[0] == pytest.approx(1, abs=0.1)
    assert right[1] == 0
    few = fit_weights(
        np.column_stack([truth, noise])[:10], base[:10], counts[:10], exposure[:10], np.zeros(10), np.zeros(10)
    )
    assert few.tolist() == [0.5, 0.5]


def test_a_level_that_folds_agree_on_is_corrected_and_one_they_dispute_is_not() -> None:
    fold = np.repeat([0, 1, 2, 3], 100)
    exposure, log_rate, certain = np.full(400, 1000.0), np.full(400, np.log(0.05)), np.zeros(400)
    assert fit_level(log_rate, exposure * 0.1, exposure, certain, fold) == pytest.approx(np.log(2), abs=0.02)
    disputed = exposure * np.where(fold % 2, 0.1, 0.025)
    assert fit_level(log_rate, disputed, exposure, certain, fold) == pytest.approx(0, abs=0.02)


def test_figures_of_known_predictions() -> None:
    counts, spend = np.array([10.0, 0.0, 30.0, 4.0]), np.array([100.0, 100.0, 100.0, 100.0])
    perfect = measure(counts / spend, counts, spend)
    assert perfect == pytest.approx({"skill": 1, "rank": 1, "value": 1, "total": 1})
    flat = measure(np.full(4, 0.11), counts, spend)
    assert flat["skill"] == pytest.approx(0)
    assert np.isnan(flat["rank"])
    assert flat["value"] == pytest.approx(11 / 30), "a tie shares the money out evenly"
    assert poisson_deviance(np.array([2.0]), np.array([1.0])) == pytest.approx(2 * (2 * np.log(2) - 1))


def test_the_gate(trained: Trained) -> None:
    frame = spine(600)
    assert judge(trained.backtest, None, matrix(frame)).promoted
    again = judge(trained.backtest, trained.scorer, matrix(frame))
    assert again.promoted
    worse = trained.backtest.rows.assign(ours=trained.backtest.rows.ours.sample(frac=1, random_state=0).to_numpy())
    refused = judge(type(trained.backtest)(worse, trained.backtest.weights, 0.0, ()), trained.scorer, matrix(frame))
    assert not refused.promoted
    assert "the champion's" in refused.why
    other = spine(600, seed=8).assign(collaboration_id=[f"new{i}" for i in range(600)])
    fresh = fitted(other)
    judged = judge(fresh.backtest, trained.scorer, training(other).matrix)
    assert f"on the newest {(fresh.backtest.rows.fold == fresh.backtest.rows.fold.max()).sum()} results" in judged.why
