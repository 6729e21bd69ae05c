"""A folder beside an output, in which it is made, so that the last step is a rename.

A run holds a lock on its folder, which ends with the process: a folder whose lock can be had was left by a killed run.
Imports nothing that is slow.
"""

from __future__ import annotations

import fcntl
import os
import platform
import re
import secrets
import shutil
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from features.faults import InputError, OutputError
from models.batch.output_file import FULL, LONGEST_NAME, unwritten

Owned = tuple[Path, int]  # a folder, and the descriptor that holds its lock


@contextmanager
def aside(
    output: Path,
    option: str = "--output",
    note: Callable[[Iterable[str]], None] = lambda notes: None,
    takes_over: Callable[[Path], bool] | None = None,
) -> Iterator[Path]:
    """A folder beside the output; gone at the end, whatever happens.

    Raises OutputError where the disk is full, a limit on files is reached, or the output's folder is no more: the
    output is as it was.
    Folders that killed runs for the same output have left on this machine are removed first. note: takes how many
    these were.
    takes_over: says of a folder that was left whether to go on in it instead; where it raises, the folder stays. With
    it the folder also stays at an end that is none, unless the input was at fault, so that the next run can go on.
    """
    taken, cleared = _left_behind(output, takes_over)
    if cleared:
        runs = "a run that was" if cleared == 1 else f"{cleared:,} runs that were"
        note([f"what {runs} killed had written aside for {output.name} was removed"])
    owned, kept = taken, False
    try:
        while not owned:
            folder = output.parent / f"{_prefix(output)}{secrets.token_hex(4)}"
            owned = _own(folder, output, option)
        yield owned[0][0]
    except OutputError:
        kept = True
        raise
    except BaseException as error:
        # libraries, and faults of files that are read, have the system's error in their text
        reason = next((text for text in FULL if text in str(error)), None) if isinstance(error, Exception) else None
        kept = bool(reason) or not isinstance(error, InputError)
        if reason:
            raise unwritten(output, reason, "Free some space, or choose another folder.", option) from error
        raise
    finally:
        for folder, lock in owned:
            if not (kept and takes_over):
                shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)


def _prefix(output: Path) -> str:
    # locks of another machine that shares the disk may not show here, so its folders bear another name
    name = os.fsencode(output.name)
    short = output.name if len(name) <= LONGEST_NAME else f"{zlib.crc32(name):08x}"
    return f".{short}-{zlib.crc32(platform.node().encode()):08x}-"


def _own(folder: Path, output: Path, option: str) -> list[Owned]:
    """Make and lock a folder; empty if another run cleared it away between the two."""
    try:
        folder.mkdir(mode=0o700)
    except OSError as error:  # the output's own folder was removed or closed since it was checked
        raise unwritten(output, error.strerror or str(error), "Choose another folder.", option) from error
    try:
        lock = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:
        return []
    with suppress(OSError):  # a disk without locks: nobody can have one, so nobody clears
        fcntl.flock(lock, fcntl.LOCK_EX)
    if not folder.is_dir():
        os.close(lock)
        return []
    return [(folder, lock)]


def _left_behind(output: Path, takes_over: Callable[[Path], bool] | None) -> tuple[list[Owned], int]:
    """Of the folders that lie aside for an output and belong to no living process, one to go on in, if there is one;
    the others are removed, and how many that were. What cannot be removed stays.
    """
    taken: list[Owned] = []
    cleared = 0
    ours = re.compile(re.escape(_prefix(output)) + "[0-9a-f]{8}")
    with suppress(OSError):
        for folder in [path for path in output.parent.iterdir() if ours.fullmatch(path.name)]:
            with suppress(OSError):
                lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    if takes_over and not taken and folder.is_dir() and takes_over(folder):
                        taken, lock = [(folder, lock)], -1
                        continue
                    shutil.rmtree(folder, ignore_errors=True)
                    cleared += not folder.exists()
                finally:
                    if lock >= 0:
                        os.close(lock)
    return taken, cleared
