"""A folder in which the commands ran."""

import shutil
from pathlib import Path

import pytest

from tests.support.commands import run_train
from tests.support.past_market import write_tables
from tests.support.shared import make_once


@pytest.fixture(scope="session")
def trained_world(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Path:
    """A folder with data, candidates and a model trained on them; copy it, leave it as it is."""

    def make(folder: Path) -> None:
        write_tables(folder)
        shutil.copy(empty_store, folder / "mlflow.db")
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            patch.delenv("MLFLOW_TRACKING_URI", raising=False)
            assert run_train("data", "--search", "0") == 0

    return make_once(tmp_path_factory, "world", make)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, trained_world: Path) -> Path:
    """A copy of it."""
    return shutil.copytree(trained_world, tmp_path_factory.mktemp("copy") / "world")


@pytest.fixture
def in_world(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs a test in it, with the store that lies there."""
    monkeypatch.chdir(world)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
