"""Clients that hold a connection and do nothing are let go; the others keep theirs, and are answered meanwhile."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.api import connections
from service.api.connections import HEADER_SECONDS, UNREAD_SECONDS, Connections
from tests.support.workspace import Server, copy_workspace, running

pytestmark = pytest.mark.skipif(not connections.watched(), reason="needs Linux's /proc and TCP_INFO")
Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as one:
        yield one


def connected(listener: socket.socket) -> Pair:
    """A client's end and ours."""
    client = socket.create_connection(listener.getsockname())
    ours, _ = listener.accept()
    client.settimeout(5)
    return client, ours


def ended(client: socket.socket) -> bool:
    client.setblocking(False)
    try:
        while data := client.recv(1 << 20):
            assert data
        return True
    except ConnectionResetError:
        return True
    except BlockingIOError:
        return False


def answer(client: socket.socket, ours: socket.socket, size: int = 10) -> None:
    """A request and its answer, read by the client."""
    client.sendall(b"GET")
    assert ours.recv(10) == b"GET"
    time.sleep(0.02)  # the kernel counts in steps of some milliseconds
    ours.sendall(b"x" * size)
    assert client.recv(size) == b"x" * size


def test_silent_and_half_said_requests_are_let_go_in_time(listener: socket.socket) -> None:
    silent, half, kept, again, busy = (connected(listener) for _ in range(5))
    watch = Connections(listener.getsockname()[1])
    half[0].sendall(b"GE")
    busy[0].sendall(b"POST")
    for pair in (kept, again):
        answer(*pair)
    time.sleep(0.02)
    again[0].sendall(b"GE")
    watch.busy.add("{}:{}".format(*busy[0].getsockname()))
    assert watch.look(0.0) == Counter()
    assert watch.look(HEADER_SECONDS - 0.1) == Counter()
    assert [ended(pair[0]) for pair in (silent, half, kept, again, busy)] == [False] * 5
    assert watch.look(HEADER_SECONDS) == Counter(silent=3)
    assert [ended(pair[0]) for pair in (silent, half, kept, again, busy)] == [True, True, False, True, False]
    answer(*kept)
    assert watch.look(1000.0) == Counter()
    for pair in (silent, half, kept, again, busy):
        for one in pair:
            one.close()


def test_those_who_do_not_read_are_let_go_and_slow_readers_are_not(listener: socket.socket) -> None:
    stalled, slow = connected(listener), connected(listener)
    watch = Connections(listener.getsockname()[1])
    for _, ours in (stalled, slow):
        ours.setblocking(False)
        try:
            while True:
                ours.send(b"x" * 1_000_000)
        except BlockingIOError:
            pass
    time.sleep(0.3)  # what the clients' buffers take is acknowledged by then
    for step in range(3):
        now = step * 0.9 * UNREAD_SECONDS
        gone = watch.look(now)
        read, until = 0, time.monotonic() + 5
        while read < 400_000 and time.monotonic() < until:
            read += len(slow[0].recv(400_000))
        time.sleep(0.05)
        assert gone == (Counter(unread=1) if step == 2 else Counter())
    assert ended(stalled[0])
    assert not ended(slow[0])
    with pytest.raises(OSError, match=r".*"):
        stalled[1].send(b"x")
    for one in (*stalled, *slow):
        one.close()


def test_where_there_are_too_many_the_oldest_that_do_nothing_go(listener: socket.socket) -> None:
    listener.listen(100)
    watch = Connections(listener.getsockname()[1], most=16)
    kept = [connected(listener) for _ in range(2)]
    for pair in kept:
        answer(*pair)
    first = [connected(listener) for _ in range(6)]
    watch.look(0.0)
    later = [connected(listener) for _ in range(6)]
    assert watch.look(1.0) == Counter(silent=6)
    assert [ended(client) for client, _ in first] == [True] * 6
    assert [ended(client) for client, _ in later + kept] == [False] * 8
    for pair in (*kept, *first, *later):
        for one in pair:
            one.close()


def test_a_kept_connection_may_rest_longer_than_common_proxies_let_it() -> None:
    """Their 60 seconds: who closes first must be the proxy, or it sends into a connection that is gone."""
    assert connections.rest() > 65_000


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, trained_workspace: Path) -> Iterator[Server]:
    """A service that may open 320 files a process, so 64 connections a worker; nobody reads its log."""
    workspace = copy_workspace(tmp_path_factory.mktemp("small"), trained_workspace)
    lines = [
        "import resource, runpy, sys",
        "resource.setrlimit(resource.RLIMIT_NOFILE, (320, 320))",
        "sys.argv = sys.argv[1:]",
        "runpy.run_path(sys.argv[0], run_name='__main__')",
    ]
    launcher = [sys.executable, "-c", "\n".join(lines)]
    out, into = os.pipe()
    with running(workspace, launcher=launcher, output=into, CREATOR_YIELD_API_KEYS=f"@{workspace / 'keys'}") as one:
        yield one
        os.close(out)
        os.close(into)


@pytest.mark.long
def test_a_crowd_that_says_nothing_stops_no_answer(small: Server) -> None:
    crowd = [socket.create_connection(("127.0.0.1", small.port)) for _ in range(300)]
    began = time.monotonic()
    assert small.request("GET", "/v1/model").status == 200
    assert time.monotonic() - began < HEADER_SECONDS / 2  # once a second they are looked through
    for one in crowd:
        one.close()
    while _closed(small) <= 100:
        assert time.monotonic() - began < HEADER_SECONDS


def _closed(server: Server) -> int:
    """Connections that it has closed so far."""
    page = server.request("GET", "/metrics").body.decode()
    count = next(line for line in page.splitlines() if line.startswith("creator_yield_connections_closed_total"))
    return int(count.split()[1])


@pytest.mark.long
def test_a_service_whose_log_nobody_reads_answers_on(small: Server) -> None:
    for number in range(600):  # a pipe takes some 300 such lines
        assert small.request("GET", "/v1/model", X_Request_Id=f"{number:064d}").status == 200
