"""The counters of all workers."""

from __future__ import annotations

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
