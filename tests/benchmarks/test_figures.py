"""The benchmarks' own figures, features and tables; the peers themselves need packages that tests do without."""

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks import ablation, efficiency, rolling_origin
from benchmarks.figures import cells, judge, markdown, write_tables
from benchmarks.market import Holdout, Market, opened, thinned
from benchmarks.peer_features import peer_features
from benchmarks.peer_models import Task, by_price, one_rate, past_rate
from benchmarks.peers import measure_peers
from features.faults import InputError
from features.history.source import open_history


def truth(rows: int = 400, seed: int = 3) -> pd.DataFrame:
    """What is true of made-up candidates, by candidate_id."""
    rng = np.random.default_rng(seed)
    spend = np.exp(rng.normal(6, 1, rows))
    mean = spend * 0.03 * np.exp(rng.normal(0, 0.8, rows))
    return pd.DataFrame(
        {
            "candidate_id": [f"c{i:03}" for i in range(rows)],
            "spend": spend,
            "conversions": rng.poisson(mean * rng.gamma(2, 0.5, rows)),
            "rate": mean / spend,
            "mean": mean,
            "band": rng.integers(0, 4, rows),
            "seen": rng.random(rows) < 0.7,
        }
    )


def guess(table: pd.DataFrame) -> np.ndarray:
    """Rates that are right but for chance."""
    return table.rate.to_numpy() * np.exp(np.random.default_rng(8).normal(0.1, 0.5, len(table)))


def test_who_knows_the_truth_has_every_figure() -> None:
    table = truth()
    figures = judge(table.rate.to_numpy(), table, table.seen.to_numpy())
    assert [figures[name] for name in ("skill", "rank", "unseen", "value", "log_r2")] == pytest.approx([1.0] * 5)
    assert np.isnan(figures["coverage"])


def test_figures_by_hand() -> None:
    table = pd.DataFrame({"spend": [10.0, 10.0, 20.0], "conversions": [1, 2, 0], "mean": [2.0, 4.0, 1.0]})
    figures = judge(np.array([0.3, 0.2, 0.1]), table, np.array([True, True, False]), np.zeros(3), np.full(3, 0.1))
    assert figures["rank"] == pytest.approx(1 - 6 * (1 + 1 + 0) / (3 * 8))
    assert figures["total"] == pytest.approx(7 / 3)
    assert figures["value"] == pytest.approx(0.8 / 1.6)  # 4 dollars of the first, where the second was twice as good
    assert figures["coverage"] == pytest.approx(2 / 3)
    assert np.isnan(figures["unseen"])


@pytest.mark.parametrize("made_up", [True, False])
def test_figures_are_those_of_another_implementation(made_up: bool, shared_data: Path) -> None:
    file = shared_data.parent / "judge" / "score.py"
    if not file.is_file():
        pytest.skip("needs the other implementation")
    spec = importlib.util.spec_from_file_location("score", file)
    assert spec is not None
    assert spec.loader is not None
    other = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(other)
    table = truth()
    if not made_up:
        table = table.drop(columns=["mean", "rate"])
    rates = guess(truth())
    test = table[["candidate_id"]].assign(
        conversions_per_dollar=rates, conversions_per_dollar_low=rates / 3, conversions_per_dollar_high=rates * 2
    )
    theirs = other.evaluate(table, test)
    ours = judge(rates, table, table.seen.to_numpy(), rates / 3, rates * 2)
    same = {name: name for name in ("skill", "rank", "value", "total", "coverage", "width")}
    same |= {"log_r2": "log_r2", "unseen": "rank_unseen"} if made_up else {}
    assert [ours[name] for name in same] == pytest.approx([theirs[its] for its in same.values()], abs=6e-5)


@pytest.mark.parametrize("bad", [-0.1, np.nan, np.inf])
def test_a_rate_that_is_none_is_refused(bad: float) -> None:
    table = truth(5)
    with pytest.raises(ValueError, match="missing, endless or below 0"):
        judge(np.array([0.1, 0.1, bad, 0.1, 0.1]), table, table.seen.to_numpy())


def test_tables_on_screen_and_on_disk(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {"model": ["a"], "results": [1000], "rank": [0.12345], "skill": [-1e-4], "log_r2": [np.nan], "seconds": [61.4]}
    )
    assert cells(table) == [
        ["model", "results", "rank", "skill", "log_r2", "seconds"],
        ["a", "1,000", "0.123", "0.000", "–", "61"],
    ]
    assert markdown(cells(table)).splitlines()[1:] == [
        "| --- | --- | --- | --- | --- | --- |",
        "| a | 1,000 | 0.123 | 0.000 | – | 61 |",
    ]
    write_tables(table, tmp_path / "new" / "table")
    assert sorted(file.name for file in (tmp_path / "new").iterdir()) == ["table.csv", "table.md"]
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "new" / "table.csv"), table)


