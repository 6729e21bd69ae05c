"""Ours beside what a user would pick instead, on one market, in one run.

    python -m benchmarks.peers                                                     # the demo market
    python -m benchmarks.peers --data DATA --candidates FILE --truth FILE          # another one

Ours is trained and scored as `train.py` and `predict.py` do it by default. The peers get features of their own, made
of the same tables in an afternoon (`benchmarks.peer_features`), and once more ours. docs/benchmarks.md says what the
columns mean; `seconds` is from the tables to the rates. The truth is read for the figures alone. Needs the extra
`bench`; a peer that is not installed, or fails, is named with the reason and left out.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

import numpy as np
import pandas as pd

import cli
from benchmarks.figures import FIGURES, cells, judge, write_tables
from benchmarks.market import BUILD, Holdout, Market, Prepared, make, opened, prepare, train
from benchmarks.peer_features import peer_features, split
from benchmarks.peer_models import PEER_MODELS, Task, lightgbm_log
from features.faults import refuse
from features.history.source import History

OURS, OUR_FEATURES = "creator-yield", "LightGBM log, our features"
LEAST_IN_BAND = 200
BANDS = ("below 10,000 followers", "to 100,000", "to a million", "above")


def task_of(history: History, holdout: Holdout, prepared: Prepared, seconds: float) -> tuple[Task, float]:
    """The peers' task with their own features, and the seconds that these took."""
    began = perf_counter()
    training = prepared.training
    known, new = peer_features(history, training.spine, holdout.spine)
    results = training.results
    task = Task(
        known,
        new,
        results.counts,
        results.spend,
        results.until >= results.final,
        holdout.spine.spend.to_numpy(float),
        seconds,
    )
    return task, perf_counter() - began


def with_our_features(task: Task, prepared: Prepared) -> Task:
    """The same task with our feature matrix."""
    both = pd.concat([prepared.training.matrix, prepared.matrix], ignore_index=True).dropna(axis=1, how="all")
    known, new = split(both, len(prepared.training.matrix))
    return Task(known, new, task.counts, task.spend, task.settled, task.test_spend, task.seconds)


def measure_ours(prepared: Prepared, holdout: Holdout, progress: cli.Progress | None) -> tuple[dict, np.ndarray]:
    """Our line of the table, and whether each realised rate lies inside its interval (rows,)."""
    began = perf_counter()
    trained = train(prepared, progress=progress)
    scores = trained.scorer.score(prepared.matrix, holdout.spine)
    seconds = prepared.seconds + perf_counter() - began
    names = ("conversions_per_dollar", "conversions_per_dollar_low", "conversions_per_dollar_high")
    rates, low, high = (scores[name].to_numpy() for name in names)
    real = (holdout.truth.conversions / holdout.truth.spend).to_numpy()
    figures = judge(rates, holdout.truth, holdout.seen, low, high)
    return {"model": OURS} | figures | {"seconds": seconds}, (real >= low - 1e-12) & (real <= high + 1e-12)


def measure_peers(
    tasks: dict[str, tuple[Task, float]], holdout: Holdout, models: Sequence[str], progress: cli.Progress | None
) -> list[dict]:
    """The peers' lines. tasks: the task of each model by its name, and the seconds that its features took."""
    lines = []
    for done, name in enumerate(models, 1):
        task, before = tasks[name]
        began = perf_counter()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                rates = (lightgbm_log if name == OUR_FEATURES else PEER_MODELS[name])(task)
        except Exception as error:  # of somebody else's library: the other lines are worth having all the same
            hint = " (the extra `bench` holds it)" if isinstance(error, ImportError) else ""
            print(f"{name} is left out: {type(error).__name__}: {error}{hint}", file=sys.stderr)
            continue
        seconds = before + perf_counter() - began
        lines.append({"model": name} | judge(rates, holdout.truth, holdout.seen) | {"seconds": seconds})
        if progress:
            progress("peers", done, len(models))
    return lines


def compare(market: Market, seconds: float, progress: cli.Progress | None) -> tuple[pd.DataFrame, list[str]]:
    """The table, ours first, and what else there is to say."""
    with opened(market) as (history, holdout):
        prepared = prepare(history, holdout, progress)
        task, took = task_of(history, holdout, prepared, seconds)
    ours, inside = measure_ours(prepared, holdout, progress)
    tasks = dict.fromkeys(PEER_MODELS, (task, took)) | {
        OUR_FEATURES: (with_our_features(task, prepared), prepared.seconds)
    }
    lines = [ours, *measure_peers(tasks, holdout, [*PEER_MODELS, OUR_FEATURES], progress)]
    notes = [
        f"{len(task.counts):,} results, {int((~task.settled).sum()):,} of them counted before their window was over; "
        f"{len(holdout.spine):,} candidates, {int((~holdout.seen).sum()):,} of them of creators without results; "
        f"{prepared.matrix.shape[1]} features of ours, {task.known.shape[1]} of the peers' own"
    ]
    if parts := by_band(holdout.truth, inside):
        notes.append("coverage of our 80 % interval by followers: " + ", ".join(parts))
    return pd.DataFrame(lines, columns=["model", *FIGURES, "seconds"]), notes


def by_band(truth: pd.DataFrame, inside: np.ndarray) -> list[str]:
    """Coverage of each band of followers that has candidates enough to tell it; empty where no bands are known."""
    bands = truth.band.to_numpy() if "band" in truth else np.full(len(truth), -1)
    parts = [(name, inside[bands == number]) for number, name in enumerate(BANDS)]
    return [f"{name} {part.mean():.3f} ({len(part):,})" for name, part in parts if len(part) >= LEAST_IN_BAND]


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line, read."""
    text = (__doc__ or "").split("\n\n", 1)
    parser = argparse.ArgumentParser(
        "benchmarks.peers", description=text[0], epilog=text[1], formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, metavar="DATA", help="folder of tables, instead of the demo's")
    parser.add_argument("--candidates", type=Path, metavar="FILE", help="the candidates of DATA")
    parser.add_argument("--truth", type=Path, metavar="FILE", help="candidate_id, spend, conversions and maybe mean")
    parser.add_argument("--seed", type=int, default=1, help="of the demo market (%(default)s)")
    parser.add_argument("--seconds", type=float, default=60, help="that FLAML may search (%(default)s)")
    parser.add_argument("--output", type=Path, default=BUILD, metavar="FOLDER", help="for the tables (%(default)s)")
    return parser.parse_args(argv)


def main(args: argparse.Namespace) -> None:
    """Print the table and write it; raises InputError for a call or data at fault."""
    given = [args.data, args.candidates, args.truth]
    if any(given) and not all(given):
        refuse("--data", args.data, "another market is three things", "Give --candidates and --truth too.")
    if args.truth and not args.truth.is_file():
        refuse("--truth", args.truth, "there is no such file", "Give a .parquet or .csv file.")
    name = "peers"
    if args.data:
        market = Market(args.data, args.candidates, args.truth)
        name += "-" + (args.truth.parent.name or "other")
    else:
        market = make(args.output / "market", seed=args.seed)
    with cli.Progress() as progress:
        table, notes = compare(market, args.seconds, progress)
    write_tables(table, args.output / name)
    print("\n".join(notes))
    cli.show_table(cells(table))


if __name__ == "__main__":
    call = arguments(None)
    sys.exit(cli.run(lambda: main(call), debug=True))
