"""What HTTP itself asks of the service: HEAD, compression, encodings of bodies, hosts, paths, parameters, counters."""

from __future__ import annotations

import gzip
import http.client
import json
import socket
import zlib
from pathlib import Path

import brotli
import pytest

from service.api.hosts import Hosts
from service.api.metrics import Metrics
from service.api.replies import accepted_encoding
from service.problems import Problem
from tests.support.deals import ITEM
from tests.support.workspace import KEY, Server


@pytest.mark.parametrize(
    "path", ["/", "/page.css", "/openapi.json", "/healthz", "/readyz", "/metrics", "/v1/model", "/v1/creators/nobody"]
)
def test_head_answers_as_get_does_without_a_body(http_server: Server, path: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", http_server.port, timeout=60)
    answers = []
    for method in ("HEAD", "GET", "HEAD"):  # on one connection: a body too many would spoil the next answer
        connection.request(method, path, headers={"X-API-Key": KEY})
        reply = connection.getresponse()
        answers.append((reply.status, reply.headers["Content-Type"], reply.headers["Vary"], len(reply.read())))
        assert int(reply.headers["Content-Length"]) > 0
    connection.close()
    assert answers[0] == (*answers[1][:3], 0) == answers[2]
    assert http_server.request("DELETE", path).headers["allow"] == "GET, HEAD"


def test_long_answers_are_compressed_for_those_who_take_it(http_server: Server) -> None:
    body = {"items": [ITEM | {"spend": 100 + n} for n in range(100)]}
    many = {"items": [ITEM | {"spend": 100 + n} for n in range(1000)]}
    for method, path, content in [("POST", "/v1/score", body), ("POST", "/v1/score", many), ("GET", "/", None)]:
        plain = http_server.request(method, path, content)
        assert "content-encoding" not in plain.headers
        for accepted, encoding, unpacked in [
            ("gzip, deflate, br, zstd", "br", brotli.decompress),  # as browsers send it
            ("deflate, gzip;q=0.8, br;q=0.7", "gzip", gzip.decompress),
        ]:
            packed = http_server.request(method, path, content, Accept_Encoding=accepted)
            assert (packed.headers["content-encoding"], packed.headers["vary"]) == (encoding, "accept-encoding")
            assert unpacked(packed.body) == plain.body
            assert len(packed.body) < len(plain.body) / 2
            assert int(packed.headers["content-length"]) == len(packed.body)
    short = http_server.request("GET", "/healthz", Accept_Encoding="gzip")
    assert (short.body, short.headers.get("content-encoding")) == (b"alive\n", None)


def test_accept_encoding_is_read_as_its_rfc_has_it() -> None:
    likes = {
        "br": ["br", "BR", "gzip, deflate, br, zstd", "*", "br;q=1.0,x-gzip", "identity;q=0, *", "gzip;q=0.8, *",
               "deflate, br ; q=0.1", "gzip;q=0, *"],
        "gzip": ["gzip", "GZIP", "deflate, gzip;q=1.0, *;q=0.5", "br;q=0.5,x-gzip", "gzip ; q=0.1", "br;q=0, *",
                 "br;q=much, gzip;q=0.2"],
        None: ["", "identity", "gzip;q=0", "br;q=0.000, gzip;q=0", "*;q=0", "gzip;q=much", "deflate, zstd;q=0.9"],
    }  # fmt: skip
    for encoding, headers in likes.items():
        assert {one: accepted_encoding(one) for one in headers} == dict.fromkeys(headers, encoding)


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate, gzip", "GZip"])
def test_a_compressed_body_is_refused_by_name(http_server: Server, encoding: str) -> None:
    body = zlib.compress(json.dumps({"items": [ITEM]}).encode(), wbits=31)
    reply = http_server.request("POST", "/v1/score", body, Content_Encoding=encoding)
    assert (reply.status, reply.headers["accept-encoding"]) == (415, "identity")
    assert "Content-Encoding" in reply.json["detail"]
    assert http_server.request("POST", "/v1/score", {"items": [ITEM]}, Content_Encoding="identity").status == 200


def test_a_service_without_keys_knows_its_own_names_only() -> None:
    hosts = Hosts("Market-Box")
    mine = ["localhost", "localhost:8000", "LOCALHOST.", "127.0.0.1", "127.8.9.1:80", "[::1]:8000", "::1",
            "market-box:8000", "app.localhost:3000", None]  # fmt: skip
    for host in mine:
        hosts.require(host)
    for host in ["evil.example", "evil.example:8000", "10.0.0.7", "localhost.evil.example", "127.0.0.1.evil.example",
                 "", "[::2]:80", "0.0.0.0:8000", "evil.example#localhost"]:  # fmt: skip
        with pytest.raises(Problem) as caught:
            hosts.require(host)
        assert caught.value.status == 421


def test_identifiers_in_paths_are_decoded_once(http_server: Server) -> None:
    for path, wanted in [
        ("100%25", "100%"),
        ("a%2525b", "a%25b"),
        ("%41", "A"),
        ("a%2Fb%20c", "a/b c"),
        ("%C3%A9", "é"),
    ]:
        reply = http_server.request("GET", f"/v1/creators/{path}")
        assert (reply.status, reply.json["errors"][0]["detail"]) == (404, f"the data has no creator {wanted!r}")


@pytest.mark.parametrize(
    ("method", "path", "field"),
    [
        ("GET", "/v1/model?verbose=1", "verbose"),
        ("GET", "/v1/creators/creator_000001?fields", "fields"),
        ("POST", "/v1/score?Include=reasons", "Include"),
        ("POST", "/v1/score?level=0.8&level=0.9", "level"),
    ],
)
def test_parameters_that_mean_nothing_are_refused(http_server: Server, method: str, path: str, field: str) -> None:
    reply = http_server.request(method, path, {"items": [ITEM]} if method == "POST" else None)
    assert (reply.status, reply.json["errors"][0]["field"]) == (422, field)


def test_probes_and_scrapes_may_bring_parameters(http_server: Server) -> None:
    for path in ("/healthz?from=probe", "/readyz?x", "/metrics?name[]=up", "/?utm_source=mail"):
        assert http_server.request("GET", path).status == 200


def test_counters_keep_all_their_digits(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path / "metrics")
    metrics.count("items", 123_456_789)
    for _ in range(3):
        metrics.request("score", 200, 0.001)
    metrics._values[0] = 1_029_543  # of the first route and status
    page = metrics.page({"serial": ("Of it.", 10_295_431.0), "share": ("Of it.", 0.125)})
    assert "creator_yield_items_total 123456789" in page
    assert 'creator_yield_requests_total{route="score",status="200"} 1029543' in page
    assert "\nserial 10295431\n" in page
    assert "\nshare 0.125\n" in page


def test_http_1_0_and_unheard_of_methods_are_answered(http_server: Server) -> None:
    for line, status in [(b"GET /healthz HTTP/1.0", b"200"), (b"BREW /healthz HTTP/1.1", b"405")]:
        with socket.create_connection(("127.0.0.1", http_server.port), timeout=30) as one:
            one.sendall(line + b"\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert one.recv(100).split()[1] == status
