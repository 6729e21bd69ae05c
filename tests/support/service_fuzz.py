"""schemathesis against a real service: cases made from its own OpenAPI document, with all checks that it has.

    python -m tests.support.service_fuzz [--seed N]

makes a small market, trains on it, starts the service with keys, and prints the cases of each operation and what
failed; exit status 1 where anything did.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tests.support.paths import ROOT
from tests.support.workspace import KEY, Server, environment, make_workspace, running

CASES = 400  # of each operation at most, beside those that its schema's limits give
SECONDS = "120"
MARKET = ["--creators", "60", "--results", "150", "--candidates", "30", "--seed", "5"]


@dataclass(frozen=True)
class Found:
    """What a run of schemathesis said. cases: operation → status → how many."""

    status: int
    output: str
    cases: dict[str, Counter[int]]

    @property
    def total(self) -> int:
        return sum(sum(of.values()) for of in self.cases.values())


def fuzz(server: Server, folder: Path, *words: str, seed: int = 0) -> Found:
    """Run schemathesis against a service; folder: for its report and its configuration."""
    report = folder / "events.ndjson"
    address = f"http://127.0.0.1:{server.port}/openapi.json"
    call = [
        str(Path(sys.executable).with_name("st")), "run", address, "--header", f"X-API-Key: {KEY}",
        "--checks", "all", "--exclude-checks", "positive_data_acceptance",
        "--seed", str(seed), "--generation-database", "none", "--continue-on-failure", "--no-color",
        "--request-timeout", SECONDS, "--max-response-time", SECONDS,  # nothing is timed here
        "--report", "ndjson", "--report-ndjson-path", str(report), *words,
    ]  # fmt: skip
    variables = environment(SCHEMATHESIS_HOOKS="tests.support.fuzz_checks")
    done = subprocess.run(call, cwd=folder, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return Found(done.returncode, done.stdout, _cases(report) if report.exists() else {})


def _cases(report: Path) -> dict[str, Counter[int]]:
    """Cases by operation and status, those alone that were sent."""
    found: dict[str, Counter[int]] = {}
    with report.open() as lines:
        for event in map(json.loads, lines):
            recorder = event.get("ScenarioFinished", {}).get("recorder", {})
            for case, sent in recorder.get("interactions", {}).items():
                if case in recorder["cases"] and sent.get("response"):
                    found.setdefault(recorder["label"], Counter())[sent["response"]["status_code"]] += 1
    return found


def main() -> int:
    """The run of `make fuzz-serve`; the exit status."""
    parser = argparse.ArgumentParser("service_fuzz")
    parser.add_argument("--seed", type=int, default=0, help="of the cases (%(default)s)")
    seed = parser.parse_args().seed
    with tempfile.TemporaryDirectory(prefix="creator-yield-fuzz-") as scratch:
        folder = Path(scratch)
        market, workspace = folder / "market", folder / "workspace"
        workspace.mkdir()
        make = [sys.executable, "-m", "demo", str(market), *MARKET]
        subprocess.run(make, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        make_workspace(workspace, market)
        with running(workspace, CREATOR_YIELD_API_KEYS=f"@{workspace / 'keys'}") as server:
            found = fuzz(server, folder, "--max-examples", str(CASES), seed=seed)
    print(found.output)
    for operation, statuses in sorted(found.cases.items()):
        counts = ", ".join(f"{status}: {n}" for status, n in sorted(statuses.items()))
        print(f"{operation:32} {statuses.total():6,} cases ({counts})")
    print(f"{'in all':32} {found.total:6,} cases, seed {seed}, {'clean' if found.status == 0 else 'with failures'}")
    return found.status


if __name__ == "__main__":
    sys.exit(main())
