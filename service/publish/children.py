"""Child processes for work that may crash natively (LightGBM and DuckDB are C++): a crash is a reason to refuse the
result, not the end of the parent.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from features.faults import InputError
from features.secrets import mask
from service import logs
from service.publish import lifeline
from service.publish.lifeline import REGULAR

END_SECONDS = 10.0
_PATH = re.compile(r"""(?<!\S)([(\['"]*)(?!models:/)[^\s/]*/\S*?([)\]'".,:;]*)(?=\s|$)""")
ERRORS = "errors"  # of a child's temporary files, the one with what libraries print
log = logging.getLogger("creator_yield")
Reply = Callable[[dict[str, Any]], None]


class TrialError(Exception):
    """A model or data that cannot be served. kind: the name of the error; `str()` is the whole message.

    at_fault: whether the call or its input is at fault.
    """

    def __init__(self, kind: str, text: str, at_fault: bool = False) -> None:
        super().__init__(text)
        self.kind, self.at_fault = kind, at_fault

    def shown(self) -> str:
        """On one line, without paths of the machine; an error that is no fault of the input with its kind."""
        text = without_paths(mask(" ".join(str(self).split())))
        return (text if self.at_fault else f"{self.kind}: {text}")[:600]


def without_paths(text: str) -> str:
    """A text with … for paths of the machine; models:/… stays."""
    return _PATH.sub(r"\1…\2", text)


class Child:
    """A process that works for this one and ends with it. Its temporary files lie in `state` and go when it ends."""

    running: ClassVar[set[Child]] = set()

    def __init__(self, module: str, purpose: str, state: Path, *arguments: str) -> None:
        """Start it. purpose: what it did, where it dies of it. Raises OSError where that is not possible now."""
        self.purpose = purpose
        self.scratch = Path(tempfile.mkdtemp(prefix="scratch-", dir=state))
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-m", module, str(state), *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=os.environ | {"TMPDIR": str(self.scratch)},
                start_new_session=True,
            )
        except OSError:
            shutil.rmtree(self.scratch, ignore_errors=True)
            raise
        self.running.add(self)

    def reply(self) -> dict[str, Any]:
        """Its reply, once it comes. Raises TrialError, also where it dies first."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line.endswith(b"\n"):
            raise TrialError("Crash", self.ended(self.process.wait()))
        found: dict[str, Any] = json.loads(line)
        if "refused" in found:
            raise TrialError(found["refused"], found["text"], found["at_fault"])
        return found

    def status(self) -> int | None:
        """Its status once it has ended; minus the number of a signal."""
        return self.process.poll()

    def ended(self, status: int) -> str:
        """How it ended, in words."""
        how = f"was ended by {_signal(-status)}" if status < 0 else f"ended with status {status}"
        return f"the process that {self.purpose} {how}{self._last_words()}"

    def _last_words(self) -> str:
        try:
            lines = (self.scratch / ERRORS).read_text(encoding="utf-8", errors="replace").split("\n")
        except OSError:
            return ""
        printed = [text for one in lines if (text := "".join(c for c in one if c.isprintable()).strip())]
        return f": {printed[-1][:200]}" if printed else ""

    def end(self) -> None:
        """End it, and remove what it left."""
        close(self.process, END_SECONDS)
        shutil.rmtree(self.scratch, ignore_errors=True)
        self.running.discard(self)


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def close(process: subprocess.Popen[bytes], within: float) -> None:
    """End a process that holds its standard input as a lifeline; it is killed where it does not end in time."""
    assert process.stdin is not None
    try:
        process.stdin.write(REGULAR)
        process.stdin.close()
    except (OSError, ValueError):
        pass  # it has ended, or is about to, already
    try:
        process.wait(within)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _with_remedy(text: str) -> str:
    """The text of an error; of a full disk with what to do, for all that a child writes is in the temporary folder."""
    if not any(os.strerror(code) in text for code in (errno.ENOSPC, errno.EDQUOT)):
        return text
    return f"{text}. The temporary folder's disk is full: make room there, or set TMPDIR to a folder on another"


def run(work: Callable[[Reply], None]) -> None:
    """The child's side: do the work, which replies once; what it raises is the reply too."""
    line, logs.WRITER.target = os.fdopen(os.dup(1), "wb", buffering=0), os.dup(2)
    # what a library prints is neither a reply nor a line of the log, but shows why it crashed
    with open(os.path.join(os.environ["TMPDIR"], ERRORS), "wb") as errors:
        os.dup2(errors.fileno(), 1)
        os.dup2(errors.fileno(), 2)
    logs.set_up()
    lifeline.hold(lambda regular: None)

    def reply(found: dict[str, Any]) -> None:
        line.write(json.dumps(found).encode() + b"\n")

    status = 0
    try:
        work(reply)
    except Exception as error:  # the reason goes to the parent
        at_fault = isinstance(error, InputError)
        if not at_fault:
            log.warning("what was tried failed", exc_info=error)
        text = str(error) if at_fault else _with_remedy(" ".join(str(error).split()))
        reply({"refused": type(error).__name__, "text": text, "at_fault": at_fault})
        status = 1
    logs.WRITER.flush()
    os._exit(status)  # all is written; libraries complain when they are taken down beside a thread that waits
