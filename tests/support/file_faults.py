"""Lets one of the operations on files below a folder fail, or kills the process there: each is a numbered step.

Steps are what Python does to files (audit events), bytes that are written, synced or cut by the functions of `os`, and
commits of SQLite's; whoever watches more, such as requests, calls `Steps.step`.
"""

from __future__ import annotations

import errno
import os
import signal
import sqlite3
import sys
import time
from pathlib import Path
from typing import Any

from sqlalchemy.engine.default import DefaultDialect

# killed, as by SIGKILL or a power cut; one error; and the same error at all that follows, as of a disk that stays full
KILLED, ONCE, LASTING = KINDS = ("killed", "once", "lasting")
DEATH, NOT_MET = 9, 8  # statuses of a process: it died at its step, or never came to it
SECONDS = 1_200  # for a process to end, on a machine that is busy too
REQUEST, REMOVE = "request", "remove"
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
EVENTS = {"os.mkdir": "make", "os.rename": "rename", "os.remove": REMOVE, "os.rmdir": REMOVE}


class Steps:
    """Counts the steps of what is done while `counting`, and lets one of them fail: number `target`, as `kind` says.

    seen: the names of those that were begun. met: whether the target was among them.
    """

    def __init__(self, root: Path) -> None:
        self.root = f"{root}/"
        self.counting, self.met = False, False
        self.seen: list[str] = []
        self.target, self.kind = -1, KILLED
        self._written: str | None = None  # the file that is being written
        sys.addaudithook(self._audit)
        self._watch_handles()
        commit = DefaultDialect.do_commit

        def commits(dialect: DefaultDialect, connection: Any) -> None:
            if connection.in_transaction:
                self.step("commit", sqlite3.OperationalError("database or disk is full"))
                self._written = None
            commit(dialect, connection)

        DefaultDialect.do_commit = commits  # type: ignore[method-assign]

    def begin(self, target: int = -1, kind: str = KILLED) -> None:
        """Count from 0."""
        self.counting, self.met, self.seen, self._written = True, False, [], None
        self.target, self.kind = target, kind

    def step(self, name: str, error: Exception) -> None:
        """What a step begins with: the error that it may end with."""
        if self._fails(name):
            if self.kind == KILLED:
                self._die()
            raise error

    def _fails(self, name: str) -> bool:
        if not self.counting:
            return False
        self.seen.append(name)
        if len(self.seen) - 1 == self.target:
            self.met, self._full = True, name != REQUEST
            return True
        # there is always room to remove a file, and a network that is down says nothing of the disk
        removes = name.startswith(REMOVE)
        return self.met and self.kind == LASTING and self._full == (name != REQUEST) and not removes

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Sees every operation on files by Python: https://docs.python.org/3/library/audit_events.html."""
        if not self.counting or (event != "open" and event not in EVENTS):
            return
        path = arguments[1] if event == "os.rename" else arguments[0]
        path = os.path.abspath(path) if isinstance(path, str | os.PathLike) else ""
        if not path.startswith(self.root) or (event == "open" and not arguments[2] & WRITING):
            return
        what = EVENTS.get(event, "write")
        self.step(f"{what} {path.removeprefix(self.root)}", _full(path))
        # what is only appended to is not written anew
        self._written = path if what == "write" and not arguments[2] & os.O_APPEND else None

    def _watch_handles(self) -> None:
        """Let what is done by a file's number be a step; half of the bytes are written where writing them fails."""
        write, sync = os.write, os.fsync

        def writes(handle: int, data: Any) -> int:
            if self.counting and (path := self._below(handle)) and self._fails(f"bytes {path}"):
                write(handle, memoryview(data)[: len(data) // 2])
                if self.kind == KILLED:
                    self._die()
                raise _full(path)
            return write(handle, data)

        def syncs(handle: int) -> None:
            if self.counting and (path := self._below(handle)):
                self.step(f"sync {path}", _full(path))
                self._written = None
            sync(handle)

        os.write, os.fsync = writes, syncs  # type: ignore[assignment]

    def _below(self, handle: int) -> str:
        """The path of an open file as steps have it; empty for one that lies elsewhere."""
        path = os.readlink(f"/proc/self/fd/{handle}")
        return os.path.relpath(path, self.root) if f"{path}/".startswith(self.root) else ""

    def _die(self) -> None:
        """With the file half written that was being written, if any."""
        self.counting = False
        if self._written and os.path.isfile(self._written):
            os.truncate(self._written, os.path.getsize(self._written) // 2)
        os._exit(DEATH)


def _full(path: str) -> OSError:
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)


def ended(process: int) -> int:
    """Wait for a fork's end, killing one that hangs; its status."""
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        found, status = os.waitpid(process, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.kill(process, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
