"""The file that scores go to: what is wrong with it is told before any work, and it appears whole or not at all.

Imports nothing that is slow.
"""

from __future__ import annotations

import fcntl
import os
import platform
import re
import secrets
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from features.faults import Fault, InputError

if TYPE_CHECKING:
    import pyarrow as pa

ENDINGS = (".parquet", ".csv")


def check_output(path: Path, candidates: Path) -> None:
    """Raise InputError where `path` cannot become a file of scores, or is the candidates' own; nothing is written."""
    if path.suffix not in ENDINGS:
        problem, remedy = "its ending is unknown", "Let it end in .parquet or .csv."
    elif path.is_dir():
        problem, remedy = "it is a folder", "Give the name of a file."
    elif not path.parent.is_dir():
        problem, remedy = "its folder is not there", f"Make the folder first: {path.parent}"
    elif not _writable(path.parent):
        problem, remedy = "its folder cannot be written to", "Choose another folder, or change its permissions."
    elif path.exists() and candidates.exists() and path.samefile(candidates):
        problem, remedy = "it is the file of candidates, which would be lost", "Give another name."
    else:
        return
    raise InputError([Fault("--output", received=str(path), problem=problem, remedy=remedy)])


def _writable(folder: Path) -> bool:
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def check_columns(schema: pa.Schema, path: Path, made: tuple[str, ...]) -> None:
    """Raise InputError, a fault a column, where candidates' columns cannot be carried along into `path`.

    schema: of the candidates. made: names of the columns that scoring adds.
    """
    import pyarrow as pa

    faults = []
    for column in schema:
        if column.name in made:
            problem, remedy = "it is the name of a score", "Rename the column, or leave it out."
            faults.append(Fault("candidates", column.name, problem=problem, remedy=remedy))
        elif not _can_hold(".parquet", pa.schema([column])):
            problem, remedy = (
                f"neither Parquet nor CSV can hold {column.type}",
                "Leave the column out, or make it text.",
            )
            faults.append(Fault("candidates", column.name, problem=problem, remedy=remedy))
        elif not _can_hold(path.suffix, pa.schema([column])):
            problem, remedy = f"CSV cannot hold {column.type}", "Let --output end in .parquet, or leave the column out."
            faults.append(Fault("candidates", column.name, problem=problem, remedy=remedy))
    if faults:
        raise InputError(faults)


def _can_hold(ending: str, schema: pa.Schema) -> bool:
    """Whether a file of that ending can be written with these columns: tried on one missing value each."""
    import pyarrow as pa
    import pyarrow.csv as arrow_csv
    import pyarrow.parquet as pq

    row = pa.table(
        [pa.nulls(1, column.type) for column in schema], schema=pa.schema([(c.name, c.type) for c in schema])
    )
    if ending == ".csv" and any(pa.types.is_binary(c.type) or pa.types.is_large_binary(c.type) for c in schema):
        return False  # it would be written as it is, which need not be text
    try:
        pq.write_table(row, BytesIO()) if ending == ".parquet" else arrow_csv.write_csv(row, BytesIO())
    except pa.ArrowException:
        return False
    return True


@contextmanager
def aside(output: Path) -> Iterator[Path]:
    """A folder beside the output, so that the last step is a rename; gone at the end, whatever happens.

    Folders that killed runs for the same output have left on this machine are removed first. A run holds a lock on its
    folder, which ends with the process, so a folder whose lock can be had is nobody's.
    """
    _clear(output)
    owned: list[tuple[Path, int]] = []
    try:
        while not owned:
            folder = output.parent / f"{_prefix(output)}{secrets.token_hex(4)}"
            owned = _own(folder)
        yield owned[0][0]
    finally:
        for folder, lock in owned:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)


def _prefix(output: Path) -> str:
    # locks of another machine that shares the disk may not show here, so its folders bear another name
    return f".{output.name}-{zlib.crc32(platform.node().encode()):08x}-"


def _own(folder: Path) -> list[tuple[Path, int]]:
    """Make and lock a folder; empty if another run cleared it away between the two."""
    try:
        folder.mkdir(mode=0o700)
        lock = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:
        return []
    with suppress(OSError):  # a disk without locks: nobody can have one, so nobody clears
        fcntl.flock(lock, fcntl.LOCK_EX)
    if not folder.is_dir():
        os.close(lock)
        return []
    return [(folder, lock)]


def _clear(output: Path) -> None:
    """Remove what lies aside for an output and belongs to no living process; what cannot be removed stays."""
    ours = re.compile(re.escape(_prefix(output)) + "[0-9a-f]{8}")
    with suppress(OSError):
        for folder in [path for path in output.parent.iterdir() if ours.fullmatch(path.name)]:
            with suppress(OSError):
                lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(folder, ignore_errors=True)
                finally:
                    os.close(lock)


def replace(made: Path, output: Path) -> None:
    """Move a file that was made aside into place, with the permissions that a new file would have."""
    mask = os.umask(0)
    os.umask(mask)
    made.chmod(0o666 & ~mask)
    made.replace(output)
