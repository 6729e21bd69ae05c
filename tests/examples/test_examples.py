"""Mappings of foreign exports: run in plain DuckDB, they yield the contract's tables and leave out what they say."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from examples.make_candidates import make_candidates
from tests.support.paths import ROOT

EXAMPLES = ROOT / "examples"
NAMES = ["kag_ads", "healthkart", "digital_marketing"]
REQUIRED = {
    "collaborations": {
        "collaboration_id": "VARCHAR",
        "creator_id": "VARCHAR",
        "brand": "VARCHAR",
        "product_niche": "VARCHAR",
        "starts_at": "TIMESTAMP",
        "promotion_hours": "DOUBLE",
        "spend": "DOUBLE",
        "conversions": "BIGINT",
        "observed_until": "TIMESTAMP",
    },
    "creators": {"creator_id": "VARCHAR", "platform": "VARCHAR", "niche": "VARCHAR"},
    "posts": {"post_id": "VARCHAR", "creator_id": "VARCHAR", "posted_at": "TIMESTAMP"},
    "conversions": {"collaboration_id": "VARCHAR", "date": "TIMESTAMP", "conversions": "BIGINT"},
    "candidates": {
        "candidate_id": "VARCHAR",
        "creator_id": "VARCHAR",
        "brand": "VARCHAR",
        "product_niche": "VARCHAR",
        "starts_at": "TIMESTAMP",
        "promotion_hours": "DOUBLE",
        "spend": "DOUBLE",
    },
}
KEYS = {
    "collaborations": "collaboration_id",
    "creators": "creator_id",
    "posts": "post_id",
    "candidates": "candidate_id",
}
OUTCOMES = {"conversions", "observed_until", "clicks", "revenue", "coupon_redemptions"}

Tables = dict[str, pd.DataFrame]


def run(path: Path, monkeypatch: pytest.MonkeyPatch) -> pd.DataFrame:
    """Rows of one mapping, after its types were held against the contract's."""
    monkeypatch.chdir(path.parent)
    with duckdb.connect() as connection:
        rows = connection.sql(path.read_text(encoding="utf-8"))
        types = dict(zip(rows.columns, map(str, rows.types), strict=True))
        required = REQUIRED[path.stem]
        assert {name: types.get(name) for name in required} == required
        return rows.df()


@pytest.fixture
def opened(shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Tables]:
    """Opens an example by name: a copy of its mappings beside a link to its export."""

    def open_example(name: str) -> Tables:
        if not (shared_data / name).is_dir():
            pytest.skip(f"needs the export {shared_data / name}")
        folder = tmp_path / name
        shutil.copytree(EXAMPLES / name, folder, ignore=shutil.ignore_patterns("export"))
        (folder / "data" / "export").symlink_to((shared_data / name).resolve())
        mappings = [*(folder / "data").glob("*.sql"), folder / "candidates.sql"]
        return {path.stem: run(path, monkeypatch) for path in mappings}

    return open_example


@pytest.mark.parametrize("name", NAMES)
def test_mappings_yield_the_contract(name: str, opened: Callable[[str], Tables]) -> None:
    tables = opened(name)
    for table, rows in tables.items():
        assert len(rows), table
        assert not rows[list(REQUIRED[table])].isna().any(axis=None), table
        if table in KEYS:
            assert rows[KEYS[table]].is_unique, table
    past, candidates, creators = tables["collaborations"], tables["candidates"], set(tables["creators"]["creator_id"])
    for rows in (past, candidates):
        assert (rows["spend"] > 0).all()
        assert (rows["promotion_hours"] > 0).all()
        assert set(rows["creator_id"]) <= creators
    assert (past["conversions"] >= 0).all()
    assert (past["observed_until"] >= past["starts_at"]).all()
    assert not OUTCOMES & set(candidates.columns)


@pytest.mark.parametrize("name", NAMES)
def test_candidates_come_after_all_results(name: str, opened: Callable[[str], Tables]) -> None:
    tables = opened(name)
    past, candidates = tables["collaborations"], tables["candidates"]
    assert past["starts_at"].max() < candidates["starts_at"].min()
    assert not set(past["collaboration_id"]) & set(candidates["candidate_id"])


