"""New and corrected rows go into every form of DATA, whole or not at all, and the log keeps what stood before."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from features.faults import InputError
from features.history.append.add import Added, Counts, add_results
from features.history.append.log import read_log
from features.history.contract import TABLES
from tests.support.additions import EXPECTED, KEYS, NOW, batch, contents, merged, results
from tests.support.contract_tables import Frames, frames, write

pytestmark = pytest.mark.slow

FORMS = ["parquet", "csv", "csv.gz", "parts", "duckdb"]


def stored(folder: Path, tables: Frames, form: str) -> str:
    """DATA in one of its forms."""
    if form != "duckdb":
        return str(write(folder, tables, form))
    write(folder, tables)
    with duckdb.connect(folder / "history.db") as connection:
        for table in tables:
            connection.execute(f"CREATE TABLE {table} AS FROM '{folder / table}.parquet'")
    return f"duckdb://{folder / 'history.db'}"


FEW = ("collaborations", "creators", "conversions")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("form", "of_new", "tables"),
    [
        ("parquet", "csv", FEW),
        ("csv", "parquet", FEW),
        pytest.param("csv.gz", "csv.gz", FEW, marks=pytest.mark.long),
        ("parts", "csv", KEYS),
        ("duckdb", "parts", KEYS),
    ],
    ids=FORMS,
)
def test_all_forms_take_new_and_corrected_rows(form: str, of_new: str, tables: Collection[str], tmp_path: Path) -> None:
    base, rows = ({table: some[table] for table in tables} for some in (frames(), batch()))
    data = stored(tmp_path / "data", base, form)
    new = write(tmp_path / "new", rows, of_new)
    done = add_results(data, new, now=NOW)
    assert done == Added(data, {table: EXPECTED[table] for table in TABLES if table in tables}, None, 1)
    assert contents(data) == contents(str(write(tmp_path / "expected", merged(base, rows))))

    log = read_log(data)
    assert set(log.batch) == {1}
    assert set(log.added_at) == {NOW}
    expected = {(table, "new"): EXPECTED[table].new for table in tables} | {
        (table, "corrected"): EXPECTED[table].changed for table in tables if EXPECTED[table].changed
    }
    assert log.groupby(["table", "kind"]).size().to_dict() == expected
    before = log.set_index(["table", "key"]).before.dropna().map(json.loads)
    assert before["collaborations", "r3"]["spend"] == 900.0
    assert before["conversions", "r0 2025-01-12"]["conversions"] == 2


@pytest.mark.parametrize("form", ["csv", "duckdb"])
def test_adding_twice_adds_nothing_twice(form: str, tmp_path: Path) -> None:
    data = stored(tmp_path / "data", results(), form)
    new = results()["collaborations"].tail(2).assign(spend=[41.0, 60.0], collaboration_id=["n0", "r5"])
    new.to_csv(tmp_path / "new.csv", index=False)
    assert add_results(data, tmp_path / "new.csv", now=NOW).counts == {"collaborations": Counts(1, 0, 1, 0)}
    again = add_results(data, tmp_path / "new.csv", now=NOW)
    assert (again.batch, again.counts) == (None, {"collaborations": Counts(0, 0, 2, 0)})
    assert again.sentences()[-1] == f"nothing to add to {data}"
    assert len(read_log(data)) == 1


def refused(done: Added) -> pd.DataFrame:
    assert done.refused_file is not None
    return pd.read_csv(done.refused_file, dtype=str, keep_default_na=False)


def test_a_duckdb_file_is_made_of_a_first_folder(tmp_path: Path) -> None:
    data = f"duckdb://{tmp_path / 'history.db'}"
    done = add_results(data, write(tmp_path / "new", results()), now=NOW)
    assert (done.batch, done.counts["collaborations"]) == (1, Counts(6, 0, 0, 0))
    assert contents(data) == contents(str(tmp_path / "new"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["history.db", "new"]


def test_a_first_folder_must_have_what_data_needs(tmp_path: Path) -> None:
    data = f"duckdb://{tmp_path / 'history.db'}"
    deals = results()["collaborations"]
    deals.to_csv(tmp_path / "new.csv", index=False)
    with pytest.raises(InputError, match="creators: DATA does not have the table yet"):
        add_results(data, tmp_path / "new.csv", now=NOW)
    assert not (tmp_path / "history.db").exists()
    with pytest.raises(InputError, match="there is no such folder"):
        add_results(str(tmp_path / "absent"), tmp_path / "new.csv", now=NOW)
    with pytest.raises(InputError, match="its folder is not there"):
        add_results(f"duckdb://{tmp_path / 'absent' / 'history.db'}", tmp_path / "new.csv", now=NOW)


def test_rows_are_refused_singly_each_with_its_reason(tmp_path: Path) -> None:
    data = str(write(tmp_path / "data", results()))
    deals = results()["collaborations"].astype(object)
    deals["collaboration_id"] = ["n0", "n1", "n2", "n3", "n3", "r5"]
    deals["note"] = ["first", "", "", "", "", "last"]
    deals.loc[0, "spend"] = -5
    deals.loc[1, "creator_id"] = "stranger"
    deals.loc[2, "observed_until"] = "soon"
    deals.to_csv(tmp_path / "deals.csv", index=False)
    said: list[str] = []
    done = add_results(data, tmp_path / "deals.csv", now=NOW, note=said.extend)
    assert done.counts == {"collaborations": Counts(0, 0, 1, 5)}
    assert done.batch is None
    assert done.refused_file == tmp_path / "deals.csv.refused.csv"
    rows = refused(done)
    assert rows.row.tolist() == ["1", "2", "3", "4", "5"]
    assert [reason.split(".")[0] for reason in rows.reason] == [
        "spend: not above 0: received -5",
        "creator_id: not among the creator_ids of creators: received 'stranger'",
        "observed_until: unreadable as a date and time: received 'soon'",
        "collaboration_id: rows 4, 5 have the same",
        "collaboration_id: rows 4, 5 have the same",
    ]
    assert rows[["table", "collaboration_id", "spend", "note"]].to_numpy()[0].tolist() == [
        "collaborations",
        "n0",
        "-5",
        "first",
    ]
    assert said == ["NEW's collaborations: note is no column of the contract and is not added"]

    deals.iloc[[5]].to_csv(tmp_path / "deals.csv", index=False)
    assert add_results(data, tmp_path / "deals.csv", now=NOW).refused_file is None
    assert not (tmp_path / "deals.csv.refused.csv").exists()


def test_a_collaboration_and_its_days_go_in_together_or_not_at_all(tmp_path: Path) -> None:
    tables = frames()
    base = {table: tables[table] for table in ("collaborations", "creators", "conversions")}
    data = str(write(tmp_path / "data", base))
    deals = base["collaborations"].iloc[[0, 1]].assign(conversions=[5, 4])
    deals = pd.concat([deals, deals.iloc[[1]].assign(collaboration_id="r8", conversions=2)])
    days = pd.DataFrame(
        {
            "collaboration_id": ["r2", "r8", "r8", "r7"],
            "date": pd.to_datetime(["2025-02-02", "2025-01-20", "2025-01-10", "2025-01-20"]).date,
            "conversions": [1, 1, 1, 1],
        }
    )
    new = write(tmp_path / "new", {"collaborations": deals, "conversions": days}, "csv")
    done = add_results(data, new, now=NOW)
    assert done.counts == {"collaborations": Counts(0, 1, 0, 2), "conversions": Counts(0, 0, 0, 4)}
    rows = refused(done)
    reasons = dict(zip(zip(rows.table, rows.row, strict=True), rows.reason, strict=True))
    assert "not what the conversions table adds up to" in reasons["collaborations", "1"]  # r0, whose days say 3
    assert "DATA's collaborations" in reasons["conversions", "1"]  # r2, which has 7 there
    assert "before the collaboration's starts_at" in reasons["conversions", "3"]  # r8, on the 10th
    assert "row 3 of conversions" in reasons["conversions", "2"]
    assert "row 3 of conversions" in reasons["collaborations", "3"]
    assert "not among the collaboration_ids" in reasons["conversions", "4"]
    assert {row["collaboration_id"]: row["conversions"] for row in contents(data)["collaborations"]}["r1"] == 4


def test_columns_that_new_lacks_stay_and_those_that_data_lacks_come(tmp_path: Path) -> None:
    for form in ("csv", "parquet", "parts", "duckdb"):
        data = stored(tmp_path / form, results(), form)
        deals = results()["collaborations"].drop(columns=["revenue", "deliverables"]).tail(1)
        deals.assign(spend=61.0, objective="sales").to_parquet(tmp_path / "deals.parquet")
        add_results(data, tmp_path / "deals.parquet", now=NOW)
        rows = contents(data)["collaborations"]
        assert [row["objective"] for row in rows] == [None] * 5 + ["sales"]
        assert [rows[5][column] for column in ("spend", "revenue", "deliverables")] == [61.0, 20.0, 3]


def test_a_csv_keeps_the_text_of_all_other_cells(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "creators.csv").write_text("creator_id,platform,niche\nc1,x,y\n")
    text = (
        "\ufeffcollaboration_id,mine,creator_id,brand,product_niche,starts_at,promotion_hours,spend,conversions,"
        'observed_until\r\n17.00,"a, ""b""",c1,ash,food,2025-01-10T12:00:00+01:00,48,1e2,3,2025-03-01\r\n'
        "\r\n18,,c1,ash,food,2025-01-11,48,100,0,2025-03-01\r\n"
    )
    (folder / "collaborations.csv").write_bytes(text.encode())
    (folder / "collaborations.csv").chmod(0o640)
    rows = text.replace("18,,", "17,,").replace("100,0", "100,9").encode()
    new = rows.split(b"\r\n")[0] + b"\r\n" + rows.split(b"\r\n")[3] + b"\r\n"
    (tmp_path / "new.csv").write_bytes(new)
    add_results(str(folder), tmp_path / "new.csv", now=NOW)
    expected = text.replace(
        "2025-01-10T12:00:00+01:00,48,1e2,3,2025-03-01",
        "2025-01-11 00:00:00,48.0,100.0,9,2025-03-01 00:00:00",
    )
    assert (folder / "collaborations.csv").read_bytes().decode() == expected
    assert (folder / "collaborations.csv").stat().st_mode & 0o777 == 0o640


