"""The counters of all workers."""

from __future__ import annotations

import os
from pathlib import Path

from service.api.metrics import Metrics
from tests.support.deals import ITEM
from tests.support.workspace import Server


def test_metrics_count_requests(server: Server) -> None:
    def counted() -> dict[str, float]:
        page = server.request("GET", "/metrics").body.decode()
        pairs = (line.rsplit(" ", 1) for line in page.splitlines() if not line.startswith("#"))
        return {name: float(value) for name, value in pairs}

    before = counted()
    for _ in range(20):
        server.request("POST", "/v1/score", {"items": [ITEM] * 3})
    after = counted()
    name = 'creator_yield_requests_total{route="score",status="200"}'
    assert after[name] - before.get(name, 0) == 20
    assert after["creator_yield_items_total"] - before["creator_yield_items_total"] == 60
    assert after['creator_yield_request_seconds_count{route="score"}'] >= 20


def test_room_for_the_counts_is_taken_at_once(tmp_path: Path) -> None:
    """Else the first count after the disk is full ends the worker by SIGBUS."""
    Metrics(tmp_path / "metrics")
    found = (tmp_path / "metrics" / f"{os.getpid()}.counts").stat()
    assert found.st_blocks * 512 >= found.st_size > 0


def test_a_worker_without_a_file_counts_for_itself(tmp_path: Path) -> None:
    (tmp_path / "file").touch()  # no folder can be made there
    metrics = Metrics(tmp_path / "file")
    metrics.request("model", 200, 0.1)
    assert 'creator_yield_requests_total{route="model",status="200"} 1\n' in metrics.page({})
