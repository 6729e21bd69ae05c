"""What reasons cost the service, how near it comes to a function that does nothing, and what an earlier version did.

python -m benchmarks.serve_turns [--seconds 3] [--rounds 4] [--folder build/bench-serve] [--before TREE]     needs wrk

All servers are up at once, and each round loads one after the other, so that what else the machine does strikes all
alike: the ratios within a round count, and the median over the rounds. TREE is a checkout of an earlier version, whose
service then takes its turn. Load, market and model are those of `benchmarks.serve`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from benchmarks.serve import BARE, Measured, bodies, free_port, load, post, prepare, running
from serve import WORKERS

ROOT = Path(__file__).resolve().parent.parent
BEFORE = "before, "
SCORE = {"": "/v1/score", " with reasons": "/v1/score?include=reasons"}
Found = dict[str, list[Measured]]


def measure(folder: Path, seconds: int, rounds: int, before: Path | None) -> Found:
    """By load, that of each round."""
    market, workspace = prepare(folder)
    requests = {rows: bodies(market, workspace, rows)[0] for rows in (1, 100)}
    trees = {"": ROOT} | ({BEFORE: before} if before else {})
    found: Found = {}
    with ExitStack() as stack:

        def start(name: str, command: list[str], ready: str, **more: str) -> int:
            port = free_port()
            call, log = [*command, "--port", str(port)], folder / f"{name}.log"
            stack.enter_context(running(call, workspace, port, ready, log, **more))
            return port

        ports: dict[str, int] = {}
        for name, tree in trees.items():
            data = str((market / "data").resolve())
            command = [sys.executable, str(tree / "serve.py"), "--data", data, "--no-auth"]
            ports[name] = start(f"serve-{len(ports)}", command, "/readyz", PYTHONPATH=str(tree))
        answer = folder / "answer.json"
        answer.write_bytes(post(ports[""], requests[1][0]))
        rsgi = [sys.executable, "-m", "granian", "--interface", "rsgi", "--workers", str(WORKERS), "--no-log"]
        bare = start("rsgi", [*rsgi, "benchmarks.constant:rsgi"], "/", CONSTANT=str(answer))
        for turn in range(rounds + 1):  # the first only warms up
            for label, port, path, texts in _loads(ports, bare, requests):
                measured = load(port, path, texts, seconds if turn else 1, folder)
                print(f"{label}: {measured}", file=sys.stderr, flush=True)
                if turn:
                    found.setdefault(label, []).append(measured)
    return found


def _loads(
    ports: dict[str, int], bare: int, requests: dict[int, list[str]]
) -> Iterator[tuple[str, int, str, list[str]]]:
    """The loads of a round: label, port, path and bodies; those that are compared follow one another."""
    yield BARE, bare, "/", requests[1]
    for rows, texts in requests.items():
        for part, path in SCORE.items():
            for name, port in ports.items():
                yield f"{name}{_items(rows)}{part}", port, path, texts


def _items(rows: int) -> str:
    return "1 item" if rows == 1 else f"{rows} items"


def report(found: Found) -> None:
    """Medians of each load, and of the ratios of each round."""
    print("| load | requests/s | p50 ms | p99 ms | errors |\n|---|---|---|---|---|")
    for name, loads in found.items():
        rate, p50, p99 = (median(getattr(one, what) for one in loads) for what in ("rate", "p50", "p99"))
        print(f"| {name} | {rate:,.0f} | {p50:.2f} | {p99:.2f} | {sum(one.errors for one in loads)} |")
    ratios = [
        ("1 item with reasons", "1 item", 0.75),
        ("100 items with reasons", "100 items", 0.6),
        ("1 item", BARE, 0.35),
        ("100 items", f"{BEFORE}100 items", 1.5),
        *((name, f"{BEFORE}{name}", None) for name in ("1 item", "1 item with reasons", "100 items with reasons")),
    ]
    print("\n| requests/s of | over those of | wanted | median | each round |\n|---|---|---|---|---|")
    for above, below, wanted in ratios:
        if below in found:
            each = [a.rate / b.rate for a, b in zip(found[above], found[below], strict=True)]
            rounds = ", ".join(f"{one:.2f}" for one in each)
            print(f"| {above} | {below} | {wanted or ''} | {median(each):.2f} | {rounds} |")


def main() -> None:
    parser = argparse.ArgumentParser("benchmarks.serve_turns", description=__doc__)
    parser.add_argument("--seconds", type=int, default=3, help="of each load (%(default)s)")
    parser.add_argument("--rounds", type=int, default=4, help="(%(default)s)")
    parser.add_argument("--folder", type=Path, default=Path("build/bench-serve"))
    parser.add_argument("--before", type=Path, metavar="TREE", help="a checkout of an earlier version")
    args = parser.parse_args()
    before = args.before.resolve() if args.before else None
    report(measure(args.folder.resolve(), args.seconds, args.rounds, before))


if __name__ == "__main__":
    main()
