"""PostgreSQL takes new and corrected rows in one transaction: beside others who write there, or not at all."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from features.engines.postgres import Session
from features.faults import InputError, OutputError
from features.history.append import add, steps
from features.history.append.add import Added, Counts, add_results
from features.history.append.batch import open_batch
from features.history.append.faults import Note
from features.history.append.log import main as print_log
from features.history.append.log import read_log
from features.history.append.merge import merge
from features.history.append.postgres_database import LOCK, PostgresDatabase
from tests.support import dying
from tests.support.additions import EXPECTED, NOW, batch, contents, merged, results
from tests.support.contract_tables import frames, write
from tests.support.postgres import Server

pytestmark = pytest.mark.slow
FEW = ("collaborations", "creators", "conversions")


def new_deal(folder: Path, name: str, **values: Any) -> Path:
    """A file with one collaboration that is not there, beside one of another spend."""
    deals = results()["collaborations"].tail(2).assign(spend=[41.0, 61.0], collaboration_id=[name, "r5"])
    deals.assign(**values).to_csv(folder / f"{name}.csv", index=False)
    return folder / f"{name}.csv"


def spends(server: Server, database: str) -> dict[object, object]:
    rows = server.execute("SELECT collaboration_id, spend::float8 FROM collaborations", database=database)
    return {row[0]: row[1] for row in rows}


def state(server: Server, database: str) -> object:
    """All rows of all tables, the log's too."""
    rows = "query_to_xml(format('SELECT * FROM %I ORDER BY 1, 2, 3', tablename), true, false, '')::text"
    return server.execute(
        f"SELECT tablename::text, {rows} FROM pg_tables WHERE schemaname = 'public' ORDER BY 1", database=database
    )


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


def test_columns_take_what_they_can_hold_and_the_rest_is_refused(postgres_server: Server, tmp_path: Path) -> None:
    database = postgres_server.database(results())
    postgres_server.execute(
        "CREATE TYPE brands AS ENUM ('ash', 'birch')",
        "CREATE DOMAIN price AS numeric(8, 2) CHECK (VALUE > 0)",
        "ALTER TABLE collaborations RENAME TO kept",
        "CREATE TABLE collaborations (collaboration_id varchar(4), creator_id char(4), brand brands, "
        "product_niche text, starts_at timestamp(0), promotion_hours interval, deliverables smallint, spend price, "
        "conversions numeric, observed_until timestamptz, revenue money, note text DEFAULT 'ours') "
        "PARTITION BY LIST (brand)",
        "CREATE TABLE of_ash PARTITION OF collaborations FOR VALUES IN ('ash')",
        "CREATE TABLE others PARTITION OF collaborations DEFAULT",
        "INSERT INTO collaborations SELECT collaboration_id, creator_id, brand::brands, product_niche, "
        "starts_at AT TIME ZONE 'UTC', promotion_hours * interval '1 hour', deliverables, spend, conversions, "
        "observed_until, revenue::numeric::money FROM kept",
        database=database,
    )
    deals = results()["collaborations"].astype({"starts_at": object, "brand": object})
    kept = deals.iloc[[0, 1, 2]].assign(spend=[123_456.78, 250.5, 80.25], deliverables=[9, 2, 3],
                                        revenue=[1_234.5, 0, 71.5], promotion_hours=[12.5, 48, 48])  # fmt: skip
    others = deals.iloc[[3] * 6].assign(collaboration_id=["n1", "n2", "n3", "n4", "n5", "n6789"])
    others = others.assign(spend=[1.005, 1, 1, 1, 1, 1], deliverables=[1, 70_000, 1, 1, 1, 1])
    others["brand"] = ["ash", "ash", "oak", "ash", "birch", "ash"]
    others["starts_at"] = [*[deals.starts_at[0]] * 3, pd.Timestamp("2025-01-10T12:00:00.5Z"), *deals.starts_at[:2]]
    pd.concat([kept, others]).to_parquet(tmp_path / "new.parquet")
    done = add_results(postgres_server.url(database), tmp_path / "new.parquet", now=NOW)
    assert done.counts == {"collaborations": Counts(1, 2, 1, 5)}
    assert done.refused_file is not None
    reasons = pd.read_csv(done.refused_file).reason.tolist()
    assert [reason.partition(".  ")[0].partition(" Change")[0] for reason in reasons] == [
        "spend: DATA keeps it as numeric(8,2), which cannot hold '1.005'.",
        "deliverables: DATA keeps it as SMALLINT, which cannot hold '70000'.",
        "brand: DATA keeps it as ENUM('ash', 'birch'), which cannot hold 'oak'.",
        "starts_at: DATA keeps it as timestamp(0) without time zone, which cannot hold '2025-01-10 12:00:00.5'.",
        "collaboration_id: DATA keeps it as VARCHAR(4), which cannot hold 'n6789'.",
    ]
    assert spends(postgres_server, database) | {"r0": 123_456.78, "r2": 80.25, "n5": 1.0} == spends(
        postgres_server, database
    )
    rows = {row["collaboration_id"]: row for row in contents(postgres_server.url(database))["collaborations"]}
    assert [rows["r0"][c] for c in ("revenue", "promotion_hours", "deliverables")] == [1_234.5, 12.5, 9]
    again = add_results(postgres_server.url(database), tmp_path / "new.parquet", now=NOW)
    assert again.counts == {"collaborations": Counts(0, 0, 4, 5)}


