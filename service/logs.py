"""Structured logs on standard error: one JSON object a line, never a key, a body or a path of the machine.

Lines are written by a thread of its own: a reader that stalls, or a full disk, costs lines, which are counted, and
nothing waits for it.
"""

from __future__ import annotations

import atexit
import logging
import os
import select
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from functools import lru_cache

import msgspec

from features.secrets import mask, mask_output

MOST_LINES = 10_000  # that wait to be written
PAUSE = 0.01  # seconds in which lines gather, so that the writer takes Python from the others now and then only
WHOLE = getattr(select, "PIPE_BUF", 512)  # bytes that a pipe takes as a whole, where several processes write
_encode = msgspec.json.Encoder().encode


class Writer:
    """Lines for a file descriptor. dropped: is called for each line that finds no room."""

    def __init__(self, target: int = 2) -> None:
        self.target = target
        self.dropped: Callable[[], None] = lambda: None
        self._lines: deque[bytes] = deque()
        self._lost = 0
        self._filled = threading.Event()
        self._writing = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to write; what was put before is written too."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._write, name="log", daemon=True)
            self._thread.start()

    def put(self, line: bytes) -> None:
        """Have a line written soon, without waiting."""
        if len(self._lines) >= MOST_LINES:
            self._lose(1)
        else:
            self._lines.append(line)
            if not self._filled.is_set():  # it is cleared before lines are taken, so this one is seen either way
                self._filled.set()

    def flush(self, seconds: float = 1.0) -> bool:
        """Wait until all is written, so long at most; whether it is."""
        until = time.monotonic() + seconds
        while self._lines or self._writing:
            if time.monotonic() > until:
                return False
            time.sleep(0.005)
        return True

    def _lose(self, lines: int) -> None:
        self._lost += lines
        for _ in range(lines):
            self.dropped()

    def _write(self) -> None:
        while True:
            self._filled.wait()
            self._filled.clear()
            self._writing = True
            while self._lines:
                self._out(self._batch())
            if self._lost:
                lost, self._lost = self._lost, 0
                facts = {"level": "warning", "message": "log lines dropped", "count": lost}
                self._out(_encode({"time": _stamp(time.time())} | facts) + b"\n")
            self._writing = False
            time.sleep(PAUSE)

    def _batch(self) -> bytes:
        """Lines that a pipe takes as a whole, or one that is longer."""
        parts = [self._lines.popleft()]
        size = len(parts[0])
        while self._lines and size + len(self._lines[0]) <= WHOLE:
            parts.append(self._lines.popleft())
            size += len(parts[-1])
        return b"".join(parts)

    def _out(self, batch: bytes) -> None:
        try:
            while batch:
                batch = batch[os.write(self.target, batch) :]
        except OSError:  # the reader left, or the disk is full: later lines may succeed
            self._lose(batch.count(b"\n"))


WRITER = Writer()


class _Lines(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        facts = {"time": _stamp(record.created), "level": record.levelname.lower(), "message": record.getMessage()}
        facts |= getattr(record, "facts", {})
        if record.exc_info and record.exc_info[1] is not None:
            facts["error"] = type(record.exc_info[1]).__name__
            frames = traceback.extract_tb(record.exc_info[2])
            facts["where"] = " < ".join(f"{os.path.basename(f.filename)}:{f.lineno}" for f in reversed(frames))
        WRITER.put(mask(_encode(facts).decode()).encode() + b"\n")


def set_up(dropped: Callable[[], None] = lambda: None) -> None:
    """Let this process's logs go to standard error as JSON lines, and mask secrets in all that it writes there.

    dropped: is called for each line that finds no room.
    """
    mask_output()
    logger = logging.getLogger("creator_yield")
    logger.handlers, logger.propagate = [_Lines()], False
    logger.setLevel(logging.INFO)
    WRITER.dropped = dropped
    WRITER.start()
    atexit.register(WRITER.flush)


def request(request_id: str, method: str, route: str, status: int, seconds: float, key: str | None) -> None:
    """One line for a request that was answered."""
    facts = {
        "time": _stamp(time.time()), "level": "info", "message": "request", "request_id": request_id,
        "method": method, "route": route, "status": status, "ms": round(seconds * 1000, 3), "key": key,
    }  # fmt: skip
    WRITER.put(_encode(facts) + b"\n")


def _stamp(seconds: float) -> str:
    return f"{_second(int(seconds))}.{int(seconds % 1 * 1000):03d}Z"


@lru_cache(4)  # many lines fall in the same second
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
