"""How long a training on a long history takes, and how much memory, against the bare LightGBM fits that it contains.

python -m benchmarks.training [--results 1000000] [--creators 200000] [--brands 500] [--search 2] [--rounds 1500]

`training` is all that `models.training.fit` does with features and results that are there already: folds, recipes, the
mixed model, weights, intervals, the final model. `bare` are its LightGBM fits and nothing else: for every fold and for
the final model, each recipe of trees is binned and fitted with the same settings on the same rows, first on the older
ones up to where it stopped, then on all with the number of trees that it took. Both keep as many threads busy as a
training does. Each runs in a process of its own; memory is the largest while it fits, its data included. A last table
says where a training spends its time: seconds of threads, without what is called within and listed itself.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from pkgutil import resolve_name
from typing import Any
from unittest.mock import patch

import lightgbm as lgb
import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits

import cli
from benchmarks.figures import cells, write_tables
from benchmarks.long_history import long_history
from features.comment_classifier.classifier import CommentClassifier
from features.settings import FeatureSettings
from models.estimators import rate
from models.estimators.count_data import CountData
from models.estimators.encoding import Encoding
from models.estimators.level_trend import at_newest_level
from models.estimators.maturity import fit_maturity
from models.estimators.rate import RECIPES, Recipe, Trees
from models.estimators.recipes import TRIES, with_settings
from models.evaluation.backtest import RIPE_SHARE, make_folds, observe
from models.training import TrainingSet, fit

JOBS, PAGE, TICK = 2, os.sysconf("SC_PAGE_SIZE"), 0.05
# by name, the functions that are timed
PARTS = {
    "maturity": ("models.evaluation.backtest.fit_maturity", "models.training.fit_maturity"),
    "results as of a cut-off": ("models.estimators.outcomes.Outcomes.as_of",),
    "encoding": ("models.estimators.encoding.Encoding.fit", "models.estimators.encoding.Encoding.transform"),
    "rules of thumb, regression": ("models.evaluation.backtest.predict_baselines",),
    "support": ("models.evaluation.backtest.fit_support", "models.training.fit_support",
                "models.uncertainty.support.Support.excess"),
    "trend of the level": ("models.evaluation.backtest.at_newest_level", "models.training.at_newest_level"),
    "mixed model": ("models.estimators.rate.fit_mixed",),
    "bins": ("models.estimators.binned._binned",),
    "LightGBM": ("lightgbm.train",),
    "predictions": ("models.estimators.rate.Trees.log_rate", "models.estimators.mixed.MixedModel.log_rate"),
    "weights, level": ("models.evaluation.backtest._choose",),
    "intervals": ("models.evaluation.backtest.fit_intervals", "models.training.fit_intervals"),
    "what the model has learnt from": ("models.learnt.Learnt.fit",),
}  # fmt: skip


class Watch:
    """Seconds of threads by part, and the most memory while each ran and in all."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = dict.fromkeys(PARTS, 0.0)
        self.gib: dict[str, float] = dict.fromkeys(PARTS, 0.0)
        self.most = 0.0
        self._running: dict[int, list[list[Any]]] = {}
        self._lock = threading.Lock()

    def timed(self, name: str, function: Callable) -> Callable:
        def call(*args: Any, **kwargs: Any) -> Any:
            stack = self._running.setdefault(threading.get_ident(), [])
            stack.append([name, 0.0])
            began = time.thread_time()
            try:
                return function(*args, **kwargs)
            finally:
                spent = time.thread_time() - began
                with self._lock:
                    self.seconds[name] += spent - stack.pop()[1]
                if stack:
                    stack[-1][1] += spent

        return call

    @contextmanager
    def parts(self) -> Iterator[None]:
        """Time the PARTS of all that runs meanwhile."""
        with ExitStack() as stack:
            for name, places in PARTS.items():
                for place in places:
                    stack.enter_context(self._patched(name, place))
            yield

    def _patched(self, name: str, place: str) -> Any:
        owner, attribute = place.rsplit(".", 1)
        target = resolve_name(owner)
        raw = vars(target)[attribute]
        timed = self.timed(name, raw.__func__ if isinstance(raw, classmethod) else raw)
        return patch.object(target, attribute, classmethod(timed) if isinstance(raw, classmethod) else timed)

    @contextmanager
    def memory(self) -> Iterator[None]:
        """Look at this process's memory all the time."""
        ended = threading.Event()

        def look() -> None:
            while not ended.wait(TICK):
                gib = int(Path("/proc/self/statm").read_text().split()[1]) * PAGE / 2**30
                self.most = max(self.most, gib)
                for stack in list(self._running.values()):
                    for name, _ in stack[-1:]:
                        self.gib[name] = max(self.gib[name], gib)

        thread = threading.Thread(target=look, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


@contextmanager
def recorded(fits: list[dict[str, Any]]) -> Iterator[None]:
    """Note which recipes are fitted to how many rows meanwhile, and with how many rounds each time."""
    fit_trees, train = rate.fit_trees, lgb.train
    rounds = threading.local()

    def noting(count_data: CountData, recipe: Recipe, *args: Any, **kwargs: Any) -> Trees:
        rounds.run = []
        trees = fit_trees(count_data, recipe, *args, **kwargs)
        fits.append({"rows": len(count_data.counts), "recipe": recipe.name, "rounds": rounds.run})
        return trees

    def counting(*args: Any, **kwargs: Any) -> lgb.Booster:
        booster = train(*args, **kwargs)
        stopped = min(booster.best_iteration + rate.PATIENCE, rate.ROUNDS)
        rounds.run.append(stopped if kwargs.get("valid_sets") else booster.current_iteration())
        return booster

    with patch.object(rate, "fit_trees", noting), patch.object(lgb, "train", counting):
        yield


def fitted_data(training: TrainingSet) -> Iterator[CountData]:
    """What each fold's recipes, and then the final ones, are fitted to."""
    results, matrix, creators = training.results, training.matrix, training.creators
    maturity = fit_maturity(results)
    share, _ = maturity.arrived(results)
    known = [(f.train, f.then, f.maturity) for f in make_folds(results, np.flatnonzero(share >= RIPE_SHARE))]
    for rows, then, of_then in [*known, (np.arange(len(results)), results, maturity)]:
        part = matrix.iloc[rows]
        data = observe(part, creators[rows], Encoding.fit(part, creators[rows]), then, of_then)
        yield at_newest_level(data, then.starts)


def bare_fit(count_data: CountData, recipe: Recipe, rounds: list[int], seed: int) -> None:
    """The LightGBM fits of one recipe, binned for it alone."""
    settings = rate._settings(len(count_data.counts), seed, 1) | recipe.settings
    older = rate.BinnedRows(count_data, settings)
    if len(rounds) > 1:
        first = rate._Problem(count_data.take(slice(0, older.older_rows)), recipe, settings, older.older)
        first.train(rounds[0], first.held_out(count_data.take(slice(older.older_rows, None)), older.newest))
    rate._Problem(count_data, recipe, settings, older.whole).train(rounds[-1])


def run_bare(args: argparse.Namespace, recipes: Sequence[Recipe]) -> dict[str, Any]:
    """Time the fits that a training noted; what they are fitted to is made beforehand and takes no time."""
    fits = json.loads((args.folder / "fits.json").read_text(encoding="utf-8"))
    by_name = {recipe.name: recipe for recipe in recipes}
    training = long_history(args.results, args.creators, args.brands)
    seconds, busy, most = 0.0, 0.0, 0.0
    for count_data in fitted_data(training):
        mine = [one for one in fits if one["rows"] == len(count_data.counts)]
        watch = Watch()
        began, used = time.perf_counter(), time.process_time()
        with watch.memory():
            Parallel(n_jobs=JOBS, prefer="threads")(
                delayed(bare_fit)(count_data, by_name[one["recipe"]], one["rounds"], 0)
                for one in sorted(mine, key=lambda one: -sum(one["rounds"]))
            )
        seconds, busy = seconds + time.perf_counter() - began, busy + time.process_time() - used
        most = max(most, watch.most)
    return {"seconds": seconds, "of processors": busy, "GiB": most}


def run_training(args: argparse.Namespace, recipes: Sequence[Recipe]) -> dict[str, Any]:
    """Time a training, and note the fits that it contains."""
    training = long_history(args.results, args.creators, args.brands)
    settings, classifier = FeatureSettings(), CommentClassifier.load()
    fits: list[dict[str, Any]] = []
    watch = Watch()
    with recorded(fits), watch.parts(), watch.memory():
        began, used = time.perf_counter(), time.process_time()
        fit(training, settings, classifier, recipes=recipes, jobs=JOBS)
        seconds, busy = time.perf_counter() - began, time.process_time() - used
    (args.folder / "fits.json").write_text(json.dumps(fits), encoding="utf-8")
    parts = [(name, watch.seconds[name], watch.gib[name]) for name in PARTS]
    return {"seconds": seconds, "of processors": busy, "GiB": watch.most, "parts": parts}


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=int, default=1_000_000, help="past deals (%(default)s)")
    parser.add_argument("--creators", type=int, default=200_000, help="(%(default)s)")
    parser.add_argument("--brands", type=int, default=500, help="(%(default)s)")
    parser.add_argument("--search", type=int, default=TRIES, help="other settings of each recipe (%(default)s)")
    parser.add_argument("--rounds", type=int, default=rate.ROUNDS, help="most trees of a fit (%(default)s)")
    parser.add_argument("--folder", type=Path, default=Path("build/bench-training"), help="(%(default)s)")
    parser.add_argument("--way", choices=("training", "bare"), help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    args.folder.mkdir(parents=True, exist_ok=True)
    if args.way:
        rate.ROUNDS = args.rounds
        way = run_training if args.way == "training" else run_bare
        with threadpool_limits(1, "blas"):
            print(json.dumps(way(args, with_settings(args.search, 0, RECIPES))))
        return
    found = {}
    for name in ("training", "bare"):
        given = [f"--{k}={getattr(args, k)}" for k in ("results", "creators", "brands", "search", "rounds", "folder")]
        command = [sys.executable, "-m", "benchmarks.training", *given, "--way", name]
        found[name] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
        cli.note([f"{name}: {found[name]['seconds']:.0f} s"])
    parts = pd.DataFrame(found["training"].pop("parts"), columns=["part", "seconds", "GiB"])
    table = pd.DataFrame(found).T.rename_axis("way").reset_index()
    for column, other in (("times bare", "seconds"), ("times bare, processors", "of processors")):
        table[column] = table[other] / float(table[other].iloc[-1])
    for name, made in (("training", table), ("parts", parts)):
        write_tables(made, args.folder / name)
        cli.show_table(cells(made))


if __name__ == "__main__":
    main()
