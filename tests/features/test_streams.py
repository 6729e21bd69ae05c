"""What commands print, whatever reads it: closed early, full, not open, or not UTF-8."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from features import streams
from tests.support.paths import ROOT

COMMAND = (
    "import argparse, sys\n"
    "import cli\n"
    "from features.faults import refuse\n"
    "def work(call):\n"
    "    with cli.Progress() as progress:\n"
    "        for step in range(10):\n"
    "            progress('rows', step + 1, 10)\n"
    "    for row in range(3_000):\n"
    "        print(f'row {row}: ×3.2, P(≤ 5 $) – done… ß')\n"
    "    open(call.file, 'w').write('whole')\n"
    "    if call.file == 'fault': refuse('--file', 'fault', 'it is named “fault”', 'Give another.')\n"
    "def parse(argv):\n"
    "    parser = argparse.ArgumentParser('work', description='×' * 3000)\n"
    "    parser.add_argument('file'); parser.add_argument('--debug', action='store_true')\n"
    "    return parser.parse_args(argv)\n"
    "sys.exit(cli.main(parse, work))\n"
)
full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="no full device here")


def _shell(folder: Path, line: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run a line of bash in which `work` is the command."""
    (folder / "work.py").write_text(COMMAND, encoding="utf-8")
    variables = os.environ | {"PYTHONPATH": str(ROOT)} | environment
    script = f'set -o pipefail; work() {{ "{sys.executable}" work.py "$@"; }}; {line}'
    return subprocess.run(["bash", "-c", script], cwd=folder, env=variables, capture_output=True, timeout=120)


@pytest.mark.parametrize(
    "line",
    ["work out | head -1", "work out | true", "work out 2>&1 | head -1", "work out 2>&1 >/dev/null | true"],
)
def test_a_reader_that_leaves_stops_no_work(tmp_path: Path, line: str) -> None:
    done = _shell(tmp_path, line)
    assert done.returncode == 0
    assert b"Traceback" not in done.stderr
    assert b"Broken" not in done.stderr
    assert (tmp_path / "out").read_text() == "whole"


@pytest.mark.parametrize("line", ["work --help | head -1", "work --help 2>&1 | true", "work out >&- 2>&- <&-"])
def test_neither_help_nor_closed_streams_end_in_an_error(tmp_path: Path, line: str) -> None:
    done = _shell(tmp_path, line)
    assert done.returncode == 0
    assert done.stderr == b""


@pytest.mark.slow
def test_a_file_never_takes_the_place_of_a_closed_stream(tmp_path: Path) -> None:
    assert _shell(tmp_path, "work out >&- 2>err").returncode == 0
    assert (tmp_path / "out").read_text() == "whole"
    assert _shell(tmp_path, "work fault >out 2>&-").returncode == 2


@pytest.mark.slow
@full
def test_a_full_standard_output_is_one_line_and_a_status(tmp_path: Path) -> None:
    done = _shell(tmp_path, "work out > /dev/full")
    assert done.returncode == 1
    lines = done.stderr.decode().splitlines()
    assert lines[-1].startswith("standard output: it cannot be written: received No space left on device. ")
    assert all(line.startswith("rows: ") for line in lines[:-1])
    assert (tmp_path / "out").read_text() == "whole"
    assert _shell(tmp_path, "work out > /dev/null 2> /dev/full").returncode == 0
    assert _shell(tmp_path, "work fault > /dev/full 2> /dev/full").returncode == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("encoding", "row"),
    [
        ("ascii", b"row 0: x3.2, P(<= 5 $) - done... \\xdf"),
        ("latin-1", b"row 0: \xd73.2, P(<= 5 $) - done... \xdf"),
        ("utf-8", "row 0: ×3.2, P(≤ 5 $) – done… ß".encode()),
    ],
)
def test_another_encoding_ends_in_no_traceback(tmp_path: Path, encoding: str, row: bytes) -> None:
    done = _shell(tmp_path, "work fault", PYTHONIOENCODING=encoding)
    assert done.returncode == 2
    assert done.stdout.splitlines()[0] == row
    assert done.stderr.splitlines()[-1].startswith(b"--file: it is named ")
    assert _shell(tmp_path, "work --help", PYTHONIOENCODING=encoding).returncode == 0


def test_a_full_pipe_that_does_not_wait_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writer, bytes(4096))
    waited: list[bytes] = []
    monkeypatch.setattr("select.select", lambda *_: waited.append(os.read(reader, 2**20)))  # its reader comes
    with streams._Descriptor(writer, "wb") as raw:
        assert raw.write(b"scores") == 6
        assert raw.failure is None
    with open(reader, "rb") as pipe:
        assert pipe.read() == b"scores"
    assert len(waited) == 1


def test_a_name_that_is_no_text_is_printed(tmp_path: Path) -> None:
    done = _shell(tmp_path, "work $'\\xff/no' 2>&1 >/dev/null")
    assert done.returncode == 1
    assert b"\\udcff" in done.stdout
