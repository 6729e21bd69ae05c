"""MLflow's own ways with the registered model: `mlflow models serve`, started for real, and batches by pyfunc."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from mlflow import MlflowClient

from features.history.source import open_candidates, open_history
from features.matrix import FeatureBuilder
from models import tracking
from models.scorer import SCORES
from tests.support.workspace import copy_workspace, environment, free_port

URI = "models:/conversions-per-dollar@champion"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory, trained_workspace: Path) -> Path:
    return copy_workspace(tmp_path_factory.mktemp("mlflow"), trained_workspace)


@pytest.fixture(scope="module")
def rows(workspace: Path, tiny_market: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The matrix of the market's candidates as MLflow takes it, and what the scorer says of it."""
    scorer = tracking.load(MlflowClient(f"sqlite:///{workspace / 'mlflow.db'}"), URI).scorer
    with open_history(workspace / "data") as history:
        candidates = next(open_candidates(history, tiny_market / "candidates.parquet").batches(1000)).to_pandas()
        candidates.loc[3, "creator_id"] = "nobody"
        with FeatureBuilder(history, scorer.settings, scorer.classifier) as builder:
            matrix = builder.build(candidates)
    sent = matrix[list(scorer.encoding.columns)].assign(creator_id=candidates.creator_id, spend=candidates.spend)
    assert sent.isna().any().sum() > 5
    return sent, scorer.score(matrix, candidates, 0.9)


def assert_alike(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    assert found.columns.tolist() == list(SCORES)
    for name in SCORES:
        assert found[name].tolist() == expected[name].tolist(), name


def test_pyfunc_scores_a_batch_as_the_scorer_does(
    workspace: Path, rows: tuple[pd.DataFrame, pd.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{workspace / 'mlflow.db'}")
    mlflow.set_tracking_uri(f"sqlite:///{workspace / 'mlflow.db'}")
    try:
        model = mlflow.pyfunc.load_model(URI)
        assert_alike(model.predict(rows[0], params={"level": 0.9}), rows[1])
    finally:
        mlflow.set_tracking_uri(None)  # type: ignore[arg-type]


@pytest.mark.long
def test_mlflow_serves_the_registered_model(workspace: Path, rows: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    port = free_port()
    call = [sys.executable, "-m", "mlflow", "models", "serve", "-m", URI, "-p", str(port), "--env-manager", "local"]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    variables = environment(PATH=path, MLFLOW_TRACKING_URI="sqlite:///mlflow.db")
    assert shutil.which("uvicorn", path=path), "MLflow starts uvicorn by its name"
    log = workspace / "serve.log"
    with log.open("wb") as out:
        process = subprocess.Popen(call, cwd=workspace, env=variables, stdout=out, stderr=out)
    try:
        until = time.monotonic() + 120
        while _ask(port, "GET", "/ping") != 200:
            assert process.poll() is None, log.read_text()[-2000:]
            assert time.monotonic() < until, log.read_text()[-2000:]
            time.sleep(0.2)
        sent, expected = rows
        data = [[None if pd.isna(v) else v for v in row] for row in sent.astype(object).to_numpy().tolist()]
        body = {"dataframe_split": {"columns": sent.columns.tolist(), "data": data}, "params": {"level": 0.9}}
        status, reply = _reply(port, "POST", "/invocations", json.dumps(body))
        assert status == 200, reply[:1000]
        assert_alike(pd.DataFrame(json.loads(reply)["predictions"]), expected)
    finally:
        process.terminate()
        process.wait(30)


BARE = f"""
import json, mlflow, pandas as pd
mlflow.set_tracking_uri("sqlite:///mlflow.db")
scores = mlflow.pyfunc.load_model({URI!r}).predict(pd.read_parquet("matrix.parquet"), params={{"level": 0.9}})
import features, models
print(json.dumps([[features.__file__, models.__file__], scores.to_dict("list")]))
"""


@pytest.mark.bare
def test_a_bare_environment_of_its_own_requirements_scores_alike(
    workspace: Path, rows: tuple[pd.DataFrame, pd.DataFrame], tmp_path: Path
) -> None:
    """Nothing of the project is on the path: the model brings its code along, and pip what its requirements name."""
    source = MlflowClient(f"sqlite:///{workspace / 'mlflow.db'}").get_model_version_by_alias(*URI[8:].split("@")).source
    assert source
    packed = Path(source.removeprefix("file://"))
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "bare")], check=True)
    python = str(tmp_path / "bare" / "bin" / "python")
    install = [
        python,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-compile",
        "--only-binary=:all:",
        "-r",
        str(packed / "requirements.txt"),
    ]
    subprocess.run(install, check=True)
    rows[0].to_parquet(workspace / "matrix.parquet", index=False)
    isolated = [python, "-I", "-c", BARE]  # neither the folder nor PYTHONPATH is looked at
    done = subprocess.run(isolated, cwd=workspace, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    code, scores = json.loads(done.stdout.splitlines()[-1])
    assert [packed / "code" in Path(file).parents for file in code] == [True, True], code
    assert_alike(pd.DataFrame(scores), rows[1])


def _ask(port: int, method: str, path: str) -> int | None:
    try:
        return _reply(port, method, path, None)[0]
    except OSError:
        return None


def _reply(port: int, method: str, path: str, body: str | None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"})
        reply = connection.getresponse()
        return reply.status, reply.read()
    finally:
        connection.close()
