"""A list's scores in Spark are those of DuckDB, whichever Spark it is, whoever dies meanwhile: make test-engines."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest

from tests.support import spark
from tests.support.paths import ROOT
from tests.support.workspace import command, environment

pytestmark = [pytest.mark.engines, pytest.mark.slow]
CALL = ("--data", "data", "--target-cost", "20")


@pytest.fixture(scope="module")
def listed(tiny_market: Path) -> Path:
    """The market's candidates."""
    return tiny_market / "candidates.parquet"


@pytest.fixture(scope="module")
def expected(trained_workspace: Path, listed: Path, tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """Their scores by DuckDB."""
    output = tmp_path_factory.mktemp("duckdb") / "scores.parquet"
    done = command(trained_workspace, "predict.py", str(listed), *CALL, "--output", str(output))
    assert done.returncode == 0, done.stderr
    return pd.read_parquet(output)


@pytest.fixture(scope="module", params=spark.KINDS)
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of each kind of Spark."""
    with spark.running(request.param, tmp_path_factory.mktemp("spark")) as found:
        yield found


@contextmanager
def started(workspace: Path, listed: Path, output: Path, url: str) -> Iterator[subprocess.Popen[str]]:
    """predict.py in Spark, its scratch folder beside the output; killed at the end if it has not ended."""
    call = [sys.executable, str(ROOT / "predict.py"), str(listed), *CALL, "--engine", url, "--output", f"{output}/"]
    variables = environment() | spark.ENVIRONMENT | {"TMPDIR": str(output.parent)}
    pipe = subprocess.PIPE
    run = subprocess.Popen(call, cwd=workspace, env=variables, stdout=pipe, stderr=pipe, text=True)
    try:
        yield run
    finally:
        if run.poll() is None:
            run.kill()
            run.communicate()


def differ(found: pd.DataFrame, expected: pd.DataFrame) -> list[str]:
    """Columns that differ in any bit."""
    return [str(name) for name in expected if not found[name].equals(expected[name])]


def test_scores_are_those_of_duckdb(
    url: str, trained_workspace: Path, listed: Path, expected: pd.DataFrame, tmp_path: Path
) -> None:
    with started(trained_workspace, listed, tmp_path / "scored", url) as run:
        said, noted = run.communicate()
    assert run.returncode == 0, noted
    found = pd.read_parquet(tmp_path / "scored")
    assert list(found) == list(expected)
    assert differ(found, expected) == []
    assert "candidates scored" in said
    assert os.listdir(tmp_path) == ["scored"]  # nothing is left aside


def test_a_training_sees_the_same_features(url: str, trained_workspace: Path, tmp_path: Path) -> None:
    check = ("train.py", "data", "--check", "--seed", "1")
    here, there = (
        command(trained_workspace, *check, *words, TMPDIR=str(tmp_path), **spark.ENVIRONMENT)
        for words in ((), ("--engine", url))
    )
    assert there.returncode == here.returncode, there.stderr
    assert there.stdout == here.stdout != ""
    assert os.listdir(tmp_path) == []


def test_a_worker_that_is_killed_leaves_a_whole_and_correct_result(
    trained_workspace: Path, listed: Path, expected: pd.DataFrame, tmp_path: Path
) -> None:
    (tmp_path / "cluster").mkdir()
    with (
        spark.cluster(tmp_path / "cluster") as cluster,
        started(trained_workspace, listed, tmp_path / "scored", cluster.url) as run,
    ):
        while not [*tmp_path.glob("creator-yield-spark-*/table-*/_SUCCESS")]:
            assert run.poll() is None, run.communicate()
            time.sleep(0.05)
        cluster.kill_worker()
        assert run.poll() is None
        _, noted = run.communicate()
    assert run.returncode == 0, noted
    assert differ(pd.read_parquet(tmp_path / "scored"), expected) == []


def test_what_cannot_be_done_in_spark_is_refused(trained_workspace: Path, listed: Path, tmp_path: Path) -> None:
    call = ("predict.py", str(listed), "--data", "data", "--output", str(tmp_path / "scores.csv"), "--engine")
    for words in (("sc://127.0.0.1:1", "--resume"), ("flink://here",), ("sc://127.0.0.1:1",)):
        done = command(trained_workspace, *call, *words)
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
    assert os.listdir(tmp_path) == []
