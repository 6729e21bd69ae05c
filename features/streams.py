"""Standard output and standard error that any reader may leave: closed early, full, not open, or not UTF-8.

What is printed is there for its reader: where nobody reads it any more, the work goes on to its exit status.
Imports nothing that is slow.
"""

from __future__ import annotations

import codecs
import io
import os
import select
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

PLAIN = {"×": "x", "≤": "<=", "≥": ">=", "≈": "~", "–": "-", "—": "-", "−": "-", "…": "...", "→": "->", "’": "'"}


class _Descriptor(io.FileIO):
    """A file descriptor that drops what it cannot write, from the first failure on, and keeps the reason."""

    failure: OSError | None = None

    def write(self, data, /):  # type: ignore[no-untyped-def]  # the type of its base differs between Python's versions
        if self.failure is None:
            try:
                while (written := super().write(data)) is None:  # the pipe is full, and was opened not to wait
                    select.select([], [self], [])
                return written
            except OSError as error:
                self.failure = error
        return len(memoryview(data).cast("B"))


@contextmanager
def steady_output() -> Iterator[Callable[[], OSError | None]]:
    """Standard output and standard error never raise inside the context.

    Yields a function that returns why standard output could not be written in full; None where its reader just left.
    """
    _open_closed()
    before = sys.stdout, sys.stderr
    streams = [_steady(stream, number) for number, stream in enumerate(before, 1)]
    sys.stdout, sys.stderr = (text for text, _ in streams)

    def failure() -> OSError | None:
        text, raw = streams[0]
        text.flush()
        return None if isinstance(raw.failure, BrokenPipeError) else raw.failure

    try:
        yield failure
    finally:
        for text, _ in streams:
            text.flush()
        sys.stdout, sys.stderr = before


def _open_closed() -> None:
    """Open the null device for standard streams that are closed, or files that are opened later take their numbers."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(number, True)
    os.close(number)


def _steady(stream: IO[str] | None, number: int) -> tuple[io.TextIOWrapper, _Descriptor]:
    codecs.register_error("plain", _plainly)
    lines = number == 2
    if isinstance(stream, io.TextIOWrapper):
        stream.flush()
        lines = lines or stream.line_buffering
    raw = _Descriptor(number, "wb", closefd=False)
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding, "plain", line_buffering=lines), raw


def _plainly(error: UnicodeError) -> tuple[str, int]:
    """Instead of characters that an encoding lacks: plain ones that read alike, else an escape."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(PLAIN.get(c) or c.encode("ascii", "backslashreplace").decode() for c in lacking), error.end
