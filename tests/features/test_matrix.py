"""What must hold of the feature matrix whatever the data: of time, order, form, and other rows."""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from features.catalogue import BY_NAME, CATALOGUE
from features.matrix import FeatureBuilder
from tests.support.matrices import MOMENTS, assert_same, build
from tests.support.small_world import Tables, write

DAY = pd.Timedelta("1D")
RECORDS = [f.name for f in CATALOGUE if f.family == "track_record"]


# --- the future never changes the past


def _later(events: pd.DataFrame, at: str, key: str, cut: pd.Timestamp, rng: np.random.Generator) -> pd.DataFrame:
    """Events with those at or after the cut partly deleted, partly changed, and new ones, one of them at the cut."""
    past, future = events[events[at] < cut], events[events[at] >= cut]
    kept = future[rng.random(len(future)) < 0.5].copy()
    for column in kept.columns.difference([key, at]):
        if len(kept):
            kept[column] = rng.permutation(kept[column].to_numpy())
    new = events.sample(min(len(events), 60), random_state=int(rng.integers(1000))).copy()
    new[key] = [f"new {key} {i}" for i in range(len(new))]
    new[at] = [cut + i * i * pd.Timedelta("7h") for i in range(len(new))]
    return pd.concat([past, kept, new], ignore_index=True).astype(events.dtypes)


def _results_later(tables: Tables, cut: pd.Timestamp, rng: np.random.Generator) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Deals and conversions in which all of the results that was not known at the cut is another."""
    deals, days = tables["collaborations"].copy(), tables["conversions"]
    ids = deals.collaboration_id
    under_way = (deals.starts_at < cut) & (deals.observed_until >= cut)
    open_ = under_way & (deals.starts_at + pd.to_timedelta(deals.promotion_hours, "h") + 30 * DAY >= cut)
    deals["observed_until"] = deals.observed_until.mask(
        under_way, cut + pd.to_timedelta(rng.integers(0, 900, len(deals)), "h")
    )
    deals["clicks"] = deals.clicks.mask(open_, 5_000.0)
    late = days.collaboration_id.isin(ids[under_way]) & (pd.to_datetime(days.date) >= cut.normalize())
    listed = ids.isin(days.collaboration_id)
    named = ids[under_way & (listed | open_) & (rng.random(len(deals)) < 0.5)]
    new = pd.DataFrame({"collaboration_id": named, "date": cut.date(), "conversions": 7})
    changed = pd.concat([days[~late], new], ignore_index=True)
    whole = deals.conversions.mask(listed, 0).mask(open_, 1_234)
    sums = changed.groupby("collaboration_id").conversions.sum()
    deals["conversions"] = ids.map(sums).fillna(whole).astype("int64")
    return deals, changed


def _changed_after(tables: Tables, cut: pd.Timestamp, seed: int) -> Tables:
    rng = np.random.default_rng(seed)
    deals, days = _results_later(tables, cut, rng)
    days = days[days.collaboration_id.isin(deals.collaboration_id[deals.starts_at < cut])]
    begun = _later(deals, "starts_at", "collaboration_id", cut, rng)
    begun["observed_until"] = begun.observed_until.clip(lower=begun.starts_at)
    posts = _later(tables["posts"], "posted_at", "post_id", cut, rng)
    comments = _later(tables["comments"], "commented_at", "comment_id", cut, rng)
    return {
        "collaborations": begun,
        "creators": tables["creators"],
        "posts": posts,
        "comments": comments[comments.post_id.isin(posts.post_id)],
        "conversions": days,
    }


@pytest.mark.slow
@pytest.mark.parametrize(("place", "seed"), [(0.4, 1), (0.6, 2), (0.85, 3)])
def test_the_future_never_changes_the_past(
    tables: Tables, matrix: pd.DataFrame, tmp_path: Path, place: float, seed: int
) -> None:
    """Later posts, comments, deals and results added, changed and deleted: earlier rows stay equal to the bit."""
    spine = tables["spine"]
    cut = spine.starts_at.sort_values().iloc[int(place * len(spine))]
    earlier = spine.starts_at <= cut
    altered = write(_changed_after(tables, cut, seed), tmp_path / "altered")
    found = build(altered, spine[earlier])
    assert_same(found, matrix[earlier].reset_index(drop=True))


@pytest.mark.slow
def test_a_deal_far_ahead_is_judged_on_the_last_days_that_there_are(matrix: pd.DataFrame, tables: Tables) -> None:
    """Every window ends where the history does: two years after the last of all, none is empty that was not before."""
    last = max(tables[name][at].max() for name, at in MOMENTS.items())
    ahead = matrix[tables["spine"].starts_at > last + 365 * DAY]
    assert len(ahead) == 2
    known = ahead[["market_rate", "creator_click_record", "posts_90d", "comments_seen"]]
    assert (known > 0).all(axis=None)


# --- neither order, nor threads, nor the other rows of the spine


@pytest.mark.slow
def test_order_files_and_threads_change_nothing(tables: Tables, matrix: pd.DataFrame, tmp_path: Path) -> None:
    """Every table's rows shuffled, three of them as folders of parts, one thread, the spine backwards."""
    shuffled = {name: table.sample(frac=1, random_state=5) for name, table in tables.items()}
    write({name: shuffled[name] for name in ("creators", "conversions")}, tmp_path)
    for name in ("collaborations", "posts", "comments"):
        (tmp_path / name).mkdir()
        for part, rows in enumerate(np.array_split(np.arange(len(shuffled[name])), 3)):
            shuffled[name].iloc[rows].to_parquet(tmp_path / name / f"part-{9 - part}.parquet", index=False)
    found = build(tmp_path, tables["spine"][::-1], threads=1)
    assert_same(found[::-1].reset_index(drop=True), matrix)


