"""The typed client against a real service, and against what may stand in its place."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from typing import Any, ClassVar

import msgspec
import pytest

from creator_yield_client import Client, Deal, Item, ServiceError
from tests.support.workspace import KEY, Server

TERMS: dict[str, Any] = {
    "brand": "somebody", "product_niche": "beauty", "starts_at": "2026-06-01T12:00:00Z", "promotion_hours": 48.0,
    "spend": 300.0,
}  # fmt: skip


def test_the_client_gives_what_the_service_answers(http_server: Server) -> None:
    item = Item(**TERMS, creator_id="creator_000001")
    url = f"http://127.0.0.1:{http_server.port}"
    with Client(url, key=KEY) as client:
        scored = client.score([item], interval=True, reasons=True, creator=True, level=0.9, target_cost=5)
        sent = {"items": [TERMS | {"creator_id": "creator_000001"}]}
        query = "include=reasons,interval,creator&level=0.9&target_cost=5"
        theirs = http_server.request("POST", f"/v1/score?{query}", sent).json["scores"][0]
        mine = msgspec.to_builtins(scored.scores[0])
        shared = mine.keys() & theirs.keys()
        assert {"reasons", "conversions_per_dollar_low", "walk_away_price", "tier", "warnings"} <= shared
        assert {k: mine[k] for k in shared} == {k: theirs[k] for k in shared}
        likely = client.rank(Deal(**TERMS), ["creator_000001"], target_cost=5, confidence=0.9).scores[0]
        assert likely.probability_within_target == scored.scores[0].probability_within_target
        assert likely.walk_away_price is not None
        assert likely.walk_away_price < mine["walk_away_price"]
        ranked = client.rank(Deal(**TERMS), filters={"tier": ["micro", "nano"]}, limit=3)
        assert [score.rank for score in ranked.scores] == [1, 2, 3]
        assert ranked.considered > 3
        assert client.creator("creator_000001").features
        assert client.model().model_version == scored.model_version == ranked.model_version
        with pytest.raises(ServiceError, match="422") as refused:
            client.score([Item(**(TERMS | {"spend": -1.0}), creator_id="creator_000001")])
        assert refused.value.problem["errors"][0]["field"] == "spend"
    with Client(url) as stranger, pytest.raises(ServiceError, match="401"):
        stranger.model()


Answer = tuple[int, dict[str, str], bytes]


class Answers(http.server.BaseHTTPRequestHandler):
    """Answers with the next of `given`: a status, headers and a body, or None to hang up."""

    protocol_version = "HTTP/1.1"
    given: ClassVar[list[Answer | None]] = []

    def do_GET(self) -> None:
        answer = self.given.pop(0)
        if answer is None:
            self.close_connection = True
            return
        status, headers, body = answer
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None: ...


@pytest.fixture(scope="module")
def stand_in() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


MODEL: Answer = (200, {}, b'{"model_version": "m/1", "skill": null, "figures": {}, "trained_on": {}, "creators": 1,'
         b' "scores_from": "2026-01-01", "what_a_newer_service_adds": 1}')  # fmt: skip


def test_what_is_lost_or_turned_away_is_sent_again(stand_in: str) -> None:
    Answers.given[:] = [None, (429, {"Retry-After": "0"}, b"{}"), (503, {"Retry-After": "0"}, b"{}"), MODEL]
    with Client(stand_in) as client:
        assert client.model().model_version == "m/1"
        Answers.given[:] = [None] * 4
        with pytest.raises(ConnectionError):
            client.model()
        Answers.given[:] = [(200, {"Content-Length": "99", "Connection": "close"}, b"{")] * 4
        with pytest.raises(OSError, match="broke off"):
            client.model()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((502, {}, b"<html>\xff"), "502: no detail"),
        ((503, {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, b'{"detail": "later"}'), "503: later"),
        ((200, {}, b"<html>"), "200: not an answer of the service"),
        ((200, {}, b'{"model_version": 7}'), "200: not an answer of the service, or of one of another version"),
        ((422, {}, b"[1]"), "422: no detail"),
    ],
)
def test_answers_of_others_are_errors_of_the_service(stand_in: str, answer: Any, words: str) -> None:
    Answers.given[:] = [answer]
    with Client(stand_in) as client, pytest.raises(ServiceError, match=words):
        client.model()


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "localhost", "", "ftp://localhost", "http://"])
def test_what_is_no_url_of_a_service_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="a URL such as"):
        Client(url)
