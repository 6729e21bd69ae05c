"""Values of every type that files and databases bring: read right, or refused with one fault, never a traceback."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import cli
import predict
import train
from features.faults import InputError
from features.history.source import open_candidates, open_history
from tests.support.contract_tables import candidates, frames, write

pytestmark = pytest.mark.slow  # each opens a history anew


def refused(data: Path | str) -> list[str]:
    """The faults of DATA."""
    try:
        with open_history(data, threads=1):
            return []
    except InputError as error:
        return [str(fault) for fault in error.faults]


def with_column(folder: Path, table: str, column: str, values: pa.Array) -> Path:
    """A history with a column of its own type; its table alone where it can stand alone."""
    tables = {name: frame for name, frame in frames().items() if name in ("collaborations", "creators", table)}
    whole = pa.Table.from_pandas(tables[table], preserve_index=False)
    at = whole.schema.get_field_index(column)
    whole = whole.append_column(column, values) if at < 0 else whole.set_column(at, column, values)
    pq.write_table(whole, write(folder, tables) / f"{table}.parquet")
    return folder


def test_flags_may_be_written_as_databases_and_people_write_them(tmp_path: Path) -> None:
    words = ["t", "F", "Yes", "no", " true", "0.00", "1.00", "0"]
    with open_history(with_column(tmp_path, "posts", "is_sponsored", pa.array(words)), threads=1) as history:
        assert history.posts is not None
        assert history.posts.is_sponsored.to_pyarrow().to_pylist() == [True, False] * 4


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_durations_are_read_as_hours(unit: str, tmp_path: Path) -> None:
    hours = [36.0, 48.5, 24.0, 168.0, 0.5, 720.0]
    spans = pa.array([timedelta(hours=h) for h in hours], pa.duration(unit))
    with open_history(with_column(tmp_path, "collaborations", "promotion_hours", spans), threads=1) as history:
        assert history.collaborations.promotion_hours.to_pyarrow().to_pylist() == hours


def test_durations_of_pandas_are_hours_in_candidates_too(tmp_path: Path) -> None:
    spans = pd.to_timedelta([36, 48, None], unit="h")
    listed = candidates().assign(promotion_hours=spans, own=spans)
    listed.iloc[:2].to_parquet(tmp_path / "candidates.parquet")
    with open_history(write(tmp_path, frames()), threads=1) as history:
        (batch,) = open_candidates(history, tmp_path / "candidates.parquet").batches(9)
        assert batch["promotion_hours"].to_pylist() == [36.0, 48.0]
        assert pa.types.is_integer(batch["own"].type)  # columns of their own are carried as they lie
        listed.to_parquet(tmp_path / "candidates.parquet")
        with pytest.raises(InputError, match="promotion_hours: 1 row is without a value, first row 3"):
            open_candidates(history, tmp_path / "candidates.parquet")


def test_parts_that_differ_in_a_duration_are_refused(tmp_path: Path) -> None:
    folder = write(tmp_path, frames(), "parts")
    part = folder / "collaborations" / "part-000.parquet"
    table = pd.read_parquet(part)
    table.assign(promotion_hours=pd.to_timedelta(table.promotion_hours, unit="h")).to_parquet(part)
    (fault,) = refused(folder)
    assert fault.startswith("collaborations.promotion_hours: its parts differ in type: received double, duration[")


@pytest.mark.parametrize(
    ("table", "column", "values", "problem"),
    [
        ("collaborations", "promotion_hours", [1.7e14] * 6, "6 rows are above 2,400,000, first row 1"),
        ("collaborations", "spend", [timedelta(hours=1)] * 6, "6 rows are unreadable as a number"),
        ("creators", "followers", [2.0**53, 1.0, 2.0, 3.0], "1 row is 9,007,199,254,740,992 or more"),
        ("creators", "followers", [2**53 + 1, 1, 2, 3], "1 row is 9,007,199,254,740,992 or more"),
        ("creators", "followers", [1e19, 1.0, 2.0, 3.0], "1 row is unreadable as a whole number"),
        ("creators", "followers", ["9" * 20, "1", "2", "3"], "1 row is unreadable as a whole number"),
        ("creators", "followers", ["1,234", "12%", "0.5", " "], "4 rows are unreadable as a whole number"),
        ("creators", "followers", [float("nan"), 1.0, 2.0, 3.0], "1 row is unreadable as a whole number"),
        ("creators", "followers", [[1], [2], [3], [4]], "4 rows are unreadable as a whole number"),
        ("creators", "platform", [{"a": 1}] * 4, "4 rows are unreadable as a text"),
        ("creators", "platform", [b"\xff\x00"] * 4, "4 rows are unreadable as a text"),
        ("creators", "platform", [" ", "a", "a", "a"], "1 row is without a value"),
        ("creators", "platform", [float("nan"), 1.0, 2.0, 3.0], "1 row is unreadable as a text"),
        ("posts", "posted_at", [1735689600] * 8, "8 rows are unreadable as a date and time"),
        ("posts", "posted_at", ["1735689600000"] * 8, "8 rows are unreadable as a date and time"),
        ("posts", "posted_at", [45688.5] * 8, "8 rows are unreadable as a date and time"),
        ("posts", "posted_at", ["31/12/2024"] * 8, "8 rows are unreadable as a date and time"),
        ("posts", "posted_at", ["0001-01-01"] * 8, "8 rows are outside 2000-01-01 to 2100-01-01"),
        ("posts", "posted_at", ["infinity"] * 8, "8 rows are outside 2000-01-01 to 2100-01-01"),
        ("posts", "is_sponsored", ["oui"] * 8, "8 rows are unreadable as true or false"),
        ("posts", "is_sponsored", [2] * 8, "8 rows are unreadable as true or false"),
    ],
)
def test_what_cannot_be_read_is_one_fault(
    table: str, column: str, values: list[Any], problem: str, tmp_path: Path
) -> None:
    (fault,) = refused(with_column(tmp_path, table, column, pa.array(values)))
    assert fault.startswith(f"{table}.{column}: {problem}")


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2025-03-30 02:30 Europe/Berlin", "2025-03-30 01:30"),
        ("2024-12-31 24:00", "2025-01-01 00:00"),
        ("2025-01-01T00:30:00+05:30", "2024-12-31 19:00"),
        ("2025-1-5 7:05", "2025-01-05 07:05"),
    ],
)
def test_times_as_text(written: str, read: str, tmp_path: Path) -> None:
    with open_history(with_column(tmp_path, "posts", "posted_at", pa.array([written] * 8)), threads=1) as history:
        assert history.posts is not None
        assert history.posts.posted_at.max().to_pyarrow().as_py() == pd.Timestamp(read)


@pytest.mark.parametrize("kind", ["Int64", "Float64", "string", "category", "int32[pyarrow]", "object"])
def test_nullable_types_of_pandas(kind: Any, tmp_path: Path) -> None:
    tables = frames()
    tables["creators"]["followers"] = pd.Series([1, None, 3, 4], dtype="object" if kind == "object" else "Int64")
    if kind != "object":
        tables["creators"]["followers"] = tables["creators"]["followers"].astype(kind)
    with open_history(write(tmp_path, tables), threads=1) as history:
        assert history.creators.followers.to_pyarrow().to_pylist() == [1, None, 3, 4]


# types of DuckDB's, with a value of each that may stand in a column by mistake
ODD = {
    "HUGEINT": "1", "UHUGEINT": "1", "FLOAT": "1", "DECIMAL(38,10)": "1", "BIT": "'101'", "BLOB": "'x'",
    "DATE": "'2025-01-01'", "TIME": "'12:00'", "TIMETZ": "'12:00:00+02'", "TIMESTAMP_NS": "'2025-01-01'",
    "TIMESTAMPTZ": "'2025-01-01'", "INTERVAL": "'1 hour'", "JSON": "'{}'", "UUID": "uuid()", "INTEGER[]": "[1]",
    "STRUCT(a INTEGER)": "{'a': 1}", "MAP(VARCHAR, INTEGER)": "MAP {'a': 1}", "UNION(a INTEGER, b VARCHAR)": "1",
    "kind": "'x'",
}  # fmt: skip


@pytest.mark.long
def test_no_type_of_a_database_is_more_than_a_fault(tmp_path: Path) -> None:
    """Each type in a column of each kind: opened or refused, in one way or the other."""
    columns = {
        "creators": ("country", "followers"), "posts": ("posted_at", "is_sponsored", "caption"),
        "collaborations": ("promotion_hours", "revenue"),
    }  # fmt: skip
    write(tmp_path, frames())
    file = tmp_path / "history.db"
    seen = {}
    for kind, value in ODD.items():
        file.unlink(missing_ok=True)
        with duckdb.connect(file) as connection:
            connection.execute("CREATE TYPE kind AS ENUM ('x', 'y')")
            for table, odd in columns.items():
                kept = ", ".join(str(column) for column in frames()[table] if column not in odd)
                odds = "".join(f", CAST({value} AS {kind}) AS {column}" for column in odd)
                connection.execute(f"CREATE TABLE {table} AS SELECT {kept}{odds} FROM '{tmp_path}/{table}.parquet'")
        faults = refused(f"duckdb://{file}")
        assert all(fault.split(":")[0].count(".") == 1 and "cannot be read" not in fault for fault in faults), faults
        seen[kind] = {fault.split(":")[0].split(".")[1] for fault in faults}
    assert "promotion_hours" not in seen["INTERVAL"]
    assert {"country", "caption", "followers"}.isdisjoint(seen["HUGEINT"] | seen["DECIMAL(38,10)"] | seen["FLOAT"])
    assert {"country", "followers", "promotion_hours"} <= seen["STRUCT(a INTEGER)"] & seen["BLOB"] & seen["JSON"]
    assert "posted_at" not in seen["DATE"] | seen["TIMESTAMP_NS"] | seen["TIMESTAMPTZ"]


def as_database(folder: Path) -> tuple[str, Path]:
    write(folder, frames())
    with duckdb.connect(folder / "history.db") as connection:
        for table in frames():
            connection.execute(f"CREATE TABLE {table} AS FROM '{folder / table}.parquet'")
    return f"duckdb://{folder}/history.db", folder / "history.db"


def test_a_broken_view_is_named(tmp_path: Path) -> None:
    data, file = as_database(tmp_path)
    with duckdb.connect(file) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS a")
        connection.execute("DROP TABLE posts; CREATE VIEW posts AS SELECT a FROM kept")
        connection.execute("DROP TABLE kept")
    (fault,) = refused(data)
    assert fault.startswith("posts: the view posts fails: received Catalog Error: Table with name kept does not exist")


@pytest.mark.parametrize("value", ["CAST('many' AS INT)", "strptime('many', '%Y')"])
def test_a_view_that_fails_on_its_rows_is_to_be_corrected(value: str, tmp_path: Path) -> None:
    data, file = as_database(tmp_path)
    with duckdb.connect(file) as connection:
        connection.execute("CREATE TABLE kept AS FROM posts; DROP TABLE posts")
        call = value.replace("'many'", "post_id")
        connection.execute(f"CREATE VIEW posts AS SELECT * REPLACE ({call} AS likes) FROM kept")
    (fault,) = refused(data)
    assert fault.startswith("posts: the view posts cannot be read: received ")
    assert fault.endswith(" Correct the view, or what it reads.")


def test_a_view_leaves_nothing_to_a_guess(tmp_path: Path) -> None:
    data, file = as_database(tmp_path)
    (tmp_path / "p.csv").write_text("post_id,creator_id,posted_at\np1,c1,03/04/2025\n")
    with duckdb.connect(file) as connection:
        connection.execute(f"DROP TABLE posts; CREATE VIEW raw_posts AS FROM read_csv('{tmp_path}/p.csv')")
        connection.execute("CREATE VIEW posts AS SELECT * FROM raw_posts")
    (fault,) = refused(data)
    assert fault.startswith("posts.posted_at: the view raw_posts leaves the order of day and month to a guess")


def test_an_sqlite_file_is_no_database_of_duckdb(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_bytes(b"SQLite format 3\0".ljust(4096, b"\0"))
    assert refused(f"duckdb://{tmp_path}/a.db") == [
        f"duckdb://{tmp_path}/a.db: it is an SQLite database, no DuckDB database. Export it as CSV or Parquet."
    ]


@pytest.mark.parametrize(
    ("table", "column", "kind"), [("collaborations", "spend", "a number"), ("posts", "views", "a whole number")]
)
def test_underscores_are_no_part_of_a_number(table: str, column: str, kind: str, tmp_path: Path) -> None:
    values = pa.array(["1_000", *["2"] * (len(frames()[table]) - 1)])
    (fault,) = refused(with_column(tmp_path, table, column, values))
    assert f"{table}.{column}: 1 row is unreadable as {kind}, first row 1" in fault
    assert "received '1_000'" in fault


def test_a_database_that_another_process_writes_to_says_which(tmp_path: Path) -> None:
    data, file = as_database(tmp_path)
    code = f"import duckdb; c = duckdb.connect({str(file)!r}); print('open', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "open\n"
        (fault,) = refused(data)
        writer.communicate("\n")
    assert fault.startswith(f"{data}: another process has it open to write: received ")
    assert f"(PID {writer.pid}). Close it there" in fault


def test_a_database_that_is_cut_short_is_refused(tmp_path: Path) -> None:
    data, file = as_database(tmp_path)
    file.write_bytes(file.read_bytes()[:5000])
    (fault,) = refused(data)
    assert fault.startswith(f"{data}: DuckDB cannot open it: received IO Error: Could not read")


@pytest.mark.parametrize(
    ("command", "argv"),
    [
        (train, [""]), (train, [" "]), (train, ["data", "--comment-classifier", ""]),
        (train, ["data", "--experiment", ""]),
        (predict, ["", "--data", "d", "--output", "o.csv"]), (predict, ["c.csv", "--data", "", "--output", "o.csv"]),
        (predict, ["c.csv", "--data", "d", "--output", ""]),
        (predict, ["c.csv", "--data", "d", "--output", "o.csv", "--model", ""]),
    ],
)  # fmt: skip
def test_an_empty_argument_is_refused(
    command: Any, argv: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Even where the current folder, which an empty path names, would do."""
    monkeypatch.chdir(write(tmp_path, frames()))

    def call() -> None:
        (train.train if command is train else predict.predict)(command.arguments(argv))

    try:
        status: Any = cli.run(call)
    except SystemExit as left:  # argparse's own way
        status = left.code
    assert status == 2
    said = capsys.readouterr().err
    assert "empty" in said or "cannot name a model" in said
    assert (
        refused("")
        == refused(" ")
        == ["DATA: it is empty. Give the folder that holds collaborations and creators, or a database URL."]
    )


def test_a_number_that_is_none_is_no_text(tmp_path: Path) -> None:
    values = pa.array([np.float32(0.5), None, np.float32(1), np.float32(2)])
    assert refused(with_column(tmp_path, "creators", "country", values))[0].startswith(
        "creators.country: 1 row is unreadable as a text, first row 1 (creator_id 'c0'): received 0.5"
    )


def test_a_folder_is_no_list_of_candidates(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "list.csv").mkdir()
    words = [str(tmp_path / "list.csv"), "--data", str(tmp_path), "--output", str(tmp_path / "o.csv")]
    assert cli.run(lambda: predict.predict(predict.arguments(words))) == 2
    assert "CANDIDATES: it is a folder: received" in capsys.readouterr().err
