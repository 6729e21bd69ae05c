"""PostgreSQL takes new and corrected rows, and what it cannot take is a fault."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from features.faults import InputError, OutputError
from features.history.append.add import Added, Counts, add_results
from features.history.append.log import main as print_log
from features.history.append.log import read_log
from tests.support.additions import EXPECTED, NOW, batch, contents, merged, new_deal, results, state
from tests.support.contract_tables import frames, write
from tests.support.postgres import Server

pytestmark = pytest.mark.slow
FEW = ("collaborations", "creators", "conversions")


def test_new_and_corrected_rows_go_in_and_the_log_keeps_what_stood_before(
    postgres_server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base, rows = ({table: some[table] for table in FEW} for some in (frames(), batch()))
    url = postgres_server.url(postgres_server.database(base))
    new = write(tmp_path / "new", rows, "csv")
    assert add_results(url, new, now=NOW) == Added(url, {table: EXPECTED[table] for table in FEW}, None, 1)
    assert contents(url) == contents(str(write(tmp_path / "expected", merged(base, rows))))
    log = read_log(url)
    assert set(log.batch) == {1}
    assert set(log.added_at) == {NOW}
    assert set(log.source) == {"new"}
    before = log.set_index(["table", "key"]).before.dropna().map(json.loads)
    assert before["collaborations", "r3"]["spend"] == 900.0
    assert before["conversions", "r0 2025-01-12"]["conversions"] == 2
    assert len(log) == sum(counts.new + counts.changed for counts in map(EXPECTED.__getitem__, FEW))

    again = add_results(url, new, now=NOW)
    assert again.batch is None
    assert all((counts.new, counts.changed, counts.refused) == (0, 0, 0) for counts in again.counts.values())
    assert len(read_log(url)) == len(log)
    print_log([url])
    assert capsys.readouterr().out.startswith("batch,added_at,source,table,key,kind,before\n1,2025-09-01,new,")


def test_an_empty_database_is_begun_with_a_folder(postgres_server: Server, tmp_path: Path) -> None:
    database = postgres_server.database()
    url = postgres_server.url(database)
    with pytest.raises(InputError, match="creators: DATA does not have the table yet"):
        add_results(url, new_deal(tmp_path, "n0", creator_id="c1"), now=NOW)
    assert read_log(url).empty
    folder = write(tmp_path / "new", results())
    assert add_results(url, folder, now=NOW).counts["collaborations"] == Counts(6, 0, 0, 0)
    named = "SELECT conrelid::regclass::text FROM pg_constraint WHERE contype = 'p' AND connamespace = 2200"  # public
    keys = postgres_server.execute(named, database=database)
    assert sorted(keys) == [("collaborations",), ("creators",)]
    more = results()["creators"].tail(1).assign(creator_id="c9", country="FR")
    more.to_parquet(write(tmp_path / "more", {}) / "creators.parquet")
    add_results(url, tmp_path / "more", now=NOW)
    after = contents(url)
    assert after["collaborations"] == contents(str(folder))["collaborations"]
    assert {row["creator_id"]: row["country"] for row in after["creators"]} == dict.fromkeys(
        ["c0", "c1", "c2", "c3"]
    ) | {"c9": "FR"}


def test_tables_in_another_schema_are_not_begun_anew(postgres_server: Server, tmp_path: Path) -> None:
    database = postgres_server.database(results())
    postgres_server.execute(
        "CREATE SCHEMA sales", "ALTER TABLE collaborations SET SCHEMA sales", "ALTER TABLE creators SET SCHEMA sales",
        database=database,
    )  # fmt: skip
    before = state(postgres_server, database)
    with pytest.raises(InputError, match=r"sales\.collaborations is there, in a schema that is not on the search_path"):
        add_results(postgres_server.url(database), new_deal(tmp_path, "n0"), now=NOW)
    assert state(postgres_server, database) == before


def test_what_cannot_be_added_to_is_a_fault(postgres_server: Server, tmp_path: Path) -> None:
    database = postgres_server.database(results())
    postgres_server.execute(
        "CREATE TABLE rows AS TABLE collaborations", "DROP TABLE collaborations",
        "CREATE VIEW collaborations AS TABLE rows", database=database,
    )  # fmt: skip
    new = new_deal(tmp_path, "n0")
    with pytest.raises(InputError, match="collaborations is a view, which nothing can be added to"):
        add_results(postgres_server.url(database), new, now=NOW)
    postgres_server.execute(
        "DROP VIEW collaborations", "ALTER TABLE rows RENAME TO collaborations",
        "CREATE ROLE intern LOGIN PASSWORD 'tea-and-toast'", "GRANT SELECT ON ALL TABLES IN SCHEMA public TO intern",
        database=database,
    )  # fmt: skip
    with pytest.raises(OutputError) as refused:
        add_results(postgres_server.url(database, "intern:tea-and-toast"), new, now=NOW)
    assert str(refused.value) == (
        f"{postgres_server.url(database, 'intern:***')}: it cannot be written: permission denied for table "
        "collaborations. Nothing was added. Give the user INSERT and UPDATE on the tables, and CREATE in the schema "
        "for the log."
    )
    postgres_server.execute(
        "GRANT INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO intern",
        "ALTER TABLE collaborations ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY all_rows ON collaborations USING (true)", database=database,
    )  # fmt: skip
    with pytest.raises(InputError, match="row-level security may hide rows of collaborations"):
        add_results(postgres_server.url(database, "intern:tea-and-toast"), new, now=NOW)


def test_constraints_of_the_tables_hold_and_nothing_is_added(postgres_server: Server, tmp_path: Path) -> None:
    database = postgres_server.database(results())
    postgres_server.execute("ALTER TABLE collaborations ADD CHECK (spend > 20)", database=database)
    before = state(postgres_server, database)
    with pytest.raises(OutputError, match=r"violates check constraint .*\. Nothing was added\. Correct NEW, or the"):
        add_results(postgres_server.url(database), new_deal(tmp_path, "n0", spend=[41.0, 1.0]), now=NOW)
    postgres_server.execute(f"ALTER DATABASE {database} SET default_transaction_read_only = on")
    with pytest.raises(
        OutputError, match=r"transactions are read-only\. Nothing was added\. Give a server, and a user"
    ):
        add_results(postgres_server.url(database), new_deal(tmp_path, "n0"), now=NOW)
    assert state(postgres_server, database) == before
