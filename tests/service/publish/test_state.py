"""The folder that the processes of a server share."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from features.faults import InputError
from service.publish import state


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder for temporary ones, with a short path."""
    monkeypatch.delenv("TMPDIR", raising=False)
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


def test_another_folder_than_the_one_wanted_is_not_taken(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(temporary / "none"))
    with pytest.raises(
        InputError, match=r"TMPDIR: nothing can be written there \(No such file or directory\): received"
    ):
        state.make()
    assert list(temporary.iterdir()) == []
    monkeypatch.setenv("TMPDIR", f"{temporary}/.")
    assert state.make().parent == temporary
