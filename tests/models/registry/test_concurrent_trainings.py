"""Trainings at once: one store is made, one training is the first, and the others are compared with it."""

from __future__ import annotations

import multiprocessing
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from models.registry import promotion, registry, runs
from models.registry.gate import Decision
from models.scorer import Scorer
from tests.support.small_store import NAME, enter, make_project

pytestmark = pytest.mark.slow

AT_ONCE = 3
SERVER = multiprocessing.get_context("forkserver")  # imports what is slow once, so that all begin in the same moment
SERVER.set_forkserver_preload(["models.registry.promotion", "tests.support.small_store", *(
    f"mlflow.store.{name}" for name in (
        "tracking.sqlalchemy_store", "model_registry.sqlalchemy_store", "artifact.local_artifact_repo",
    )
)])  # fmt: skip


def together(work: Callable[..., Any], folder: Path, *words: Any) -> list[Any]:
    """What AT_ONCE processes return that do the same work in a folder, each with a barrier that waits for all."""
    barrier, answers = SERVER.Barrier(AT_ONCE, timeout=120), SERVER.SimpleQueue()
    children = [SERVER.Process(target=_child, args=(work, folder, barrier, answers, *words)) for _ in range(AT_ONCE)]
    for child in children:
        child.start()
    found = [answers.get() for _ in children]
    for child in children:
        child.join()
    return found


def _child(work: Callable[..., Any], folder: Path, barrier: Barrier, answers: Any, *words: Any) -> None:
    os.chdir(folder)
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    try:
        answers.put(work(barrier, *words))
    except BaseException as error:  # else the test would wait for ever
        answers.put(f"{type(error).__name__}: {error}")
        raise


def begin(barrier: Barrier) -> tuple[str, str]:
    """Make the store and begin a run in it: its experiment and its status."""
    barrier.wait()
    with runs.open_run(NAME, 0) as run:
        info = run.client.get_run(run.id).info
        return info.experiment_id, info.status


@pytest.mark.long
def test_one_store_is_made_and_no_run_is_lost(tmp_path: Path) -> None:
    found = together(begin, tmp_path)
    assert set(found) == {("1", "RUNNING")}
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    assert len(client.search_runs(["1"])) == AT_ONCE
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mlartifacts", "mlflow.db"]


def compete(barrier: Barrier, scorer: Scorer) -> tuple[str, str | None, int]:
    """Register a version compared when all see the same champion: the version, what it was compared with, how often."""
    seen: list[str | None] = []

    def judge() -> promotion.Comparison:
        seen.append(registry.champion_version(run.client, NAME))
        if len(seen) == 1:
            barrier.wait()  # all have looked, none has set the alias
        return seen[-1], Decision(True, "it is no worse")

    with runs.open_run(NAME, 0) as run:
        version = runs.register(run.client, run.id, NAME, scorer)
        promotion.award(run, version, judge(), judge)
    return version, seen[-1], len(seen)


@pytest.mark.parametrize("champion", [False, pytest.param(True, marks=pytest.mark.long)])
def test_one_is_first_and_each_of_the_others_is_compared_with_the_champion_of_its_moment(
    tmp_path: Path, empty_store: Path, small_scorer: Scorer, monkeypatch: pytest.MonkeyPatch, champion: bool
) -> None:
    folder = tmp_path / "project"
    if champion:
        make_project(folder, empty_store, small_scorer, monkeypatch)
    else:
        folder.mkdir()
        shutil.copy(empty_store, folder / "mlflow.db")
    found = together(compete, folder, replace(small_scorer))  # what it has worked out cannot be sent
    assert all(isinstance(one, tuple) for one in found), found
    followed = {against: version for version, against, _ in found}
    assert len(followed) == AT_ONCE, "each was compared with another champion"
    order: list[str | None] = ["1" if champion else None]
    while order[-1] in followed:
        order.append(followed[order[-1]])
    assert len(order) == AT_ONCE + 1, "one after the other"
    client = enter(folder, monkeypatch)
    assert registry.champion_version(client, NAME) == order[-1]
    assert sorted(times for *_, times in found)[0] == 1
    assert sum(times for *_, times in found) > AT_ONCE