def test_values_that_a_column_of_data_cannot_hold_are_refused(tmp_path: Path) -> None:
    with duckdb.connect(tmp_path / "history.db") as connection:
        write(tmp_path / "data", results())
        for table in results():
            connection.execute(f"CREATE TABLE {table} AS FROM '{tmp_path}/data/{table}.parquet'")
        connection.execute("ALTER TABLE collaborations ALTER spend TYPE DECIMAL(8, 2)")
        connection.execute("ALTER TABLE collaborations ALTER revenue TYPE FLOAT")
    data = f"duckdb://{tmp_path / 'history.db'}"
    deals = results()["collaborations"].assign(revenue=[30.0, 0.0, 71.3, float("nan"), 9.0, 20.0])
    deals.loc[[0, 1], "spend"] = [100.555, 250.51]
    deals.to_parquet(tmp_path / "new.parquet")
    done = add_results(data, tmp_path / "new.parquet", now=NOW)
    assert done.counts["collaborations"] == Counts(0, 2, 3, 1)
    assert "DATA keeps it as DECIMAL(8,2), which cannot hold '100.555'" in refused(done).reason[0]
    assert add_results(data, tmp_path / "new.parquet", now=NOW).counts["collaborations"] == Counts(0, 0, 5, 1)


@pytest.mark.parametrize("case", ["mapping", "link", "partitions", "view"])
def test_forms_that_cannot_be_added_to_are_faults(case: str, tmp_path: Path) -> None:
    folder = write(tmp_path / "data", results())
    results()["collaborations"].to_csv(tmp_path / "new.csv", index=False)
    data, table = str(folder), folder / "collaborations.parquet"
    if case == "mapping":
        table.rename(folder / "deals.parquet")
        (folder / "collaborations.sql").write_text("SELECT * FROM read_parquet('deals.parquet')")
    elif case == "link":
        table.rename(tmp_path / "deals.parquet")
        table.symlink_to(tmp_path / "deals.parquet")
    elif case == "partitions":
        table.unlink()
        (folder / "collaborations" / "brand=ash").mkdir(parents=True)
        rows = results()["collaborations"].drop(columns="brand")
        rows.to_parquet(folder / "collaborations" / "brand=ash" / "part.parquet")
    else:
        data = f"duckdb://{tmp_path / 'history.db'}"
        with duckdb.connect(tmp_path / "history.db") as connection:
            connection.execute(f"CREATE VIEW collaborations AS SELECT * FROM read_parquet('{table}')")
            connection.execute(f"CREATE TABLE creators AS FROM read_parquet('{folder}/creators.parquet')")
    says = {
        "mapping": "collaborations.sql is a mapping, which nothing can be added to",
        "link": "collaborations.parquet is a link, which would be replaced",
        "partitions": "named by its column brand, and nothing can be added",
        "view": "collaborations is a view, which nothing can be added to",
    }
    with pytest.raises(InputError, match=says[case]):
        add_results(data, tmp_path / "new.csv", now=NOW)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda new: None, "there is no such folder or file"),
        (lambda new: new.mkdir(), "it holds none of the tables"),
        (lambda new: new.write_text("x"), "its ending is unknown"),
        (
            lambda new: write(new, {"posts": frames()["posts"].drop(columns="posted_at")}),
            "posted_at: the column is missing",
        ),
        (
            lambda new: write(new, {"posts": frames()["posts"]}, "csv") and (new / "posts.csv").write_bytes(b"a\xff"),
            "UTF-8",
        ),
    ],
    ids=["absent", "empty", "ending", "column", "encoding"],
)
def test_faults_of_whole_files_add_nothing(make: Callable[[Path], object], says: str, tmp_path: Path) -> None:
    data = str(write(tmp_path / "data", results()))
    make(tmp_path / "new")
    with pytest.raises(InputError, match=says):
        add_results(data, tmp_path / "new", now=NOW)
    assert read_log(data).empty


def test_the_log_of_an_sqlite_file_is_refused_as_data_is(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_bytes(b"SQLite format 3\0".ljust(4096, b"\0"))
    with pytest.raises(InputError, match=r"a\.db: it is an SQLite database, no DuckDB database\. Export it as CSV"):
        read_log(f"duckdb://{tmp_path}/a.db")
