"""A project with a champion, and commands that must end before the work."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import cli
import predict
import train
from models.scorer import Scorer
from models.training import TrainingSet
from tests.support.past_market import write_tables
from tests.support.small_store import contents, make_project


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory, empty_store: Path, small_scorer: Scorer) -> Path:
    """A folder with a store and a champion; leave it as it is."""
    folder = tmp_path_factory.mktemp("stored") / "project"
    with pytest.MonkeyPatch.context() as patch:
        return make_project(folder, empty_store, small_scorer, patch)


@pytest.fixture
def project(stored: Path, tmp_path: Path) -> Path:
    """A copy of it, and where the files lie that its store records: nothing is there any more."""
    return shutil.copytree(stored, tmp_path / "project")


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with DATA and candidates.parquet; of two tables, for every one that is there takes time at each call."""
    folder = tmp_path_factory.mktemp("data")
    write_tables(folder, rows=60, candidates=5)
    return folder


@pytest.fixture
def command(
    project: Path, data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """Runs train.py, or predict.py, in the project, where it must end with status 2 before the work; what it said."""

    def run(uri: str | None = None, *words: str, name: str = "train") -> str:
        monkeypatch.chdir(project)
        monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
        if uri is not None:
            monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        before = contents(project)
        capsys.readouterr()
        began = time.monotonic()
        if name == "train":
            call = train.arguments([str(data / "data"), *words])
            status = cli.run(lambda: train.train(call))
        else:
            required = [str(data / "candidates.parquet"), "--data", str(data / "data"), "--output", "s.csv"]
            call = predict.arguments([*required, *words])
            status = cli.run(lambda: predict.predict(call))
        said = capsys.readouterr().err
        assert status == 2, said
        assert len(said.splitlines()) == 1, said
        assert time.monotonic() - began < 60
        assert contents(project) == before
        return said

    def never(*_: object, **__: object) -> None:
        raise AssertionError("the work has begun")

    monkeypatch.setattr(TrainingSet, "from_history", never)
    return run
