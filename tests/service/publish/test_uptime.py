"""It never goes away: swaps, broken models and data, an absent registry, killed processes, overload, slow clients."""

from __future__ import annotations

import dataclasses
import http.client
import json
import os
import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from models import tracking
from models.estimators.encoding import Encoding
from models.estimators.rate import RateModel
from models.registry import runs
from models.scorer import ModelError, Scorer
from service.publish.model_trial import require_signature
from tests.support.workspace import Reply, Server, copy_workspace, running

pytestmark = pytest.mark.long

NAME = "conversions-per-dollar"
CREATORS = [f"creator_{i:06}" for i in range(1, 21)]
ITEMS = [
    {"creator_id": creator, "brand": "somebody", "product_niche": "beauty", "starts_at": "2026-06-01T12:00:00Z",
     "promotion_hours": 48, "spend": 300}
    for creator in CREATORS
]  # fmt: skip


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory, trained_workspace: Path) -> Path:
    return copy_workspace(tmp_path_factory.mktemp("uptime"), trained_workspace)


@pytest.fixture(scope="module")
def client(workspace: Path) -> MlflowClient:
    return MlflowClient(f"sqlite:///{workspace / 'mlflow.db'}")


@pytest.fixture(scope="module")
def server(workspace: Path) -> Iterator[Server]:
    with running(workspace, "--no-auth") as started:
        yield started


@pytest.fixture(scope="module")
def slow(server: Server) -> Iterator[list[socket.socket]]:
    """Clients that fall silent: half of them in a body, the others in a head or before its first byte."""
    found = []
    for i in range(40):
        one = socket.create_connection(("127.0.0.1", server.port), timeout=60)
        head = (
            b"POST /v1/score HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 500\r\n"
        )
        one.sendall(head[: 30 * (i % 4 == 1)] if i % 2 else head + b'\r\n{"items": [')
        found.append(one)
    yield found
    for one in found:
        one.close()


def score(server: Server) -> Reply:
    return server.request("POST", "/v1/score", {"items": ITEMS}, key=None)


def rates(reply: Reply) -> tuple[str, list[float]]:
    """The version and the rates of an answer, which is from one version alone."""
    answer = reply.json
    assert {row["model_version"] for row in answer["scores"]} == {answer["model_version"]}
    return answer["model_version"], [row["conversions_per_dollar"] for row in answer["scores"]]


@contextmanager
def load(server: Server, threads: int = 4) -> Iterator[list[Reply | OSError]]:
    """Send one request after another, with a breath between two: the processes under test need the cores as well."""
    replies: list[Reply | OSError] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.wait(0.01):
            try:
                replies.append(score(server))
            except OSError as error:
                replies.append(error)

    with ThreadPoolExecutor(threads) as pool:
        for _ in range(threads):
            pool.submit(ask)
        try:
            yield replies
        finally:
            stop.set()


def register(client: MlflowClient, change: Callable[[Scorer], Scorer]) -> str:
    """A version of its own that is the first one, changed."""
    scorer = change(tracking.load(client, f"models:/{NAME}/1").scorer)
    return runs.register(client, runs.start(client, NAME, 0), NAME, scorer)


def louder(scorer: Scorer) -> Scorer:
    rate = scorer.rate
    return dataclasses.replace(
        scorer, rate=RateModel(rate.components, rate.weights, rate.level_correction + 0.5, rate.constant)
    )


def everywhere(server: Server, wanted: str, unwanted: str = "\0") -> None:
    """Until every worker tells it: so many answers in a row."""
    until = time.monotonic() + 90
    in_a_row = 0
    while in_a_row < 20:
        answer = server.request("GET", "/readyz", key=None).body.decode()
        assert time.monotonic() < until, f"not every worker shows {wanted!r} without {unwanted!r} but {answer!r}"
        if wanted in answer and unwanted not in answer:
            in_a_row += 1
        else:
            in_a_row = 0
            time.sleep(0.05)


def test_slow_clients_are_let_go(server: Server, slow: list[socket.socket]) -> None:
    assert score(server).status == 200, "silent clients are in nobody's way"


