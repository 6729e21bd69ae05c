"""What is published: refusals that pass, copies of DATA, crashes, silence, folders of servers that were killed."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import duckdb
import pandas as pd
import pytest

from features.faults import InputError
from features.history.freshness import Stamp
from features.history.source import open_history
from models.registry.store import connect
from models.scorer import ModelError
from service.api.app import App
from service.api.connections import Connections
from service.publish import publisher, registry_watch, state, supervisor
from service.publish.children import Child, TrialError
from service.publish.kept_history import HISTORY, keep, missing_text, names_in, stamp_of
from service.publish.model_trial import require_columns
from service.publish.publication import SILENT_SECONDS, Holder, Publication, beat, silence
from service.publish.publisher import Job, Publisher
from service.publish.refusals import FIRST_WAIT, LONGEST_WAIT, Refusal
from service.publish.registry_watch import RegistryWatch
from tests.support.contract_tables import frames, write
from tests.support.paths import ROOT


def rename_over(file: Path) -> None:
    aside = file.with_name(".aside")
    aside.write_bytes(file.read_bytes())
    aside.replace(file)


# --- a private copy of DATA


def test_a_copy_holds_what_was_checked_whatever_becomes_of_data(tmp_path: Path) -> None:
    data, folder = write(tmp_path / "data", frames()), tmp_path / "kept"
    keep(str(data), folder)
    with open_history(data) as history:
        expected = {name: getattr(history, name).to_pandas() for name in frames()}
    (data / "creators.parquet").write_bytes(b"refused")
    with open_history(f"duckdb://{folder / HISTORY}") as copy:
        for name, frame in expected.items():
            found = getattr(copy, name).to_pandas()
            assert found.equals(frame), name
    assert stamp_of(folder).changed() == [str(data / "creators.parquet")]


def test_what_is_no_fault_but_odd_comes_with_a_copy(tmp_path: Path) -> None:
    tables = frames()
    whole = write(tmp_path / "whole", tables)
    assert keep(str(whole), tmp_path / "first") == ()
    collaborations = tables["collaborations"]
    later = collaborations.assign(observed_until=collaborations.observed_until + pd.Timedelta(days=36_500 // 5))
    odd = write(tmp_path / "odd", tables | {"collaborations": later})
    (odd / "posts.parquet").unlink()
    (odd / "comments.parquet").unlink()
    (note,) = keep(str(odd), tmp_path / "second")
    assert re.match(r"collaborations\.observed_until: .* later than now", note)
    gone = {*names_in(tmp_path / "first")} - {*names_in(tmp_path / "second")}
    assert missing_text(gone).startswith("DATA no longer has comments, posts: ")


def test_a_copy_is_made_of_every_form_of_a_table(tmp_path: Path) -> None:
    tables = frames()
    data = write(tmp_path / "data", tables)
    tables["posts"].to_csv(tmp_path / "posts.csv", index=False)
    (data / "posts.parquet").unlink()
    (data / "posts.sql").write_text("SELECT * FROM read_csv('../posts.csv')")
    (data / "comments.parquet").unlink()
    tables["comments"].to_csv(data / "comments.csv", index=False)
    keep(str(data), tmp_path / "kept")
    with open_history(f"duckdb://{tmp_path / 'kept' / HISTORY}") as copy:
        assert copy.posts is not None
        assert copy.comments is not None
        assert [copy.posts.count().execute(), copy.comments.count().execute()] == [
            len(tables["posts"]), len(tables["comments"])]  # fmt: skip


def test_a_table_without_rows_and_a_column_that_went_are_missing(tmp_path: Path) -> None:
    tables = frames()
    keep(str(write(tmp_path / "whole", tables)), tmp_path / "first")
    less = {"posts": tables["posts"].drop(columns="likes"), "comments": tables["comments"].iloc[:0]}
    keep(str(write(tmp_path / "less", tables | less)), tmp_path / "second")
    gone = {*names_in(tmp_path / "first")} - {*names_in(tmp_path / "second")}
    assert missing_text(gone).startswith("DATA no longer has comments, posts.likes: ")


def test_data_that_changes_while_it_is_copied_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = write(tmp_path / "data", frames())
    from service.publish import kept_history

    def late(identifier: str) -> str:
        rename_over(data / "creators.parquet")
        return f'"{identifier}"'

    monkeypatch.setattr(kept_history, "name", late)
    with pytest.raises(InputError, match=r"changed while it was being read: received .*creators\.parquet"):
        keep(str(data), tmp_path / "kept")
    with pytest.raises(FileNotFoundError):
        stamp_of(tmp_path / "kept")


def test_a_database_stays_writable_once_it_is_copied(tmp_path: Path) -> None:
    write(tmp_path, frames())
    file = tmp_path / "market.duckdb"
    with duckdb.connect(file) as connection:
        for table in frames():
            connection.execute(f"CREATE TABLE {table} AS FROM '{tmp_path / table}.parquet'")
    keep(f"duckdb://{file}", tmp_path / "kept")
    stamp = stamp_of(tmp_path / "kept")
    with open_history(f"duckdb://{tmp_path / 'kept' / HISTORY}"), duckdb.connect(file) as connection:
        connection.execute("DELETE FROM posts")
    assert stamp.changed() == [str(file)]


# --- children


def child(tmp_path: Path, code: str) -> Child:
    """A child that runs some lines; `reply` is at hand."""
    module = tmp_path / "made_up_child.py"
    lines = "\n    ".join(code.splitlines())
    module.write_text(f"import os, sys, time\nfrom service.publish import children\ndef work(reply):\n    {lines}\n"
                      "children.run(work)\n")  # fmt: skip
    os.environ["PYTHONPATH"] = os.pathsep.join([str(tmp_path), str(ROOT)])
    return Child("made_up_child", "loaded the model", tmp_path)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("os.abort()", "Crash: the process that loaded the model was ended by SIGABRT"),
        ("os.kill(os.getpid(), 9)", "Crash: the process that loaded the model was ended by SIGKILL"),
        (
            "os.write(2, b'LightGBM: \\xb1 unparsed\\n\\n')\nos.abort()",
            "Crash: the process that loaded the model was ended by SIGABRT: LightGBM: � unparsed",
        ),
        ("os._exit(7)", "Crash: the process that loaded the model ended with status 7"),
        ("os.write(1, b'half')\nos.abort()", "Crash: the process that loaded the model was ended by SIGABRT: half"),
        (
            "raise OSError(28, 'No space left on device', '/secret/path')",
            "OSError: [Errno 28] No space left on device: '…'",
        ),
        ("sys.exit(3)", "Crash: the process that loaded the model ended with status 3"),
    ],
)
def test_what_ends_a_child_is_a_reason(code: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "")
    started = child(tmp_path, code)
    with pytest.raises(TrialError) as raised:
        started.reply()
    assert raised.value.shown() == reason
    started.end()
    assert not list(tmp_path.glob("scratch-*"))


def test_a_child_heeds_no_signal_but_ends_with_its_parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "")
    started = child(tmp_path, "print('no reply')\nreply({'done': 1})\ntime.sleep(600)")
    assert started.reply() == {"done": 1}
    os.kill(started.process.pid, signal.SIGTERM)
    os.kill(started.process.pid, signal.SIGINT)
    time.sleep(0.2)
    assert started.status() is None
    assert started.process.stdin is not None
    started.process.stdin.close()  # as the kernel does when the parent is killed
    assert started.process.wait(30) == 0
    started.end()


def test_a_model_of_columns_that_nobody_knows_is_refused_by_their_names() -> None:
    known: Any = SimpleNamespace(encoding=SimpleNamespace(columns=("followers", "tier")))
    require_columns(known)
    strange: Any = SimpleNamespace(encoding=SimpleNamespace(columns=("moon", "tier")))
    with pytest.raises(ModelError, match=r"does not come by: \['moon'\]"):
        require_columns(strange)


# --- refusals


@pytest.fixture
def publishing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Publisher:
    """A publisher that has published, whose processes and registry are made up; its clock stands still."""
    data = write(tmp_path / "data", frames())
    folder = tmp_path / "state"
    (folder / "data-1").mkdir(parents=True)
    files = Stamp.of_data(data)
    stamp = {"paths": files.paths, "patterns": files.patterns, "files": files.files}
    (folder / "data-1" / "stamp.json").write_text(json.dumps(stamp))
    Publication(1, "m/1", "model-1", "features-1", {}, {}, run="r", key="k", data="data-1", socket="batch-1").write(
        folder
    )
    made = Publisher(folder, str(data), "models:/m@champion")
    made.batch = Idle()  # type: ignore[assignment]
    clock = {"now": 1000.0}
    monkeypatch.setattr(publisher.time, "monotonic", lambda: clock["now"])
    monkeypatch.setattr(made.registry, "version", lambda: None)
    made.clock = clock  # type: ignore[attr-defined]
    return made


class Idle:
    """A batch process with nothing to do."""

    def status(self) -> None:
        return None


def tried(made: Publisher, monkeypatch: pytest.MonkeyPatch, error: Exception | None) -> list[str]:
    """Data is tried from now on, and fails; the trials."""
    seen: list[str] = []

    def prepare(*_: object, **__: object) -> Any:
        seen.append("tried")
        raise error or AssertionError

    monkeypatch.setattr(made, "_prepare", prepare)
    return seen


def look(made: Publisher, after: float = 0.0) -> dict[str, str]:
    """Look after so many seconds, and again once what was begun has ended; the alarms."""
    made.clock["now"] += after  # type: ignore[attr-defined]
    made.look()
    if made.job is not None:
        assert made.job.result.exception(30) is not None
        made.look()
    assert made.published is not None
    return made.published.alarms


def test_a_refusal_is_tried_again_with_waits_that_double(
    publishing: Publisher, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    trials = tried(
        publishing, monkeypatch, TrialError("InputError", "creators: IO Error: /x/y is locked.", at_fault=True)
    )
    assert look(publishing) == {}
    rename_over(tmp_path / "data" / "creators.parquet")
    assert look(publishing) == {}, "what changed is read when it is the same in two looks"
    alarm = {"features": "creators: IO Error: … is locked."}
    assert look(publishing) == alarm
    waits = [FIRST_WAIT * 2**i for i in range(7)]
    for i, wait in enumerate([*waits, LONGEST_WAIT, LONGEST_WAIT], 1):
        assert len(trials) == i
        look(publishing, wait - 1)
        assert len(trials) == i, "not before its time"
        assert look(publishing, 1) == alarm
    count = len(trials)
    rename_over(tmp_path / "data" / "creators.parquet")
    look(publishing)
    look(publishing)
    assert len(trials) == count + 1, "what changes again is tried at once"
    assert publishing.refused["features"].wait == FIRST_WAIT


def test_what_was_published_is_not_prepared_once_more(
    publishing: Publisher, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    trials: list[str] = []

    def prepare(uri: str | None, old: Publication, fresh: bool = False) -> publisher.Prepared:
        trials.append("tried")
        kept, files = tmp_path / "state" / f"data-{len(trials) + 1}", publishing.held.now()  # type: ignore[union-attr]
        kept.mkdir()
        stamp = {"paths": files.paths, "patterns": files.patterns, "files": files.files}
        (kept / "stamp.json").write_text(json.dumps(stamp))
        made = Publication(2, "m/1", "model-1", "features-2", {}, {}, run="r", key="k", data=kept.name, socket="b-2")
        return publisher.Prepared(made, Idle())  # type: ignore[arg-type]

    monkeypatch.setattr(publishing, "_prepare", prepare)
    rename_over(tmp_path / "data" / "posts.parquet")
    for _ in range(5):
        publishing.look()
        if publishing.job is not None:
            publishing.job.result.result(30)
    assert (trials, publishing.published.serial) == (["tried"], 2)  # type: ignore[union-attr]


def test_what_takes_long_to_refuse_is_tried_less_often(publishing: Publisher) -> None:
    publishing.clock["now"] += 90.0  # type: ignore[attr-defined]
    publishing._refuse(Job("features", 1, 1000.0, None), TrialError("InputError", "x"))  # type: ignore[arg-type]
    assert publishing.refused["features"].wait == 900.0


def test_what_cannot_even_be_started_is_refused_and_tried_again(
    publishing: Publisher, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    trials = tried(publishing, monkeypatch, OSError(24, "Too many open files"))
    rename_over(tmp_path / "data" / "posts.parquet")
    look(publishing)
    assert look(publishing) == {"features": "OSError: [Errno 24] Too many open files"}
    look(publishing, FIRST_WAIT)
    assert len(trials) == 2


def test_an_alarm_goes_when_the_data_is_as_it_was(
    publishing: Publisher, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tried(publishing, monkeypatch, TrialError("InputError", "creators: the table is missing."))
    file = tmp_path / "data" / "creators.parquet"
    file.rename(tmp_path / "away")
    look(publishing)
    assert "features" in look(publishing)
    publishing.held = publishing.held.now()  # type: ignore[union-attr]  # a file moved back has another time of change
    assert look(publishing) == {}


def test_a_full_disk_while_publishing_changes_nothing(publishing: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    before, ends = publishing.published, []
    batch = type("Batch", (), {"end": lambda self: ends.append(1)})()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Publication, "write", full)
    with pytest.raises(OSError, match="No space"):
        publishing._publish(publisher.Prepared(before, batch))  # type: ignore[arg-type]
    assert (publishing.published, ends) == (before, [1])


def test_a_refusal_holds_for_what_was_refused_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publisher.time, "monotonic", lambda: 100.0)
    refusal = Refusal("version 3", "damaged", 5.0, 104.0)
    assert refusal.holds("version 3")
    assert not refusal.holds("version 4")
    monkeypatch.setattr(publisher.time, "monotonic", lambda: 104.0)
    assert not refusal.holds("version 3")


def copies(made: Publisher, monkeypatch: pytest.MonkeyPatch, *names: list[str]) -> None:
    """From now on, the next copies of DATA have these tables and columns, one after the other."""
    left = iter(names)

    class Made(Idle):
        def __init__(self, *_: object) -> None: ...

        def reply(self) -> dict[str, Any]:
            return {"notes": ["posts.posted_at: 1 row is later than now"]}

    monkeypatch.setattr(publisher, "Child", Made)
    monkeypatch.setattr(publisher, "names_in", lambda folder: next(left))
    monkeypatch.setattr(publisher, "stamp_of", lambda folder: made.held)
    monkeypatch.setattr(publisher.log, "propagate", True)


def test_notes_on_new_data_are_logged(
    publishing: Publisher, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    copies(publishing, monkeypatch, ["creators"])
    publishing._prepare(None, publishing.published, fresh=True)
    notes = [record.facts["note"] for record in caplog.records]  # type: ignore[attr-defined]
    assert notes == ["posts.posted_at: 1 row is later than now"]


def test_a_table_that_vanishes_is_an_alarm_until_it_is_back(
    publishing: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, less = ["creators", "posts", "posts.likes"], ["creators"]
    copies(publishing, monkeypatch, whole, less, less, whole)
    alarms = []
    for _ in range(4):
        publishing._publish(publishing._prepare(None, publishing.published, fresh=True))
        publishing.batch = Idle()  # type: ignore[assignment]
        alarms.append(look(publishing))
        publishing.published = Publication.read(publishing.folder)  # as a publisher that is started again does
    missing = (
        "DATA no longer has posts: the features made from it count as missing. "
        "Bring it back, or restart the service if this is meant"
    )
    assert alarms == [{}, {"data": missing}, {"data": missing}, {}]


def test_a_registry_that_is_away_is_logged_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    watch = RegistryWatch("models:/m@champion")
    monkeypatch.setattr(registry_watch.log, "propagate", True)
    caplog.set_level("INFO", "creator_yield")
    for why in ("it is away", "it is away still", None):
        watch._note(why)
    assert [record.levelname for record in caplog.records] == ["ERROR", "INFO"]


@pytest.mark.parametrize(
    ("damage", "cause"),
    [
        ("DROP TABLE model_versions", "tables or columns that MLflow needs are missing"),
        ("ALTER TABLE model_versions DROP COLUMN run_id", "tables or columns that MLflow needs are missing"),
        ("DELETE FROM registered_models", "there is no such model in …. Train first"),
    ],
)
def test_an_alarm_of_the_registry_is_a_sentence_with_its_cause(
    damage: str, cause: str, empty_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = shutil.copy(empty_store, tmp_path / "mlflow.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{quote(str(store))}")
    client = connect()
    client.create_registered_model("m")
    version = client.create_model_version("m", "file:///nowhere").version
    client.set_registered_model_alias("m", "champion", version)
    watch = RegistryWatch("models:/m@champion")
    assert watch.version() == ("m/1", None)
    with sqlite3.connect(store) as connection:
        connection.execute(damage)
    assert watch.version() is None
    assert watch.away is not None
    assert watch.away.startswith(f"the model stays as it is: {cause}")
    assert not re.search(rf"SQL|SELECT|sqlalche|Error|{tmp_path}", watch.away)


# --- silence


def test_a_publisher_that_falls_silent_is_an_alarm(tmp_path: Path) -> None:
    holder = Holder(tmp_path)
    assert (silence(tmp_path), holder.alarms) == (0.0, {}), "before its first look"
    beat(tmp_path)
    assert holder.alarms == {}
    old = time.time() - SILENT_SECONDS - 30
    os.utime(tmp_path / "heartbeat", (old, old))
    assert holder.alarms["publisher"].startswith("it has not looked for 90 s")
    assert silence(tmp_path) == pytest.approx(90, abs=5)
    beat(tmp_path)
    assert holder.alarms == {}


def test_silence_is_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = object.__new__(supervisor.Supervisor)
    made.state, made._silent = tmp_path, False
    monkeypatch.setattr(supervisor.log, "propagate", True)
    beat(tmp_path)
    old = time.time() - SILENT_SECONDS - 1
    made._listen()
    os.utime(tmp_path / "heartbeat", (old, old))
    made._listen()
    made._listen()
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    beat(tmp_path)
    caplog.set_level("INFO", "creator_yield")
    made._listen()
    assert caplog.records[-1].facts["why"] == "it looks again"  # type: ignore[attr-defined]


# --- folders of servers


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder for temporary ones, with a short path."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        monkeypatch.setattr(state.tempfile, "tempdir", folder)
        yield Path(folder)


def test_a_folder_of_a_dead_server_is_removed_and_no_other(temporary: Path) -> None:
    folder = state.make()
    (folder / "current.json").write_text("{}")
    (temporary / "creator-yield-link").symlink_to(folder)
    (temporary / "creator-yield-file").touch()
    (temporary / "else").mkdir()
    assert state.remove_stale() == [], "its server lives"
    for number in os.listdir("/dev/fd"):
        if os.path.realpath(f"/dev/fd/{number}") == str(folder):
            os.close(int(number))  # as when it is killed
    assert state.remove_stale() == [folder]
    assert sorted(path.name for path in temporary.iterdir()) == ["creator-yield-file", "creator-yield-link", "else"]


def test_a_folder_stays_while_a_worker_holds_it(temporary: Path) -> None:
    folder = temporary / "creator-yield-x"
    folder.mkdir()
    opened = state.hold(folder)
    assert not state.remove_unheld(folder, within=0.2)
    os.close(opened)
    assert state.remove_unheld(folder)
    assert not state.remove_unheld(folder), "gone already"


def test_a_temporary_folder_that_cannot_be_used_is_a_fault(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state.tempfile, "tempdir", str(temporary / "none"))
    with pytest.raises(InputError, match=r"TMPDIR: no folder can be made there \(No such file or directory\)"):
        state.make()
    monkeypatch.setattr(state.tempfile, "tempdir", str(temporary / ("x" * 90)))
    with pytest.raises(InputError, match="TMPDIR: a socket's path would be longer"):
        state.make()


def test_a_worker_that_ends_leaves_without_taking_python_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server's own threads panic where Python goes away below them."""
    ended: list[int] = []
    app = object.__new__(App)
    app.holder, app.connections = Holder(Path()), Connections(0, 1, lambda n: None)
    monkeypatch.setattr(os, "_exit", ended.append)
    app.__rsgi_del__(None)  # type: ignore[arg-type]
    assert ended == [0]
