"""How fast the service answers, against `mlflow models serve` with the same model on the same machine, in one run.

python -m benchmarks.serve [--seconds 10] [--folder build/bench-serve]        needs wrk (apt-get install wrk)

A made-up market is trained on once and kept in the folder. Load comes from wrk on loopback, 8 connections, every
request another body; then more than it can do (`benchmarks.serve_overload`). The constant app answers the same bytes
always, on the same server: what HTTP alone costs.
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
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import serve_overload
from features.matrix import FeatureBuilder
from features.source import open_candidates, open_history
from models.scorer import Scorer

ROOT = Path(__file__).resolve().parent.parent
URI = "models:/conversions-per-dollar@champion"
CONNECTIONS, BODIES = 8, 64
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
  io.write(string.format("TOLD %d %d %f %f %d\\n", summary.requests, summary.duration, latency:percentile(50),
    latency:percentile(99), e.connect + e.read + e.write + e.status + e.timeout))
end
"""
CONSTANT = """
async def app(scope, proto):
    await proto()
    proto.response_bytes(200, [("content-type", "application/json")], ANSWER)
"""


@dataclass(frozen=True)
class Told:
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
    """The market's folder and the desk's, made where they are not there yet."""
    market, desk = folder / "market", folder / "desk"
    if not market.exists():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, "-m", "demo", str(market), "--force"], cwd=ROOT, check=True)
    if not (desk / "trained").exists():
        desk.mkdir(exist_ok=True)
        data = str(market / "data")
        subprocess.run([sys.executable, str(ROOT / "train.py"), data], cwd=desk, check=True, env=environment())
        (desk / "trained").touch()
    return market, desk


def environment() -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("CREATOR_YIELD_")}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return kept | {"PYTHONPATH": str(ROOT), "MLFLOW_TRACKING_URI": "sqlite:///mlflow.db", "PATH": path}


@contextmanager
def running(command: list[str], desk: Path, port: int, path: str, log: Path) -> Iterator[int]:
    """A server, from the moment it answers 200 on `path`; yields its process."""
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=desk, env=environment(), stdout=out, stderr=out, start_new_session=True)
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
def service(market: Path, desk: Path, folder: Path) -> Iterator[int]:
    """Ours, ready; yields its port."""
    port = free_port()
    serve = [sys.executable, str(ROOT / "serve.py"), "--data", str((market / "data").resolve()), "--no-auth"]
    with running([*serve, "--port", str(port)], desk, port, "/readyz", folder / "serve.log"):
        yield port


def _answers(port: int, path: str) -> bool:
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except OSError:
        return False


def load(port: int, path: str, bodies: list[str], seconds: int, folder: Path) -> Told:
    """wrk's word on one load."""
    (folder / "bodies").write_text("\n".join(bodies) + "\n")
    (folder / "load.lua").write_text(LUA)
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "30s", "-s", str(folder / "load.lua")]
    done = subprocess.run(
        [*command, f"http://127.0.0.1:{port}{path}"],
        env=os.environ | {"BODIES": str(folder / "bodies")}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    line = next(line for line in done.stdout.splitlines() if line.startswith("TOLD"))
    requests, micros, p50, p99, errors = (float(word) for word in line.split()[1:])
    return Told(requests / micros * 1e6, p50 / 1000, p99 / 1000, int(errors))


def bodies(market: Path, desk: Path, rows: int) -> tuple[list[str], list[str]]:
    """Requests of so many rows: for the service, and with the matrix of the same rows for MLflow."""
    folder = next(p.parent for p in desk.glob("mlartifacts/**/scorer/checksums.json"))
    scorer = Scorer.load(folder)
    with open_history(market / "data") as history:
        asked = next(open_candidates(history, market / "candidates.parquet").batches(10**6)).to_pandas()
        asked = asked.iloc[np.random.default_rng(0).integers(0, len(asked), rows * BODIES)].reset_index(drop=True)
        with FeatureBuilder(history, scorer.settings, scorer.classifier) as builder:
            matrix = builder.build(asked)
    asked["starts_at"] = [f"{at.isoformat()}Z" for at in asked.starts_at]
    columns = ["creator_id", "brand", "product_niche", "product_country", "objective", "starts_at", "promotion_hours",
               "deliverables", "spend"]  # fmt: skip
    items = _plain(asked[columns])
    matrix = matrix[list(scorer.encoding.columns)].assign(creator_id=asked.creator_id, spend=asked.spend)
    records = _plain(matrix)
    starts = range(0, rows * BODIES, rows)
    ours = [json.dumps({"items": items[at : at + rows]}) for at in starts]
    params = {"level": 0.8, "reasons": False}
    theirs = [json.dumps({"dataframe_records": records[at : at + rows], "params": params}) for at in starts]
    return ours, theirs


def _plain(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(k): None if v is None or v != v else v for k, v in row.items()} for row in frame.to_dict("records")]


