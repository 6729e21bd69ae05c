"""DATA opens alike in all its forms, as exactly the contract's columns."""

from datetime import datetime
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.history import files
from features.history.contract import CANDIDATES, CREATORS, TABLES, TYPES
from features.history.contract_page import page
from features.history.source import History, fingerprint, open_candidates, open_history
from tests.support.contract_tables import Frames, candidates, frames, write
from tests.support.paths import ROOT

pytestmark = pytest.mark.slow


def rows(history: History, table: str) -> list[dict[str, object]]:
    return list(getattr(history, table).to_pyarrow().to_pylist())


def contents(data: Path | str) -> dict[str, list[dict[str, object]]]:
    with open_history(data, threads=1) as history:
        return {table: rows(history, table) for table in TABLES if getattr(history, table) is not None}


def as_database(folder: Path, tables: Frames) -> str:
    write(folder, tables)
    with duckdb.connect(folder / "history.db") as connection:
        for table in tables:
            connection.execute(f"CREATE TABLE {table} AS FROM '{folder / table}.parquet'")
    return f"duckdb://{folder / 'history.db'}"


def as_mappings(folder: Path, tables: Frames) -> Path:
    write(folder / "exports", tables, "csv")
    for table in tables:
        (folder / f"{table}.sql").write_text(f"-- {table}\nSELECT * FROM read_csv('exports/{table}.csv'); -- done\n")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("form", ["csv", "csv.gz", "parts", "database", "mapping"])
def test_all_forms_hold_what_parquet_holds(form: str, tmp_path: Path) -> None:
    expected = contents(write(tmp_path / "parquet", frames()))
    if form == "database":
        data: Path | str = as_database(tmp_path / form, frames())
    elif form == "mapping":
        data = as_mappings(tmp_path / form, frames())
    else:
        data = write(tmp_path / form, frames(), form)
    assert contents(data) == expected


