"""A running service whose publisher, registry, data and parent are taken away or replaced."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from mlflow import MlflowClient

from models import tracking
from models.registry import runs
from tests.support.workspace import Reply, Server, copy_workspace, running

pytestmark = pytest.mark.long

NAME = "conversions-per-dollar"
ITEM = {"creator_id": "creator_000001", "brand": "somebody", "product_niche": "beauty", "promotion_hours": 48,
        "spend": 300}  # fmt: skip
PAST, LATELY, COMING = "2025-01-01T12:00:00Z", "2025-12-01T12:00:00Z", "2026-06-01T12:00:00Z"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory, trained_workspace: Path) -> Path:
    return copy_workspace(tmp_path_factory.mktemp("live"), trained_workspace)


@pytest.fixture(scope="module")
def server(workspace: Path) -> Iterator[Server]:
    with running(workspace, "--no-auth") as started:
        yield started


def score(server: Server, start: str = COMING, brand: str = "somebody") -> Reply:
    return server.request("POST", "/v1/score", {"items": [ITEM | {"starts_at": start, "brand": brand}]}, key=None)


def until(happens: Callable[[], Any], why: str, within: float = 120.0) -> Any:
    """What comes of it, once it is true."""
    end = time.monotonic() + within
    while not (found := happens()):
        assert time.monotonic() < end, why
        time.sleep(0.1)
    return found


def readyz(server: Server) -> str:
    return server.request("GET", "/readyz", key=None).body.decode()


def everywhere(server: Server, wanted: str, unwanted: str = "\0") -> None:
    """Until every worker says so."""
    until(lambda: all(wanted in (text := readyz(server)) and unwanted not in text for _ in range(12)), wanted)


def publisher(server: Server) -> int | None:
    found = [pid for pid, line in server.children() if "service.publish.publisher" in line]
    return found[0] if found else None


def register(client: MlflowClient, change: Callable[[dict[str, Any]], object]) -> str:
    """A version of its own: the first one with some files changed, and checksums that fit."""
    version = runs.register(
        client, runs.start(client, NAME, 0), NAME, tracking.load(client, f"models:/{NAME}/1").scorer
    )
    source = client.get_model_version(NAME, version).source
    assert source
    folder = Path(source.removeprefix("file://")) / "artifacts" / "scorer"
    files = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    change(files)
    sums = json.loads(files["checksums.json"])
    sums |= {name: hashlib.sha256(files[name]).hexdigest() for name in sums if name in files}
    files["checksums.json"] = json.dumps(sums).encode()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return version


def damaged(files: dict[str, bytes]) -> None:
    """Cut a model's trees so that LightGBM ends the process that reads them."""
    for name, content in files.items():
        if content.startswith(b"tree\n"):
            files[name] = content.replace(b"threshold=", b"threshold=x ", 1)[: len(content) // 2]


def test_a_publisher_begins_again_without_the_registry(server: Server, workspace: Path) -> None:
    before, past = score(server).json, score(server, PAST).json
    (workspace / "mlflow.db").rename(workspace / "away.db")
    everywhere(server, "alarm: registry")
    killed = publisher(server)
    assert killed
    os.kill(killed, signal.SIGKILL)
    until(lambda: publisher(server) not in (None, killed), "it was not started again")
    again = until(lambda: (reply := score(server, PAST)).status == 200 and reply, "past starts have no answer")
    assert (again.json, score(server).json) == (past, before)
    assert "alarm: registry" in readyz(server)
    assert not (workspace / "mlflow.db").exists(), "nothing makes a store where there is none"
    (workspace / "away.db").rename(workspace / "mlflow.db")
    everywhere(server, f"ready: {NAME}/1\n", "alarm")


def test_a_model_that_crashes_lightgbm_is_refused(server: Server, workspace: Path) -> None:
    client = MlflowClient(f"sqlite:///{workspace / 'mlflow.db'}")
    second = register(client, damaged)
    before, running = score(server).json, publisher(server)
    client.set_registered_model_alias(NAME, "champion", second)
    everywhere(server, "alarm: model: Crash: the process that loaded the model was ended by SIG")
    assert publisher(server) == running, "it is not the publisher that crashes"
    assert score(server).json == before
    assert '"message":"refused","about":"model","why":' in server.log.read_text()
    client.set_registered_model_alias(NAME, "champion", "1")
    everywhere(server, f"ready: {NAME}/1\n", "alarm")


def test_a_store_that_is_replaced_by_rename_is_noticed(server: Server, workspace: Path) -> None:
    shutil.copy(workspace / "mlflow.db", workspace / "other.db")
    other = MlflowClient(f"sqlite:///{workspace / 'other.db'}")
    third = register(other, lambda files: None)
    other.set_registered_model_alias(NAME, "champion", third)
    (workspace / "other.db").replace(workspace / "mlflow.db")
    everywhere(server, f"ready: {NAME}/{third}\n", "alarm")


def on_each_path(server: Server) -> list[Any]:
    """Answers of the arrays, of the features held for past starts, and of features built for a request's history."""
    stranger = ITEM | {"creator_id": "a stranger", "starts_at": LATELY}
    known = {"creators": [{"creator_id": "a stranger", "platform": "instagram", "niche": "beauty"}]}
    request = {"items": [stranger], "history": known}
    replies = [score(server), score(server, LATELY), server.request("POST", "/v1/score", request, key=None)]
    assert [reply.status for reply in replies] == [200] * 3
    return [reply.json for reply in replies]


def test_what_is_refused_answers_on_no_path(server: Server, workspace: Path) -> None:
    file = workspace / "data" / "collaborations.parquet"
    frame, before = pd.read_parquet(file), on_each_path(server)
    frame.assign(conversions=-1).to_parquet(workspace / "aside.parquet", index=False)
    kept = file.rename(workspace / "kept.parquet")
    (workspace / "aside.parquet").replace(file)
    assert on_each_path(server) == before, "not even before it is refused"
    everywhere(server, "alarm: features: collaborations.conversions")
    assert on_each_path(server) == before
    kept.replace(file)
    everywhere(server, f"ready: {NAME}/", "alarm")


def test_each_process_may_get_the_signal_and_all_that_was_asked_is_answered(server: Server, workspace: Path) -> None:
    """As systemd sends it with KillMode=control-group. The last test of this server."""
    family = [server.process.pid, *(pid for pid, _ in server.children())]
    family += children_of(publisher(server) or 0)
    with ThreadPoolExecutor(4) as pool:
        sent = [pool.submit(score, server, PAST, f"brand {i}") for i in range(2)]
        until(lambda: not any(one.done() for one in sent), "they were answered too soon")
        time.sleep(0.3)
        for pid in family:
            os.kill(pid, signal.SIGTERM)
        assert [one.result().status for one in sent] == [200, 200]
    assert server.process.wait(60) == 0
    assert "panicked" not in server.log.read_text()
    assert not list(workspace.glob("creator-yield-*"))


def test_a_service_whose_first_model_crashes_says_so_and_ends(workspace: Path) -> None:
    client = MlflowClient(f"sqlite:///{workspace / 'mlflow.db'}")
    version = register(client, damaged)
    uri, before = f"models:/{NAME}/{version}", set(workspace.glob("creator-yield-*"))
    started = Server(workspace, workspace / "data", "--no-auth", "--model", uri, TMPDIR=str(workspace))
    try:
        assert started.process.wait(240) == 1
    finally:
        started.stop()
    (said,) = [line for line in started.log.read_text(errors="replace").splitlines() if not line.startswith("{")]
    assert said.startswith("Crash: the process that loaded the model was ended by SIG")
    assert set(workspace.glob("creator-yield-*")) == before


def children_of(parent: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(stat.read_text().rpartition(")")[2].split()[1]) == parent:
                found.append(int(stat.parent.name))
        except OSError:
            continue  # it has ended meanwhile
    return found


def test_all_end_with_a_server_that_is_killed(workspace: Path) -> None:
    with running(workspace, "--no-auth") as started:
        family = [pid for pid, _ in started.children()]
        family += children_of(publisher(started) or 0)
        assert len(family) >= 4
        with ThreadPoolExecutor(2) as pool:
            sent = [pool.submit(score, started, PAST, f"brand {i}") for i in range(2)]
            time.sleep(0.3)
            started.process.kill()
            assert [one.result().status for one in sent] == [200, 200]
        until(lambda: not any(alive(pid) for pid in family), "a process lives on", within=45)
        until(lambda: not list(workspace.glob("creator-yield-*")), "the folder stays")
        with socket.socket() as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # its closed connections may linger
            one.bind(("127.0.0.1", started.port))


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
