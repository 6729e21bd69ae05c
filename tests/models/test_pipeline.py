"""When a training announces which results it keeps out: once it is sure, and not where the rest is another market."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pandas as pd
import pytest

from features.faults import Fault, InputError
from models import pipeline
from models.monitoring import door
from models.monitoring.findings import Intake

ANNOUNCED, UNCHANGED, RECORDED = "announce", "unchanged", "record"


class Steps:
    """`retrain` with everything around it replaced; the order of the steps that matter."""

    def __init__(self, patch: pytest.MonkeyPatch, intake: Intake) -> None:
        self.taken: list[str] = []
        self.changed = False
        source = MagicMock(seed=0, search=0)
        source.history.stamp.require_unchanged = self._require_unchanged
        found = MagicMock(intake=intake)
        run = MagicMock(id="r1")
        run.name = "m"
        for name in ("fit", "_details", "summary", "training_rows", "level_drift", "unchanged", "log_intake",
                     "log_alarms", "fingerprint", "connect"):  # fmt: skip
            patch.setattr(pipeline, name, MagicMock(**{
                "examine.return_value.alarms": (), "earlier_training.return_value": None,
            }))  # fmt: skip
        patch.setattr(pipeline, "_opened", lambda *given: nullcontext(source))
        patch.setattr(pipeline, "open_run", lambda *given: nullcontext(run))
        patch.setattr(pipeline, "screen", lambda *given: found)
        patch.setattr(door, "unchanged", pipeline.unchanged)
        patch.setattr(door, "fingerprint", pipeline.fingerprint)
        patch.setattr(pipeline.left_out, "record", MagicMock())
        patch.setattr(pipeline.left_out, "announce", lambda *given: self.taken.append(ANNOUNCED))
        patch.setattr(pipeline.promotion, "record", self._record)

    def _require_unchanged(self, what: str) -> None:
        if self.changed:
            raise InputError([Fault(what, problem="it changed while it was being read")])
        self.taken.append(UNCHANGED)

    def _record(self, *given: Any) -> tuple[str, Any]:
        self.taken.append(RECORDED)
        return "1", SimpleNamespace(promoted=False, why="", by="gate", alarms=())


def intake(kept_out: int, closed: bool = False) -> Intake:
    """Of ten results."""
    ids = [f"r{i}" for i in range(kept_out)]
    return Intake(10, {}, kept_out=pd.DataFrame({"collaboration_id": ids, "reason": ""}), closed=closed, reason="why")


@pytest.mark.parametrize(
    ("found", "force", "steps"),
    [
        (intake(2), False, [UNCHANGED, ANNOUNCED, RECORDED]),
        (intake(2), True, [UNCHANGED, RECORDED, ANNOUNCED]),
        (intake(0, closed=True), False, [UNCHANGED, ANNOUNCED]),
        (intake(5, closed=True), False, [UNCHANGED, ANNOUNCED]),
        (intake(6, closed=True), False, [UNCHANGED]),
    ],
    ids=["ordinary", "forced", "closed", "closed, half kept out", "closed, another market"],
)
def test_what_is_kept_out_is_announced_when_it_is_sure(
    found: Intake, force: bool, steps: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Steps(monkeypatch, found)
    pipeline.retrain("data", "m", began=0.0, force=force)
    assert made.taken == steps


@pytest.mark.parametrize("closed", [False, True])
def test_data_that_changed_meanwhile_announces_nothing(closed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Steps(monkeypatch, intake(2, closed))
    made.changed = True
    with pytest.raises(InputError, match="it changed"):
        pipeline.retrain("data", "m", began=0.0)
    assert made.taken == []