def test_peer_features_know_nothing_later(tiny_market: Path) -> None:
    with opened(Market.of(tiny_market)) as (history, test):
        spine = history.collaborations.order_by("starts_at", "collaboration_id").to_pandas()
        known, new = peer_features(history, spine, test.spine)
        half = len(spine) // 2
        unknown = known_at(spine) > spine.starts_at.iloc[half]
        later = spine.copy()  # results in another order, for the average rate, to which records are drawn, is of all
        later.loc[unknown, "conversions"] = spine.conversions[unknown].to_numpy()[::-1]
        changed, _ = peer_features(history, later, test.spine)
    assert [len(known), len(new)] == [len(spine), len(test.spine)]
    assert list(known.columns) == list(new.columns)
    assert {"record_creator", "engagement_median", "hollow_share", "platform"} <= set(known.columns)
    assert not {"conversions", "observed_until", "clicks", "revenue"} & set(known.columns)
    pd.testing.assert_frame_equal(changed.iloc[:half], known.iloc[:half])
    assert (changed.record_brand != known.record_brand).any()
    assert known.results_creator.tolist() == counted_before(spine)


def known_at(spine: pd.DataFrame) -> pd.Series:
    """When a result is known: counted, or its window over."""
    window = pd.to_timedelta(spine.promotion_hours, unit="h") + pd.Timedelta(days=30)
    return spine.observed_until.where(spine.observed_until < spine.starts_at + window, spine.starts_at + window)


def counted_before(spine: pd.DataFrame) -> list[int]:
    """How many results of its creator were known when each collaboration began, row by row."""
    known = known_at(spine)
    return [
        int(((spine.creator_id == creator) & (spine.starts_at < start) & (known <= start)).sum())
        for creator, start in zip(spine.creator_id, spine.starts_at, strict=True)
    ]


def test_fewer_results_are_part_of_more_and_candidates_stay(tiny_market: Path, tmp_path: Path) -> None:
    market = Market.of(tiny_market)
    few, more = (thinned(market, size, 1, tmp_path / str(size)) for size in (20, 50))
    with opened(few) as (history, test):
        kept = history.collaborations.to_pandas()
        daily = pd.read_parquet(few.data / "conversions.parquet")
    assert few.candidates == market.candidates
    assert len(kept) == 20
    assert set(kept.collaboration_id) < set(pd.read_parquet(more.data / "collaborations.parquet").collaboration_id)
    assert set() < set(daily.collaboration_id) <= set(kept.collaboration_id)
    assert test.seen.tolist() == test.spine.creator_id.isin(kept.creator_id).tolist()
    assert not test.seen.all()


def test_a_cut_knows_nothing_later_and_asks_what_followed(tiny_market: Path, tmp_path: Path) -> None:
    spine = pd.read_parquet(tiny_market / "data/collaborations.parquet").sort_values(["starts_at", "collaboration_id"])
    spine["starts_at"] = spine.starts_at.dt.tz_localize(None)
    moment = spine.starts_at.iloc[int(0.6 * len(spine))].floor("D")
    with open_history(tiny_market / "data") as history:
        assert rolling_origin.cut(history, 0.01, 0.2, tmp_path / "nothing") is None
        market = rolling_origin.cut(history, 0.6, 0.2, tmp_path / "cut")
    assert market is not None
    known, posts, daily = (
        pd.read_parquet(market.data / f"{name}.parquet") for name in ("collaborations", "posts", "conversions")
    )
    assert known.starts_at.max() < moment
    assert known.observed_until.max() == moment
    assert posts.posted_at.max() < moment
    assert pd.to_datetime(daily.date).max() < moment
    young = known[known.observed_until == moment]
    so_far = daily.groupby("collaboration_id").conversions.sum()
    assert young.conversions.tolist() == young.collaboration_id.map(so_far).fillna(0).tolist()
    final = spine.set_index("collaboration_id").conversions
    assert young.conversions.sum() < young.collaboration_id.map(final).sum()
    with opened(market) as (_, test):
        assert test.spine.starts_at.min() >= moment
        assert set(test.spine.candidate_id) <= set(spine.collaboration_id[spine.starts_at >= moment])
        assert 0.1 * len(spine) < len(test.spine) <= 0.2 * len(spine) + 1
        assert (test.truth.conversions >= test.truth.candidate_id.map(final) - 1e-9).all()