def test_kag_ads_leaves_out_the_ads_that_spent_nothing(opened: Callable[[str], Tables], shared_data: Path) -> None:
    tables = opened("kag_ads")
    export = pd.read_csv(shared_data / "kag_ads" / "KAG_conversion_data.csv")
    assert len(export) == 1143
    assert (export["Spent"] == 0).sum() == 207
    assert export.loc[export["Spent"] == 0, "Total_Conversion"].sum() == 212
    assert (len(tables["collaborations"]), len(tables["candidates"])) == (655, 281)
    paid = export[export["Spent"] > 0].sort_values("ad_id")
    assert tables["collaborations"]["conversions"].tolist() == paid["Total_Conversion"].tolist()[:655]
    assert tables["collaborations"]["spend"].tolist() == paid["Spent"].tolist()[:655]
    assert tables["candidates"]["candidate_id"].tolist() == paid["ad_id"].astype(str).tolist()[655:]


def test_healthkart_counts_the_orders_of_influencers_alone(opened: Callable[[str], Tables], shared_data: Path) -> None:
    tables = opened("healthkart")
    export = pd.read_csv(shared_data / "healthkart" / "tracking_data.csv", parse_dates=["transaction_date"])
    payouts = pd.read_csv(shared_data / "healthkart" / "payouts.csv")
    posts = pd.read_csv(shared_data / "healthkart" / "posts.csv")
    assert (export["influencer_id"].isna().sum(), (payouts["total_payout"] == 0).sum()) == (2489, 0)
    own = export[export["influencer_id"].notna() & (export["transaction_date"] < "2025-05-21")]
    past = tables["collaborations"]
    assert past["conversions"].sum() == own["orders"].sum()
    assert past["revenue"].sum() == pytest.approx(own["revenue"].sum() / 86)
    assert (len(past), len(tables["candidates"]), (past["conversions"] == 0).sum()) == (800, 400, 94)
    assert past["spend"].sum() + tables["candidates"]["spend"].sum() == pytest.approx(
        payouts["total_payout"].sum() / 86
    )
    assert (len(posts), len(tables["posts"])) == (200, 132)


def test_healthkart_conversions_by_day_tell_every_collaboration_whole(opened: Callable[[str], Tables]) -> None:
    tables = opened("healthkart")
    by_day = tables["conversions"].merge(tables["collaborations"], on="collaboration_id", suffixes=("_day", ""))
    assert len(by_day) == len(tables["conversions"])
    assert not tables["conversions"].duplicated(["collaboration_id", "date"]).any()
    assert (by_day["date"] >= by_day["starts_at"]).all()
    assert (by_day["date"] < by_day["observed_until"]).all()
    daily = by_day.groupby("collaboration_id")["conversions_day"].sum()
    assert daily.to_dict() == tables["collaborations"].set_index("collaboration_id")["conversions"].to_dict()


def test_digital_marketing_reads_decimal_commas_and_mixed_case(
    opened: Callable[[str], Tables], shared_data: Path
) -> None:
    tables = opened("digital_marketing")
    export = pd.read_csv(shared_data / "digital_marketing" / "Marketing.csv", sep=";", decimal=",")
    assert (len(export), (export["mark_spent"] == 0).sum()) == (308, 0)
    past, candidates = tables["collaborations"], tables["candidates"]
    assert (len(past), len(candidates), len(tables["creators"])) == (220, 88, 11)
    assert past["spend"].sum() + candidates["spend"].sum() == pytest.approx(export["mark_spent"].sum() / 73)
    assert {"youtube_blogger", "instagram_blogger", "facebook_tier2"} <= set(past["creator_id"])
    assert past["conversions"].sum() == export.loc[export["c_date"] < "2021-02-21", "orders"].sum()


def test_make_candidates_writes_the_rows_in_their_order(tmp_path: Path) -> None:
    (tmp_path / "given.csv").write_text("n\n3\n1\n2\n")
    (tmp_path / "candidates.sql").write_text("SELECT n FROM read_csv('given.csv') ORDER BY n DESC")
    here = Path.cwd()
    assert pd.read_parquet(make_candidates(tmp_path))["n"].tolist() == [3, 2, 1]
    assert here == Path.cwd()


def test_make_candidates_leaves_nothing_behind_when_the_mapping_fails_late(tmp_path: Path) -> None:
    (tmp_path / "candidates.sql").write_text(
        "SELECT if(n = 499999, error('late'), n) AS n FROM range(500000) AS rows(n)"
    )
    with pytest.raises(duckdb.Error, match="late"):
        make_candidates(tmp_path)
    assert os.listdir(tmp_path) == ["candidates.sql"]
