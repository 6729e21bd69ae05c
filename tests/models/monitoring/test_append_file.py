"""What a file must be to be appended to, and that nothing of a failure stays."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from features.faults import InputError, OutputError
from models.monitoring import append_file
from models.monitoring.append_file import append, check_appendable, held


def test_what_can_be_no_file_is_refused_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    os.mkfifo(tmp_path / "pipe")
    faults = {
        tmp_path: "it is a folder", tmp_path / "pipe": "it is a device or a pipe",
        tmp_path / "none" / "a": "its folder is not there", tmp_path / "a" / "b": "its folder is not there",
    }  # fmt: skip
    for path, problem in faults.items():
        with pytest.raises(InputError, match=problem):
            check_appendable(path)
    check_appendable(tmp_path / "a")
    check_appendable(tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_what_may_not_be_written_is_refused_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "a").touch(0o444)
    tmp_path.chmod(0o555)
    for name, problem in (("a", "it may not be read and written"), ("new", "its folder may not be written to")):
        with pytest.raises(InputError, match=problem):
            check_appendable(tmp_path / name)
    tmp_path.chmod(0o755)


def test_what_cannot_be_opened_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="it cannot be opened"), held(tmp_path / "none" / "a"):
        pass


def test_a_failure_in_the_middle_takes_back_what_was_appended(tmp_path: Path) -> None:
    def parts() -> Iterator[bytes]:
        yield b"new"
        raise OSError(28, "No space left on device")

    path = tmp_path / "a"
    for before in (b"", b"old\n"):
        if before:
            path.write_bytes(before)
        with pytest.raises(OutputError, match="No space left on device"), held(path) as handle:
            append(path, handle, parts())
        assert path.exists() == bool(before)
        assert not before or path.read_bytes() == before


def test_a_new_file_whose_name_is_not_on_the_disk_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path) -> None:
        raise OSError(28, "No space left on device")

    path = tmp_path / "a"
    monkeypatch.setattr(append_file, "_sync_folder", full)
    with pytest.raises(OutputError, match=r"No space left on device\).* Nothing was sealed"), held(path) as handle:
        append(path, handle, iter([b"new"]))
    assert not path.exists()
    path.write_bytes(b"old")
    with held(path) as handle:  # its name is there since long
        append(path, handle, iter([b"new"]))
    assert path.read_bytes() == b"oldnew"


def test_a_short_write_is_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(append_file.os, "write", lambda handle, data: write(handle, data[:3]))
    with held(tmp_path / "a") as handle:
        append(tmp_path / "a", handle, iter([b"0123456789", b"abc"]))
    assert (tmp_path / "a").read_bytes() == b"0123456789abc"


def test_a_file_that_another_process_removed_meanwhile_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, flock = tmp_path / "a", append_file.fcntl.flock
    looks: list[int] = []

    def remove_once(handle: int, how: int) -> None:
        if not looks:
            path.unlink()
        looks.append(handle)
        flock(handle, how)

    monkeypatch.setattr(append_file.fcntl, "flock", remove_once)
    with held(path) as handle:
        append(path, handle, iter([b"kept"]))
    assert path.read_bytes() == b"kept"
    assert len(looks) == 2
