"""What was refused, why, and when it is tried again."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

FIRST_WAIT, LONGEST_WAIT = 5.0, 600.0  # seconds before the next trial; each wait is twice the one before
SPARED = 10.0  # times a trial's own duration that pass before the next: a refusal may take minutes to build


@dataclass(frozen=True)
class Refusal:
    """what: the state that was refused. wait: seconds. again: when it is tried again, by the monotonic clock."""

    what: Any
    why: str
    wait: float
    again: float

    @classmethod
    def of(cls, what: Any, why: str, took: float, before: Refusal | None) -> Refusal:
        """The refusal of a trial that took so many seconds, after an earlier one about the same subject."""
        wait = min(before.wait * 2, LONGEST_WAIT) if before and before.what == what else FIRST_WAIT
        wait = max(wait, SPARED * took)
        return cls(what, why, wait, time.monotonic() + wait)

    def holds(self, what: Any) -> bool:
        """Whether it is too early to try this."""
        return bool(self.what == what) and time.monotonic() < self.again
