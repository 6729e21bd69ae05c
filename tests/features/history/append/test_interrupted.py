"""An addition that dies, or fails, at any of its steps leaves DATA as it was or as it is to be, never a mix."""

from __future__ import annotations

import errno
import functools
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from features.faults import OutputError
from features.history.append import journal, steps
from features.history.append.add import add_results
from features.history.append.batch import open_batch
from features.history.append.log import read_log
from features.history.append.merge import Changes, merge
from features.history.source import open_history
from tests.support import dying
from tests.support.contract_tables import Frames, frames, write
from tests.support.dying import NOW, STEPS
from tests.support.paths import ROOT

FORMS, FEW = ["csv", "parts", "duckdb", "empty"], ("csv", "duckdb")
KILLS, FEW_KILLS = 20, 2  # of each form, in full and in `make test`
State = dict[str, bytes | str]


def base() -> Frames:
    return {table: frames()[table] for table in ("collaborations", "creators")}


def make(folder: Path, form: str) -> tuple[Path, Path]:
    """DATA in `folder`/data and NEW beside it: a correction of a collaboration, a new one, and its new creator."""
    data = folder / "data"
    if form in ("duckdb", "empty"):
        data.mkdir(parents=True)
        write(folder / "files", base())
        if form == "duckdb":
            with duckdb.connect(data / "history.db") as connection:
                for table in base():
                    connection.execute(f"CREATE TABLE {table} AS FROM '{folder}/files/{table}.parquet'")
    else:
        write(data, base(), form)
    deals, creators = base()["collaborations"], base()["creators"]
    if form != "empty":
        deals = pd.concat([deals.iloc[[0]], deals.iloc[[1]].assign(collaboration_id="r9", creator_id="c9")])
        deals = deals.assign(spend=[111.0, 222.0])
        creators = creators.head(1).assign(creator_id="c9")
    return data, write(folder / "new", {"collaborations": deals, "creators": creators})


def changes_of(data: Path, new: Path) -> Changes:
    store = dying.store(data)
    with open_batch(new) as batch, store.present(batch.tables.keys(), NOW) as present:
        return merge(present, batch, NOW)


def state(data: Path) -> State:
    """All that counts in DATA: bytes of files, rows of a database's tables."""
    if list(data.glob("history.db")):
        with duckdb.connect(data / "history.db", read_only=True) as connection:
            tables = [table for (table,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()]
            return {
                table: str(connection.sql(f"FROM {table} ORDER BY ALL").to_arrow_table().to_pylist())
                for table in tables
            }
    files = (path for path in data.rglob("*") if path.is_file() and not path.relative_to(data).parts[0].startswith("."))
    return {str(path.relative_to(data)): path.read_bytes() for path in files}


def die(folder: Path, what: Path | str, kills: int = 0) -> list[Path]:
    """Copies of DATA in which the addition died before its first step, its second, and so on; the last one lived.

    kills: copies in which it was killed at any moment, FOLDER/killed-0 and so on.
    """
    words = [sys.executable, "-m", "tests.support.dying", str(what), str(folder), str(kills)]
    subprocess.run(words, cwd=ROOT, check=True, capture_output=True, timeout=300)
    return sorted((path for path in folder.iterdir() if path.name.isdigit()), key=lambda path: int(path.name))


Prepared = Callable[[str], tuple[Path, Changes]]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """By form: DATA, and what is to be added to it, which lies pickled beside it too."""

    @functools.cache
    def made(form: str) -> tuple[Path, Changes]:
        folder = tmp_path_factory.mktemp(form)
        data, new = make(folder, form)
        changes = changes_of(data, new)
        (folder / "changes").write_bytes(pickle.dumps(changes))
        return data, changes

    return made


@pytest.mark.slow
@pytest.mark.parametrize("form", [one if one in FEW else pytest.param(one, marks=pytest.mark.long) for one in FORMS])
def test_dying_at_any_step_or_moment_leaves_all_or_nothing(
    form: str, prepared: Prepared, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    data, _ = prepared(form)
    shutil.copytree(data, tmp_path / "data")
    kills = KILLS if request.config.getoption("--soak") else FEW_KILLS
    *died, lived = die(tmp_path, data.parent / "changes", kills)
    killed = [*tmp_path.glob("killed-*")]
    assert len(killed) == kills
    before, after = state(data), state(lived)
    assert before != after
    assert len(died) >= 8
    outcomes = []
    for copy in [*died, *killed]:
        finished = journal.finish(copy)
        assert state(copy) in (before, after), copy.name
        assert bool(finished) <= (state(copy) == after)
        if copy in died:
            outcomes.append(state(copy) == after)
        with dying.store(copy).locked():  # the next addition clears up
            assert [path.name for path in copy.iterdir() if path.name.startswith(".")] == []
    assert outcomes == sorted(outcomes)  # before up to one step, after from then on
    assert not outcomes[0]
    assert outcomes[-1]


@pytest.mark.slow
def test_dying_while_an_addition_is_finished_is_finished_next_time(
    prepared: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, changes = prepared("csv")
    recorded, after = tmp_path / "data", tmp_path / "after"
    shutil.copytree(data, recorded)
    shutil.copytree(data, after)
    dying.add(after, changes)
    with monkeypatch.context() as patch:
        patch.setattr(journal, "_finish", lambda folder, moves: None)
        dying.add(recorded, changes)
    assert state(recorded) == state(data)
    for copy in die(tmp_path, "finish"):
        journal.finish(copy)
        assert state(copy) == state(after)
    with open_history(str(recorded), threads=1, now=NOW) as history:
        assert "an addition that was interrupted has been finished" in history.notes[0]
        assert history.collaborations.spend.max().execute() == 900.0
        assert history.collaborations.count().execute() == 7


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_a_full_disk_at_any_step_is_one_message(
    form: str, prepared: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, changes = prepared(form)
    before = state(data)
    outcomes = []
    for number in range(100):
        copy, met = tmp_path / str(number), list[int]()
        shutil.copytree(data, copy)

        def full(met: list[int] = met) -> None:
            met.append(1)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        with monkeypatch.context() as patch:
            for name in STEPS:
                patch.setattr(steps, name, getattr(steps, name))  # so that it is put back
            dying.before_step(number, full)
            try:
                dying.add(copy, changes)
                said = ""
            except OutputError as error:
                said = str(error)
        if not met:
            break
        assert "No space left on device" in said or not said
        assert journal.finish(copy) == [] or "all is written" in said
        assert (state(copy) == before) == ("Nothing was added" in said)
        outcomes.append(state(copy) != before)
    assert number >= 8
    assert outcomes == sorted(outcomes)
    assert {True, False} == {*outcomes}


@pytest.mark.slow
def test_a_store_that_may_not_be_written_is_one_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, new = make(tmp_path, "csv")
    before = state(data)

    def refuse(path: Path) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(steps, "make_folder", refuse)
    with pytest.raises(OutputError, match=r"data: it cannot be written: Read-only .* Nothing was added\. Give a copy"):
        add_results(str(data), new, now=NOW)
    assert state(data) == before
    assert read_log(str(data)).empty