# By column: a type, what it holds, and what it would round, cut off or pad.
ROUNDING: dict[str, tuple[str, object, object]] = {
    "creator_id": ("char(4)", "c1", "c1 "),
    "starts_at": (
        "timestamptz(3)",
        pd.Timestamp("2025-01-10T12:00:00.125Z"),
        pd.Timestamp("2025-01-10T12:00:00.1255Z"),
    ),
    "promotion_hours": ("interval(0)", 0.5, 0.0001),
    "deliverables": ("smallint", 32_767, 32_768),
    "spend": ("money", 1_234.56, 19.999),
    "conversions": ("real", 16_777_216, 16_777_217),
    "observed_until": ("date", pd.Timestamp("2025-04-01T00:00Z"), pd.Timestamp("2025-04-01T12:00Z")),
    "revenue": ("numeric(40,1)", 0.5, 0.25),
}


def test_what_a_column_would_round_is_refused_row_by_row(postgres_server: Server, tmp_path: Path) -> None:
    database = postgres_server.database(results())
    own = {"spend": "spend::numeric::money", "promotion_hours": "promotion_hours * interval '1 hour'"}
    types = [f"ALTER {c} TYPE {kind} USING {own.get(c, f'{c}::{kind}')}" for c, (kind, *_) in ROUNDING.items()]
    postgres_server.execute(f"ALTER TABLE collaborations {', '.join(types)}, ADD clicks real", database=database)
    row = results()["collaborations"].iloc[0].to_dict() | {"observed_until": pd.Timestamp("2025-03-01", tz="UTC")}
    held = [row | {"collaboration_id": f"n{i}", c: value} for i, (c, (_, value, _)) in enumerate(ROUNDING.items())]
    unheld = [row | {"collaboration_id": f"x{c}", c: value} for c, (*_, value) in ROUNDING.items()]
    new = tmp_path / "new.parquet"
    pd.DataFrame([*held, *unheld]).assign(clicks=[0.1, *[0.5] * (len(held) - 1), *[0.1] * len(unheld)]).to_parquet(new)
    said: list[str] = []
    done = add_results(postgres_server.url(database), new, now=NOW, note=said.extend)
    assert done.counts == {"collaborations": Counts(len(held), 0, 0, len(unheld))}
    assert said == ["collaborations: DATA keeps clicks in 32 bits, so 1 value of NEW is rounded to 7 digits"]
    assert done.refused_file is not None
    assert [reason.partition(" Change")[0] for reason in pd.read_csv(done.refused_file).reason] == [
        "creator_id: DATA keeps it as CHAR(4), which cannot hold 'c1 '.",
        "starts_at: DATA keeps it as timestamp(3) with time zone, which cannot hold '2025-01-10 12:00:00.1255'.",
        "promotion_hours: DATA keeps it as interval(0), which cannot hold '0.0001'.",
        "deliverables: DATA keeps it as SMALLINT, which cannot hold '32768'.",
        "spend: DATA keeps it as money, which cannot hold '19.999'.",
        "conversions: DATA keeps it as FLOAT, which cannot hold '16777217'.",
        "observed_until: DATA keeps it as DATE, which cannot hold '2025-04-01 12:00:00'.",
        "revenue: DATA keeps it as numeric(40,1), which cannot hold '0.25'.",
    ]
    rows = {one["collaboration_id"]: one for one in contents(postgres_server.url(database))["collaborations"]}
    for given in held:
        found = rows[given["collaboration_id"]]
        assert {c: found[c] for c in ROUNDING} == {
            c: given[c].tz_localize(None) if isinstance(given[c], pd.Timestamp) else given[c] for c in ROUNDING
        }
    said.clear()
    again = add_results(postgres_server.url(database), new, now=NOW, note=said.extend)
    assert again.counts == {"collaborations": Counts(0, 0, len(held), len(unheld))}
    assert said == [], "nothing is written, so nothing is rounded"


