"""Trains once, and lets a copy of that training fail at each of its steps.

`python tests/support/faulty_training.py WORK DATA EVERY`: WORK/place/project is a folder with a store, a champion and
a ledger. One whole training goes on in this process. Before a request it forks; the fork comes to the same request on
a copy of the store, and there it is killed, or meets an error at the request itself, at a file that the request writes
or at a commit of SQLite's. Then the store is looked at, the next training begins on it, and a line of WORK/found.jsonl
says how it went. Everything is done for real, the fit included, which needs no repetition in this way. What writes
files and asks nothing of the store (LOCAL) is taken for a request, too.

EVERY: 1 tries every step with every kind of fault (but see CODE); N every Nth request with one of its steps, and those
of OFTEN. WORK/left is what a training left that was killed while its model was written.
"""

from __future__ import annotations

import functools
import gc
import json
import os
import shutil
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import mlflow
from ibis.backends.duckdb import Backend
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from threadpoolctl import threadpool_limits

from features.faults import InputError, OutputError
from features.history import opening
from models import pipeline
from models.monitoring.promise_report import Watched
from models.registry import recovery, runs
from models.registry.processes import name_process
from models.scorer import Scorer
from tests.support.faulty_look import BEGAN, LEDGER, NAME, Found, contents, look
from tests.support.file_faults import DEATH, KILLED, KINDS, NOT_MET, REMOVE, REQUEST, Steps, ended

T = TypeVar("T")
CLIENT = ("set_", "delete_", "update_", "create_", "log_", "finalize_", "get_", "search_", "list_")
LOCAL = ((Scorer, "save"), (mlflow.pyfunc, "save_model"), (Watched, "seal"))
OFTEN = ("set_registered_model_alias", "log_model_artifacts", "create_model_version", "set_terminated", "seal")
CODE = 10  # of the project's own files, some 150 that a model has a copy of, every so many are tried


