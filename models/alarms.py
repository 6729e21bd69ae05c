"""What a person should look at after a training that is done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Source = Literal["intake", "gate", "ledger", "drift", "store"]


@dataclass(frozen=True)
class Alarm:
    """One thing to look at. source: what raised it. sentence: what it most likely is, and what to do."""

    source: Source
    sentence: str

    def __str__(self) -> str:
        return f"{self.source}: {self.sentence}"
