"""The log of a publisher that falls silent."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from service.publish import supervisor
from service.publish.heartbeat import SILENT_SECONDS, beat


def test_silence_is_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = object.__new__(supervisor.Supervisor)
    made.state, made._silent = tmp_path, False
    monkeypatch.setattr(supervisor.log, "propagate", True)
    beat(tmp_path)
    old = time.time() - SILENT_SECONDS - 1
    made._listen()
    os.utime(tmp_path / "heartbeat", (old, old))
    made._listen()
    made._listen()
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    beat(tmp_path)
    caplog.set_level("INFO", "creator_yield")
    made._listen()
    assert caplog.records[-1].facts["why"] == "it looks again"  # type: ignore[attr-defined]