def test_only_a_column_of_money_asks_for_the_type(
    postgres_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    rows = Session.rows

    def listen(session: Session, query: str) -> list[tuple[Any, ...]]:
        asked.append(query)
        return rows(session, query)

    monkeypatch.setattr(Session, "rows", listen)
    url = postgres_server.url(postgres_server.database(results()))
    assert add_results(url, new_deal(tmp_path, "n1"), now=NOW).counts["collaborations"].new == 1
    assert asked
    assert not any("money" in query for query in asked)


def test_an_empty_cell_goes_into_a_column_of_limited_length(postgres_server: Server, tmp_path: Path) -> None:
    database = postgres_server.database(results())
    postgres_server.execute(
        "ALTER TABLE collaborations ADD objective char(20), ADD product_country varchar(2)", database=database
    )
    new = new_deal(tmp_path, "n0", objective=["sales", None], product_country=[None, "NOR"])
    done = add_results(postgres_server.url(database), new, now=NOW)
    assert done.counts == {"collaborations": Counts(1, 0, 0, 1)}  # and the other one's country is too long
    assert spends(postgres_server, database)["n0"] == 41.0


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


def test_a_row_that_another_application_adds_meanwhile_is_corrected(
    postgres_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = postgres_server.database(results())
    postgres_server.execute(
        "ALTER TABLE collaborations ADD PRIMARY KEY (collaboration_id)", "CREATE TABLE later AS TABLE collaborations",
        "UPDATE later SET collaboration_id = 'n0', spend = 1", "DELETE FROM later WHERE conversions <> 3",
        database=database,
    )  # fmt: skip
    commit, met = PostgresDatabase.commit, list[int]()

    def met_by_another(self: PostgresDatabase, *arguments: object) -> int:
        if not met:
            met.append(1)
            postgres_server.execute("INSERT INTO collaborations TABLE later", database=database)
        return commit(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(PostgresDatabase, "commit", met_by_another)
    done = add_results(postgres_server.url(database), new_deal(tmp_path, "n0"), now=NOW)
    assert done.counts == {"collaborations": Counts(0, 2, 0, 0)}
    assert {"n0": 41.0, "r5": 61.0}.items() <= spends(postgres_server, database).items()


def test_two_additions_at_once_go_in_one_after_the_other(
    postgres_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = postgres_server.database(results())
    url = postgres_server.url(database)
    news = [new_deal(tmp_path, name, spend=spend) for name, spend in (("n0", [41.0, 61.0]), ("n1", [42.0, 62.0]))]
    begun, waits = threading.Event(), threading.Event()
    commit = PostgresDatabase.commit

    def slow(self: PostgresDatabase, *arguments: object) -> int:
        if not begun.is_set():  # the first of the two ends once the other one waits for it
            begun.set()
            assert waits.wait(60)
        return commit(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(PostgresDatabase, "commit", slow)
    done: dict[int, Added] = {}

    def run(one: int, note: Note) -> None:
        done[one] = add_results(url, news[one], now=NOW, note=note)

    said: list[str] = []

    def note(sentences: Iterable[str]) -> None:
        said.extend(sentences)
        if said:
            waits.set()

    threads = [threading.Thread(target=run, args=(0, lambda said: None)), threading.Thread(target=run, args=(1, note))]
    threads[0].start()
    assert begun.wait(60)
    threads[1].start()
    for thread in threads:
        thread.join(120)
    assert said == ["waiting for another addition to end"]
    assert [done[one].batch for one in (0, 1)] == [1, 2]
    assert {"n0": 41.0, "n1": 42.0, "r5": 62.0}.items() <= spends(postgres_server, database).items()
    log = read_log(url).set_index(["batch", "key"])
    assert json.loads(log.before[2, "r5"])["spend"] == 61.0  # not the 60 that stood there when it began to wait


def test_other_applications_are_not_overwritten(
    postgres_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another application writes to the same row between the reading and the writing: once, then every time."""
    database = postgres_server.database(results())
    url, commit, met = postgres_server.url(database), PostgresDatabase.commit, list[int]()
    most = 1

    def met_by_another(self: PostgresDatabase, *arguments: object) -> int:
        if len(met) < most:
            met.append(1)
            update = "UPDATE collaborations SET revenue = coalesce(revenue, 0) + 1000 WHERE collaboration_id = 'r5'"
            postgres_server.execute(update, database=database)
        return commit(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(PostgresDatabase, "commit", met_by_another)
    new = tmp_path / "new.csv"
    results()["collaborations"].tail(1).drop(columns="revenue").assign(spend=61.0).to_csv(new, index=False)
    assert add_results(url, new, now=NOW).batch == 1
    assert json.loads(read_log(url).before[0])["revenue"] == 1020.0
    most = 100
    monkeypatch.setattr(add, "TRIES", 2)
    results()["collaborations"].tail(1).drop(columns="revenue").assign(spend=62.0).to_csv(new, index=False)
    with pytest.raises(OutputError, match=r"2 tries have failed: could not serialize .*Nothing was added\. Add again"):
        add_results(url, new, now=NOW)
    assert len(met) == 3
    assert spends(postgres_server, database)["r5"] == 61.0
    assert len(read_log(url)) == 1


@pytest.mark.long
def test_a_connection_that_is_lost_at_any_step_leaves_all_or_nothing(
    postgres_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = postgres_server.database(results())
    store = PostgresDatabase(postgres_server.url(database), lambda said: None)
    new = new_deal(tmp_path, "n0")
    with open_batch(new) as opened, store.locked(), store.present(opened.tables.keys(), NOW) as present:
        changes = merge(present, opened, NOW)
    before, outcomes = state(postgres_server, database), []
    cut_off = f"SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE datname = '{database}'"
    for number in range(100):
        met: list[int] = []

        def end(met: list[int] = met) -> None:
            met.append(1)
            postgres_server.execute(cut_off)

        said = ""
        with monkeypatch.context() as patch:
            for name in dying.STEPS:
                patch.setattr(steps, name, getattr(steps, name))  # so that it is put back
            dying.before_step(number, end)
            try:
                with store.locked():
                    store.commit(changes, "new", NOW)
            except OutputError as error:
                said = str(error)
        after = state(postgres_server, database)
        if not met:
            break
        assert after == before, number
        assert "Nothing was added" in said or "whether all of it was added or nothing" in said
        outcomes.append("whether" in said)
    assert (after != before, said) == (True, "")
    assert number >= 6
    assert outcomes == [*[False] * (number - 1), True]  # nobody knows what a server has done that was asked to commit
    assert postgres_server.execute(f"SELECT count(*) FROM pg_locks WHERE objid = {LOCK & 0xFFFFFFFF}") == [(0,)]
