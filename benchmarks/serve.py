"""How fast the service answers, against `mlflow models serve` with the same model on the same machine, in one run.

python -m benchmarks.serve [--seconds 10] [--rounds 3] [--folder build/bench-serve]        needs wrk

A made-up market is trained on once and kept in the folder. Load comes from wrk on loopback, 8 connections, every
request another body. In each round every server is started, loaded and ended in turn; medians over the rounds count.
The constant apps (`benchmarks.constant`) have as many workers as ours, FastAPI under uvicorn as MLflow brings it.
`benchmarks.serve_overload` then sends ours more than it can do.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd

from features.history.source import open_candidates, open_history
from features.matrix import FeatureBuilder
from models.scorer import Scorer
from serve import WORKERS

ROOT = Path(__file__).resolve().parent.parent
URI = "models:/conversions-per-dollar@champion"
CONNECTIONS, BODIES = 8, 64
CHECKED, UNREAD, BARE = (f"a constant, {how}" for how in ("FastAPI that checks the items", "FastAPI", "bare RSGI"))
LUA = """
local requests, at = {}, 0
function init(args)
  for line in io.lines(os.getenv("BODIES")) do
    requests[#requests + 1] = wrk.format("POST", nil, {["Content-Type"] = "application/json"}, line)
  end
end
function request() at = at % #requests + 1; return requests[at] end
function done(summary, latency, all)
  local e = summary.errors
  io.write(string.format("MEASURED %d %d %f %f %d\\n", summary.requests, summary.duration, latency:percentile(50),
    latency:percentile(99), e.connect + e.read + e.write + e.status + e.timeout))
end
"""


@dataclass(frozen=True)
class Measured:
    """What wrk measured: requests a second, milliseconds."""

    rate: float
    p50: float
    p99: float
    errors: int


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def prepare(folder: Path) -> tuple[Path, Path]:
    """The market's folder and the workspace's, made where they are not there yet."""
    market, workspace = folder / "market", folder / "workspace"
    if not market.exists():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, "-m", "demo", str(market), "--force"], cwd=ROOT, check=True)
    if not (workspace / "trained").exists():
        workspace.mkdir(exist_ok=True)
        data = str(market / "data")
        subprocess.run([sys.executable, str(ROOT / "train.py"), data], cwd=workspace, check=True, env=environment())
        (workspace / "trained").touch()
    return market, workspace


def environment() -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("CREATOR_YIELD_")}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return kept | {"PYTHONPATH": str(ROOT), "MLFLOW_TRACKING_URI": "sqlite:///mlflow.db", "PATH": path}


@contextmanager
def running(command: list[str], workspace: Path, port: int, path: str, log: Path, **more: str) -> Iterator[int]:
    """A server, from the moment it answers 200 on `path`; yields its process. more: of its environment."""
    with log.open("wb") as out:
        variables = environment() | more
        process = subprocess.Popen(
            command, cwd=workspace, env=variables, stdout=out, stderr=out, start_new_session=True
        )
        try:
            until = time.monotonic() + 300
            while not _answers(port, path):
                if process.poll() is not None or time.monotonic() > until:
                    raise SystemExit(f"it did not start: see {log}")
                time.sleep(0.5)
            time.sleep(3)
            yield process.pid
        finally:
            process.terminate()
            process.wait(60)


@contextmanager
def service(market: Path, workspace: Path, folder: Path) -> Iterator[int]:
    """Ours, ready; yields its port."""
    port = free_port()
    serve = [sys.executable, str(ROOT / "serve.py"), "--data", str((market / "data").resolve()), "--no-auth"]
    with running([*serve, "--port", str(port)], workspace, port, "/readyz", folder / "serve.log"):
        yield port


def _answers(port: int, path: str) -> bool:
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except OSError:
        return False


def load(port: int, path: str, bodies: list[str], seconds: int, folder: Path) -> Measured:
    """wrk's word on one load."""
    (folder / "bodies").write_text("\n".join(bodies) + "\n")
    (folder / "load.lua").write_text(LUA)
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "30s", "-s", str(folder / "load.lua")]
    done = subprocess.run(
        [*command, f"http://127.0.0.1:{port}{path}"],
        env=os.environ | {"BODIES": str(folder / "bodies")}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    line = next(line for line in done.stdout.splitlines() if line.startswith("MEASURED"))
    requests, micros, p50, p99, errors = (float(word) for word in line.split()[1:])
    return Measured(requests / micros * 1e6, p50 / 1000, p99 / 1000, int(errors))


def bodies(market: Path, workspace: Path, rows: int) -> tuple[list[str], list[str]]:
    """Requests of so many rows: for the service, and with the matrix of the same rows for MLflow."""
    folder = next(p.parent for p in workspace.glob("mlartifacts/**/scorer/checksums.json"))
    scorer = Scorer.load(folder)
    with open_history(market / "data") as history:
        candidates = next(open_candidates(history, market / "candidates.parquet").batches(10**6)).to_pandas()
        candidates = candidates.iloc[np.random.default_rng(0).integers(0, len(candidates), rows * BODIES)].reset_index(
            drop=True
        )
        with FeatureBuilder(history, scorer.settings, scorer.classifier) as builder:
            matrix = builder.build(candidates)
    candidates["starts_at"] = [f"{at.isoformat()}Z" for at in candidates.starts_at]
    columns = ["creator_id", "brand", "product_niche", "product_country", "objective", "starts_at", "promotion_hours",
               "deliverables", "spend"]  # fmt: skip
    items = _plain(candidates[columns])
    matrix = matrix[list(scorer.encoding.columns)].assign(creator_id=candidates.creator_id, spend=candidates.spend)
    records = _plain(matrix)
    starts = range(0, rows * BODIES, rows)
    ours = [json.dumps({"items": items[at : at + rows]}) for at in starts]
    params = {"level": 0.8, "reasons": False}
    theirs = [json.dumps({"dataframe_records": records[at : at + rows], "params": params}) for at in starts]
    return ours, theirs


def _plain(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(k): None if v is None or v != v else v for k, v in row.items()} for row in frame.to_dict("records")]


