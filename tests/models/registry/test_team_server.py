"""Trainings at once against a team's MLflow server on a real PostgreSQL: one champion, no run lost, no lock error."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import psycopg
import pytest
from mlflow import MlflowClient

from models.registry import promotion, registry, runs
from models.registry.gate import Decision
from models.registry.registry import CHAMPION
from models.registry.version_record import BEFORE
from models.scorer import Scorer
from tests.support.past_market import write_tables
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


@pytest.fixture(scope="module")
def database(postgres_server: Server) -> str:
    """What the server keeps its store in."""
    return postgres_server.url(postgres_server.database())


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, database: str) -> Iterator[str]:
    """Of the server."""
    with serving(tmp_path_factory.mktemp("server"), database) as one:
        yield one


@pytest.mark.long
def test_trainings_at_once_leave_one_champion(
    tmp_path: Path, address: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    soak = request.config.getoption("--soak")
    market: Path = request.getfixturevalue("tiny_market") if soak else tmp_path / "market"
    if not soak:  # two tables are trained on in half the time
        write_tables(market)
    at_once = AT_ONCE if soak else FEW_AT_ONCE

    def train(seed: int) -> tuple[int, str]:
        words = ["train.py", str(market / "data"), "--search", "0", "--seed", str(seed)]
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
    assert champion.scorer.facts.results == len(pd.read_parquet(market / "data" / "collaborations.parquet"))
    variables = environment(MLFLOW_TRACKING_URI=address)
    done = subprocess.run([sys.executable, "-c", FOLLOWER, NAME], env=variables, capture_output=True, text=True)
    found = json.loads(done.stdout)
    assert str(found["promotion"]["version"]) == str(found["champion"]) == champion.version
    listed = tmp_path / "scores.csv"
    words = ["predict.py", str(market / "candidates.parquet"), "--data", str(market / "data")]
    done = command(tmp_path, *words, "--output", str(listed), MLFLOW_TRACKING_URI=address)
    assert done.returncode == 0, done.stderr
    candidates = len(pd.read_parquet(market / "candidates.parquet"))
    assert listed.read_text().count(f"{NAME}/{champion.version}") == candidates >= 30
    assert not (tmp_path / "mlflow.db").exists()


@pytest.mark.long
def test_of_two_first_champions_at_once_one_is_compared_with_the_other(
    tmp_path: Path, address: str, database: str, small_scorer: Scorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "another"
    client = enter(tmp_path, monkeypatch, address)
    with psycopg.connect(database) as other:
        begun = [runs.Run(client, name, runs.start(client, name, 0)) for _ in range(2)]
        versions = [runs.register(client, run.id, name, small_scorer) for run in begun]
        client.set_registered_model_alias(name, "pattern", versions[0])
        # written and not yet committed, so that the server finds no champion, and then that there is one
        other.execute(
            "INSERT INTO registered_model_aliases SELECT (jsonb_populate_record(row, %s)).* "
            "FROM registered_model_aliases row WHERE name = %s",
            [json.dumps({"alias": CHAMPION}), name],
        )
        seen: list[str | None] = []

        def compare_again() -> promotion.Comparison:
            seen.append(registry.champion_version(client, name))
            return seen[-1], Decision(False, "it is no better")

        with ThreadPoolExecutor(1) as pool:
            first = (None, Decision(True, "it is the first"))
            waiting = pool.submit(promotion.award, begun[1], versions[1], first, compare_again)
            while not other.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchone():
                assert not waiting.done(), waiting.result()
                time.sleep(0.05)
            other.commit()
            decision = waiting.result(60)
        assert (seen, decision.promoted) == ([versions[0]], False)
        assert registry.champion_version(client, name) == versions[0]
        found = client.get_model_version_by_alias(name, "challenger")
        assert (str(found.version), found.tags["promoted"]) == (versions[1], "no: it is no better")
        assert BEFORE not in found.tags


def _check(client: MlflowClient, run_of: dict[str, str]) -> None:
    """Every run is whole, and says why its version was promoted or not; those promoted follow one another."""
    promoted = 0
    for version, run in run_of.items():
        found = client.get_run(run)
        assert found.info.status == "FINISHED"
        assert {"model_card.md", "backtest.csv"} <= {one.path for one in client.list_artifacts(run)}
        assert found.data.tags["promoted"], version
        promoted += found.data.tags["promoted"].startswith("yes")
    assert promoted >= 1
    statuses = {one.info.status for one in client.search_runs([client.get_run(run).info.experiment_id])}
    assert statuses == {"FINISHED"}
