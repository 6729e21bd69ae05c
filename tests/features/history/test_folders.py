"""What lies in a folder of parts is a part, holds no rows, or is refused; names of folders count below it alone."""

import os
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.faults import InputError
from features.history.source import History, open_candidates, open_history
from tests.support.contract_tables import candidates, frames, write

pytestmark = pytest.mark.slow  # each opens a history anew

POSTS = frames()["posts"]


def with_parts(folder: Path) -> Path:
    """DATA with two parts of posts; the folder of these."""
    write(folder, {table: frames()[table] for table in ("collaborations", "creators")})
    write(folder, {"posts": POSTS}, "parts")
    return folder / "posts"


def column(history: History, name: str) -> list[object]:
    assert history.posts is not None
    return list(history.posts.order_by("post_id")[name].to_pyarrow().to_pylist())


def message(data: Path) -> str:
    with pytest.raises(InputError) as raised, open_history(data, threads=1):
        pass
    (fault,) = raised.value.faults
    return str(fault)


def put(name: str, content: bytes = b"") -> Callable[[Path], object]:
    def make(folder: Path) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)

    return make


def hidden(folder: Path) -> None:
    (folder / ".ipynb_checkpoints").mkdir()
    POSTS[:1].to_parquet(folder / ".ipynb_checkpoints" / "part-checkpoint.parquet")


REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "Delta": (
        put("_delta_log/0.json"),
        "posts/ holds _delta_log/: it is a Delta table: its log says which parts count",
    ),
    "an empty log": (lambda folder: (folder / "_delta_log").mkdir(), "posts/ holds _delta_log/: it is a Delta table"),
    "Iceberg": (put("metadata/v1.metadata.json"), "posts/ holds metadata/: it is an Iceberg table"),
    "Hudi": (put(".hoodie/hoodie.properties"), "posts/ holds .hoodie/: it is a Hudi table"),
    "unfinished": (put("_temporary/0/part-9.parquet"), "posts/ holds _temporary/: its writer is not done, or failed"),
    "removed": (
        put("_committed_1", b'{"added": [], "removed": ["part-000.parquet", "part-009.parquet"]}'),
        "posts/ holds 1 part of which _committed_1 says that they no longer count: received part-000.parquet",
    ),
    "a log that is none": (put("_committed_1", b"[]"), "posts/_committed_1 does not say which parts count"),
    "started": (put("_started_1"), "posts/ holds _started_1 but no _committed_1: its writer is not done, or failed"),
    "a stream": (put("_spark_metadata/0"), "posts/ holds _spark_metadata/: a Spark stream wrote it"),
    "unfinished and empty": (lambda folder: (folder / "_temporary").mkdir(), "posts/ holds _temporary/"),
    "a part of CSV": (put("part-9.csv", b"a,b\n"), "posts/ holds a file that is no part: received part-9.csv"),
    "capitals": (put("part-9.PARQUET"), "posts/ holds a file that is no part: received part-9.PARQUET"),
    "a hidden copy": (
        hidden,
        "posts/ holds a file that is no part: received .ipynb_checkpoints/part-checkpoint.parquet",
    ),
    "an underscore": (put("_part.parquet"), "posts/ holds a file that is no part: received _part.parquet"),
    "an empty part": (put("part-9.parquet"), "posts/part-9.parquet is empty"),
    "text": (put("part-9.parquet", b"a,b\n1,2\n"), "posts/part-9.parquet is no whole Parquet file but text"),
    "a page": (put("part-9.parquet", b"<html>"), "posts/part-9.parquet is no whole Parquet file but a web page"),
    "a pipe": (
        lambda folder: os.mkfifo(folder / "part-9.parquet"),
        "posts/part-9.parquet is no regular file",
    ),
    "a link to nowhere": (
        lambda folder: (folder / "part-9.parquet").symlink_to("gone"),
        "posts/part-9.parquet is a link to gone, which is not there",
    ),
    "a link to a folder": (
        lambda folder: (folder / "more").symlink_to(folder.parent),
        "posts/more is a link to a folder, which is not followed",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_may_hold_rows_but_is_no_part_is_refused(case: str, tmp_path: Path) -> None:
    make, expected = REFUSED[case]
    make(with_parts(tmp_path))
    assert message(tmp_path).startswith(f"posts: {expected}")


def test_what_holds_no_rows_is_passed_over(tmp_path: Path) -> None:
    folder = with_parts(tmp_path)
    for name in ("_SUCCESS", "._part-000.parquet", ".part-000.parquet.crc", "_metadata", ".DS_Store", "_started_1"):
        (folder / name).write_bytes(b"\0\5\x16\7")
    (folder / "_committed_1").write_text('{"added": ["part-000.parquet"], "removed": ["part-009.parquet"]}')
    (folder / "part-001.parquet").rename(tmp_path / "elsewhere")
    (folder / "part-001.parquet").symlink_to(tmp_path / "elsewhere")
    with open_history(tmp_path, threads=1) as history:
        assert column(history, "post_id") == [f"p{i}" for i in range(8)]
        assert history.notes == (
            "posts: 7 files are skipped in posts/, which hold no rows: .DS_Store, ._part-000.parquet, "
            ".part-000.parquet.crc and 4 more",
        )


TABLES = {
    "a link to nowhere": (lambda path: path.symlink_to("gone.csv"), "posts.csv is a link to gone.csv, which is not"),
    "a link to itself": (lambda path: path.symlink_to(path.name), "it cannot be reached (Too many levels of symbolic"),
    "a folder": (lambda path: path.mkdir(), "posts.csv is a folder, not a file"),
}


@pytest.mark.parametrize("case", TABLES)
def test_an_optional_table_that_is_no_file_is_refused(case: str, tmp_path: Path) -> None:
    make, expected = TABLES[case]
    write(tmp_path, {table: frames()[table] for table in ("collaborations", "creators")})
    make(tmp_path / "posts.csv")
    assert message(tmp_path).startswith(f"posts: {expected}")


@pytest.mark.parametrize("form", ["parquet", "csv", "csv.gz", "parts"])
@pytest.mark.parametrize("above", ["brand=acme", "spend=7", "country=DE/creator_id=c9"])
def test_names_of_folders_above_the_data_are_no_columns(above: str, form: str, tmp_path: Path) -> None:
    folder = tmp_path / above
    write(folder / "data", frames(), form)
    write(folder / "list", {"candidates": candidates()}, form if form in ("csv", "parquet") else "csv")
    (path,) = (folder / "list").iterdir()
    with open_history(folder / "data", threads=1) as history:
        deals = history.collaborations.order_by("collaboration_id").to_pyarrow()
        assert deals["brand"].to_pylist() == ["ash", "birch"] * 3
        assert deals["spend"].to_pylist() == frames()["collaborations"]["spend"].to_list()
        assert history.creators.country.to_pyarrow().null_count == 4
        read = open_candidates(history, path)
        assert read.columns == tuple(candidates().columns)
        table = pa.Table.from_batches(list(read.batches(10)))
        assert table["brand"].to_pylist() == ["ash"] * 3
        assert table["spend"].to_pylist() == [100.0, 200.0, 300.0]


def keyed(folder: Path, key: str, values: list[str], lacking: list[bool]) -> Path:
    """DATA below `brand=above/`, posts in folders of `key`; those `lacking` have no column of that name."""
    data = folder / "brand=above" / "data"
    write(data, {table: frames()[table] for table in ("collaborations", "creators")})
    for place, (value, lacks) in enumerate(zip(values, lacking, strict=True)):
        part = data / "posts" / f"{key}={value}"
        part.mkdir(parents=True)
        rows = POSTS[2 * place : 2 * place + 2]
        (rows.drop(columns=key, errors="ignore") if lacks else rows).to_parquet(part / "p.parquet", index=False)
    return data


def test_keys_below_the_table_are_columns_unless_the_parts_have_them(tmp_path: Path) -> None:
    values = ["ash", "b%20c", "007", "__HIVE_DEFAULT_PARTITION__"]
    with open_history(keyed(tmp_path / "text", "brand", values, [True] * 4), threads=1) as history:
        assert column(history, "brand") == ["ash", "ash", "b c", "b c", "007", "007", None, None]
    with open_history(keyed(tmp_path / "number", "likes", ["1", "2"], [True] * 2), threads=1) as history:
        assert column(history, "likes") == [1, 1, 2, 2]
    with open_history(keyed(tmp_path / "own", "likes", ["1", "2"], [False] * 2), threads=1) as history:
        assert column(history, "likes") == [10, 11, 12, 13]
    assert message(keyed(tmp_path / "mixed", "likes", ["1", "2"], [False, True])) == (
        "posts.likes: some parts have the column themselves, others only by the name of their folder: "
        "received posts/likes=2/p.parquet. Write all parts in one way."
    )


def test_a_key_that_is_not_exact_or_not_everywhere_is_refused(tmp_path: Path) -> None:
    assert message(keyed(tmp_path / "capital", "Views", ["1", "2"], [True] * 2)).startswith(
        "posts.views: its name is not exact: received 'Views'."
    )
    data = keyed(tmp_path / "some", "views", ["1"], [True])
    POSTS[2:4].to_parquet(data / "posts" / "p.parquet", index=False)
    assert message(data).startswith(
        "posts.views: some parts have the column by the name of their folder, others not at all: "
        "received posts/p.parquet."
    )


def test_a_column_of_an_index_is_an_extra_one(tmp_path: Path) -> None:
    indexed = candidates().set_index(pd.Index([5, 9, 6]))
    table = pa.Table.from_pandas(indexed).append_column("", pa.array(["x", "y", "z"]))
    pq.write_table(table, tmp_path / "list.parquet")
    pq.write_table(
        pa.Table.from_pandas(POSTS.set_index(pd.Index([3, 1, 2, 5, 8, 9, 4, 7]))), tmp_path / "posts.parquet"
    )
    write(tmp_path, {table: frames()[table] for table in ("collaborations", "creators")})
    with open_history(tmp_path, threads=1) as history:
        assert column(history, "likes") == [*range(10, 18)]
        read = open_candidates(history, tmp_path / "list.parquet")
        assert set(read.extra_columns) >= {"note", "__index_level_0__"}
        assert pa.Table.from_batches(list(read.batches(10)))["__index_level_0__"].to_pylist() == [5, 9, 6]


def test_a_list_of_parts_is_read_as_a_table_is(tmp_path: Path) -> None:
    data = write(tmp_path / "data", frames())
    listed = candidates().drop(columns=["brand"])
    many = tmp_path / "batch=7" / "many.parquet"
    for brand, name, rows in (("ash", "b", [2, 0]), ("ash", "a", [1])):
        (many / f"week=3/brand={brand}").mkdir(parents=True, exist_ok=True)
        listed.iloc[rows].to_parquet(many / f"week=3/brand={brand}" / f"{name}.parquet", index=False)
    (many / "_SUCCESS").touch()
    with open_history(data, threads=1) as history:
        read = open_candidates(history, many)
        assert read.rows == 3
        assert read.extra_columns == ("note",), "keys are columns only where the contract has them, and below the list"
        for size in (1, 2, 5):
            batches = list(read.batches(size))
            assert [len(batch) for batch in batches[:-1]] == [size] * (len(batches) - 1)
            found = pa.Table.from_batches(batches).to_pandas()
            assert found.candidate_id.tolist() == ["b", "c", "a"], "parts in the order of their names"
            assert found.brand.tolist() == ["ash"] * 3
            assert set(read.columns) <= set(found.columns)
        (many / "week=3" / "more.csv").write_text("candidate_id\n")
        with pytest.raises(InputError, match=r"candidates: many\.parquet/ holds a file that is no part"):
            open_candidates(history, many)
        many.rename(tmp_path / "many.csv")
        with pytest.raises(
            InputError, match=r"its ending is unknown\. Candidates are a \.parquet or a \.csv file, or a"
        ):
            open_candidates(history, tmp_path / "many.csv")
        with pytest.raises(InputError, match="candidates: it changed while it was being read"):
            read.stamp.require_unchanged("candidates")


def test_batches_of_a_list_are_full_whatever_the_engine_gives(tmp_path: Path) -> None:
    data, rows = write(tmp_path / "data", frames()), 10_000
    many = candidates().iloc[[0] * rows].assign(candidate_id=[f"k{i}" for i in range(rows)])
    many.to_parquet(tmp_path / "many.parquet", index=False, row_group_size=3_000)
    with open_history(data, threads=2) as history:
        batches = list(open_candidates(history, tmp_path / "many.parquet").batches(2_500))
    assert [len(batch) for batch in batches] == [2_500] * 4
    assert pa.Table.from_batches(batches)["candidate_id"].to_pylist() == [f"k{i}" for i in range(rows)]
