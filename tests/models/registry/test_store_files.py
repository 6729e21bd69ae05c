"""A store that is moved away while it is in use is missed, with one message, and no empty one takes its place."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import URL, NullPool, create_engine, text
from sqlalchemy.exc import OperationalError

from models.registry import left_out, runs
from models.registry.store_faults import StoreError
from models.registry.store_files import never_make
from tests.support.small_store import NAME, enter


def test_a_store_that_is_moved_away_during_a_training_is_missed(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client = enter(project, monkeypatch)
    store, away = project / "mlflow.db", project / "away.db"

    def train() -> None:
        with runs.open_run(NAME, 0) as run:
            store.rename(away)
            left_out.record(run.client, run.id, ())

    with pytest.raises(StoreError, match="it was moved away or deleted meanwhile") as missed:
        train()
    assert len(missed.value.faults) == 1
    assert not store.exists()
    away.rename(store)
    assert client.get_experiment_by_name(NAME)


@pytest.mark.parametrize("name", ["plain.db", "odd %20 #?&é.db"])
def test_files_are_opened_and_none_is_made(name: str, tmp_path: Path) -> None:
    file, other = tmp_path / name, tmp_path / "other.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE kept (value)")
    never_make(file)
    never_make(file)
    engine = create_engine(URL.create("sqlite", database=str(file)), poolclass=NullPool)
    with engine.begin() as opened:
        opened.execute(text("INSERT INTO kept VALUES (1)"))
    file.rename(tmp_path / "away")
    with pytest.raises(OperationalError, match="is not there any more"):
        engine.connect()
    assert not file.exists()
    with create_engine(f"sqlite:///{other}").connect():
        assert other.exists(), "files that are no stores are made as ever"
    (tmp_path / "away").rename(file)
    with engine.connect() as opened:
        assert opened.execute(text("SELECT value FROM kept")).all() == [(1,)]
