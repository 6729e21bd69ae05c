"""Ten minutes of mixed load while models are swapped, workers killed and the registry away; every answer is checked.

python -m benchmarks.serve_soak [--minutes 10] [--folder build/bench-serve]

Threads post for 1, 20 and 200 rows, with and without reasons and intervals. Two versions take turns as champion, ten
times; two workers are killed; the registry's store is unreadable for a while. An answer is right if it has the bits
that the version it names gave when nothing else was going on. Ends with status 1 for a wrong answer, or a status of 500
and above.
"""

from __future__ import annotations

import argparse
import dataclasses
import http.client
import json
import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from mlflow import MlflowClient

from benchmarks.serve import ROOT, bodies, free_port, prepare, running
from models import tracking
from models.estimators.rate import RateModel
from models.registry import runs

NAME = "conversions-per-dollar"
PATHS = ("/v1/score", "/v1/score?include=interval", "/v1/score?include=reasons,interval")
SWAPS, KILLS, THREADS = 10, 2, 6


def second_version(workspace: Path) -> tuple[MlflowClient, list[str]]:
    """Two versions of the registry that differ; the second is the first with another level."""
    client = MlflowClient(f"sqlite:///{workspace / 'mlflow.db'}")
    versions = sorted(str(v.version) for v in client.search_model_versions(f"name='{NAME}'"))
    if len(versions) < 2:
        model = tracking.load(client, f"models:/{NAME}/{versions[0]}")
        rate = model.scorer.rate
        scorer = dataclasses.replace(
            model.scorer, rate=RateModel(rate.components, rate.weights, rate.level_correction + 0.1, rate.constant)
        )
        versions.append(runs.register(client, runs.start(client, NAME, 0), NAME, scorer))
    return client, versions[:2]


def post(port: int, path: str, body: str) -> tuple[int, bytes]:
    """One request on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("POST", path, body, {"Content-Type": "application/json"})
        reply = connection.getresponse()
        return reply.status, reply.read()
    finally:
        connection.close()


def version_of(port: int) -> str:
    """The version that answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", "/v1/model")
        return str(json.loads(connection.getresponse().read())["model_version"])
    finally:
        connection.close()


def settle(port: int, client: MlflowClient, version: str) -> None:
    """Make it champion and wait until every worker answers with it."""
    client.set_registered_model_alias(NAME, "champion", version)
    in_a_row, until = 0, time.monotonic() + 300
    while in_a_row < 20:
        if time.monotonic() > until:
            raise SystemExit(f"version {version} was never taken up")
        in_a_row = in_a_row + 1 if version_of(port) == f"{NAME}/{version}" else 0


def workers(server: int) -> list[int]:
    """Processes of a server's workers."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == server and b"spawn_main" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue  # it has ended meanwhile
    return found


def soak(folder: Path, minutes: float) -> int:
    """The whole of it; the exit status."""
    market, workspace = prepare(folder)
    texts = [text for rows in (1, 20, 200) for text in bodies(market, workspace, rows)[0][:20]]
    client, versions = second_version(workspace)
    client.set_registered_model_alias(NAME, "champion", versions[0])
    port = free_port()
    serve = [sys.executable, str(ROOT / "serve.py"), "--data", str((market / "data").resolve()), "--no-auth"]
    counted: Counter[str] = Counter()
    with running([*serve, "--port", str(port)], workspace, port, "/readyz", folder / "soak.log") as server:
        expected: dict[tuple[str, str, str], Any] = {}
        for version in versions:
            settle(port, client, version)
            for path in PATHS:
                for text in texts:
                    expected[f"{NAME}/{version}", path, text] = json.loads(post(port, path, text)[1])["scores"]
        stop = threading.Event()
        threads = [
            threading.Thread(target=_request_until, args=(port, texts, expected, counted, stop, seed))
            for seed in range(THREADS)
        ]
        for one in threads:
            one.start()
        try:
            _events(server, client, versions, workspace, minutes, counted)
        finally:
            stop.set()
            for one in threads:
                one.join()
    print(json.dumps(counted, indent=1, sort_keys=True))
    return int(bool(counted["wrong"]) or any(n for what, n in counted.items() if what.startswith("status 5")))


def _request_until(
    port: int, texts: list[str], expected: dict[Any, Any], counted: Counter[str], stop: threading.Event, seed: int
) -> None:
    rng = random.Random(seed)
    while not stop.is_set():
        path, text = rng.choice(PATHS), rng.choice(texts)
        try:
            status, received = post(port, path, text)
        except (OSError, http.client.HTTPException):
            counted["connections lost"] += 1  # a killed worker takes those with it that it had
            continue
        counted[f"status {status}"] += 1
        if status == 200:
            answer = json.loads(received)
            right = answer["scores"] == expected[answer["model_version"], path, text]
            counted["right" if right else "wrong"] += 1


def _events(
    server: int, client: MlflowClient, versions: list[str], workspace: Path, minutes: float, counted: Counter[str]
) -> None:
    """Swaps all the while; kills and the registry's absence between them."""
    pause = minutes * 60 / (SWAPS + 1)
    for swap in range(SWAPS):
        time.sleep(pause)
        if swap in (3, 7):
            os.kill(random.Random(swap).choice(workers(server)), signal.SIGKILL)
            counted["killed workers"] += 1
        if swap == 5:
            _away(workspace, min(pause / 2, 20.0))
            counted["registry away"] += 1
        client.set_registered_model_alias(NAME, "champion", versions[(swap + 1) % 2 - 1])
        counted["swaps"] += 1
    time.sleep(pause)


def _away(workspace: Path, seconds: float) -> None:
    with (workspace / "mlflow.db").open("r+b") as store:
        begin = store.read(4096)
        store.seek(0)
        store.write(b"no database " * 300)
        store.flush()
        time.sleep(seconds)
        store.seek(0)
        store.write(begin)


def main() -> None:
    parser = argparse.ArgumentParser("benchmarks.serve_soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="(%(default)s)")
    parser.add_argument("--folder", type=Path, default=Path("build/bench-serve"))
    args = parser.parse_args()
    sys.exit(soak(args.folder.resolve(), args.minutes))


if __name__ == "__main__":
    main()
