"""The file that scores go to: what is wrong with it shows before any work, and it appears whole or not at all.

A link is followed: what it names is written, and it stays a link. A file that is replaced keeps its permissions and its
owner; a new one gets those that any new file would. Imports nothing that is slow.
"""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from features.faults import Fault, InputError, OutputError

if TYPE_CHECKING:
    import pyarrow as pa

    from features.history.freshness import Stamp

ENDINGS = (".parquet", ".csv")
LONGEST_NAME = 200  # bytes; 255 is what disks take, and a folder's name is longer than the output's
MOUNTS = Path("/proc/self/mountinfo")
FULL = tuple(os.strerror(code) for code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG))


def check_output(
    path: Path, candidates: Path | None = None, *, option: str = "--output", endings: tuple[str, ...] = ENDINGS
) -> None:
    """Raise InputError where `path`, given by `option`, cannot become a file; nothing is written.

    candidates: the file that is read, which must stay. endings: those that the file may have.
    """
    if path.suffix not in endings:
        remedy = f"Let it end in {' or '.join(endings)}" + (", or in / for a folder of parts." if candidates else ".")
        raise fault(path, "its ending is unknown", remedy, option)
    target = behind(path)
    if target.suffix != path.suffix and target.suffix in endings:
        problem = f"it is a link to a {target.suffix} file, {target}"
        raise fault(path, problem, "Give a name with the same ending.", option)
    try:
        kind = target.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        kind = None
    except OSError as error:
        raise fault(path, f"it cannot be written to ({error.strerror})", "Give another name.", option) from error
    if kind is not None and stat.S_ISDIR(kind):
        problem, remedy = "it is a folder", "Give the name of a file."
    elif kind is not None and not stat.S_ISREG(kind):
        problem, remedy = "it is a device or a pipe, not a file", "Give the name of a file."
    elif kind is not None and candidates is not None and candidates.exists() and target.samefile(candidates):
        problem, remedy = "it is the file of candidates, which would be lost", "Give another name."
    elif kind is not None and not os.access(target, os.W_OK):
        problem, remedy = "it is write-protected", "Give another name, or change its permissions."
    else:
        check_place(path, option)
        return
    raise fault(path, problem, remedy, option)


def check_place(path: Path, option: str = "--output") -> None:
    """Raise InputError where nothing can be put to, or replaced at, the place that `path` names."""
    target = behind(path)
    folder, there = target.parent, os.path.lexists(target)
    try:
        str(target).encode()
    except UnicodeEncodeError:
        raise fault(path, "its name or folder's is no text in UTF-8", "Give another name.", option) from None
    if not folder.is_dir():
        problem, remedy = "its folder is not there", f"Make the folder first: {folder}"
        if folder.exists():
            problem, remedy = "its folder is a file", f"Give another folder than {folder}."
    elif there and _is_mounted(target):
        problem, remedy = "it is mounted by itself, so it cannot be replaced", "Mount its folder, or give another name."
    elif there and _is_theirs(target):
        problem, remedy = "it is another user's, in a folder where only owners may replace files", "Give another name."
    elif reason := _unwritable(folder):
        remedy = "Choose another folder, or change its permissions."
        problem, remedy = f"its folder cannot be written to ({reason})", remedy
    else:
        return
    raise fault(path, problem, remedy, option)


def behind(path: Path) -> Path:
    """The file that `path` names, links followed, whether it is there or not."""
    return Path(os.path.realpath(path))


def check_not_read(path: Path, stamp: Stamp, option: str = "--output") -> None:
    """Raise InputError where `path` is, or would become, a part of the input that `stamp` belongs to."""
    if _is_in(path, (*stamp.paths, *stamp.files)):
        raise fault(path, "it is a file that is read as input", "Give another name or folder.", option)


def check_not_kept(path: Path, parts: Iterable[Path], option: str = "--output") -> None:
    """Raise InputError where `path` is, or would become, a part of where models are kept."""
    if _is_in(path, parts):
        raise fault(path, "models are kept there", "Give another name or folder.", option)


def _is_in(path: Path, parts: Iterable[str | Path]) -> bool:
    target = str(behind(path))
    places = [os.path.realpath(one) for one in parts]
    return any(target == place or target.startswith(place + os.sep) for place in places)


def fault(path: Path, problem: str, remedy: str, option: str = "--output") -> InputError:
    """What is wrong with an output, to be raised."""
    return InputError([Fault(option, received=str(path), problem=problem, remedy=remedy)])


def _unwritable(folder: Path) -> str | None:
    """Why no file can be made in a folder; None where one can."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            return None
    except OSError as error:
        return error.strerror or str(error)


def _is_mounted(file: Path) -> bool:
    """Whether a file is a mount point, as containers have them; false where the system does not say."""
    shown = os.fsencode(file)
    for code in b"\\ \t\n":  # as proc(5) writes them
        shown = shown.replace(bytes([code]), b"\\%03o" % code)
    try:
        return any(line.split()[4] == shown for line in MOUNTS.read_bytes().splitlines())
    except (OSError, IndexError):
        return False


def _is_theirs(file: Path) -> bool:
    """Whether a file is another user's in a folder such as /tmp: all may write to it, only the owner may replace it."""
    folder = file.parent.stat()
    return bool(folder.st_mode & stat.S_ISVTX) and os.geteuid() not in (0, folder.st_uid, file.stat().st_uid)


def check_columns(schema: pa.Schema, path: Path, made: tuple[str, ...]) -> None:
    """Raise InputError, a fault a column, where candidates' columns cannot be carried along into `path`.

    schema: of the candidates. made: names of the columns that scoring adds.
    """
    import pyarrow as pa

    faults, ending = [], path.suffix or ".parquet"  # of a folder's parts
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
        elif not _can_hold(ending, pa.schema([column])):
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


def unwritten(output: Path, reason: str, remedy: str, option: str) -> OutputError:
    """The error of an output that cannot be written, whatever was there before."""
    remedy = f"The file is as it was before. {remedy}"
    fault = Fault(option, received=str(output), problem=f"it cannot be written ({reason})", remedy=remedy)
    return OutputError(str(fault))


def replace(made: Path, output: Path, option: str = "--output") -> None:
    """Move a file that was made aside into place; mode and owner are those of the file that was there, if any.

    Raises OutputError where that place has become one that cannot be replaced.
    """
    try:
        _replace(made, output)
    except OSError as error:
        raise unwritten(output, error.strerror or str(error), "Choose another name or folder.", option) from error


def _replace(made: Path, output: Path) -> None:
    try:
        before = output.stat()
    except FileNotFoundError:
        mask = os.umask(0)
        os.umask(mask)
        made.chmod(0o666 & ~mask)
    else:
        if (before.st_uid, before.st_gid) != (os.geteuid(), made.stat().st_gid):
            with suppress(OSError):  # only the superuser may give a file away
                os.chown(made, before.st_uid, before.st_gid)
        made.chmod(stat.S_IMODE(before.st_mode))
    made.replace(output)