class Trial:
    """The training, and its forks. work: WORK."""

    def __init__(self, work: Path, data: Path, every: int) -> None:
        self.work, self.data, self.every = work, data, every
        self.place = work / "place"
        self.steps = Steps(self.place)
        self.requests, self.tried, self.busy, self.is_fork = 0, 0, False, False
        self.kept: list[Backend] = []  # in a fork, what it must not destroy when the training returns
        self.before = contents(data)

    def at(self, request: str, call: Callable[[], T]) -> T:
        """Do what a request asks for; before that, have forks of this process try it with faults."""
        if self.busy:
            return call()  # a part of another one
        self.busy = True
        try:
            if self.is_fork:
                return self._call(request, call)
            self.requests += 1
            if request not in OFTEN and self.requests % self.every:
                return call()
            self.tried += 1
            return self._forked(request, call)
        finally:
            self.busy = False

    def end(self, how: str, said: str) -> None:
        """Say how the training ended. A fork ends here, with DuckDB's objects still there: only their own process may
        close them."""
        self.steps.counting = False
        if not self.is_fork:
            print(json.dumps([self.requests, how, said]))
            return
        (self.work / "said").write_text(json.dumps([how, said]))
        os._exit(0)

    def _forked(self, request: str, call: Callable[[], T]) -> T:
        """Fork what tries the faults; it waits until the request is done here, and knows of its steps then."""
        shutil.copytree(self.place, self.work / "before")
        reading, writing = os.pipe()
        worker = os.fork()
        if worker == 0:
            os.close(writing)
            try:
                with os.fdopen(reading) as pipe:
                    self._try(request, json.loads(pipe.read()))
            except BaseException:
                traceback.print_exc()
                os._exit(1)
            result = self._call(request, call)
            if not self.steps.met:
                os._exit(NOT_MET)
            return result
        os.close(reading)
        self.steps.begin()
        try:
            return self._call(request, call)
        finally:
            self.steps.counting = False
            with os.fdopen(writing, "w") as pipe:
                pipe.write(json.dumps(self.steps.seen))
            if os.waitpid(worker, 0)[1]:
                raise RuntimeError(f"what tries faults of {request} has failed")
            shutil.rmtree(self.work / "before")

    def _call(self, request: str, call: Callable[[], T]) -> T:
        refused = "Max retries exceeded with url: /api/2.0/mlflow (Caused by NewConnectionError: connection refused)"
        if request not in [name for _, name in LOCAL]:
            self.steps.step(REQUEST, MlflowException(refused))
        return call()

    def _chosen(self, steps: list[str], writing: bool) -> Iterator[tuple[int, str]]:
        """Numbers of steps, and kinds of faults to try there. writing: whether it is the model that is written."""
        all_of_them = [
            (number, kind)
            for number, step in enumerate(steps)
            for kind in KINDS
            if (kind == KILLED or not step.startswith(REMOVE)) and (number % CODE == 0 or "/code/" not in step)
        ]
        if self.every == 1:
            yield from all_of_them
            return
        kind = KILLED if writing else KINDS[self.tried % len(KINDS)]
        if of_a_kind := [one for one in all_of_them if one[1] == kind]:
            yield of_a_kind[self.tried * 7 % len(of_a_kind)]

    def _try(self, request: str, steps: list[str]) -> None:
        """Try the faults one after the other; returns in each of the forks that are to meet one."""
        after = self.work / "after"
        self.place.rename(after)
        for number, kind in self._chosen(steps, request == "log_model_artifacts"):
            shutil.copytree(self.work / "before", self.place)
            found = Found(self.requests, request, steps[number], kind)
            (self.work / "said").unlink(missing_ok=True)
            if (fork := os.fork()) == 0:
                self.is_fork = True
                Backend.disconnect = lambda self: None
                self.kept = [one for one in gc.get_objects() if isinstance(one, Backend)]
                self.steps.begin(number, kind)
                return
            status = ended(fork)
            if status == 0:
                found.ended, found.said = json.loads((self.work / "said").read_text())
            else:
                found.ended = {DEATH: KILLED, NOT_MET: "not met"}.get(status, f"status {status}")
            left = self.work / "left"
            if kind == KILLED and request == "log_model_artifacts" and not left.exists():
                shutil.copytree(self.place, left)
            self._look(found)
            shutil.rmtree(self.place)
        after.rename(self.place)
        os._exit(0)

    def _look(self, found: Found) -> None:
        """Look at what was left in another fork, as MLflow remembers stores that it has opened."""
        if (fork := os.fork()) == 0:
            look(found, self.place / "project", self.data, self.before)
            with (self.work / "found.jsonl").open("a") as lines:
                lines.write(json.dumps(asdict(found)) + "\n")
            os._exit(0)
        if status := ended(fork):
            raise RuntimeError(f"{found}: the look at it ended with {status}")


@contextmanager
def watched(trial: Trial) -> Iterator[None]:
    """Let the trial see every request, and what is written where a model is made or the ledger appended to."""

    def through(owner: Any, name: str) -> None:
        function = getattr(owner, name)

        @functools.wraps(function)
        def request(*args: Any, **kwargs: Any) -> Any:
            return trial.at(name, lambda: function(*args, **kwargs))

        setattr(owner, name, request)

    for name in [name for name in vars(MlflowClient) if name.startswith(CLIENT)]:
        through(MlflowClient, name)
    for owner, name in LOCAL:
        through(owner, name)
    # a run bears the name of its process, which has ended when the store is looked at
    with subprocess.Popen(["sleep", "60"]) as other:
        dead = name_process(other.pid)
        other.kill()
    runs.name_process = lambda number: dead
    recovery.is_dead = lambda name: False  # this training and its forks take it for their own
    # forks have no other threads
    opening.open_history = functools.partial(opening.open_history, threads=1)
    with threadpool_limits(1):
        yield


def main() -> None:
    """Train."""
    work, data = map(Path, sys.argv[1:3])
    project = work / "place" / "project"
    os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{project / 'mlflow.db'}"
    tempfile.tempdir = str(work / "place" / "tmp")
    trial = Trial(work, data, int(sys.argv[3]))
    with watched(trial):
        try:
            done = pipeline.retrain(
                str(data), NAME, began=BEGAN, search=0, force=True, promote="always", ledger=project / LEDGER
            )
            trial.end("done", done.sentence)
        except (InputError, OutputError) as error:
            trial.end("refused", str(error))
        except BaseException:
            trial.end("crashed", traceback.format_exc())


if __name__ == "__main__":
    main()