@pytest.mark.parametrize("rows", [slice(7, 8), slice(100, 260), slice(0, 0)], ids=["one", "chunk", "none"])
def test_a_row_does_not_see_the_others(
    builder: FeatureBuilder, tables: Tables, matrix: pd.DataFrame, rows: slice
) -> None:
    assert_same(builder.build(tables["spine"][rows]), matrix[rows].reset_index(drop=True))


def test_a_row_may_come_twice_and_without_optional_columns(builder: FeatureBuilder, tables: Tables) -> None:
    optional = ["product_country", "objective", "deliverables"]
    row = tables["spine"][30:31].drop(columns=optional)
    found = builder.build(pd.concat([row, row]))
    assert_same(found[:1], found[1:].reset_index(drop=True))
    assert found[[*optional, "same_country", "language_match", "spend_per_deliverable"]].isna().all(axis=None)


def test_an_unknown_creator_is_judged_by_the_rest(matrix: pd.DataFrame, tables: Tables) -> None:
    unknown = matrix[tables["spine"].creator_id == "nobody knows"]
    assert len(unknown) == 5
    of_creator = [f.name for f in CATALOGUE if f.entity == "creator" and f.family != "track_record"]
    counted = ["creator_deals", "brands_90d"]  # deals are listed for all
    assert unknown[[name for name in of_creator if name not in counted]].isna().all(axis=None)
    assert (unknown[[*counted, "deals_with_brand", "creator_evidence", "pair_evidence"]] == 0).all(axis=None)
    assert (unknown[["creator_record", "pair_record"]] == 1).all(axis=None)
    assert unknown[["platform_record", "tier_evidence", "niche_pair_record", "same_niche"]].isna().all(axis=None)
    assert (unknown.brand_evidence > 0).any()


# --- doubling


def _times(tables: Tables, factor: int, deals: pd.Series) -> Tables:
    """Spend, conversions and clicks of some deals times a factor."""
    found = dict(tables)
    c, d = tables["collaborations"].copy(), tables["conversions"].copy()
    named = d.collaboration_id.isin(c.collaboration_id[deals])
    for column in ("spend", "conversions", "clicks"):
        c.loc[deals, column] *= factor
    d.loc[named, "conversions"] *= factor
    spine = tables["spine"].copy()
    spine.loc[: len(c) - 1, "spend"] = c.spend.to_numpy()
    return found | {"collaborations": c, "conversions": d, "spine": spine}