def measure(folder: Path, seconds: int, rounds: int) -> dict[str, list[Measured]]:
    """By load, the load of each round."""
    market, workspace = prepare(folder)
    requests = {rows: bodies(market, workspace, rows) for rows in (1, 100)}
    found: dict[str, list[Measured]] = {}
    answer = folder / "answer.json"
    data = str((market / "data").resolve())
    python, workers = [sys.executable, "-m"], ["--workers", str(WORKERS)]
    apps = {
        "ours": ([sys.executable, str(ROOT / "serve.py"), "--data", data, "--no-auth"], "/readyz"),
        "rsgi": ([*python, "granian", "--interface", "rsgi", *workers, "--no-log", "benchmarks.constant:rsgi"], "/"),
        "fastapi": ([*python, "benchmarks.constant", *workers], "/ready"),
        "mlflow": ([*python, "mlflow", "models", "serve", "-m", URI, "--env-manager", "local"], "/ping"),
    }
    for _ in range(rounds):
        for name, (command, ready) in apps.items():
            port = free_port()
            call = [*command, "--port", str(port)]
            with running(call, workspace, port, ready, folder / f"{name}.log", CONSTANT=str(answer)):
                if name == "ours":
                    answer.write_bytes(post(port, requests[1][0][0]))
                for label, path, texts in _loads(name, requests):
                    load(port, path, texts, min(3, seconds), folder)
                    measured = load(port, path, texts, seconds, folder)
                    found.setdefault(label, []).append(measured)
                    print(f"{label}: {measured}", file=sys.stderr, flush=True)
    return found


def _loads(name: str, requests: dict[int, tuple[list[str], list[str]]]) -> Iterator[tuple[str, str, list[str]]]:
    """What an app is loaded with: label, path and bodies."""
    if name == "ours":
        for rows, (ours, _) in requests.items():
            for part in ("", "interval", "reasons"):
                yield f"ours {rows} {part}".strip(), f"/v1/score?include={part}".removesuffix("?include="), ours
    elif name == "mlflow":
        for rows, (_, theirs) in requests.items():
            yield f"mlflow {rows}", "/invocations", theirs
    elif name == "fastapi":
        yield CHECKED, "/checked", requests[1][0]
        yield UNREAD, "/bare", requests[1][0]
    else:
        yield BARE, "/", requests[1][0]


def post(port: int, body: str) -> bytes:
    """The answer to one request for scores."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("POST", "/v1/score", body, {"Content-Type": "application/json"})
    return connection.getresponse().read()


def report(found: dict[str, list[Measured]]) -> None:
    """The table of medians, each round's requests, and what is required of them."""
    print("| load | requests/s | p50 ms | p99 ms | errors | requests/s of each round |\n|---|---|---|---|---|---|")
    for name, loads in found.items():
        rate, p50, p99 = (median(getattr(one, what) for one in loads) for what in ("rate", "p50", "p99"))
        errors, rounds = sum(one.errors for one in loads), ", ".join(f"{one.rate:,.0f}" for one in loads)
        print(f"| {name} | {rate:,.0f} | {p50:.2f} | {p99:.2f} | {errors} | {rounds} |")
    ratios = [
        ("1 item: requests/s over mlflow (at least 40)", "ours 1", "mlflow 1", "rate"),
        ("1 item: p99 of mlflow over ours (at least 30)", "mlflow 1", "ours 1", "p99"),
        ("100 items: requests/s over mlflow (at least 8)", "ours 100", "mlflow 100", "rate"),
        ("1 item: requests/s with intervals over without (at least 0.7)", "ours 1 interval", "ours 1", "rate"),
        ("100 items: requests/s with intervals over without (at least 0.7)", "ours 100 interval", "ours 100", "rate"),
        (f"1 item: requests/s over {CHECKED} (at least 0.7)", "ours 1", CHECKED, "rate"),
        (f"1 item: requests/s over {UNREAD}", "ours 1", UNREAD, "rate"),
        (f"1 item: requests/s over {BARE}", "ours 1", BARE, "rate"),
    ]
    print("\nThe median of each round's own ratio, and each of them:\n")
    for name, above, below, what in ratios:
        each = [getattr(a, what) / getattr(b, what) for a, b in zip(found[above], found[below], strict=True)]
        print(f"{name}: {median(each):.2f} ({', '.join(f'{one:.2f}' for one in each)})")


def main() -> None:
    parser = argparse.ArgumentParser("benchmarks.serve", description=__doc__)
    parser.add_argument("--seconds", type=int, default=10, help="of each load (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="(%(default)s)")
    parser.add_argument("--folder", type=Path, default=Path("build/bench-serve"))
    args = parser.parse_args()
    folder = args.folder.resolve()
    report(measure(folder, args.seconds, args.rounds))


if __name__ == "__main__":
    main()
