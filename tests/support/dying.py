"""Lets an addition die at each of its steps in turn, as by SIGKILL, and at any moment.

`python -m tests.support.dying CHANGES FOLDER [KILLS]`: CHANGES is a pickled `Changes`, or the word `finish` for
what finishes an interrupted addition. FOLDER holds `data`, which is a folder of DATA or holds `history.db`. For each
N, FOLDER/N becomes a copy of it in which the addition died before its Nth step; in the last copy it came to its end.
KILLS: how many more copies there are to be, FOLDER/killed-N, in which it was killed somewhere between its start and its
end.
"""

from __future__ import annotations

import itertools
import os
import pickle
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from features.history.append import journal, steps
from features.history.append.duckdb_file import DuckDBFile
from features.history.append.folder import Folder
from features.history.append.merge import Changes

STEPS = ("make_folder", "write", "write_parquet", "sync", "move", "remove", "remove_folder", "execute", "stage")
NOW = datetime(2025, 9, 1)


def before_step(number: int, act: Callable[[], None]) -> None:
    """Let `act` happen before the step of this number, from 0, instead of the step and of all that follow if it ends
    the process, or raises."""
    counted = itertools.count()

    def counting(step: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any) -> Any:
            if next(counted) == number:
                act()
            return step(*arguments)

        return run

    for name in STEPS:
        setattr(steps, name, counting(getattr(steps, name)))


def store(copy: Path) -> DuckDBFile | Folder:
    """The store that a copy is, or holds."""
    if any(copy.glob("collaborations*")):
        return Folder(str(copy), lambda said: None)
    return DuckDBFile(str(copy / "history.db"), lambda said: None)


def add(copy: Path, changes: Changes) -> None:
    """Add `changes` to a copy."""
    one = store(copy)
    with one.locked():
        one.commit(changes, "new", NOW)


def die_in_turn(folder: Path, run: Callable[[Path], None]) -> None:
    """Make the copies, each by a process of its own."""
    for number in itertools.count():
        copy = folder / str(number)
        shutil.copytree(folder / "data", copy)
        child = os.fork()
        if child == 0:
            before_step(number, lambda: os._exit(9))
            run(copy)
            os._exit(0)
        if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 9:
            return


def kill_at_random(folder: Path, run: Callable[[Path], None], kills: int) -> None:
    """Make copies in which it was killed, by how long it takes when it is not."""
    chances, seconds = random.Random(kills), 0.0
    for number in range(-1, kills):
        copy = folder / (f"killed-{number}" if number >= 0 else "whole")
        shutil.copytree(folder / "data", copy)
        began = time.monotonic()
        if (child := os.fork()) == 0:
            run(copy)
            os._exit(0)
        if number >= 0:
            time.sleep(chances.random() * seconds)
            os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        seconds = seconds or time.monotonic() - began


if __name__ == "__main__":
    pickled, work = map(Path, sys.argv[1:3])
    if pickled.name == "finish":
        die_in_turn(work, lambda copy: print(journal.finish(copy)))
    else:
        loaded = pickle.loads(pickled.read_bytes())
        kill_at_random(work, lambda copy: add(copy, loaded), int(sys.argv[3]))
        die_in_turn(work, lambda copy: add(copy, loaded))
