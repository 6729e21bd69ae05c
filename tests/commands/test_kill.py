"""Train and predict killed at any moment: no half output, a champion that scores, and a next run that succeeds.

Most kills hit commands that a server with everything imported has forked, so that they fall into the work proper; some
fall into the start of a real command, and some into the first making of a registry.
"""

from __future__ import annotations

import contextlib
import faulthandler
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from cli import run
from features.catalogue import CATALOGUE
from models import tracking
from models.registry import runs
from tests.support.paths import ROOT

pytestmark = pytest.mark.slow

NAME = "conversions-per-dollar"
CHAMPION = f"models:/{NAME}@champion"
OUTPUT = "scores.csv"
STARTS, STORES, FEW_STORES = (0.2, 1.2), (0.15, 0.5, 0.85), (0.5,)  # seconds, and shares of the whole time
# of trainings and predictions: a moment in each of so many equal parts of their time, in full and in `make test-long`
KILLS, FEW_KILLS = (6, 10), (2, 3)
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["train", "predict", "models.pipeline", "models.batch.score_file", "models.tracking", *(
    f"mlflow.store.{name}" for name in (
        "tracking.sqlalchemy_store", "model_registry.sqlalchemy_store", "artifact.local_artifact_repo",
    )
)])  # fmt: skip


# A process's status can be read once, and both start and join read those of all children.
ONE_AT_A_TIME = threading.Lock()


def start(folder: Path, argv: tuple[str, ...]) -> Any:
    """A child that does the work."""
    child = SERVER.Process(target=work, args=(folder, argv))
    with ONE_AT_A_TIME:
        child.start()
    return child


def status_of(child: Any, seconds: float | None = None) -> int:
    """Wait for its end, and kill it after so many seconds; its exit status."""
    if not wait([child.sentinel], seconds):
        with contextlib.suppress(ProcessLookupError):
            os.kill(child.pid, signal.SIGKILL)
    wait([child.sentinel])
    with ONE_AT_A_TIME:
        child.join()
    return int(child.exitcode)


