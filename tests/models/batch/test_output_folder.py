"""A folder of scores: what is wrong with it shows beforehand, and it appears whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from features.faults import InputError, OutputError
from models.batch import output_file
from models.batch.output_folder import check_output_folder, replace_folder


def refused(path: Path) -> str:
    with pytest.raises(InputError) as found:
        check_output_folder(path)
    assert len(found.value.faults) == 1
    return str(found.value)


def test_what_cannot_become_a_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()
    assert "--output: it ends in /, as a folder of parts, but has the ending of a file" in refused(tmp_path / "a.csv")
    assert "--output: it is a folder that is not empty" in refused(tmp_path / "full")
    assert "--output: it is no folder" in refused(tmp_path / "file")
    assert "--output: its folder is not there" in refused(tmp_path / "no" / "x")
    assert "--output: its folder is a file" in refused(tmp_path / "file" / "x")
    check_output_folder(tmp_path / "new")
    check_output_folder(tmp_path / "empty")
    (tmp_path / "link").symlink_to("empty")
    check_output_folder(tmp_path / "link")
    (mounts := tmp_path / "mounts").write_text(f"36 35 98:0 / {tmp_path / 'empty'} rw\n")
    monkeypatch.setattr(output_file, "MOUNTS", mounts)
    assert "--output: it is mounted by itself" in refused(tmp_path / "empty")


def made(folder: Path) -> Path:
    folder.mkdir(mode=0o700)
    (folder / "part-00000.parquet").write_text("new")
    return folder


def test_it_appears_by_a_rename_and_takes_the_place_of_an_empty_one(tmp_path: Path) -> None:
    os.umask(mask := os.umask(0o022))
    (tmp_path / "empty").mkdir()
    for name in ("new", "empty"):
        replace_folder(made(tmp_path / "made"), tmp_path / name)
        assert [path.name for path in (tmp_path / name).iterdir()] == ["part-00000.parquet"]
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o777 & ~mask
        assert (tmp_path / name / "part-00000.parquet").stat().st_mode & 0o777 == 0o666 & ~mask
        assert not (tmp_path / "made").exists()


def test_what_has_come_there_meanwhile_stays(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "theirs").touch()
    with pytest.raises(OutputError, match=r"^--output: it cannot be written \(Directory not empty\)"):
        replace_folder(made(tmp_path / "made"), tmp_path / "full")
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["theirs"]
