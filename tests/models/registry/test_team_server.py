"""Trainings at once against a team's MLflow server on a real PostgreSQL: one champion, no run lost, no lock error."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from mlflow import MlflowClient

from models.registry import registry
from models.registry.registry import CHAMPION
from tests.support.postgres import Server
from tests.support.small_store import NAME, enter
from tests.support.team_server import serving
from tests.support.workspace import command, environment

pytestmark = pytest.mark.slow
AT_ONCE, FEW_AT_ONCE = 4, 2  # in full, and in `make test`
# One that learns of promotions from the registry alone, as another team's program would.
FOLLOWER = """
import json, sys
from mlflow import MlflowClient
model = MlflowClient().get_registered_model(sys.argv[1])
print(json.dumps({"champion": model.aliases["champion"], "promotion": json.loads(model.tags["promotion"])}))
"""


def test_trainings_at_once_leave_one_champion(
    tmp_path: Path,
    tiny_market: Path,
    postgres_server: Server,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    at_once = AT_ONCE if request.config.getoption("--soak") else FEW_AT_ONCE
    with serving(tmp_path, postgres_server) as address:

        def train(seed: int) -> tuple[int, str]:
            words = ["train.py", str(tiny_market / "data"), "--search", "0", "--seed", str(seed)]
            done = command(tmp_path, *words, MLFLOW_TRACKING_URI=address)
            return done.returncode, done.stderr

        with ThreadPoolExecutor(at_once) as pool:
            ended = list(pool.map(train, range(at_once)))
        assert [one for one in ended if one[0] not in (0, 3)] == []
        client = enter(tmp_path, monkeypatch, address)
        versions = client.search_model_versions(f"name='{NAME}'")
        assert len(versions) == at_once
        _check(client, {version.version: version.run_id or "" for version in versions})
        champion = registry.load(client, f"models:/{NAME}@{CHAMPION}")
        assert champion.scorer.facts.results == 150
        variables = environment(MLFLOW_TRACKING_URI=address)
        done = subprocess.run([sys.executable, "-c", FOLLOWER, NAME], env=variables, capture_output=True, text=True)
        found = json.loads(done.stdout)
        assert str(found["promotion"]["version"]) == str(found["champion"]) == champion.version
        listed = tmp_path / "scores.csv"
        words = ["predict.py", str(tiny_market / "candidates.parquet"), "--data", str(tiny_market / "data")]
        done = command(tmp_path, *words, "--output", str(listed), MLFLOW_TRACKING_URI=address)
        assert done.returncode == 0, done.stderr
        assert listed.read_text().count(f"{NAME}/{champion.version}") == 30
    assert not (tmp_path / "mlflow.db").exists()


def _check(client: MlflowClient, runs: dict[str, str]) -> None:
    """Every run is whole, and says why its version was promoted or not; those promoted follow one another."""
    promoted = 0
    for version, run in runs.items():
        found = client.get_run(run)
        assert found.info.status == "FINISHED"
        assert {"model_card.md", "backtest.csv"} <= {one.path for one in client.list_artifacts(run)}
        assert found.data.tags["promoted"], version
        promoted += found.data.tags["promoted"].startswith("yes")
    assert promoted >= 1
    statuses = {one.info.status for one in client.search_runs([client.get_run(run).info.experiment_id])}
    assert statuses == {"FINISHED"}
