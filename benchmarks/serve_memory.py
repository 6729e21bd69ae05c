"""What a million creators take of memory in the service's workers, against the limit of 1.5 GiB.

python -m benchmarks.serve_memory [--creators 1000000] [--folder build/bench-serve]

The features of the market of `make bench-serve` are built by the service's own code; creators are then drawn from them
at random, each with all that the arrays hold of one: numbers, texts, and the niches and brands that it has to do with.
They are saved, published and served by the service's own code, and every creator is requested, so that no page of the
arrays is left out. Building a million creators' features from their posts and comments would take hours and is left
out, and with it the publisher beside the workers, whose memory is that of the batch.

Memory is what the kernel counts as proportional (PSS): pages that workers share count once.
"""

from __future__ import annotations

import argparse
import http.client
import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.serve import URI, free_port, prepare, running
from benchmarks.serve_soak import workers
from features.history.source import open_history
from features.matrix import FeatureBuilder
from models.newest.snapshot import Snapshot, index
from models.newest.snapshot_builder import probe
from models.scorer import Scorer
from service.api.app import NO_AUTH, STATE
from service.publish.publication import Publication

LIMIT_GIB, WORKERS, AT_ONCE = 1.5, 2, 10_000
# the workers as serve.py starts them, without a publisher
SERVER = f"""
import multiprocessing, sys
from granian import Granian
multiprocessing.set_start_method("spawn")
Granian("service.api.app:make", factory=True, port=int(sys.argv[1]), interface="rsgi", workers={WORKERS},
        log_enabled=False).serve()
"""


def drawn(held: Snapshot, creators: int, seed: int = 0) -> Snapshot:
    """As many creators, each like one of those held, drawn at random; whom nobody knows stays the last."""
    rng = np.random.default_rng(seed)
    source = rng.integers(0, held.unknown, creators)
    rows = np.append(source, held.unknown)
    niche_keys, niche_values = _pairs(held.niche_keys, held.niche_values, source, held.by_niche.shape[1])
    brand_keys, brand_values = _pairs(held.brand_keys, held.brand_values, source, len(held.by_brand))
    ids: dict[str, Any] = index([f"creator_{i:09}" for i in range(creators)])
    return replace(
        held,
        creators=held.creators[rows],
        texts=held.texts[rows],
        usual_spend=held.usual_spend[rows],
        home=held.home[rows],
        niche_keys=niche_keys,
        niche_values=niche_values,
        brand_keys=brand_keys,
        brand_values=brand_values,
        **ids,
    )


def _pairs(keys: np.ndarray, values: np.ndarray, source: np.ndarray, others: int) -> tuple[np.ndarray, np.ndarray]:
    """The pairs of creators that are like those of rows `source`: keys, rising, and values."""
    first, last = np.searchsorted(keys, source * others), np.searchsorted(keys, (source + 1) * others)
    count = last - first
    at = np.repeat(first - np.cumsum(count) + count, count) + np.arange(count.sum())
    return np.repeat(np.arange(len(source)), count) * others + keys[at] % others, values[at]


def publish(market: Path, workspace: Path, creators: int, state: Path) -> int:
    """A state folder as the publisher leaves it; the bytes of its arrays."""
    model = Scorer.load(next(p.parent for p in workspace.glob("mlartifacts/**/scorer/checksums.json")))
    with (
        open_history(market / "data") as history,
        FeatureBuilder(history, model.settings, model.classifier) as builder,
    ):
        held = probe(builder)
    shutil.rmtree(state, ignore_errors=True)
    drawn(held, creators).save(state / "features")
    model.save(state / "model")
    Publication(1, URI, "model", "features", {"skill": None, "figures": {}, "trained_on": {}}, {}).write(state)
    return sum(file.stat().st_size for file in (state / "features").glob("*.npy"))


def request(port: int, start: str, creators: Sequence[str]) -> None:
    """Score them all, so that all that is held of them is looked at."""
    deal = {"brand": "acme", "product_niche": "beauty", "starts_at": start, "promotion_hours": 48, "spend": 300}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    body = json.dumps({"items": [deal | {"creator_id": creator} for creator in creators]})
    connection.request("POST", "/v1/score?include=creator", body, {"Content-Type": "application/json"})
    reply = connection.getresponse()
    answer = reply.read()
    if reply.status != 200 or b"unknown_creator" in answer:
        raise SystemExit(f"status {reply.status}: {answer[:500]!r}")
    connection.close()


def memory(pid: int) -> dict[str, int]:
    """Bytes by the kernel's names: Rss all pages that a process has, Pss its share of them."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    return {name.rstrip(":"): int(size) * 1024 for name, size, *_ in map(str.split, lines)}


def measure(folder: Path, creators: int) -> None:
    """Print the table, and the sum beside its limit."""
    market, workspace = prepare(folder)
    state, port = folder / "million", free_port()
    arrays = publish(market, workspace, creators, state)
    start = f"{np.datetime64(Snapshot.load(state / 'features').later, 'us')}Z"
    command = ["env", f"{STATE}={state}", f"{NO_AUTH}=1", sys.executable, "-c", SERVER, str(port)]
    try:
        with running(command, workspace, port, "/readyz", folder / "memory.log") as parent:
            for at in range(0, creators, AT_ONCE):
                request(port, start, [f"creator_{i:09}" for i in range(at, min(at + AT_ONCE, creators))])
            found = {"server": memory(parent)} | {f"worker {pid}": memory(pid) for pid in workers(parent)}
    finally:
        shutil.rmtree(state)
    print(f"{creators:,} creators, {WORKERS} workers; the arrays' files: {arrays / 2**30:.2f} GiB")
    print("| process | resident MiB | proportional (PSS) MiB | its own MiB |\n|---|---|---|---|")
    for name, sizes in found.items():
        own = sizes["Private_Clean"] + sizes["Private_Dirty"]
        print(f"| {name} | {sizes['Rss'] / 2**20:,.0f} | {sizes['Pss'] / 2**20:,.0f} | {own / 2**20:,.0f} |")
    total = sum(sizes["Pss"] for sizes in found.values()) / 2**30
    print(f"\nall together, shared pages once: {total:.2f} GiB (at most {LIMIT_GIB})")


def main() -> None:
    parser = argparse.ArgumentParser("benchmarks.serve_memory", description=__doc__)
    parser.add_argument("--creators", type=int, default=1_000_000, help="(%(default)s)")
    parser.add_argument("--folder", type=Path, default=Path("build/bench-serve"))
    args = parser.parse_args()
    measure(args.folder.resolve(), args.creators)


if __name__ == "__main__":
    main()
