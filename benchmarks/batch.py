"""How fast `predict.py` scores a long list, against a tight loop over LightGBM on the same number of rows.

python -m benchmarks.batch [--rows 500000] [--rounds 2] [--folder build/bench-batch]

The loop is as little as scoring can be: Parquet batches of 40 numbers, `Booster.predict` of 600 trees of 31 leaves,
rates into Parquet. `predict.py` starts anew, opens and checks the demo market's history and the list, builds features,
and writes all of the contract's columns. All take their turn in each round; figures are medians of the rounds. Memory
is the largest of the process, features of 1,000 trees and Python included.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import lightgbm as lgb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

import cli
from benchmarks.figures import cells, write_tables
from benchmarks.serve import ROOT, environment, prepare

COLUMNS, TREES, LEAVES, CHUNK = 40, 600, 31, 20_000
LOOP = """
import sys
import lightgbm as lgb, pyarrow as pa, pyarrow.parquet as pq
source, model, target, threads = sys.argv[1:]
booster = lgb.Booster(model_file=model)
with pq.ParquetWriter(target, pa.schema([("rate", pa.float64())])) as out:
    for batch in pq.ParquetFile(source).iter_batches(20_000):
        rate = booster.predict(batch.to_pandas().to_numpy(), num_threads=int(threads))
        out.write_table(pa.table({"rate": rate}))
"""


def loop_input(folder: Path, rows: int) -> tuple[Path, Path]:
    """What the loop reads, made where it is not there yet: a table of numbers, and a model of random trees."""
    source, model = folder / f"numbers_{rows}.parquet", folder / "trees.txt"
    rng = np.random.default_rng(0)
    if not source.exists():
        with pq.ParquetWriter(source, pa.schema([(f"x{i}", pa.float64()) for i in range(COLUMNS)])) as out:
            for at in range(0, rows, CHUNK):
                values = rng.normal(size=(min(CHUNK, rows - at), COLUMNS))
                out.write_table(pa.table({f"x{i}": values[:, i] for i in range(COLUMNS)}))
    if not model.exists():
        x = rng.normal(size=(20_000, COLUMNS))
        settings = {"objective": "poisson", "num_leaves": LEAVES, "verbosity": -1, "seed": 0}
        lgb.train(settings, lgb.Dataset(x, rng.poisson(np.exp(x[:, 0]))), TREES).save_model(model)
    return source, model


def long_list(market: Path, folder: Path, rows: int) -> Path:
    """The market's candidates drawn again and again, each time at another price; made where it is not there yet."""
    path = folder / f"candidates_{rows}.parquet"
    if not path.exists():
        rng = np.random.default_rng(1)
        drawn = pd.read_parquet(market / "candidates.parquet").sample(rows, replace=True, random_state=1)
        spend = (drawn.spend * np.exp(rng.normal(0, 0.3, rows))).round(2)
        drawn.assign(spend=spend, candidate_id=[f"k{i}" for i in range(rows)]).to_parquet(path, index=False)
    return path


def run(command: list[str], workspace: Path) -> tuple[float, float, float]:
    """Seconds by the clock, seconds of processors, and GiB at most, of a command that must end well."""
    began = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=workspace, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    assert process.stderr
    said = process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{command}: {said.decode()[-2000:]}")
    return time.perf_counter() - began, used.ru_utime + used.ru_stime, used.ru_maxrss / 2**20


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=500_000, help="of the list (%(default)s)")
    parser.add_argument("--rounds", type=int, default=2, help="(%(default)s)")
    parser.add_argument("--folder", type=Path, default=Path("build/bench-batch"), help="for all of it (%(default)s)")
    args = parser.parse_args(argv)
    folder = args.folder.absolute()
    market, workspace = prepare(folder)
    source, model = loop_input(folder, args.rows)
    listed, output = long_list(market, folder, args.rows), folder / "scores.parquet"
    loop = [sys.executable, "-c", LOOP, str(source), str(model), str(output)]
    predict = [sys.executable, str(ROOT / "predict.py"), str(listed), "--data", str(market / "data")]
    predict += ["--output", str(output), "--reasons"]
    ways = {
        "tight loop, one thread": [*loop, "1"],
        "tight loop, all processors": [*loop, str(os.cpu_count())],
        "predict.py --reasons none": [*predict, "none"],
        "predict.py --reasons 1000": [*predict, "1000"],
        "predict.py": [*predict, "all"],
    }
    found = []
    for number in range(args.rounds):
        for name, command in ways.items():
            found.append((name, *run(command, workspace)))
            cli.note([f"round {number + 1}: {name}, {found[-1][1]:.1f} s"])
    names = ["way", "seconds", "of processors", "GiB"]
    table = pd.DataFrame(found, columns=names).groupby("way", sort=False).median().reset_index()
    table.insert(1, "rows/s", args.rows / table.seconds)
    table["over the loop"] = table["rows/s"] / float(table["rows/s"][1])
    write_tables(table, folder / "batch")
    cli.show_table(cells(table))


if __name__ == "__main__":
    main()
