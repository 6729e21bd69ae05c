"""The folder of Parquet parts that scores go to: what is wrong with it shows before any work, and it appears whole or
not at all. A folder that holds anything is never replaced. Imports nothing that is slow.
"""

from __future__ import annotations

import os
from pathlib import Path

from models.batch.output_file import behind, check_place, fault, unwritten


def check_output_folder(path: Path, option: str = "--output") -> None:
    """Raise InputError where `path`, given by `option`, cannot become a folder; nothing is written."""
    if path.suffix:
        remedy = f"Leave the / out for a file, or {path.suffix} for a folder."
        raise fault(path, "it ends in /, as a folder of parts, but has the ending of a file", remedy, option)
    target = behind(path)
    if target.is_dir():
        try:
            empty = not any(target.iterdir())
        except OSError as error:
            remedy = "Give another name, or change its permissions."
            raise fault(path, f"it cannot be read ({error.strerror})", remedy, option) from error
        if not empty:
            remedy = "Give another name, or remove it first: a folder that holds anything is not replaced."
            raise fault(path, "it is a folder that is not empty", remedy, option)
    elif os.path.lexists(target):
        remedy = "Give another name; end a file's in .parquet or .csv, without a /."
        raise fault(path, "it is no folder", remedy, option)
    check_place(path, option)


def replace_folder(made: Path, output: Path, option: str = "--output") -> None:
    """Move a folder that was made aside into place; it and its parts are as readable as any new ones.

    Raises OutputError where something else has come there meanwhile.
    """
    mask = os.umask(0)
    os.umask(mask)
    try:
        for part in made.iterdir():
            part.chmod(0o666 & ~mask)
        made.chmod(0o777 & ~mask)
        made.replace(output)  # an empty folder gives way
    except OSError as error:
        raise unwritten(output, error.strerror or str(error), "Choose another name or folder.", option) from error
