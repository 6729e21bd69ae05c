"""PostgreSQL takes an addition whole, beside others who write there and when the connection is lost, or not at all."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable
from pathlib import Path

import pytest

from features.faults import OutputError
from features.history.append import add, steps
from features.history.append.add import Added, Counts, add_results
from features.history.append.batch import open_batch
from features.history.append.faults import Note
from features.history.append.log import read_log
from features.history.append.merge import merge
from features.history.append.postgres_database import LOCK, PostgresDatabase
from tests.support import dying
from tests.support.additions import NOW, new_deal, results, spends, state
from tests.support.postgres import Server

pytestmark = pytest.mark.slow


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