@pytest.mark.parametrize("name", ["~.db", "sqlite:history.db", "a b%20#?'.db", "[*].db"])
def test_a_database_is_the_file_of_its_name(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    as_database(tmp_path, frames())
    (tmp_path / "history.db").rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    with open_history(f"duckdb://{name}", threads=1) as history:
        assert rows(history, "creators")


def test_columns_are_the_contracts_in_order_and_type(tmp_path: Path) -> None:
    tables = frames()
    extra = pd.DataFrame(0, index=range(4), columns=[f"extra {i}" for i in range(300)])
    tables["creators"] = tables["creators"][["niche", "platform", "creator_id"]].join(extra)
    del tables["posts"], tables["comments"], tables["conversions"]
    for form in ("csv", "parquet"):
        with open_history(write(tmp_path / form, tables, form), threads=1) as history:
            schema = history.creators.schema()
            assert list(schema.names) == ["creator_id", "platform", "niche", "country", "language", "followers"]
            assert schema["followers"] == TYPES["count"]
            assert history.creators.followers.count().execute() == 0
            assert (history.posts, history.comments, history.conversions) == (None, None, None)


@pytest.mark.parametrize(
    "times",
    [
        pa.array([datetime(2025, 1, 10, 12)] * 6, pa.timestamp("s")),
        pa.array([datetime(2025, 1, 10, 12)] * 6, pa.timestamp("ms", "UTC")),
        pa.array([datetime(2025, 1, 10, 12)] * 6, pa.timestamp("ns")),
        pa.array([datetime(2025, 1, 10, 12)] * 6, pa.timestamp("ns", "Asia/Tokyo")),
        pa.array(["2025-01-10T12:00:00Z", "2025-01-10 12:00", "2025-01-10 13:00:00+01:00"] * 2),
        pa.array(["2025-01-10T07:30:00.000000-04:30", "2025-01-10T12:00:00", "2025-01-10 12:00:00.000000000"] * 2),
    ],
)
def test_times_of_any_resolution_with_and_without_zone_are_the_same(times: pa.Array, tmp_path: Path) -> None:
    tables = frames()
    del tables["conversions"]
    table = pa.Table.from_pandas(tables["collaborations"], preserve_index=False)
    table = table.set_column(table.schema.get_field_index("starts_at"), "starts_at", times)
    pq.write_table(table, write(tmp_path, tables) / "collaborations.parquet")
    with open_history(tmp_path, threads=1) as history:
        assert {row["starts_at"] for row in rows(history, "collaborations")} == {datetime(2025, 1, 10, 12)}


@pytest.mark.slow
def test_nanoseconds_are_cut_not_rounded(tmp_path: Path) -> None:
    tables = frames()
    tables["posts"]["posted_at"] = pd.Timestamp("2025-01-01 00:00:00.123456789", tz="UTC").as_unit("ns")
    for form in ("parquet", "csv"):
        (row, *_) = contents(write(tmp_path / form, tables, form))["posts"]
        assert row["posted_at"] == datetime(2025, 1, 1, 0, 0, 0, 123456)


def test_integer_keys_whole_floats_and_flags_of_all_spellings(tmp_path: Path) -> None:
    tables = frames()
    for table, columns in {
        "collaborations": ["creator_id"],
        "creators": ["creator_id"],
        "posts": ["creator_id"],
    }.items():
        for column in columns:
            tables[table][column] = tables[table][column].str[1:].astype(int)
    del tables["comments"]
    tables["collaborations"]["conversions"] = tables["collaborations"]["conversions"].astype(float)
    tables["posts"]["is_sponsored"] = ["true", "False", "1", "0", "TRUE", "1.0", "0.0", None]
    read = contents(write(tmp_path, tables))
    assert [row["creator_id"] for row in read["creators"]] == ["0", "1", "2", "3"]
    assert [row["conversions"] for row in read["collaborations"]] == [3, 0, 7, 12, 1, 2]
    assert [row["is_sponsored"] for row in read["posts"]] == [True, False, True, False, True, True, False, None]


@pytest.mark.slow
def test_byte_order_mark_and_crlf_are_read(tmp_path: Path) -> None:
    expected = contents(write(tmp_path / "plain", frames(), "csv"))
    folder = write(tmp_path / "marked", frames(), "csv")
    marked = (folder / "creators.csv").read_bytes().replace(b"\n", b"\r\n")
    (folder / "creators.csv").write_bytes(b"\xef\xbb\xbf" + marked)
    assert contents(folder) == expected


def test_comments_may_be_of_posts_that_are_left_out(tmp_path: Path) -> None:
    tables = frames()
    tables["posts"] = tables["posts"].iloc[:2]
    assert len(contents(write(tmp_path, tables))["comments"]) == 10


def test_parts_may_lack_an_optional_column(tmp_path: Path) -> None:
    folder = write(tmp_path, frames(), "parts")
    part = folder / "creators" / "part-001.parquet"
    pd.read_parquet(part).drop(columns="followers").to_parquet(part)
    assert [row["followers"] for row in contents(folder)["creators"]] == [1_000, 25_000, 300, None]


@pytest.mark.slow
def test_fingerprint_knows_values_but_not_order_or_form(tmp_path: Path) -> None:
    def taken(data: Path) -> dict[str, str]:
        with open_history(data, threads=1) as history:
            return fingerprint(history)

    expected = taken(write(tmp_path / "a", frames()))
    shuffled = {table: frame.sample(frac=1, random_state=7) for table, frame in frames().items()}
    assert taken(write(tmp_path / "b", shuffled, "csv")) == expected
    changed = frames()
    changed["creators"]["followers"] += [1, 0, 0, 0]
    differing = taken(write(tmp_path / "c", changed))
    assert {table for table in expected if expected[table] != differing[table]} == {"creators"}
    swapped = frames()
    swapped["creators"]["niche"] = swapped["creators"]["niche"].to_numpy()[::-1]
    assert taken(write(tmp_path / "d", swapped))["creators"] != expected["creators"]


@pytest.mark.slow
@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_candidates_stream_in_the_files_order_with_their_own_columns(form: str, tmp_path: Path) -> None:
    many = pd.concat([candidates()] * 3000, ignore_index=True)
    many["candidate_id"] = [f"q{i}" for i in range(len(many))]
    write(tmp_path / "list", {"candidates": many}, form)
    with open_history(write(tmp_path / "data", frames()), threads=1) as history:
        listed = open_candidates(history, tmp_path / "list" / f"candidates.{form}")
        assert (listed.rows, listed.extra_columns) == (9000, ("note",))
        batches = []
        for batch in listed.batches(1000):
            history.collaborations.count().execute()  # other queries may run between batches
            batches.append(batch)
        assert max(batch.num_rows for batch in batches) <= 1000
        table = pa.Table.from_batches(batches)
        assert table["candidate_id"].to_pylist() == many["candidate_id"].to_list()
        assert table["note"].to_pylist()[:3] == ["x", None, "z"]
        assert table["starts_at"].to_pylist()[0] == datetime(2025, 6, 1)
        assert table.column_names == [*CANDIDATES.columns, "note"]
        assert listed.columns == tuple(many.columns)
        assert table["deliverables"].null_count == 9000


@pytest.mark.parametrize("form", ["parquet", "csv", "csv.gz", "parts"])
def test_a_folder_s_name_is_no_pattern(form: str, tmp_path: Path) -> None:
    tables = {"creators": frames()["creators"]}
    for name in ("export 1", "export 1 again"):
        write(tmp_path / name, tables, form)
    folder = write(tmp_path / "export [1]*", {"creators": tables["creators"][:1]}, form)
    path = files.find(folder, "creators", required=True)
    assert path
    with duckdb.connect() as connection:
        found = files.source(connection, path, "creators", CREATORS.columns)
        assert connection.execute(f"SELECT count(*) FROM {found.sql}").fetchall() == [(1,)]


@pytest.mark.slow
def test_two_files_of_candidates_may_be_open_at_once(tmp_path: Path) -> None:
    write(tmp_path / "data", frames())
    with open_history(tmp_path / "data", threads=1) as history:
        opened = []
        for name in ("one", "two"):
            these = candidates()
            write(tmp_path / name, {"candidates": these.assign(candidate_id=name + these.candidate_id)})
            opened.append((name, open_candidates(history, tmp_path / name / "candidates.parquet")))
        for name, listed in opened:
            assert all(key.startswith(name) for key in next(listed.batches(10))["candidate_id"].to_pylist())


@pytest.mark.slow
def test_extra_columns_of_candidates_keep_their_types(tmp_path: Path) -> None:
    table = pa.Table.from_pandas(candidates(), preserve_index=False)
    fine = pa.array([1, 2, None], pa.timestamp("ns"))
    nested = pa.array([{"a": 1}, None, {"a": 3}])
    table = table.append_column("fine", fine).append_column("nested", nested)
    pq.write_table(table, tmp_path / "candidates.parquet")
    with open_history(write(tmp_path / "data", frames()), threads=1) as history:
        listed = open_candidates(history, tmp_path / "candidates.parquet")
        read = pa.Table.from_batches(list(listed.batches(10)))
    assert read["fine"].combine_chunks() == fine
    assert read["nested"].to_pylist() == nested.to_pylist()


@pytest.mark.long
@pytest.mark.parametrize("world", ["market", "kag"])
def test_shared_worlds_open_and_agree_as_csv(world: str, shared_data: Path, tmp_path: Path) -> None:
    data = shared_data / world / "data"
    tables = {path.stem: pd.read_parquet(path) for path in data.glob("*.parquet")}
    write(tmp_path, tables, "csv")
    with open_history(data, threads=1) as parquet, open_history(tmp_path, threads=1) as text:
        assert fingerprint(parquet) == fingerprint(text)


def test_the_page_on_data_is_current() -> None:
    text = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
    assert page(text) == text, "run python -m features.history.contract_page docs/data.md"
    assert "| spend * | float > 0 | US dollars | all that it costs: fee, product, boosting |" in text


@pytest.mark.parametrize("form", ["parquet", "database"])
def test_rows_that_are_left_out_are_gone_with_their_days(form: str, tmp_path: Path) -> None:
    tables = frames()
    data = as_database(tmp_path / form, tables) if form == "database" else write(tmp_path / form, tables)
    gone = tables["conversions"].collaboration_id.iloc[0]
    with open_history(data, threads=1) as history:
        less = history.without([gone, "nobody's"])
        for table in ("collaborations", "conversions"):
            kept = [row for row in rows(history, table) if row["collaboration_id"] != gone]
            assert sorted(rows(less, table), key=str) == sorted(kept, key=str)
            assert len(kept) < len(rows(history, table))
            assert getattr(less, table).schema() == getattr(history, table).schema()
        assert rows(less, "creators") == rows(history, "creators")
        assert less.without([]) is less
        everything = [str(row["collaboration_id"]) for row in rows(less, "collaborations")]
        assert rows(less.without(everything), "collaborations") == []
        assert fingerprint(less)["collaborations"] != fingerprint(history)["collaborations"]
