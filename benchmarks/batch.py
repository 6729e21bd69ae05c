"""How fast `predict.py` scores a long list, against a tight loop over LightGBM on the same number of rows.

python -m benchmarks.batch [--rows 500000] [--rounds 2] [--folder build/bench-batch] [--growth]

The loop is as little as scoring can be: Parquet batches of 40 numbers, `Booster.predict` of 600 trees of 31 leaves,
rates into Parquet. `predict.py` starts anew, opens and checks the demo market's history and the list, builds features,
and writes all of the contract's columns. All take their turn in each round; figures are medians of the rounds. Memory
is the largest of the process, features of 1,000 trees and Python included.

With --growth, `predict.py --reasons 1000` alone scores lists of 1, 2, 4 and 8 times --rows: how time and memory grow,
as a table and as a plot (`growth.md`, `growth.csv` and `growth.png` in the folder).
"""

from __future__ import annotations

import argparse
import io
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import lightgbm as lgb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

import cli
from benchmarks.figures import cells, write, write_tables
from benchmarks.serve import ROOT, environment, prepare

COLUMNS, TREES, LEAVES, CHUNK = 40, 600, 31, 20_000
USED = ("seconds", "of processors", "GiB")
GROWTH = (1, 2, 4, 8)
Made = TypeVar("Made")
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


def apart(make: Callable[..., Made], *of: Any) -> Made:
    """What a function gives, called in a process of its own: memory that this one once held would count as that of
    the commands it starts."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(make, *of).result()


def growth(market: Path, workspace: Path, folder: Path, rows: int, rounds: int) -> pd.DataFrame:
    """Medians of the rounds, by the number of rows; the lists take turns."""
    found = []
    for number in range(rounds):
        for times in GROWTH:
            listed = apart(long_list, market, folder, times * rows)
            found.append((times * rows, *run(predict_command(market / "data", listed, folder, "1000"), workspace)))
            cli.note([f"round {number + 1}: {times * rows:,} rows, {found[-1][1]:.1f} s"])
    table = pd.DataFrame(found, columns=["rows", *USED]).groupby("rows").median().reset_index()
    table.insert(1, "rows/s", table.rows / table.seconds)
    return table


def plot_of(table: pd.DataFrame) -> bytes:
    """A PNG: seconds, and the most memory, over the number of rows."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.5), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, name in zip(figure.subplots(1, 2), ("seconds", "GiB"), strict=True):
        axes.plot(table.rows / 1e6, table[name], marker="o", color="0.2")
        axes.set(xlabel="million rows", ylabel=name, xlim=(0, None), ylim=(0, None))
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=120, metadata={"Software": None})
    return out.getvalue()


def predict_command(data: Path, listed: Path, folder: Path, reasons: str, *more: str) -> list[str]:
    """A call of `predict.py`. more: of its options."""
    call = [sys.executable, str(ROOT / "predict.py"), str(listed), "--data", str(data)]
    return [*call, "--output", str(folder / "scores.parquet"), "--reasons", reasons, *more]


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=500_000, help="of the list (%(default)s)")
    parser.add_argument("--rounds", type=int, default=2, help="(%(default)s)")
    parser.add_argument("--folder", type=Path, default=Path("build/bench-batch"), help="for all of it (%(default)s)")
    parser.add_argument("--growth", action="store_true", help="lists of 1, 2, 4 and 8 times as many rows instead")
    args = parser.parse_args(argv)
    folder = args.folder.absolute()
    market, workspace = prepare(folder)
    if args.growth:
        table = growth(market, workspace, folder, args.rows, args.rounds)
        write_tables(table, folder / "growth")
        write(folder / "growth.png", plot_of(table))
        cli.show_table(cells(table))
        return
    source, model = apart(loop_input, folder, args.rows)
    data = market / "data"
    listed, output = apart(long_list, market, folder, args.rows), folder / "scores.parquet"
    loop = [sys.executable, "-c", LOOP, str(source), str(model), str(output)]
    ways = {
        "tight loop, one thread": [*loop, "1"],
        "tight loop, all processors": [*loop, str(os.cpu_count())],
        "predict.py, the rate alone": predict_command(
            data, listed, folder, "none", "--columns", "conversions_per_dollar"
        ),
        "predict.py --reasons none": predict_command(data, listed, folder, "none"),
        "predict.py --reasons 1000": predict_command(data, listed, folder, "1000"),
        "predict.py": predict_command(data, listed, folder, "all"),
    }
    found = []
    for number in range(args.rounds):
        for name, command in ways.items():
            found.append((name, *run(command, workspace)))
            cli.note([f"round {number + 1}: {name}, {found[-1][1]:.1f} s"])
    table = pd.DataFrame(found, columns=["way", *USED]).groupby("way", sort=False).median().reset_index()
    table.insert(1, "rows/s", args.rows / table.seconds)
    table["over the loop"] = table["rows/s"] / float(table["rows/s"][1])
    write_tables(table, folder / "batch")
    cli.show_table(cells(table))


if __name__ == "__main__":
    main()
