"""The file that scores go to: what cannot be written is refused, and what killed runs left is cleared, never more."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from features.faults import InputError, OutputError, fail
from features.history.freshness import Stamp
from models.batch import aside as aside_module
from models.batch import output_file
from models.batch.aside import aside
from models.batch.output_file import behind, check_columns, check_not_read, check_output, replace
from tests.support.paths import ROOT

HOLD = (
    "import sys, time; from pathlib import Path; from models.batch.aside import aside\n"
    "with aside(Path(sys.argv[1])) as folder: (folder / 'half').touch(); print(folder, flush=True); time.sleep(600)"
)


def _refused(output: Path, candidates: Path) -> str:
    with pytest.raises(InputError) as raised:
        check_output(output, candidates)
    return str(raised.value)


def test_the_candidates_are_never_the_output(tmp_path: Path) -> None:
    candidates = tmp_path / "candidates.csv"
    candidates.write_text("a")
    (tmp_path / "symbolic.csv").symlink_to(candidates)
    (tmp_path / "hard.csv").hardlink_to(candidates)
    (tmp_path / "folder").symlink_to(tmp_path)
    for name in ("candidates.csv", "symbolic.csv", "hard.csv", "folder/candidates.csv"):
        output = tmp_path / name
        assert "--output: it is the file of candidates, which would be lost: received" in _refused(output, candidates)
        assert "it is the file of candidates" in _refused(candidates, output)
    (tmp_path / "other.csv").write_text("a")
    (tmp_path / "dangling.csv").symlink_to(tmp_path / "nowhere.csv")
    for name in ("other.csv", "new.csv", "dangling.csv"):
        check_output(tmp_path / name, candidates)
    assert candidates.read_text() == "a"


def test_a_folder_that_cannot_be_written_to_is_reported(tmp_path: Path) -> None:
    raised = _refused(Path("/proc/scores.csv"), tmp_path / "candidates.csv")
    assert "its folder cannot be written to (" in raised


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    candidates = tmp_path / "candidates.csv"
    (tmp_path / "x.csv").mkdir()
    (tmp_path / "folder.csv").symlink_to(tmp_path / "x.csv")
    (tmp_path / "loop.csv").symlink_to(tmp_path / "loop.csv")
    (tmp_path / "lost.csv").symlink_to(tmp_path / "nowhere" / "scores.csv")
    (tmp_path / "device.csv").symlink_to("/dev/null")
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe.csv")
    for name, problem in {
        "x.csv": "it is a folder", "folder.csv": "it is a folder", "loop.csv": "it cannot be written to (",
        "lost.csv": "its folder is not there", "device.csv": "it is a device", "pipe.csv": "it is a device",
        "file/scores.csv": "its folder is a file", "n" * 300 + ".csv": "it cannot be written to (File name too long)",
    }.items():  # fmt: skip
        assert f"--output: {problem}" in _refused(tmp_path / name, candidates)
    for name in ("/dev/stdout", "/dev/full"):
        assert "--output: its ending is unknown" in _refused(Path(name), candidates)


def test_a_write_protected_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "scores.csv").touch()
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # the superuser may write all
    assert "it is write-protected" in _refused(tmp_path / "scores.csv", tmp_path / "candidates.csv")


def test_a_part_of_the_input_is_no_output(tmp_path: Path) -> None:
    (tmp_path / "data" / "posts").mkdir(parents=True)
    (tmp_path / "data" / "creators.csv").touch()
    (tmp_path / "link.csv").symlink_to(tmp_path / "data" / "creators.csv")
    stamp = Stamp.of_data(tmp_path / "data")
    for name in ("data/creators.csv", "link.csv", "data/posts/scores.parquet", "data/comments.csv"):
        with pytest.raises(InputError, match="it is a file that is read as input"):
            check_not_read(tmp_path / name, stamp)
    for name in ("data/scores.csv", "data/posts2.csv", "creators.csv"):
        check_not_read(tmp_path / name, stamp)


def test_a_link_to_the_other_kind_of_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "scores.csv").symlink_to("old.parquet")
    (tmp_path / "scores.parquet").symlink_to("scores.csv2")
    assert "--output: it is a link to a .parquet file, " in _refused(
        tmp_path / "scores.csv", tmp_path / "candidates.csv"
    )
    check_output(tmp_path / "scores.parquet", tmp_path / "candidates.csv")


def test_a_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (folder := tmp_path / os.fsdecode(b"caf\xe9")).mkdir()
    for output in (folder / "scores.csv", tmp_path / os.fsdecode(b"\xff.parquet")):
        assert "--output: its name or folder's is no text in UTF-8" in _refused(output, tmp_path / "candidates.csv")


def _put(output: Path, text: str) -> None:
    with aside(behind(output)) as folder:
        (folder / "made").write_text(text)
        replace(folder / "made", behind(output))


def test_permissions_are_kept_and_new_ones_are_those_of_any_new_file(tmp_path: Path) -> None:
    output, before = tmp_path / "scores.csv", os.umask(0o027)
    try:
        _put(output, "new")
        assert stat.S_IMODE(output.stat().st_mode) == 0o640
        for mode in (0o600, 0o664, 0o444):
            output.chmod(mode)
            _put(output, f"{mode}")
            assert (stat.S_IMODE(output.stat().st_mode), output.read_text()) == (mode, f"{mode}")
    finally:
        os.umask(before)


@pytest.mark.skipif(os.geteuid() != 0, reason="only the superuser may give a file away")
def test_the_owner_is_kept(tmp_path: Path) -> None:
    _put(tmp_path / "scores.csv", "theirs")
    os.chown(tmp_path / "scores.csv", 1234, 2345)
    _put(tmp_path / "scores.csv", "ours")
    found = (tmp_path / "scores.csv").stat()
    assert (found.st_uid, found.st_gid) == (1234, 2345)


def test_a_link_stays_and_what_it_names_is_written(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "old.csv").write_text("old")
    for name in ("old.csv", "new.csv"):
        link = tmp_path / name
        link.symlink_to(Path("there") / name)
        check_output(link, tmp_path / "candidates.csv")
        _put(link, "scores")
        assert link.is_symlink()
        assert (tmp_path / "there" / name).read_text() == "scores"
    assert _left(tmp_path) == ["new.csv", "old.csv", "there"]
    assert _left(tmp_path / "there") == ["new.csv", "old.csv"]


def test_the_longest_name_that_a_disk_takes_is_written(tmp_path: Path) -> None:
    output = tmp_path / ("é" * 125 + ".csv")
    check_output(output, tmp_path / "candidates.csv")
    _put(output, "scores")
    assert _left(tmp_path) == [output.name]


def test_a_full_disk_is_one_fault_and_the_old_file_stays(tmp_path: Path) -> None:
    output = tmp_path / "scores.csv"
    output.write_text("old")
    for error in (
        OSError(28, "No space left on device"),
        OSError("Error writing bytes to file. Detail: [errno 28] No space left on device"),
        RuntimeError('IO Error: Could not write file "x": No space left on device'),
    ):
        with pytest.raises(OutputError) as found, aside(output):
            raise error
        assert str(found.value).startswith("--output: it cannot be written (No space left on device): received ")
        assert _left(tmp_path) == ["scores.csv"]
        assert output.read_text() == "old"


def test_a_place_that_is_no_more_ends_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder := tmp_path / "gone").mkdir()
    output = folder / "scores.csv"
    check_output(output, tmp_path / "candidates.csv")
    folder.rmdir()
    tries = iter(["0" * 8])  # it does not try for ever
    monkeypatch.setattr(aside_module.secrets, "token_hex", lambda _: next(tries))
    with pytest.raises(OutputError, match=r"^--output: it cannot be written \(No such file or directory\)"):
        _put(output, "scores")
    monkeypatch.undo()
    (output := tmp_path / "scores.csv").mkdir()
    with pytest.raises(OutputError, match=r"^--output: it cannot be written \(Is a directory\)"):
        _put(output, "scores")
    assert _left(tmp_path) == ["scores.csv"]


def test_a_mounted_file_is_refused_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (output := tmp_path / "my scores.csv").touch()
    (mounts := tmp_path / "mounts").write_text(f"31 24 8:2 /x {tmp_path}/my\\040scores.csv rw - ext4 /dev/x rw\n")
    check_output(output, tmp_path / "candidates.csv")
    monkeypatch.setattr(output_file, "MOUNTS", mounts)
    assert "--output: it is mounted by itself" in _refused(output, tmp_path / "candidates.csv")
    check_output(tmp_path / "other.csv", tmp_path / "candidates.csv")
    monkeypatch.setattr(output_file, "MOUNTS", tmp_path / "nowhere")
    check_output(output, tmp_path / "candidates.csv")


def test_another_user_s_file_in_a_sticky_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (output := tmp_path / "scores.csv").touch()
    monkeypatch.setattr(os, "geteuid", lambda: output.stat().st_uid + 1)
    check_output(output, tmp_path / "candidates.csv")
    tmp_path.chmod(0o1777)
    assert "--output: it is another user's" in _refused(output, tmp_path / "candidates.csv")
    check_output(tmp_path / "new.csv", tmp_path / "candidates.csv")
    monkeypatch.undo()
    check_output(output, tmp_path / "candidates.csv")


def test_columns_that_a_file_cannot_hold_are_told_all_at_once() -> None:
    schema = pa.schema([
        ("fine", pa.string()), ("when", pa.timestamp("us")), ("price", pa.decimal128(9, 2)),
        ("tags", pa.list_(pa.string())), ("who", pa.struct([("a", pa.int8())])),
        ("photo", pa.binary()), ("gap", pa.month_day_nano_interval()),
        ("rank", pa.int64()),
    ])  # fmt: skip
    with pytest.raises(InputError) as raised:
        check_columns(schema, Path("scores.csv"), ("rank",))
    assert str(raised.value).splitlines() == [
        "candidates.tags: CSV cannot hold list<item: string>. Let --output end in .parquet, or leave the column out.",
        "candidates.who: CSV cannot hold struct<a: int8>. Let --output end in .parquet, or leave the column out.",
        "candidates.photo: CSV cannot hold binary. Let --output end in .parquet, or leave the column out.",
        "candidates.gap: neither Parquet nor CSV can hold month_day_nano_interval. "
        "Leave the column out, or make it text.",
        "candidates.rank: it is the name of a score. Rename the column, or leave it out.",
    ]
    check_columns(schema.remove(7).remove(6), Path("scores.parquet"), ("rank",))


def _left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_killed_run_s_folder_goes_and_a_living_one_s_stays(tmp_path: Path) -> None:
    output = tmp_path / "scores.csv"
    run = subprocess.Popen([sys.executable, "-c", HOLD, str(output)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert run.stdout
        theirs = Path(run.stdout.readline().strip())
        with aside(output) as ours:
            assert ours != theirs
            assert (theirs / "half").exists()
            assert _left(tmp_path) == sorted([ours.name, theirs.name])
    finally:
        run.kill()
        run.communicate()
    assert _left(tmp_path) == [theirs.name]
    said: list[str] = []
    with aside(tmp_path / "other.csv", note=said.extend):
        assert theirs.is_dir()
    assert said == []
    with aside(output, note=said.extend) as ours:
        assert _left(tmp_path) == [ours.name]
    assert said == ["what a run that was killed had written aside for scores.csv was removed"]
    assert _left(tmp_path) == []


def test_only_what_a_run_left_is_cleared(tmp_path: Path) -> None:
    output = tmp_path / "scores.csv"
    with aside(output) as ours:
        left = ours.name[:-8] + "01234567"
    names = [".scores.csv-notes", f"{left}0", left.replace("scores", "more"), "scores.csv-0123"]
    for name in [*names, left]:
        (tmp_path / name).mkdir()
    (tmp_path / "precious").mkdir()
    (tmp_path / f"{left[:-1]}8").symlink_to(tmp_path / "precious")
    (tmp_path / f"{left[:-1]}9").write_text("a file")
    with aside(output):
        assert not (tmp_path / left).exists()
    assert _left(tmp_path) == sorted([*names, f"{left[:-1]}8", f"{left[:-1]}9", "precious"])


def test_runs_at_once_never_clear_each_other(tmp_path: Path) -> None:
    """Many runs begin, hold and end at once; each finds its own folder and its file to the end."""
    code = (
        "import sys; from pathlib import Path; from models.batch.aside import aside\n"
        "for i in range(60):\n"
        "    with aside(Path(sys.argv[1])) as folder:\n"
        "        (folder / 'mine').write_text(str(i))\n"
        "        assert (folder / 'mine').read_text() == str(i)\n"
    )
    runs = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "s.csv")], cwd=ROOT) for _ in range(3)]
    assert [run.wait(120) for run in runs] == [0, 0, 0]
    assert _left(tmp_path) == []


def test_a_full_disk_that_shows_as_a_fault_of_another_file_is_one(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="No space left on device"), aside(tmp_path / "scores.csv"):
        raise fail("--ledger", "it cannot be opened (No space left on device)", "Give another file.")
    with pytest.raises(InputError, match="it is locked"), aside(tmp_path / "scores.csv"):
        raise fail("--ledger", "it is locked", "Give another file.")
    assert list(tmp_path.iterdir()) == []
