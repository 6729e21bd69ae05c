"""What the door finds: findings, the rows to keep out, and whether there should be a training at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd

from models.alarms import Alarm

Quantity = Literal[
    "spend", "conversions", "rate", "hours", "order of conversions", "joins", "duplicates", "vanished", "changed",
    "kept out before",
]  # fmt: skip
NONE = float("nan")


@dataclass(frozen=True)
class Finding:
    """Something that no chance explains.

    segment: the rows that have it, in words. likely: what it most likely is. sentence: all of it, with figures. rows:
    their collaboration_id. kept_out: whether the training goes without them. effect: what they are as a ratio to what
    is expected, low and high its interval; NaN where there is none.
    """

    segment: str
    quantity: Quantity
    likely: str
    sentence: str
    rows: tuple[str, ...]
    kept_out: bool = True
    effect: float = NONE
    low: float = NONE
    high: float = NONE

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values; NaN is None."""
        plain = {k: None if isinstance(v, float) and not np.isfinite(v) else v for k, v in vars(self).items()}
        return plain | {"rows": list(self.rows)}


def _no_rows() -> pd.DataFrame:
    return pd.DataFrame({"collaboration_id": [], "reason": []}, dtype=str)


@dataclass(frozen=True)
class Intake:
    """What the door found.

    counts: rows by what became of them since the last training, empty where that is not known. kept_out: columns
    collaboration_id, reason. closed: there should be no training, and `reason` says why. notes: what could not be
    judged, and why; a sentence each.
    """

    rows: int
    counts: Mapping[str, int]
    findings: tuple[Finding, ...] = ()
    kept_out: pd.DataFrame = field(default_factory=_no_rows)
    closed: bool = False
    reason: str = ""
    notes: tuple[str, ...] = ()

    def alarms(self) -> tuple[Alarm, ...]:
        """What a person should look at."""
        closed = [Alarm("intake", self.reason)] if self.closed else []
        return (*closed, *(Alarm("intake", finding.sentence) for finding in self.findings))

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "rows": self.rows,
            "counts": dict(self.counts),
            "findings": [finding.to_dict() for finding in self.findings],
            "kept_out": self.kept_out.to_dict("records"),
            "closed": self.closed,
            "reason": self.reason,
            "notes": list(self.notes),
        }

    def in_words(self) -> list[str]:
        """Lines for a terminal: the counts, what was found, what is kept out."""
        counted = ", ".join(f"{count:,} {name}" for name, count in self.counts.items() if count)
        since = f"since the last training {counted}" if self.counts else "what the last training saw is not known"
        lines = [f"{self.rows:,} results; {since}", *self.notes]
        lines += [finding.sentence for finding in self.findings] or ["nothing in the newest results stands out"]
        if self.closed:
            return [*lines, f"no training: {self.reason}"]
        if len(self.kept_out):
            lines.append(f"kept out: {len(self.kept_out):,} of {self.rows:,} results; the rest trains")
        return lines


def kept_out(findings: Sequence[Finding]) -> pd.DataFrame:
    """Columns collaboration_id and reason, one row an id, with the first reason that there is."""
    reasons: dict[str, str] = {}
    for finding in findings:
        if finding.kept_out:
            for row in finding.rows:
                reasons.setdefault(row, f"{finding.quantity}: {finding.likely}")
    return pd.DataFrame({"collaboration_id": list(reasons), "reason": list(reasons.values())}, dtype=str)
