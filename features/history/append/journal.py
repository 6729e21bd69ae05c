"""All-or-nothing over several files of a folder.

New files are written aside, in `.adding/`; then a record of which goes where; then each takes its place; then the
record goes. The record decides: without it nothing has happened, with it everything has, and whoever opens the folder
next finishes the moves. Whoever adds holds a lock on the folder, which ends with the process.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from features.faults import fail
from features.history.append import steps

ASIDE = ".adding"
_RECORD = "commit.json"


def record(folder: Path) -> Path:
    """Where the record of a commit stands while its files take their places."""
    return folder / ASIDE / _RECORD


@contextmanager
def locked(folder: Path, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold the lock of `folder`; `waiting` is called if another process holds it."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


class Staged:
    """Files to come, all at once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.moves: dict[str, str] = {}
        self.committed = False
        steps.make_folder(folder / ASIDE)

    def aside(self, target: Path) -> Path:
        """Where to write what is to become `target`, a path below the folder."""
        name = f"{len(self.moves):03}{target.suffix}"
        self.moves[name] = str(target.relative_to(self.folder))
        return self.folder / ASIDE / name

    def commit(self) -> None:
        """Let them take their places: from the move of the record on, they do in any case."""
        draft = self.folder / ASIDE / f"draft of {_RECORD}"
        steps.write(draft, lambda path: _write_text(path, json.dumps(self.moves)))
        steps.sync(self.folder / ASIDE)
        steps.move(draft, record(self.folder))
        self.committed = True
        steps.sync(self.folder / ASIDE)
        _finish(self.folder, self.moves)

    def discard(self) -> None:
        """Forget them, as far as the disk lets us; the next addition does the rest."""
        with suppress(OSError):
            steps.remove_folder(self.folder / ASIDE)


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _finish(folder: Path, moves: dict[str, str]) -> None:
    targets = [folder / target for target in moves.values()]
    for name, target in zip(moves, targets, strict=True):
        if (path := folder / ASIDE / name).exists():
            if target.parent != folder:
                steps.make_folder(target.parent)
            steps.move(path, target)
    for parent in sorted({target.parent for target in targets} | {folder}):
        steps.sync(parent)
    steps.remove(record(folder))
    with suppress(OSError):  # nothing in it counts any more
        steps.remove_folder(folder / ASIDE)


def finish(folder: Path) -> list[str]:
    """Finish a commit that was interrupted, and say so. Waits for one that goes on. Raises InputError if it cannot."""
    if not os.path.exists(record(folder)):  # a folder that cannot be reached is a fault of its own
        return []
    try:
        with locked(folder):
            if not record(folder).exists():
                return []
            _finish(folder, json.loads(record(folder).read_text(encoding="utf-8")))
    except OSError as error:
        problem = "an addition was interrupted while its files took their places, and cannot be finished"
        remedy = "Free some space, or give yourself the permission to write there, and start again."
        raise fail(str(folder), problem, remedy, error.strerror or str(error)) from error
    return ["an addition that was interrupted has been finished: its files are in their places"]


def clear(folder: Path) -> list[str]:
    """Remove what an addition left that was interrupted before it counted, and say so. The caller holds the lock."""
    if not (folder / ASIDE).exists():
        return []
    steps.remove_folder(folder / ASIDE)
    return ["what an interrupted addition left has been removed; nothing of it counted"]