def test_a_new_champion_is_taken_up_without_a_lost_or_mixed_answer(
    server: Server, client: MlflowClient, slow: list[socket.socket]
) -> None:
    second = register(client, louder)
    first_answer = rates(score(server))
    with load(server) as replies:
        client.set_registered_model_alias(NAME, "champion", second)
        everywhere(server, f"ready: {NAME}/2")
    assert [reply for reply in replies if isinstance(reply, OSError) or reply.status != 200] == []
    found = [rates(reply) for reply in replies if isinstance(reply, Reply)]
    last_answer = rates(score(server))
    assert [first_answer[0], last_answer[0]] == [f"{NAME}/1", f"{NAME}/2"]
    np.testing.assert_allclose(np.array(last_answer[1]) / first_answer[1], np.exp(0.5), rtol=1e-12)
    assert {label for label, _ in found} == {f"{NAME}/1", f"{NAME}/2"}
    assert all(answer in (first_answer, last_answer) for answer in found)


def test_a_damaged_model_is_refused_and_the_old_one_goes_on(server: Server, client: MlflowClient) -> None:
    third = register(client, louder)
    source = client.get_model_version(NAME, third).source
    assert source
    file = Path(source.removeprefix("file://")) / "artifacts" / "scorer" / "scorer.json"
    file.write_text(file.read_text() + "\n")
    client.set_registered_model_alias(NAME, "champion", third)
    everywhere(server, "alarm: model: --model")
    assert rates(score(server))[0] == f"{NAME}/2"
    assert "creator_yield_alarm 1" in server.request("GET", "/metrics", key=None).body.decode()
    answer = server.request("GET", "/readyz", key=None).body.decode()
    assert "scorer.json was changed" in answer
    assert str(file.parent) not in answer


def test_a_model_of_other_columns_is_refused(server: Server, client: MlflowClient) -> None:
    def moon(scorer: Scorer) -> Scorer:
        old = scorer.encoding
        columns = ("moon", *old.columns[1:])
        return dataclasses.replace(scorer, encoding=Encoding(columns, old.levels, old.creators))

    fourth = register(client, moon)
    client.set_registered_model_alias(NAME, "champion", fourth)
    everywhere(server, "['moon']")
    assert rates(score(server))[0] == f"{NAME}/2"
    client.set_registered_model_alias(NAME, "champion", "1")
    everywhere(server, f"ready: {NAME}/1", "alarm")


def test_a_model_whose_signature_is_another_s_is_refused(client: MlflowClient) -> None:
    model = tracking.load(client, f"models:/{NAME}/1")
    require_signature(model)
    with pytest.raises(ModelError, match="its signature names other columns"):
        require_signature(dataclasses.replace(model, inputs=model.inputs - {"spend"}))


def test_without_the_registry_it_goes_on(server: Server, workspace: Path) -> None:
    before = rates(score(server))
    with (workspace / "mlflow.db").open("r+b") as store:
        begin = store.read(4096)
        store.seek(0)
        store.write(b"no database " * 300)
        store.flush()
        try:
            everywhere(server, "alarm: registry")
            assert rates(score(server)) == before
        finally:
            store.seek(0)
            store.write(begin)
    everywhere(server, f"ready: {NAME}/1\n", "alarm")


def test_broken_data_is_refused_and_fresh_data_is_taken_up(server: Server, workspace: Path) -> None:
    file = workspace / "data" / "creators.parquet"
    old = pd.read_parquet(file)
    newcomer = old.iloc[[0]].assign(creator_id="a newcomer", followers=5000)

    def put(frame: pd.DataFrame) -> None:
        frame.to_parquet(workspace / "aside.parquet", index=False)
        (workspace / "aside.parquet").replace(file)

    def found() -> set[int]:
        return {server.request("GET", "/v1/creators/a%20newcomer", key=None).status for _ in range(10)}

    before = rates(score(server))
    put(pd.concat([old, newcomer, newcomer], ignore_index=True))
    everywhere(server, "alarm: features: creators.creator_id")
    assert found() == {404}
    assert rates(score(server)) == before, "the features from before stay in use"
    with load(server, 1) as replies:
        put(pd.concat([old, newcomer], ignore_index=True))
        until = time.monotonic() + 90
        while found() != {200}:
            assert time.monotonic() < until, "fresh data was never taken up"
            time.sleep(0.2)
    assert {reply.status for reply in replies if isinstance(reply, Reply)} == {200}
    assert not [reply for reply in replies if isinstance(reply, OSError)]
    everywhere(server, "ready", "alarm")


