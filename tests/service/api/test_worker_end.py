"""How a worker ends."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from service.api.app import App
from service.api.connections import Connections
from service.publish.publication import Holder


def test_a_worker_that_ends_leaves_without_taking_python_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server's own threads panic where Python goes away below them."""
    ended: list[int] = []
    app = object.__new__(App)
    app.holder, app.connections = Holder(Path()), Connections(0, 1, lambda n: None)
    monkeypatch.setattr(os, "_exit", ended.append)
    app.__rsgi_del__(None)  # type: ignore[arg-type]
    assert ended == [0]
