"""Work in processes that may crash: what ends one is a reason, and each ends with its parent."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from service.publish.children import Child, TrialError
from tests.support.paths import ROOT


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
            "OSError: [Errno 28] No space left on device: '…'. The temporary folder's disk is full: make room "
            "there, or set TMPDIR to a folder on another",
        ),
        ("raise RuntimeError('over\\ntwo lines')", "RuntimeError: over two lines"),
        ("sys.exit(3)", "Crash: the process that loaded the model ended with status 3"),
    ],
)
def test_what_ends_a_child_is_a_reason(code: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "")
    started = child(tmp_path, code)
    with pytest.raises(TrialError) as raised:
        started.reply()
    assert raised.value.shown() == reason
    assert len(str(raised.value).splitlines()) == 1
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
