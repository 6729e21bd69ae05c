"""What the newest training kept out is known to whatever scores, also where it was stopped."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from models.registry import runs
from models.registry.left_out import announce, announced, record, without_announced
from models.registry.registry import Model, load
from models.registry.run_log import log_intake
from models.registry.store_faults import StoreError
from models.scorer import FilesMissingError
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
    record(client, run, kept_out)
    announce(client, NAME, run)
    client.set_terminated(run, "FAILED")
    return run


def with_own(client: MlflowClient, *kept_out: str) -> Model:
    """The champion, as if its own training had kept these out."""
    model = load(client, CHAMPION)
    return replace(model, scorer=replace(model.scorer, facts=replace(model.scorer.facts, kept_out=kept_out)))


def test_the_champion_leaves_out_what_a_stopped_run_kept_out(client: MlflowClient) -> None:
    assert announced(client, NAME) is None
    own = with_own(client, "r1", "r3")
    run = stopped(client, "r2", "r1")
    assert announced(client, NAME) == run
    found, notes = without_announced(client, own, run)
    assert found.scorer.facts == replace(own.scorer.facts, kept_out=("r1", "r2")), "r3 was corrected since"
    assert notes == ()
    assert without_announced(client, replace(own, run=run), run)[0].scorer.facts.kept_out == ("r1", "r3")


def test_the_newest_look_at_the_data_counts_also_where_it_keeps_nothing_out(client: MlflowClient) -> None:
    first, second = stopped(client, "r1"), stopped(client, "r2")
    assert announced(client, NAME) == second
    announce(client, NAME, first)
    assert announced(client, NAME) == first
    clean = stopped(client)
    assert announced(client, NAME) == clean
    own = with_own(client, "r1")
    assert without_announced(client, own, clean)[0].scorer.facts.kept_out == ()
    assert without_announced(client, own, None) == (own, ())


def test_a_training_on_all_results_leaves_none_out_whatever_the_door_found(client: MlflowClient) -> None:
    run = runs.start(client, NAME, 0)
    log_intake(client, run, {"kept_out": [{"collaboration_id": "r1"}]})
    record(client, run, ())
    assert without_announced(client, with_own(client, "r2"), run)[0].scorer.facts.kept_out == ()


def test_the_same_rows_again_are_no_news(client: MlflowClient) -> None:
    first = stopped(client, "r1", "r2")
    stopped(client, "r2", "r1")
    assert announced(client, NAME) == first
    other = stopped(client, "r1", "r3")
    assert announced(client, NAME) == other


def test_rows_that_are_gone_are_a_note(client: MlflowClient, project: Path) -> None:
    run, model = stopped(client, "r1"), load(client, CHAMPION)
    shutil.rmtree(project / "mlartifacts" / NAME / run)
    for gone in (run, "0" * 32):
        found, (note,) = without_announced(client, model, gone)
        assert found is model
        assert f"(intake.json of the run {gone} is not there)" in note


@pytest.mark.parametrize("text", ['{"kept_out": [{}]}', '{"kept', ""])
def test_a_damaged_list_is_refused(text: str, client: MlflowClient, project: Path) -> None:
    run, model = stopped(client, "r1"), load(client, CHAMPION)
    (project / "mlartifacts" / NAME / run / "artifacts" / "intake.json").write_text(text)
    with pytest.raises(StoreError, match=f"intake.json of the run {run}"):
        without_announced(client, model, run)


def test_files_elsewhere_that_cannot_be_brought_are_gone_only_where_none_is_listed(
    client: MlflowClient, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, model = stopped(client, "r1"), load(client, CHAMPION)
    monkeypatch.setattr("models.registry.left_out.fetch_file", Mock(side_effect=FilesMissingError("503, try again")))
    with pytest.raises(StoreError, match="503, try again") as refused:
        without_announced(client, model, run)
    assert len(refused.value.faults) == 1
    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "list_artifacts", Mock(side_effect=RuntimeError("no answer")))
        with pytest.raises(StoreError, match="503, try again"):
            without_announced(client, model, run)
    (project / "mlartifacts" / NAME / run / "artifacts" / "intake.json").unlink()
    assert without_announced(client, model, run)[0] is model


@pytest.mark.parametrize("fault", [MlflowException("503"), PermissionError("intake.json")])
def test_a_store_that_fails_for_now_is_refused(
    fault: Exception, client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, model = stopped(client, "r1"), load(client, CHAMPION)
    monkeypatch.setattr(MlflowClient, "get_run", Mock(side_effect=fault))
    with pytest.raises(StoreError):
        without_announced(client, model, run)


def test_without_a_registered_model_nobody_is_to_know(client: MlflowClient) -> None:
    run = runs.start(client, "another", 0)
    record(client, run, ["r1", "r2", "r3"])
    announce(client, "another", run)
    assert announced(client, "another") is None
    assert client.get_run(run).data.tags["kept_out"] == "3"
