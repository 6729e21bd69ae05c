"""Signs of life that the publisher leaves in the state folder, for processes that load no model to read them."""

from __future__ import annotations

import time
from pathlib import Path

CURRENT, HEARTBEAT = "current.json", "heartbeat"
SILENT_SECONDS = 60.0  # since the publisher last looked: a registry that is away holds a look up for some 20


def beat(folder: Path) -> None:
    """Let everybody see that the publisher has looked."""
    (folder / HEARTBEAT).touch()


def silence(folder: Path) -> float:
    """Seconds since the publisher last looked; 0 where it has not looked for the first time yet."""
    try:
        return max(time.time() - (folder / HEARTBEAT).stat().st_mtime, 0.0)
    except FileNotFoundError:
        return 0.0


def silence_text(seconds: float) -> str:
    """What that means, in words."""
    return f"it has not looked for {seconds:.0f} s: new models and data are not taken up; the log may say why"
