"""What is published, refused and tried again, and what is an alarm."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from features.history import freshness
from features.history.freshness import Stamp
from service.publish import publisher
from service.publish.children import TrialError
from service.publish.publication import Publication
from service.publish.publisher import DATABASE_EVERY, Job, Publisher
from service.publish.refusals import FIRST_WAIT, LONGEST_WAIT
from service.publish.registry_watch import Version
from tests.support.contract_tables import frames, write


def rename_over(file: Path) -> None:
    aside = file.with_name(".aside")
    aside.write_bytes(file.read_bytes())
    aside.replace(file)


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


def test_a_refusal_is_logged_with_its_reason(
    publishing: Publisher, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(publisher.log, "propagate", True)
    tried(publishing, monkeypatch, TrialError("InputError", "creators: half of it is there.", at_fault=True))
    rename_over(tmp_path / "data" / "creators.parquet")
    for _ in range(3):
        look(publishing)
    facts = {"about": "features", "why": "creators: half of it is there.", "tried_again_in_s": FIRST_WAIT}
    found = [(one.levelname, one.message, one.facts) for one in caplog.records]  # type: ignore[attr-defined]
    assert found == [("ERROR", "refused", facts)]


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


def test_what_data_knew_is_kept_as_long_as_its_publication(publishing: Publisher) -> None:
    kept, gone = (publishing.folder / f"{name}{publisher.KNOWLEDGE}" for name in ("batch-1", "batch-0"))
    for path in (kept, gone):
        path.touch()
    publishing._clear()
    assert (kept.exists(), gone.exists()) == (True, False)


def test_a_full_disk_while_publishing_changes_nothing(publishing: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    before, ends = publishing.published, []
    batch = type("Batch", (), {"end": lambda self: ends.append(1)})()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Publication, "write", full)
    with pytest.raises(OSError, match="No space"):
        publishing._publish(publisher.Prepared(before, batch))  # type: ignore[arg-type]
    assert (publishing.published, ends) == (before, [1])


def test_alarms_that_cannot_be_written_are_logged_once_and_stop_the_heartbeat(
    publishing: Publisher, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    publishing.registry.away = "it is away"
    monkeypatch.setattr(Publication, "write", full)
    monkeypatch.setattr(publisher.log, "propagate", True)
    for _ in range(3):
        publishing.look()
    assert [record.message for record in caplog.records] == ["alarms cannot be written"]
    assert not (publishing.folder / "heartbeat").exists()


def copies(made: Publisher, monkeypatch: pytest.MonkeyPatch, *names: list[str]) -> None:
    """From now on, the next copies of DATA have these tables and columns, one after the other."""
    left = iter(names)

    class Made(Idle):
        def __init__(self, *_: object) -> None: ...

        def reply(self) -> dict[str, Any]:
            return {"notes": ["posts.posted_at: 1 row is later than now"]}

    monkeypatch.setattr(publisher, "Child", Made)
    monkeypatch.setattr(publisher, "names_in", lambda folder: next(left))
    monkeypatch.setattr(publisher, "stamp_of", lambda folder, data: made.held)
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


def test_a_database_server_is_asked_every_few_seconds(publishing: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def state_of(url: str) -> str:
        asked.append(url)
        return "new"

    monkeypatch.setattr(freshness, "state_of", state_of)
    assert publishing.held is not None
    publishing.held = publishing.held.watching("postgresql://db/market", "old")
    tries = tried(publishing, monkeypatch, TrialError("InputError", "bad data"))
    for _ in range(4):
        look(publishing, 1.0)
    assert (asked, tries) == (["postgresql://db/market"], [])
    assert look(publishing, DATABASE_EVERY) == {"features": "InputError: bad data"}
    assert len(asked) == 2
    assert tries == ["tried"]


def test_results_that_were_kept_out_since_are_a_reason_to_prepare_the_model_again(
    publishing: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials = tried(publishing, monkeypatch, TrialError("InputError", "x"))
    for left_out, count in ((None, 0), ("r7", 1)):
        monkeypatch.setattr(publishing.registry, "version", lambda run=left_out: Version("m/1", "r", run))
        look(publishing)
        assert len(trials) == count
