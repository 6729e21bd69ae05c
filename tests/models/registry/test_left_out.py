"""What a stopped training kept out is known to whatever scores, until a training keeps nothing out."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow import MlflowClient

from models.registry import runs
from models.registry.left_out import RUN, announce, announce_again, announced, without_announced
from models.registry.registry import load
from models.registry.run_log import log_intake
from tests.support.small_store import NAME, enter

pytestmark = pytest.mark.slow
CHAMPION = f"models:/{NAME}@champion"


@pytest.fixture
def client(project: Path, monkeypatch: pytest.MonkeyPatch) -> MlflowClient:
    return enter(project, monkeypatch)


def stopped(client: MlflowClient, *kept_out: str) -> str:
    """A run that looked at DATA and ended at the door."""
    run = runs.start(client, NAME, 0)
    log_intake(client, run, {"kept_out": [{"collaboration_id": one, "reason": "spend: cents"} for one in kept_out]})
    announce(client, NAME, run, len(kept_out))
    client.set_terminated(run, "FAILED")
    return run


def test_the_champion_leaves_out_what_a_stopped_run_kept_out(client: MlflowClient) -> None:
    assert announced(client, NAME) is None
    model = load(client, CHAMPION)
    own = replace(model, scorer=replace(model.scorer, facts=replace(model.scorer.facts, kept_out=("r1", "r3"))))
    run = stopped(client, "r2", "r1")
    assert announced(client, NAME) == run
    found, notes = without_announced(client, own, run)
    assert found.scorer.facts.kept_out == ("r1", "r2", "r3")
    assert found.scorer.facts.results == model.scorer.facts.results
    assert notes == ()
    assert without_announced(client, replace(own, run=run), run)[0].scorer.facts.kept_out == ("r1", "r3")


def test_the_newest_look_at_the_data_counts(client: MlflowClient) -> None:
    first, second = stopped(client, "r1"), stopped(client, "r2")
    assert announced(client, NAME) == second
    announce_again(client, NAME, first)
    assert announced(client, NAME) == first
    clean = stopped(client)
    assert announced(client, NAME) is None
    model = load(client, CHAMPION)
    assert without_announced(client, model, None) == (model, ())
    announce_again(client, NAME, first)
    announce_again(client, NAME, clean)
    assert RUN not in client.get_registered_model(NAME).tags


def test_rows_that_cannot_be_read_are_a_note(client: MlflowClient, project: Path) -> None:
    run, model = stopped(client, "r1"), load(client, CHAMPION)
    (file,) = project.glob(f"mlartifacts/{NAME}/{run}/artifacts/intake.json")
    for damage, why in (
        (lambda: file.write_text('{"kept_out": [{}]}'), "it cannot be used, KeyError"),
        (lambda: file.write_text("{"), "it cannot be used, JSONDecodeError"),
        (lambda: shutil.rmtree(file.parent), "it is not there"),
    ):
        damage()
        found, (note,) = without_announced(client, model, run)
        assert found is model
        assert f"intake.json of the run {run}: {why}" in note


def test_without_a_registered_model_nobody_is_to_know(client: MlflowClient) -> None:
    run = runs.start(client, "another", 0)
    announce(client, "another", run, 3)
    assert announced(client, "another") is None
    assert client.get_run(run).data.tags["kept_out"] == "3"