def measure(folder: Path, seconds: int) -> tuple[dict[str, Told], dict[str, serve_overload.Answers]]:
    """Every load, ours and theirs one after the other; and ours under more than it can do."""
    market, desk = prepare(folder)
    asked = {rows: bodies(market, desk, rows) for rows in (1, 100)}
    found: dict[str, Told] = {}

    def run(name: str, port: int, path: str, texts: list[str]) -> None:
        load(port, path, texts, min(3, seconds), folder)
        found[name] = load(port, path, texts, seconds, folder)
        print(f"{name}: {found[name]}", file=sys.stderr, flush=True)

    with service(market, desk, folder) as port:
        for rows, (ours, _) in asked.items():
            run(f"ours {rows}", port, "/v1/score", ours)
            run(f"ours {rows} intervals", port, "/v1/score?include=interval", ours)
            run(f"ours {rows} reasons", port, "/v1/score?include=reasons", ours)
        overload = serve_overload.measure(port, {rows: ours for rows, (ours, _) in asked.items()}, seconds, folder)
        answer = _ask(port, asked[1][0][0])
    (folder / "constant.py").write_text(f"ANSWER = {answer!r}\n{CONSTANT}")
    port = free_port()
    constant = [
        sys.executable,
        "-m",
        "granian",
        "--interface",
        "rsgi",
        "--workers",
        "2",
        "--no-log",
        "--port",
        str(port),
    ]
    with running([*constant, "--working-dir", str(folder), "constant:app"], desk, port, "/", folder / "constant.log"):
        run("constant 1", port, "/", asked[1][0])
    port = free_port()
    theirs = [sys.executable, "-m", "mlflow", "models", "serve", "-m", URI, "-p", str(port), "--env-manager", "local"]
    with running(theirs, desk, port, "/ping", folder / "mlflow.log"):
        for rows, (_, told) in asked.items():
            run(f"mlflow {rows}", port, "/invocations", told)
    return found, overload


def _ask(port: int, body: str) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("POST", "/v1/score", body, {"Content-Type": "application/json"})
    return connection.getresponse().read()


def tell(found: dict[str, Told]) -> None:
    """The table, and what is asked of it."""
    print("| load | requests/s | p50 ms | p99 ms | errors |\n|---|---|---|---|---|")
    for name, told in found.items():
        print(f"| {name} | {told.rate:,.0f} | {told.p50:.2f} | {told.p99:.2f} | {told.errors} |")
    one, many = found["ours 1"], found["ours 100"]
    ratios = {
        "1 item: requests/s over mlflow (at least 40)": one.rate / found["mlflow 1"].rate,
        "1 item: p99 of mlflow over ours (at least 30)": found["mlflow 1"].p99 / one.p99,
        "100 items: requests/s over mlflow (at least 8)": many.rate / found["mlflow 100"].rate,
        "1 item with intervals over without (at least 0.7)": found["ours 1 intervals"].rate / one.rate,
        "100 items with intervals over without (at least 0.7)": found["ours 100 intervals"].rate / many.rate,
        "1 item over a constant answer (at least 0.7)": one.rate / found["constant 1"].rate,
    }
    print()
    for name, ratio in ratios.items():
        print(f"{name}: {ratio:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser("benchmarks.serve", description=__doc__)
    parser.add_argument("--seconds", type=int, default=10, help="of each load (%(default)s)")
    parser.add_argument("--folder", type=Path, default=Path("build/bench-serve"))
    asked = parser.parse_args()
    found, overload = measure(asked.folder.resolve(), asked.seconds)
    tell(found)
    print()
    serve_overload.tell(overload)


if __name__ == "__main__":
    main()