def test_a_comparison_tells_how_sure_it_is() -> None:
    lines = pd.DataFrame(
        [
            {"at": at, "model": model, **dict.fromkeys(rolling_origin.SHOWN, value)}
            for at, model, value in (
                (0.4, rolling_origin.OURS, 0.8),
                (0.4, "other", 0.5),
                (0.6, rolling_origin.OURS, 0.6),
                (0.6, "other", 0.7),
            )
        ]
    )
    table = rolling_origin.summary(lines)
    assert table["rank"].tolist() == pytest.approx([0.7, 0.6])
    assert table["± rank"].isna().tolist() == [True, False]
    assert table["± rank"][1] == pytest.approx(0.2)  # differences of -0.3 and 0.1: 0.283 / √2


def test_a_truth_of_other_candidates_is_refused(tiny_market: Path, tmp_path: Path) -> None:
    market = Market.of(tiny_market)
    truth = pd.read_parquet(market.truth)
    truth.iloc[2:].to_parquet(tmp_path / "truth.parquet")
    with (
        pytest.raises(InputError, match="nothing of 2 candidates"),
        opened(Market(market.data, market.candidates, tmp_path / "truth.parquet")),
    ):
        pass


def test_rules_of_thumb() -> None:
    spend = np.array([10.0, 10, 20, 20, 30, 30, 40, 40, 50, 50])
    counts = np.array([5.0, 5, 4, 4, 3, 3, 2, 2, 1, 1])
    test = pd.DataFrame({"record_creator": [0.0, np.log(2)]})
    task = Task(pd.DataFrame(index=range(10)), test, counts, spend, np.ones(10, bool), np.array([10.0, 45.0]), 1.0)
    assert one_rate(task).tolist() == [0.1, 0.1]
    assert past_rate(task).tolist() == pytest.approx([0.1, 0.2])
    cheap, dear = by_price(task)
    assert [cheap, dear] == pytest.approx([0.5, 0.02])


def test_a_peer_that_fails_is_named_and_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    table = truth(30)
    features = pd.DataFrame({"record_creator": np.zeros(30)})
    spend = table.spend.to_numpy()
    task = Task(features, features, table.conversions.to_numpy(), spend, np.zeros(30, bool), spend, 1.0)
    test = Holdout(table, table, table.seen.to_numpy())
    names = ["one rate for all", "LightGBM log, no young"]
    lines = measure_peers(dict.fromkeys(names, (task, 2.0)), test, names, None)
    assert [line["model"] for line in lines] == ["one rate for all"]
    assert lines[0]["total"] == pytest.approx(1.0)
    assert lines[0]["seconds"] >= 2.0
    message = "LightGBM log, no young is left out: ValueError: the counting is over for 0 of 30 results only"
    assert capsys.readouterr().err.strip() == message


def test_the_curve_and_the_ablation_are_told_by_means() -> None:
    lines = pd.DataFrame(
        [
            {"results": 300, "draw": d, "model": m, "value": v, "rank": 0.5, "skill": 0.1, "total": 1.0}
            for d, m, v in ((0, "ours", 0.8), (0, "other", 0.5), (1, "ours", 0.6), (1, "other", 0.7))
        ]
    )
    table = efficiency.means(lines)
    assert table.model.tolist() == ["ours", "other"]
    assert table.draws.tolist() == [2, 2]
    assert table.value.tolist() == pytest.approx([0.7, 0.6])
    assert efficiency.picture(table)[:4] == b"\x89PNG"
    figures = dict.fromkeys(ablation.SHOWN, 0.5)
    runs = pd.DataFrame(
        [
            {"market": k, "model": m} | figures | {"value": v}
            for k, m, v in ((1, ablation.WHOLE, 0.9), (1, "less", 0.7), (2, ablation.WHOLE, 0.8), (2, "less", 0.8))
        ]
    )
    row = ablation.summary(runs).set_index("variant").loc["less"]
    assert [row["value -"], row["± value"]] == pytest.approx([0.1, 0.2 / np.sqrt(2)])


def test_every_family_is_taken_away_once() -> None:
    from features.catalogue import CATALOGUE, FAMILIES

    gone = [
        v.without for name, v in ablation.variants().items() if name.removeprefix("no ").replace(" ", "_") in FAMILIES
    ]
    assert len(gone) == len(FAMILIES)
    assert sorted(name for columns in gone for name in columns) == sorted(f.name for f in CATALOGUE)
