"""How `predict.py` scores a long list where the history is large, too, and what preparing it takes beside SQL.

    python -m benchmarks.many_creators [--creators 1000000] [--posts 40000000] [--comments 20000000] [--rows 5000000]
        [--folder build/bench-creators]

The history is the one of `benchmarks.features`, of these sizes; its comments have 200,000 distinct texts. The list is
drawn from its creators, all of whose deals start after the history ends; the model is the demo market's. In turn:

- the tight loop of `benchmarks.batch` on as many rows, on all processors, and `predict.py --reasons none`, which opens
  and checks the history, prepares it and scores;
- the newest features of everybody (all that a candidate can have with a niche, a country or a brand) as `predict.py`
  makes them, and by the hand-written SQL of `benchmarks.features` for the same rows, both from the Parquet files on;
  opening has a line of its own, and comments are classified before.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import duckdb
import pandas as pd

import cli
from benchmarks.batch import LOOP, apart, loop_input, predict_command, run
from benchmarks.features import HAND_WRITTEN, MACROS, SIZES, Scored, make_market, score_texts
from benchmarks.figures import cells, write_tables
from benchmarks.serve import ROOT, environment, prepare
from features.history.source import open_history
from features.matrix import FeatureBuilder
from models.newest.snapshot_builder import probe

LIST = """
SELECT 'k' || i AS candidate_id, 'c' || owner(i, 'listed') AS creator_id,
    'b' || CAST(floor(u(i, 'brand') * 300) AS INT) AS brand, pick(niches(), i, 'product') AS product_niche,
    pick(['DE', 'FR', 'GB', 'US'], i, 'sold') AS product_country,
    pick(['sales', 'launch'], i, 'objective') AS objective,
    TIMESTAMP '2026-06-01' + to_hours(CAST(floor(u(i, 'starts') * 700) AS BIGINT)) AS starts_at,
    CAST(pick([24, 168, 336, 720], i, 'hours') AS DOUBLE) AS promotion_hours,
    1 + CAST(floor(u(i, 'deliverables') * 4) AS BIGINT) AS deliverables, round(exp(4 + u(i, 'spend') * 6), 2) AS spend
FROM range({rows}) t(i)
"""


def make(folder: Path, sizes: dict[str, int], rows: int) -> tuple[Path, Path]:
    """The history's folder and the list, made where they are not there yet."""
    data, listed = folder / "data", folder / f"candidates_{rows}.parquet"
    if not (data / "scored.parquet").exists():
        data.mkdir(parents=True, exist_ok=True)
        make_market(data, sizes, os.cpu_count() or 1)
        score_texts(data)
    if not listed.exists():
        with duckdb.connect() as connection:
            for statement in MACROS.format(**sizes).split(";\n"):
                connection.execute(statement)
            connection.execute(f"COPY ({LIST.format(rows=rows)}) TO '{listed}'")
    return data, listed


class _Recorded(FeatureBuilder):
    """Keeps what it is given to build, for the SQL."""

    def __init__(self, *words: Any, **named: Any) -> None:
        super().__init__(*words, **named)
        self.spines = list[pd.DataFrame]()

    def build(self, spine: pd.DataFrame, *columns: Sequence[str]) -> pd.DataFrame:
        self.spines.append(spine)
        return super().build(spine, *columns)


def ours(data: Path) -> dict[str, float]:
    """Seconds of opening, and of the newest features."""
    scored = Scored(pd.read_parquet(data / "scored.parquet"))
    begun = perf_counter()
    with open_history(data, temp_dir=data) as history:
        opened = perf_counter()
        with _Recorded(history, classifier=scored) as builder:
            probe(builder)
            done = perf_counter()
        wanted = pd.concat(builder.spines, ignore_index=True)
        wanted.assign(collaboration_id=None).to_parquet(data / "wanted.parquet", index=False)
    return {"opening": opened - begun, "seconds": done - opened, "rows": len(wanted)}


def hand_written(data: Path) -> dict[str, float]:
    """Seconds of the SQL for the same rows, and for the collaborations that it cannot do without."""
    begun = perf_counter()
    with duckdb.connect(config={"temp_directory": str(data / "spill")}) as connection:
        for name in ("collaborations", "creators", "posts", "comments", "conversions", "scored"):
            connection.execute(f"CREATE VIEW {name} AS FROM '{data}/{name}.parquet'")
        both = f"FROM collaborations UNION ALL BY NAME FROM '{data}/wanted.parquet'"
        connection.execute(f"CREATE VIEW wanted AS {both}")
        *before, last = HAND_WRITTEN.read_text().rstrip().rstrip(";").split(";\n")
        for statement in before:
            connection.execute(statement)
        connection.execute(f"CREATE TABLE made AS {last}")
    return {"seconds": perf_counter() - begun}


def side(name: str, data: Path) -> dict[str, float]:
    """One side in a process of its own: its figures and its largest memory (GiB)."""
    command = [sys.executable, "-m", "benchmarks.many_creators", "--side", name, "--folder", str(data)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT, env=environment())
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    cli.note([f"{name}: " + ", ".join(f"{key} {value:,.2f}" for key, value in found.items())])
    return found


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, size in (("creators", 1_000_000), ("posts", 40_000_000), ("comments", 20_000_000), ("rows", 5_000_000)):
        parser.add_argument(f"--{name}", type=int, default=size, help="(%(default)s)")
    parser.add_argument("--folder", type=Path, default=Path("build/bench-creators"), help="for all (%(default)s)")
    parser.add_argument("--side", choices=["ours", "sql"], help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    folder = args.folder.absolute()
    if args.side:
        figures = (ours if args.side == "ours" else hand_written)(folder)
        used = resource.getrusage(resource.RUSAGE_SELF)
        print(json.dumps(figures | {"cpu": used.ru_utime + used.ru_stime, "GiB": used.ru_maxrss / 2**20}))
        return
    sizes = SIZES | {name: getattr(args, name) for name in ("creators", "posts", "comments")}
    _, workspace = prepare(folder)
    data, listed = apart(make, folder, sizes, args.rows)
    source, model = apart(loop_input, folder, args.rows)
    output = folder / "scores.parquet"
    ways = {
        "tight loop": [sys.executable, "-c", LOOP, str(source), str(model), str(output), str(os.cpu_count())],
        "predict.py --reasons none": predict_command(data, listed, folder, "none"),
    }
    found = [(name, *run(command, workspace)) for name, command in ways.items()]
    cli.note([f"{name}: {seconds:.1f} s" for name, seconds, *_ in found])
    mine, sql = side("ours", data), side("sql", data)
    found += [
        (name, one["seconds"], one["cpu"], one["GiB"])
        for name, one in (("newest features", mine), ("the same rows by SQL", sql))
    ]
    table = pd.DataFrame(found, columns=["way", "seconds", "of processors", "GiB"])
    table["over the loop"] = [1.0, found[0][1] / found[1][1], float("nan"), float("nan")]
    write_tables(table, folder / "creators")
    cli.show_table(cells(table))
    print(
        f"{mine['rows']:,.0f} rows of newest features: {mine['seconds'] / sql['seconds']:.2f} times the SQL's seconds"
    )


if __name__ == "__main__":
    main()
