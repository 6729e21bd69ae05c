"""The commands with --engine postgresql: the server makes the features, and scores and models are as from files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.support.commands import run_predict, run_train
from tests.support.postgres import Server
from tests.support.workspace import copy_workspace


def tables(market: Path) -> dict[str, pd.DataFrame]:
    """The tables of a made-up market."""
    names = ("collaborations", "creators", "posts", "comments", "conversions")
    paths = [path for name in names for path in market.rglob(f"{name}.*")]
    return {path.stem: pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path) for path in paths}


def agree(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    """The columns of `found` equal those expected, numbers to 1e-12; reasons hold numbers as text."""
    for column in found.columns.drop("reasons"):
        if expected[column].dtype.kind == "f":
            np.testing.assert_allclose(found[column], expected[column], rtol=1e-12, err_msg=column)
        else:
            pd.testing.assert_series_equal(found[column], expected[column])


@pytest.fixture
def here(trained_workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the trained workspace, entered."""
    folder = copy_workspace(tmp_path, trained_workspace)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder / 'mlflow.db'}")
    return folder


@pytest.fixture(scope="module")
def url(postgres_server: Server, tiny_market: Path) -> str:
    """The market in a database."""
    return postgres_server.url(postgres_server.database(tables(tiny_market)))


@pytest.mark.long
def test_scores_are_those_of_loaded_tables(
    here: Path, url: str, tiny_market: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (candidates,) = tiny_market.rglob("candidates.*")
    call = (str(candidates), "--data", url)
    printed = []
    for engine in ("duckdb", "postgresql"):
        assert run_predict(*call, "--engine", engine, "--output", f"{engine}.parquet") == 0, capsys.readouterr().err
        printed.append(capsys.readouterr().out.replace(engine, "ENGINE"))
    loaded, in_place = pd.read_parquet("duckdb.parquet"), pd.read_parquet("postgresql.parquet")
    assert [*in_place] == [*loaded]
    agree(in_place, loaded)
    assert printed[1] == printed[0]


@pytest.mark.long
def test_models_are_those_of_loaded_tables(
    here: Path, url: str, tiny_market: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Fingerprints of both are equal: after a training on loaded tables there is nothing new in place."""
    (candidates,) = tiny_market.rglob("candidates.*")
    always = ("--search", "0", "--force", "--promote", "always")
    assert run_train(url, *always) in (0, 3), capsys.readouterr().err
    assert run_predict(str(candidates), "--data", "data", "--output", "loaded.parquet") == 0
    assert run_train(url, "--engine", "postgresql", "--search", "0") in (0, 3)
    assert "nothing new: data, code and settings are those of" in capsys.readouterr().out
    assert run_train(url, "--engine", "postgresql", *always) in (0, 3)
    assert "is now the champion" in capsys.readouterr().out
    assert run_predict(str(candidates), "--data", "data", "--output", "in_place.parquet") == 0
    agree(pd.read_parquet("in_place.parquet").drop(columns="model_version"), pd.read_parquet("loaded.parquet"))


@pytest.mark.long
def test_a_check_finds_what_it_finds_in_loaded_tables(here: Path, url: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = []
    for engine in ("duckdb", "postgresql"):
        assert run_train(url, "--engine", engine, "--check") in (0, 3), capsys.readouterr().err
        found.append(capsys.readouterr().out)
    assert found[1] == found[0]