def work(folder: Path, argv: tuple[str, ...]) -> None:
    """A command, or the first look at the registry, in a process that has imported everything; what it says is kept."""
    import predict
    import train

    os.chdir(folder)
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    said = os.open(folder.with_suffix(".log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(said, 1)
    os.dup2(said, 2)
    faulthandler.enable()

    def begin() -> None:
        runs.start(tracking.connect(), NAME, 0)

    calls: dict[str, Callable[[], int | None]] = {
        "train.py": lambda: train.train(train.arguments(argv[1:])),
        "predict.py": lambda: predict.predict(predict.arguments(argv[1:])),
        "store": begin,
    }
    os._exit(run(calls[argv[0]], debug=True))


class Lane:
    """A folder with a registry and an output. What is done in it is killed or finished, one after the other."""

    def __init__(self, folder: Path, market: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.seconds: dict[str, float] = {}
        data = str(market / "data")
        self.train = ("train.py", data, "--search", "0", "--force", "--promote", "always")
        self.predict = ("predict.py", str(market / "candidates.parquet"), "--data", data, "--output", OUTPUT)

    def finish(self, *argv: str) -> None:
        """Let it run to its end, which must be a good one; how long it took is noted."""
        assert self._run(None, *argv) == 0, (argv, self.folder.with_suffix(".log").read_text()[-3000:])

    def kill(self, share: float, *argv: str) -> None:
        """Kill it after a share of the seconds that its latest whole run took; sooner if it has ended by then."""
        while (status := self._run(share * self.seconds[argv[0]], *argv)) != -9:
            assert status == 0, (argv, self.folder.with_suffix(".log").read_text()[-3000:])
            share *= 0.7  # the machine may be busier at one time than at another

    def _run(self, seconds: float | None, *argv: str) -> int:
        began = time.monotonic()
        child = start(self.folder, argv)
        if (ended := status_of(child, seconds)) == 0:
            self.seconds[argv[0]] = time.monotonic() - began
        return ended

    def kill_when(self, seen: Callable[[], bool], *argv: str) -> None:
        """Kill it at the moment that something is seen, too short to be hit by chance."""
        child = start(self.folder, argv)
        while not seen() and not wait([child.sentinel], 0.0005):
            pass
        assert status_of(child, 0) in (-9, 0), (argv, self.folder.with_suffix(".log").read_text()[-3000:])

    def kill_at_start(self, seconds: float, *argv: str) -> None:
        """Kill the real command while it starts."""
        script = [sys.executable, str(ROOT / argv[0]), *argv[1:]]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_")}
        with subprocess.Popen(
            script, cwd=self.folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as child:
            time.sleep(seconds)
            child.kill()
        assert child.returncode == -9

    def visible(self) -> list[str]:
        """Names in the folder that a user sees; what a killed run leaves aside begins with a dot.

        SQLite's journal is the database's own: a transaction that had only begun leaves one, which the next one takes.
        """
        names = (path.name for path in self.folder.iterdir())
        return sorted(name for name in names if not name.startswith(".") and name != "mlflow.db-journal")

    def statuses(self) -> set[str]:
        """Of all runs of the experiment."""
        client = MlflowClient(f"sqlite:///{self.folder / 'mlflow.db'}")
        found = client.get_experiment_by_name(NAME)
        assert found
        return {run.info.status for run in client.search_runs([found.experiment_id])}

    def check_registry(self) -> str:
        """The champion and the newest version load and score a row of which nothing is known; the champion's number."""
        client = MlflowClient(f"sqlite:///{self.folder / 'mlflow.db'}")
        newest = max(int(version.version) for version in client.search_model_versions(f"name='{NAME}'"))
        champion, last = tracking.load(client, CHAMPION), tracking.load(client, f"models:/{NAME}/{newest}")
        for model in (champion, last):
            missing = {"number": pd.Series([np.nan]), "category": pd.Series([None], dtype="object")}
            row = pd.DataFrame({feature.name: missing[feature.kind] for feature in CATALOGUE})
            scores = model.scorer.score(row, pd.DataFrame({"creator_id": ["nobody"], "spend": [100.0]}))
            assert np.isfinite(scores["conversions_per_dollar"]).all()
        return champion.version


def shares(kills: int, seed: int) -> list[float]:
    """A moment in each of so many equal parts of a duration, as shares of it, in a random order."""
    rng = np.random.default_rng(seed)
    return rng.permutation((np.arange(kills) + rng.random(kills)) / kills).tolist()


def kill_trainings(lane: Lane, kills: int) -> int:
    lane.finish(*lane.train)
    lane.finish(*lane.predict)
    output, before = (lane.folder / OUTPUT).read_bytes(), lane.visible()
    for share in shares(kills, 1):
        lane.kill(share, *lane.train)
        lane.check_registry()
        assert lane.visible() == before
    models = lane.folder / "mlartifacts" / NAME / "models"
    stored = len(list(models.iterdir()))
    lane.kill_when(lambda: len(list(models.iterdir())) > stored, *lane.train)
    lane.check_registry()
    for moment in STARTS:
        lane.kill_at_start(moment, *lane.train)
    last = int(lane.check_registry())
    lane.finish(*lane.train)
    assert int(lane.check_registry()) > last
    if sys.platform.startswith("linux"):
        assert "RUNNING" not in lane.statuses(), "the last training marks those that were killed"
    lane.finish(*lane.predict)
    assert (lane.folder / OUTPUT).read_bytes().count(f"{NAME}/".encode()) == output.count(f"{NAME}/1".encode())
    return kills + 1 + len(STARTS)


def kill_predictions(lane: Lane, kills: int) -> int:
    lane.finish(*lane.train)
    lane.finish(*lane.predict)
    path = lane.folder / OUTPUT
    old, narrower = path.read_bytes(), (*lane.predict, "--level", "0.5")
    lane.finish(*narrower)
    new, before = path.read_bytes(), lane.visible()
    assert new != old
    path.unlink()
    for i, share in enumerate(shares(kills, 2)):
        if i == kills // 2:
            path.write_bytes(old)
        lane.kill(share, *narrower)
        if path.exists() or i >= kills // 2:
            # A kill that comes after the last rename finds the new scores, whole.
            assert path.read_bytes() in (old, new)
        assert set(lane.visible()) <= set(before)
    path.write_bytes(old)
    left = set(lane.folder.glob(f".{OUTPUT}-*"))
    lane.kill_when(lambda: writing(path, old, left), *narrower)
    assert path.read_bytes() in (old, new)
    for moment in STARTS:
        lane.kill_at_start(moment, *narrower)
    assert lane.check_registry() == "1"
    lane.finish(*narrower)
    assert path.read_bytes() == new
    return kills + 1 + len(STARTS)


def writing(path: Path, old: bytes, left: set[Path]) -> bool:
    """Whether the output, or what is to take its place, is being written; `left` is what earlier kills left aside."""
    aside = set(path.parent.glob(f".{path.name}-*")) - left
    return not path.exists() or path.read_bytes() != old or any(list(folder.glob("whole*")) for folder in aside)


@pytest.mark.long
def test_a_kill_leaves_whole_outputs_and_a_champion_that_scores(
    tmp_path: Path, tiny_market: Path, empty_store: Path, request: pytest.FixtureRequest
) -> None:
    trained, predicted = KILLS if request.config.getoption("--soak") else FEW_KILLS
    trainings, predictions = (Lane(tmp_path / name, tiny_market) for name in ("trainings", "predictions"))
    for lane in (trainings, predictions):
        shutil.copy(empty_store, lane.folder / "mlflow.db")
    with ThreadPoolExecutor(2) as pool:
        counted = [
            pool.submit(kill_trainings, trainings, trained), pool.submit(kill_predictions, predictions, predicted)
        ]  # fmt: skip
    assert sum(kills.result() for kills in counted) == trained + predicted + 2 * (1 + len(STARTS))


@pytest.mark.long
def test_a_kill_while_the_registry_is_made_leaves_room_for_the_next(
    tmp_path: Path, tiny_market: Path, request: pytest.FixtureRequest
) -> None:
    moments = STORES if request.config.getoption("--soak") else FEW_STORES
    whole = Lane(tmp_path / "whole", tiny_market)
    whole.finish("store")

    def kill(share: float) -> None:
        lane = Lane(tmp_path / f"cut_{share}", tiny_market)
        lane.seconds = dict(whole.seconds)
        lane.kill(share, "store")
        lane.finish("store")

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(kill, moments)) == [None] * len(moments)
