"""Who and which code a training comes from."""

from __future__ import annotations

import getpass
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def user() -> str:
    """The name of the user that this process runs as; "unknown" where the system has none for it."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container may run as a number that no table names
        return "unknown"


def commit(folder: Path = ROOT) -> str | None:
    """The commit of git's that is checked out in the project's folder; None where it is not the top of a repository."""
    words = ["git", "-C", str(folder), "rev-parse", "--show-toplevel", "HEAD"]
    try:
        lines = subprocess.run(words, capture_output=True, text=True, check=True, timeout=10).stdout.splitlines()
    except (OSError, subprocess.SubprocessError):  # no git, no repository, or one of another user's
        return None
    return lines[1] if len(lines) == 2 and Path(lines[0]).resolve() == folder.resolve() else None