@pytest.mark.slow
def test_doubling_one_creator_leaves_the_others(tables: Tables, matrix: pd.DataFrame, tmp_path: Path) -> None:
    """Others change in nothing but track records, and there only once a result of the creator has moved the market."""
    deals = tables["collaborations"]
    ours = deals.creator_id == deals.creator_id.value_counts().index[0]
    doubled = _times(tables, 2, ours)
    found = build(write(doubled, tmp_path / "doubled"), doubled["spine"])
    others = tables["spine"].creator_id != deals.creator_id[ours].iloc[0]
    assert_same(found[others].drop(columns=RECORDS), matrix[others].drop(columns=RECORDS))
    untouched = tables["spine"].starts_at <= deals.starts_at[ours].min()
    assert_same(found[others & untouched], matrix[others & untouched])
    assert not found[others][RECORDS].equals(matrix[others][RECORDS])
    mine = found[~others].reset_index(drop=True), matrix[~others].reset_index(drop=True)
    money = [name for name in BY_NAME if name.startswith("spend")]
    assert_same(mine[0].drop(columns=[*RECORDS, *money]), mine[1].drop(columns=[*RECORDS, *money]))


@pytest.mark.slow
def test_doubling_everything_keeps_the_rate(tables: Tables, tmp_path: Path) -> None:
    """All spend, conversions and clicks doubled: prices double, and records stay where they were but for the half that
    is added to each count, which vanishes beside large ones. Nothing else moves."""
    everything = tables["collaborations"].creator_id.notna()
    deals = tables["collaborations"]
    some = deals.assign(conversions=deals.conversions + 1, clicks=deals.clicks + 1)
    unlisted = tables | {"collaborations": some, "conversions": tables["conversions"][:0]}
    large = _times(unlisted, 2**20, everything)
    twice = _times(large, 2, everything)
    large["spine"]["spend"], twice["spine"]["spend"] = tables["spine"].spend, tables["spine"].spend * 2
    found = [build(write(world, tmp_path / str(i)), world["spine"]) for i, world in enumerate((large, twice))]
    prices = [name for name in BY_NAME if name.startswith("spend")]
    assert_same(found[1][prices], found[0][prices] * [1 if name == "spend_vs_usual" else 2 for name in prices])
    rest = [name for name in BY_NAME if name not in prices and name not in RECORDS]
    assert_same(found[1][rest], found[0][rest])
    pd.testing.assert_frame_equal(found[1][RECORDS], found[0][RECORDS], rtol=1e-3)
    assert (found[0].creator_evidence > 1).any()


# --- every form of DATA


def _as_csv(tables: Tables, folder: Path) -> None:
    """As pandas writes CSV, with integer keys and one file gzipped."""
    for name, table in tables.items():
        if name != "spine":
            table.to_csv(folder / f"{name}.csv{'.gz' if name == 'comments' else ''}", index=False)


def _mapped(tables: Tables, folder: Path) -> None:
    """As another program's export, cast by SQL."""
    (folder / "raw").mkdir()
    for name in ("collaborations", "posts"):
        tables[name].rename(columns={"brand": "Brand Name"}).to_parquet(folder / "raw" / f"{name}.parquet")
        select = f"SELECT *, \"Brand Name\" AS brand FROM 'raw/{name}.parquet'"
        (folder / f"{name}.sql").write_text(select)
    write({name: tables[name] for name in ("creators", "comments", "conversions")}, folder)


def _numbered(tables: Tables) -> Tables:
    """Keys as whole numbers, in the same order as texts."""
    number = {name: str(i + 1000) for i, name in enumerate(sorted(tables["creators"].creator_id))}
    number |= {"nobody knows": "99"}
    found = {name: table.copy() for name, table in tables.items()}
    for table in found.values():
        for key in {"collaboration_id", "post_id", "comment_id"} & set(table.columns):
            table[key] = table[key].str[1:].astype("int64")
        if "creator_id" in table:
            table["creator_id"] = table.creator_id.map(number)
            if table.creator_id.notna().all():
                table["creator_id"] = table.creator_id.astype("int64")
    return found


@pytest.mark.slow
@pytest.mark.parametrize("form", ["csv", "mapping", "database"])
def test_every_form_gives_the_same(tables: Tables, matrix: pd.DataFrame, tmp_path: Path, form: str) -> None:
    given_tables, data = tables, str(tmp_path)
    if form == "csv":
        given_tables = _numbered(tables)
        _as_csv(given_tables, tmp_path)
    elif form == "mapping":
        _mapped(tables, tmp_path)
    else:
        data = f"duckdb://{tmp_path / 'data.duckdb'}"
        with duckdb.connect(tmp_path / "data.duckdb") as connection:
            for name in tables.keys() - {"spine"}:
                connection.register(f"given_{name}", tables[name])
                connection.execute(f"CREATE TABLE {name} AS FROM given_{name}")
    assert_same(build(data, given_tables["spine"]), matrix)
