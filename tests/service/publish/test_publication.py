"""A publisher that falls silent."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from service.publish.heartbeat import SILENT_SECONDS, beat, silence
from service.publish.publication import Holder


def test_a_publisher_that_falls_silent_is_an_alarm(tmp_path: Path) -> None:
    holder = Holder(tmp_path)
    assert (silence(tmp_path), holder.alarms) == (0.0, {}), "before its first look"
    beat(tmp_path)
    assert holder.alarms == {}
    old = time.time() - SILENT_SECONDS - 30
    os.utime(tmp_path / "heartbeat", (old, old))
    assert holder.alarms["publisher"].startswith("it has not looked for 90 s")
    assert silence(tmp_path) == pytest.approx(90, abs=5)
    beat(tmp_path)
    assert holder.alarms == {}
