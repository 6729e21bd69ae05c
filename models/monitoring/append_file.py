"""Appending to a file: one writer at a time, whole or not at all, on the disk when it is done."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from features.faults import Fault, OutputError, fail

ANOTHER = "Give another file with --ledger FILE."


def check_appendable(path: Path) -> None:
    """Raise InputError where nothing can be appended to `path`; nothing is written."""
    folder, problem, remedy = path.absolute().parent, None, ANOTHER
    if path.is_dir():
        problem = "it is a folder"
    elif path.exists() and not path.is_file():
        problem = "it is a device or a pipe, not a file"
    elif not folder.is_dir():
        problem, remedy = "its folder is not there", f"Make the folder first: {folder}"
    elif path.exists() and not os.access(path, os.R_OK | os.W_OK):
        problem = "it may not be read and written"
    elif not path.exists() and not os.access(folder, os.W_OK | os.X_OK):
        problem = "its folder may not be written to"
    if problem:
        raise fail("--ledger", problem, remedy, str(path))


@contextmanager
def held(path: Path) -> Iterator[int]:
    """The file, made where there is none, open for reading and appending, and locked against all other processes.

    A file that was made and is still empty at the end is removed. Raises InputError for one that cannot be opened or
    locked, OutputError where the disk does not take its name.
    """
    made = not path.exists()
    handle = _locked(path)
    try:
        yield handle
        if made:
            try:
                _sync_folder(path)
            except OSError as error:
                os.ftruncate(handle, 0)
                raise _unwritten(path, error) from error
    finally:
        if made and not os.fstat(handle).st_size:
            path.unlink(missing_ok=True)
        os.close(handle)


def _locked(path: Path) -> int:
    while True:
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise fail("--ledger", f"it cannot be opened ({error.strerror})", ANOTHER, str(path)) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(handle), path.stat()):
                    return handle
        except OSError as error:
            os.close(handle)
            problem = f"its disk has no locks ({error.strerror}), without which two writers would mix their lines"
            raise fail("--ledger", problem, "Give a file on another disk.", str(path)) from error
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)  # another process failed, and removed the file that it had made


def append(path: Path, handle: int, parts: Iterator[bytes]) -> None:
    """Append all parts, and wait for the disk. Raises OutputError where it cannot be done.

    What was appended is taken back then. A process that is killed cannot do that: its part stays, torn anywhere.
    """
    before = os.fstat(handle).st_size
    try:
        for part in parts:
            view = memoryview(part)
            while view:
                view = view[os.write(handle, view) :]
        os.fsync(handle)
    except BaseException as error:
        with suppress(OSError):  # a file that may only be appended to keeps it, as it keeps a torn line
            os.ftruncate(handle, before)
        if not isinstance(error, OSError):
            raise
        raise _unwritten(path, error) from error


def _unwritten(path: Path, error: OSError) -> OutputError:
    remedy = "Nothing was sealed, and no scores were written. Free some space, or choose another file."
    problem = f"it cannot be written ({error.strerror or error})"
    return OutputError(str(Fault("--ledger", received=str(path), problem=problem, remedy=remedy)))


def _sync_folder(path: Path) -> None:
    folder = os.open(path.absolute().parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