def test_killed_processes_are_replaced(server: Server) -> None:
    expected = rates(score(server))
    before = server.workers()
    assert len(before) == 2
    with load(server, 2) as replies:
        os.kill(before[0], signal.SIGKILL)
        until = time.monotonic() + 60
        while len(set(server.workers()) - set(before)) < 1 or len(server.workers()) < 2:
            assert time.monotonic() < until, "the worker was not replaced"
            time.sleep(0.1)
        time.sleep(1)
    answers = [reply for reply in replies if isinstance(reply, Reply)]
    assert {reply.status for reply in answers} == {200}
    assert all(rates(reply) == expected for reply in answers)
    (publisher,) = [pid for pid, line in server.children() if "service.publish.publisher" in line]
    os.kill(publisher, signal.SIGKILL)
    assert score(server).status == 200
    until = time.monotonic() + 90
    while not [pid for pid, line in server.children() if "service.publish.publisher" in line and pid != publisher]:
        assert time.monotonic() < until, "the publisher was not replaced"
        time.sleep(0.1)


def test_overload_is_shed_with_a_word_on_when_to_come_again(server: Server) -> None:
    body = {"items": ITEMS * 40}

    def ask(_: int) -> tuple[float, Reply]:
        began = time.monotonic()
        reply = server.request("POST", "/v1/score?include=interval", body, key=None)
        return time.monotonic() - began, reply

    with ThreadPoolExecutor(40) as pool:
        timed = list(pool.map(ask, range(120)))
    replies = [reply for _, reply in timed]
    statuses = [reply.status for reply in replies]
    assert min(seconds for seconds, reply in timed if reply.status == 429) >= 0.5, "who hurries is kept"
    assert set(statuses) == {200, 429}
    assert {reply.headers["retry-after"] for reply in replies if reply.status == 429} == {"1"}
    assert score(server).status == 200


def test_silent_clients_were_let_go_in_time(server: Server, slow: list[socket.socket]) -> None:
    for i, one in enumerate(slow):
        one.settimeout(30)
        answer = one.recv(65536)
        assert answer == b"" or b" 408 " in answer.split(b"\r\n")[0], (i, answer[:200])
        if not i % 2:
            assert json.loads(answer.split(b"\r\n\r\n", 1)[1])["status"] == 408


def test_a_kept_connection_outlives_a_proxy_s_sixty_seconds(server: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    used: set[object] = set()
    for pause in (0, 62):
        time.sleep(pause)
        connection.request("GET", "/healthz")
        assert connection.getresponse().read() == b"alive\n"
        used.add(connection.sock)
    assert len(used) == 1, "it is the same connection"
    connection.close()


def test_without_keys_only_its_own_names_are_answered_to(server: Server) -> None:
    for host, status in {"evil.example": 421, f"127.0.0.1:{server.port}": 200, "localhost": 200}.items():
        for path in ("/", "/readyz", "/v1/model"):
            assert server.request("GET", path, key=None, Host=host).status == status, (host, path)


def test_in_flight_requests_finish_on_sigterm(server: Server, workspace: Path) -> None:
    """The last test: it ends the server. Every request that was sent before the signal is answered, though the signal
    goes to the whole group of processes, as a terminal sends it, and comes again."""
    body = json.dumps({"items": ITEMS * 400}).encode()
    connections = [socket.create_connection(("127.0.0.1", server.port), timeout=60) for _ in range(2)]
    kind = "Content-Type: application/json"
    head = f"POST /v1/score HTTP/1.1\r\nHost: localhost\r\n{kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    for one in connections:
        one.sendall(head.encode() + body)
    time.sleep(0.3)

    def end() -> int:
        for _ in range(3):
            if server.process.poll() is None:
                os.killpg(server.process.pid, signal.SIGTERM)
                time.sleep(0.2)
        return server.process.wait(60)

    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(end)
        statuses = [_status(one) for one in connections]
        assert ended.result() == 0
    assert set(statuses) <= {200, 429}
    assert 200 in statuses
    assert not list(workspace.glob("creator-yield-*")), "nothing is left behind"
    shutil.rmtree(workspace / "data")


def _status(connection: socket.socket) -> int:
    answer = b""
    while part := connection.recv(1 << 20):
        answer += part
        if b"\r\n\r\n" in answer:
            head, rest = answer.split(b"\r\n\r\n", 1)
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            if len(rest) >= length:
                json.loads(rest)
                return int(head.split()[1])
    raise AssertionError(f"cut off after {len(answer)} bytes")
