"""What can go wrong while an addition is written, worded for its user."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import duckdb

from features.engines.duckdb import explain
from features.faults import OutputError

Note = Callable[[Iterable[str]], None]
_CURES = {
    errno.ENOSPC: "Free some space and add again.",
    errno.EDQUOT: "Free some space and add again.",
    errno.EROFS: "Give a copy that can be written to.",
    errno.EACCES: "Give yourself the permission to write there, or give a copy.",
    errno.EPERM: "Give yourself the permission to write there, or give a copy.",
}


class CollisionError(Exception):
    """An addition met another application's writing, was undone, and would succeed if it began anew."""


@contextmanager
def writing(where: str) -> Iterator[None]:
    """Turn what keeps `where` from being written into an OutputError that says so and that nothing was added."""
    try:
        yield
    except OSError as error:
        cure = _CURES.get(error.errno or 0, "Add again once it can be written.")
        raise not_written(where, error.strerror or str(error), cure) from error
    except duckdb.Error as error:
        cure = "See that the file may be written, that its disk has room, and that nothing else has it open; add again."
        raise not_written(where, explain(error), cure) from error


def not_written(where: str, reason: str, cure: str) -> OutputError:
    """That `where` cannot be written, to be raised."""
    return OutputError(f"{where}: it cannot be written: {reason}. Nothing was added. {cure}")
