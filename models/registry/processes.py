"""Names of processes that stay unique for ever, and whether one of this machine is dead.

A name is the boot of the kernel, the table of processes (a container has its own), the number in it and when the
process began, as Linux has them under /proc (proc(5)). Elsewhere there is no name, and no process counts as dead.
"""

from __future__ import annotations

import os
from pathlib import Path

TAG = "process"  # of a run in MLflow
BOOT, SPACE = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")


def name_process(number: int) -> str | None:
    """The name of a process of this machine; None where the system does not say."""
    table, stat = _table(), _stat(number)
    return f"{table} {number} {stat[1]}" if table and stat else None


def is_dead(name: str) -> bool:
    """Whether the process of this name ran here and does so no more; false where that is not known."""
    rest, _, began = name.rpartition(" ")
    table, _, number = rest.rpartition(" ")
    if not table or table != _table():
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # it is there, and another user's
    stat = _stat(int(number))
    return stat is not None and (stat[0] in "ZX" or stat[1] != began)


def _table() -> str | None:
    try:
        return f"{BOOT.read_text().strip()} {os.readlink(SPACE)}"
    except OSError:
        return None


def _stat(number: int) -> tuple[str, str] | None:
    """State and start (in ticks since the boot) of a process; its name, which may hold anything, ends at the last )."""
    try:
        fields = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return fields[0], fields[19]
