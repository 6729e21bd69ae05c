"""The folder that all processes of a server share. Each holds a lock on it while it lives; without a lock it may
be removed, by the last of them or by the next server. (systemd-tmpfiles leaves locked folders alone, too.)
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
import time
from pathlib import Path

from features.faults import refuse

PREFIX = "creator-yield-"
LONGEST = 88  # bytes of its path: with the name of a socket within it they may be 104 on macOS


def make() -> Path:
    """A new folder, locked by this process. Raises InputError where the temporary folder cannot be used."""
    root = Path(tempfile.gettempdir())
    wanted = os.environ.get("TMPDIR", "")
    if wanted and os.path.abspath(wanted) != str(root):  # Python takes another folder without a word
        refuse("TMPDIR", wanted, f"nothing can be written there ({_reason(wanted)})", "Set it to one with space.")
    if len(os.fsencode(root)) + 1 + len(PREFIX) + 8 > LONGEST:
        refuse("TMPDIR", root, f"a socket's path would be longer than {LONGEST} bytes", "Set it to a shorter path.")
    try:
        aside = Path(tempfile.mkdtemp(prefix=f".{PREFIX}"))  # under this name no server takes it for one left behind
    except OSError as error:
        refuse("TMPDIR", root, f"no folder can be made there ({error.strerror})", "Set it to one with space.")
    hold(aside)
    return aside.rename(root / aside.name.removeprefix("."))


def _reason(folder: str) -> str:
    """Why no file can be written in a folder."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"tried")
    except OSError as error:
        return error.strerror or type(error).__name__
    return "it could not be a moment ago"


def hold(folder: Path) -> int:
    """Lock it for as long as this process lives; the open descriptor."""
    opened = os.open(folder, os.O_RDONLY)
    fcntl.flock(opened, fcntl.LOCK_SH)
    return opened


def remove_stale() -> list[Path]:
    """Remove the folders of servers that were killed; returns which."""
    found = [folder for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*") if _is_mine(folder)]
    return [folder for folder in found if remove_unheld(folder)]


def remove_unheld(folder: Path, within: float = 0.0) -> bool:
    """Remove it once no process holds it, waiting at most so many seconds; whether it was removed."""
    until = time.monotonic() + within
    try:
        opened = os.open(folder, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        while True:
            try:
                fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                if time.monotonic() >= until:
                    return False
                time.sleep(0.1)
        shutil.rmtree(folder, ignore_errors=True)
        return True
    finally:
        os.close(opened)


def _is_mine(folder: Path) -> bool:
    try:
        found = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()
