"""The replayed year: what comes in when, how a batch is spoilt, what is true of a decision; and one week of it."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.replay import arguments, check, store
from benchmarks.replay_market import AFTER, Calendar, Year, make_year
from benchmarks.replay_report import line, sentences
from benchmarks.replay_slips import COPY
from benchmarks.replay_team import POLICIES, SOURCES, Deliveries, Team, delete
from benchmarks.replay_truth import Judged, bought, drift_is_true, judge, level_moves
from demo.creators import draw_creators
from demo.settings import MarketSettings
from features.faults import InputError
from models.evaluation.paired import SHARES
from models.monitoring.ledger import read
from models.monitoring.promises import Settled

WEEKS = 8


@pytest.fixture(scope="module")
def year() -> Year:
    return make_year(700, 80, WEEKS, 3)


def deliveries(year: Year) -> dict[int, tuple[dict[str, pd.DataFrame], Deliveries]]:
    """By week, the batch, and the deliveries as they stood then."""
    coming = Deliveries(year, 1, 0)
    out = {}
    for week in range(WEEKS + 1):
        batch = coming.next(week)
        then = Deliveries(year, 1, 0, coming.spoilt, coming.copies)
        out[week] = (batch, then)
    return out


def test_batches_add_up_to_what_is_known(year: Year) -> None:
    day = year.day(WEEKS)
    rows: dict[str, dict[str, object]] = {}
    daily: dict[tuple[str, object], int] = {}
    for week in range(WEEKS + 1):
        since = year.day(week - 1) if week else -np.inf
        batch = year.batch(since, year.day(week))
        rows |= {row["collaboration_id"]: row for row in batch["collaborations"].to_dict("records")}
        found = batch["conversions"]
        keys = list(zip(found.collaboration_id, found.date, strict=True))
        assert not set(keys) & daily.keys(), "a day is counted when it is over, once"
        daily |= dict(zip(keys, found.conversions, strict=True))
    known = year.results(year.started(-np.inf, day), day)
    assert pd.DataFrame(list(rows.values())).sort_values("collaboration_id").to_dict("records") == known.to_dict(
        "records"
    )
    sums = pd.Series(daily).groupby(level=0).sum()
    named = known.set_index("collaboration_id").conversions
    assert 0.7 < len(sums) / len(named) < 1
    assert (named.reindex(sums.index) == sums).all()


def test_a_batch_knows_nothing_of_later(year: Year) -> None:
    now = pd.Timestamp(year.moment(3), tz="UTC")
    batch = year.batch(year.day(2), year.day(3))
    for table, column in (("posts", "posted_at"), ("comments", "commented_at"), ("collaborations", "starts_at")):
        assert len(batch[table])
        assert batch[table][column].max() < now
    assert batch["collaborations"].observed_until.max() <= now
    assert max(batch["conversions"].date) < now.date()
    counts = year.results(np.arange(100), year.day(0)).conversions
    assert (counts <= year.results(np.arange(100), year.day(3)).conversions).all()


def test_spoilt_batches_are_put_right_a_week_later(year: Year) -> None:
    found, calendar = deliveries(year), year.calendar
    for week in (calendar.cents, calendar.shuffled):
        batch, then = found[week]
        right = year.batch(year.day(week - 1), year.day(week))["collaborations"].set_index("collaboration_id")
        wrong = batch["collaborations"].set_index("collaboration_id")
        other = wrong.index[(wrong != right.loc[wrong.index]).any(axis=1)]
        assert len(other)
        assert set(other) <= then.spoilt
        assert not then.copies
        after = found[week + 1][0]["collaborations"].set_index("collaboration_id").loc[sorted(then.spoilt)]
        assert (after.spend == right.spend.loc[after.index]).all()
        assert (after.conversions >= right.conversions.loc[after.index]).all()
        daily = found[week + 1][0]["conversions"].groupby("collaboration_id").conversions.sum()
        again = after.conversions[after.index.isin(daily.index)]
        assert len(again)
        assert (daily.loc[again.index] == again).all(), "their conversions by day are delivered as a whole"
        assert not found[week + 1][1].spoilt


def test_cents_and_shuffled_counts(year: Year) -> None:
    found, calendar = deliveries(year), year.calendar
    cents = found[calendar.cents][0]["collaborations"]
    right = year.batch(year.day(calendar.cents - 1), year.day(calendar.cents))["collaborations"]
    assert cents.spend.to_numpy() == pytest.approx(100 * right.spend.to_numpy())
    mixed, then = found[calendar.shuffled]
    right = year.batch(year.day(calendar.shuffled - 1), year.day(calendar.shuffled))["collaborations"]
    assert sorted(mixed["collaborations"].conversions) == sorted(right.conversions)
    assert not mixed["conversions"].collaboration_id.isin(then.spoilt).any()


def test_a_batch_that_comes_again_has_other_ids(year: Year) -> None:
    found, week = deliveries(year), year.calendar.duplicated
    batch, then = found[week]
    copies = batch["collaborations"][batch["collaborations"].collaboration_id.isin(then.copies)]
    assert len(copies) == len(then.copies) == len(then.spoilt) > 0
    first = found[week - 1][0]["collaborations"].set_index("collaboration_id")
    first = first.loc[[name.removeprefix(COPY) for name in copies.collaboration_id]]
    assert (copies.set_index(first.index).drop(columns="collaboration_id") == first).all(axis=None)


def test_offers_have_the_deals_that_are_made_and_as_many_others(year: Year) -> None:
    offers = year.offered(0, WEEKS)
    made = offers.candidate_id.isin(year.collaborations.collaboration_id)
    started = year.started(year.day(0), year.day(WEEKS))
    assert offers.candidate_id[made].tolist() == year.identifiers(started)
    assert offers["mean"][made].to_numpy() == pytest.approx(year.mean[started])
    assert (~made).sum() == made.sum()
    low = pd.Series([pd.Timestamp(year.moment(week), tz="UTC") for week in offers.week])
    assert ((offers.starts_at - low) < pd.Timedelta(days=7)).all()
    assert (offers.starts_at >= low).all()


def test_the_level_falls_and_stays() -> None:
    steady = make_year(700, 80, WEEKS, 3)
    low, high = (steady.day(week) for week in steady.calendar.fall)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("benchmarks.replay_market.FALLEN", 1.0)
        level = make_year(700, 80, WEEKS, 3)
    ratio = steady.mean / level.mean
    assert ratio[steady.deals.start < low] == pytest.approx(1)
    assert ratio[steady.deals.start > high] == pytest.approx(0.8)


def test_bought_followers_show_and_buy_nothing() -> None:
    year = make_year(700, 80, WEEKS, 3)
    first, last = (year.day(week) for week in year.calendar.bought)
    everyone = np.arange(80)
    before, after = (year.creators.followers_at(everyone, np.full(80, day)) for day in (first - 1, last))
    jumped = after > 1.8 * before
    assert 2 <= jumped.sum() <= 20
    honest = draw_creators(year.settings, np.random.default_rng(np.random.SeedSequence(3).spawn(8)[0]))
    genuine = [people.genuine_at(everyone, np.zeros(80)) for people in (year.creators, honest)]
    assert genuine[0] == pytest.approx(genuine[1], rel=1e-2)


def test_what_a_quarter_of_the_money_buys() -> None:
    offers = pd.DataFrame({"spend": [10.0, 10.0, 20.0], "mean": [2.0, 4.0, 1.0]})
    assert bought(np.array([3.0, 2.0, 1.0]), offers) == pytest.approx(2.0)
    assert bought(np.array([2.0, 3.0, 1.0]), offers) == pytest.approx(4.0)
    assert bought(np.array([1.0, 1.0, 1.0]), offers) == pytest.approx(7 / 4)


def test_the_truth_about_two_models() -> None:
    rng = np.random.default_rng(5)
    spend, rate = np.exp(rng.normal(6, 1, 900)), 0.02 * np.exp(rng.normal(0, 0.8, 900))
    offers = pd.DataFrame({"spend": spend, "mean": spend * rate})
    near, far = (rate * np.exp(rng.normal(0, error, 900)) for error in (0.3, 1.0))
    same = judge(near, near, offers, 0)
    assert (same.deviance, same.value, same.off, same.truth) == (0, 0, 0, 0)
    worse, better = judge(far, near, offers, 0), judge(near, far, offers, 0)
    assert worse.truth == -1
    assert worse.deviance > 0.05
    assert better.truth == 1
    assert better.value == pytest.approx(-worse.value)
    high = judge(near * 1.3, near, offers, 0)
    assert high.total == pytest.approx(1.3 * judge(near, near, offers, 0).total)
    assert Judged(0.04, -0.04, 1.0, 0.0).truth == 0
    assert Judged(-0.2, -0.06, 1.0, 0.0).truth == -1, "worse in one figure is worse"
    assert len(SHARES) > 1


def test_whether_the_level_had_moved() -> None:
    ages = np.arange(0, 210, 0.5)
    starts = pd.Timestamp("2026-01-05") - pd.to_timedelta(ages, unit="D")
    names = [f"c{age}" for age in ages]
    mean = pd.Series(np.where(ages < 28, 8.0, 10.0), names)
    rows = pd.DataFrame(
        {"collaboration_id": names, "starts_at": starts, "spend": 100.0, "promised": 0.1, "kept_out": False}
    )
    moves = level_moves(rows, mean)
    assert moves[4] == pytest.approx(np.log(0.8))
    assert np.log(0.8) < moves[13] < np.log(0.95)
    assert drift_is_true({"weeks": 4, "effect": -0.3}, moves)
    assert not drift_is_true({"weeks": 4, "effect": 0.3}, moves)
    assert not drift_is_true({"weeks": 13, "effect": -0.3}, {13: -0.05})
    assert level_moves(rows.assign(kept_out=ages < 28), mean)[4] == pytest.approx(0)
    assert level_moves(rows.assign(promised=np.nan), mean) == {}
    assert level_moves(rows[ages >= 10], mean).keys() == {4, 13}
    assert level_moves(rows[(ages == 0) | (ages >= 10)], mean).keys() == {13}, "too few in four weeks for an alarm"


def test_copies_are_deleted(tmp_path: Path) -> None:
    import duckdb

    file = tmp_path / "results.duckdb"
    with duckdb.connect(str(file)) as connection:
        for table in ("collaborations", "conversions"):
            connection.execute(f"CREATE TABLE {table} AS SELECT unnest(['a', 'b', 'c']) AS collaboration_id")
    delete(file, ("a", "c"))
    with duckdb.connect(str(file)) as connection:
        for table in ("collaborations", "conversions"):
            assert connection.execute(f"FROM {table}").fetchall() == [("b",)]


def weeks_of(**columns: list) -> pd.DataFrame:
    """Weeks as `Team.week` gives them, nothing wrong with any, but for these columns."""
    number = len(next(iter(columns.values())))
    plain = {"week": 1, "day": "2025-05-05", "slip": "", "spoilt": 0, "kept_out": 0, "rightly": 0, "wrongly": 0,
             "missed": 0, "refused": 0, "closed": False, "action": "kept", "promoted": False, "truth": 0,
             "deviance": 0.0, "value": 0.0, "total": 1.0, "status": 0, "seconds": 1.0,
             "moved_4": 0.0, "offers": 10}  # fmt: skip
    plain |= {f"{source}_alarm": False for source in SOURCES} | {f"{s}_false": False for s in SOURCES[:3]}
    plain |= dict.fromkeys(POLICIES, 100.0)
    return pd.DataFrame({name: [value] * number for name, value in plain.items()} | columns)


def settled(inside: int, outside: int) -> Settled:
    """Promises of which so many were kept."""
    number = inside + outside
    deals = pd.DataFrame(
        {
            "model": "m/1", "starts_at": pd.Timestamp("2025-05-06"), "creator_id": [f"c{i}" for i in range(number)],
            "level": 0.8, "rate": 0.1, "low": 0.05, "high": 0.15, "own_record": 0.1, "spend": 100.0,
            "counts": [10.0] * inside + [40.0] * outside, "exposure": 100.0,
        }
    )  # fmt: skip
    return Settled(deals, {}, 0, (), 0, {})


def test_the_errors_are_counted() -> None:
    weeks = weeks_of(
        truth=[None, -1, -1, 0, 1, 1], promoted=[True, True, False, False, True, False],
        slip=["", "cents", "", "", "shuffled", ""], spoilt=[0, 50, 0, 0, 40, 0], rightly=[0, 50, 0, 0, 10, 0],
        kept_out=[0, 52, 0, 3, 10, 0], wrongly=[0, 2, 0, 3, 0, 0], missed=[0, 0, 0, 0, 30, 0],
        drift_alarm=[False, True, True, False, False, False], drift_false=[False, False, True, False, False, False],
        moved_4=[0.0, 0.2, -0.2, 0.0, 0.05, 0.0], never=[90.0] * 6,
    )  # fmt: skip
    text = "\n".join(sentences(weeks, settled(8, 2)))
    assert "cents 50 of 50 rows kept out; shuffled 10 of 40 rows kept out; 5 rows kept out wrongly, in 2 of 6" in text
    assert "of 5 challengers 2 promoted; 1 of 2 truly worse ones wrongly (20.0% of all), 1 of 2 truly better" in text
    assert "truly better ones missed; 2 of 3 better" in text
    assert "drift in 2 weeks (1 of them false)" in text
    assert "moved by 10% or more in 2 of 6 weeks" in text
    assert "10 promises judged, 80.0% of the realised rates" in text
    assert "never 540 (-10.0%)" in text
    assert "50 rightly, 2 wrongly" in line({str(name): value for name, value in weeks.iloc[1].items()})


def test_small_years_have_everything_in_its_order() -> None:
    for weeks in (6, 12, 52, 104):
        calendar = Calendar.of(weeks)
        assert 0 < calendar.cents < calendar.duplicated - 1 < calendar.shuffled - 2 < weeks
        assert calendar.fall[0] < calendar.fall[1] < calendar.bought[0] <= calendar.bought[1] <= weeks


@pytest.mark.parametrize("words", [["--weeks", "5"], ["--every", "0"]])
def test_calls_that_cannot_be_met(words: list[str]) -> None:
    with pytest.raises(InputError, match="out of range"):
        check(arguments(words))


@pytest.mark.long
def test_two_weeks(tmp_path: Path, empty_store: Path) -> None:
    """DATA begins, a model is trained and promoted, what is offered is sealed; a week later the batch is in cents."""
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    year = make_year(500, 80, 6, 1)
    with store(tmp_path):
        team = Team(year, tmp_path)
        first = team.week(0)
        sealed = read(tmp_path / "ledger.jsonl").promises
        second = team.week(1)
        kept = team.settle()
    assert first["action"] == "promoted"
    assert first["new"] == len(year.started(-np.inf, year.day(0)))
    assert (first["spoilt"], first["refused"], first["truth"]) == (0, 0, None)
    assert first["gate"] == first["never"] == first["always"] == first["no_door"] <= first["all_knowing"]
    offered = year.offered(0, AFTER)
    assert sorted(sealed.candidate_id) == sorted(offered.candidate_id)
    assert (sealed.when == pd.Timestamp(year.moment(0))).all()
    assert (second["slip"], second["status"], second["intake_alarm"], second["intake_false"]) == (
        "cents",
        3,
        True,
        False,
    )
    assert second["rightly"] == second["spoilt"] == second["kept_out"] > 20
    assert second["missed"] == 0
    assert second["truth"] in (-1, 0, 1)
    lists = pd.concat([offered, year.offered(1, 1 + AFTER)])
    assert kept.reasons["unmatched"] == (~lists.candidate_id.isin(year.collaborations.collaboration_id)).sum()
    assert kept.reasons["judged"] > 20


def test_the_market_is_the_same_again(year: Year) -> None:
    again = make_year(700, 80, WEEKS, 3)
    pd.testing.assert_frame_equal(again.offers, year.offers)
    pd.testing.assert_frame_equal(again.batch(-np.inf, -60.0)["posts"], year.batch(-np.inf, -60.0)["posts"])
    assert MarketSettings().dispersion == 2.0, "benchmarks.replay_truth.LUCK"
