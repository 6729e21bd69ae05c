"""Overload: how much is shed, and how long accepted requests take, against the same requests on a quiet service.

python -m benchmarks.serve_overload [--seconds 10] [--folder build/bench-serve]    needs wrk; part of make bench-serve

wrk uses 8 connections, then 256; each sends its next request at once, even after a 429 with Retry-After. A request
carries the moment it was sent as its X-Request-Id, which the answer repeats, so that each answer's time is known beside
its status. Times are those of accepted requests as the client sees them. The first two seconds, in which all
connections start together, do not count.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.serve import bodies, prepare, service

QUIET, MANY = 8, 256
WARM_UP = 2  # seconds
TIMES = 3  # the p99 of the accepted may be so many times that of the quiet
LUA = """
local ffi = require("ffi")
ffi.cdef("typedef struct { long s; long ns; } moment; int clock_gettime(int clock, moment *now);")
local now = ffi.new("moment")
local function micros()
  ffi.C.clock_gettime(1, now)
  return tonumber(now.s) * 1e6 + tonumber(now.ns) / 1e3
end
local bodies, at, answers, from = {}, 0, nil, nil
function init(args)
  for line in io.lines(os.getenv("BODIES")) do bodies[#bodies + 1] = line end
  answers = io.open(os.getenv("ANSWERS"), "w")
  from = micros() + os.getenv("WARM_UP") * 1e6
end
function request()
  at = at % #bodies + 1
  return string.format("POST %s HTTP/1.1\\r\\nHost: x\\r\\nContent-Type: application/json\\r\\nX-Request-Id: %.0f\\r\\n"
    .. "Content-Length: %d\\r\\n\\r\\n%s", wrk.path, micros(), #bodies[at], bodies[at])
end
function response(status, headers, body)
  local sent = tonumber(headers["x-request-id"])
  if sent > from then answers:write(status, " ", micros() - sent, " ", headers["retry-after"] or "-", "\\n") end
end
function done(summary)
  local e = summary.errors
  io.write(string.format("LOST %d\\n", e.connect + e.read + e.write + e.timeout))
end
"""


@dataclass(frozen=True)
class Answers:
    """accepted, shed: how many. p50, p99: milliseconds of the accepted. unsaid: shed ones without Retry-After.

    other: answers of another status, and connections lost.
    """

    accepted: int
    shed: int
    p50: float
    p99: float
    unsaid: int
    other: int


def load(port: int, path: str, bodies: list[str], connections: int, seconds: int, folder: Path) -> Answers:
    """Every answer to one load."""
    (folder / "bodies").write_text("\n".join(bodies) + "\n")
    (folder / "overload.lua").write_text(LUA)
    written = folder / "answers"
    wrk = ["wrk", "-t1", f"-c{connections}", f"-d{WARM_UP + seconds}s", "--timeout", "30s"]
    done = subprocess.run(
        [*wrk, "-s", str(folder / "overload.lua"), f"http://127.0.0.1:{port}{path}"],
        capture_output=True, text=True, check=True,
        env=os.environ | {"BODIES": str(folder / "bodies"), "ANSWERS": str(written), "WARM_UP": str(WARM_UP)},
    )  # fmt: skip
    lost = next(int(line.split()[1]) for line in done.stdout.splitlines() if line.startswith("LOST"))
    answers = [line.split() for line in written.read_text().splitlines()]
    took = np.array([float(micros) for status, micros, _ in answers if status == "200"]) / 1000
    shed = [after for status, _, after in answers if status == "429"]
    p50, p99 = np.percentile(took, [50, 99]) if len(took) else (np.nan, np.nan)
    other = len(answers) - len(took) - len(shed) + lost
    return Answers(len(took), len(shed), float(p50), float(p99), sum(not after.isdigit() for after in shed), other)


def measure(port: int, requests: Mapping[int, list[str]], seconds: int, folder: Path) -> dict[str, Answers]:
    """requests: bodies by their number of items. Each quiet, then overloaded."""
    found = {}
    for rows, texts in requests.items():
        for connections in (QUIET, MANY):
            name = f"{rows} item{'s' * (rows > 1)}, {connections} connections"
            found[name] = load(port, "/v1/score", texts, connections, seconds, folder)
            print(f"{name}: {found[name]}", file=sys.stderr, flush=True)
    return found


def report(found: Mapping[str, Answers]) -> None:
    """The table, and how much longer the accepted wait than where it is quiet."""
    print("| load | accepted | shed (429) | without Retry-After | other | p50 ms | p99 ms of the accepted |")
    print("|---|---|---|---|---|---|---|")
    for name, one in found.items():
        print(
            f"| {name} | {one.accepted:,} | {one.shed:,} | {one.unsaid} | {one.other} | {one.p50:.2f} | {one.p99:.2f} |"
        )
    print()
    pairs = list(found.items())
    for (_, quiet), (name, many) in zip(pairs[::2], pairs[1::2], strict=True):
        print(f"{name}: p99 over the quiet one (at most {TIMES}): {many.p99 / quiet.p99:.2f}")


def run(folder: Path, seconds: int) -> dict[str, Answers]:
    """Start the service on the benchmark's market, and measure it."""
    market, workspace = prepare(folder)
    requests = {rows: bodies(market, workspace, rows)[0] for rows in (1, 100)}
    with service(market, workspace, folder) as port:
        return measure(port, requests, seconds, folder)


def main() -> None:
    parser = argparse.ArgumentParser("benchmarks.serve_overload", description=__doc__)
    parser.add_argument("--seconds", type=int, default=10, help="of each load (%(default)s)")
    parser.add_argument("--folder", type=Path, default=Path("build/bench-serve"))
    args = parser.parse_args()
    report(run(args.folder.resolve(), args.seconds))


if __name__ == "__main__":
    main()
