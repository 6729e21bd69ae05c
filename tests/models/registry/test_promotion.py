"""Promotions and rollbacks: what is written about them, and that a fault at any request leaves one champion."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from mlflow import MlflowClient

from features.faults import InputError, OutputError
from features.history.freshness import Stamp
from models.alarms import Alarm
from models.evaluation.paired import Comparison, Difference, Total
from models.registry import promotion, recovery, runs
from models.registry.gate import Decision
from models.registry.registry import CHALLENGER, CHAMPION, champion_version
from models.registry.rollback import kept_out, rollback
from models.registry.store_faults import StoreError
from models.scorer import Scorer
from models.training import Trained
from tests.support.failing_client import FailingClient
from tests.support.small_store import NAME, enter

pytestmark = pytest.mark.slow
NOW = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
SAME = Difference(1.0, 1.0, 0.0, 0.0, 0.0)
BETTER = Comparison(Difference(0.9, 1.2, -0.3, -0.4, -0.2), SAME, SAME, SAME)
YES = Decision(True, "it is better", comparison=BETTER, rows=300, total=Total(1.02, 0.6, 1.7))
NO = Decision(False, "no skill", (Alarm("gate", "look at postgresql://me:secret@host/db."),))


def begin(client: MlflowClient, scorer: Scorer) -> tuple[runs.Run, str]:
    """A run and the version that it registered, about which nothing is decided."""
    run = runs.Run(client, NAME, runs.start(client, NAME, 0))
    client.set_tag(run.id, "skill", "The model tells deals apart.")
    return run, runs.register(client, run.id, NAME, scorer)


def decide(run: runs.Run, version: str, decision: Decision = YES) -> None:
    promotion.award(run, version, (champion_version(run.client, NAME), decision), lambda: (None, decision))


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, empty_store: Path, small_scorer: Scorer) -> Path:
    """A folder with a store of three versions: 1 and then 2 were promoted, about 3 nothing is decided."""
    folder = tmp_path_factory.mktemp("promotions")
    shutil.copy(empty_store, folder / "mlflow.db")
    with pytest.MonkeyPatch.context() as patch:
        client = enter(folder, patch)
        for _ in range(2):
            decide(*begin(client, small_scorer))
        begin(client, small_scorer)
    return folder


@pytest.fixture
def client(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MlflowClient:
    """A client of a store of its own that is like the template's."""
    shutil.copy(template / "mlflow.db", tmp_path / "mlflow.db")
    return enter(tmp_path, monkeypatch)


def third(client: MlflowClient) -> runs.Run:
    return runs.Run(client, NAME, client.get_model_version(NAME, "3").run_id or "")


def tags(client: MlflowClient, version: str) -> dict[str, str]:
    return dict(client.get_model_version(NAME, version).tags)


def test_a_promotion_is_written_on_run_version_and_model(client: MlflowClient) -> None:
    decide(third(client), "3")
    found = client.get_model_version(NAME, "3")
    assert champion_version(client, NAME) == "3"
    assert found.tags["promoted"] == "yes: it is better"
    assert found.tags["decided_by"] == "gate"
    assert found.tags["champion_before"] == "2"
    assert found.tags["gate.deviance"] == "0.900 against 1.200, difference -0.300 (-0.400 to -0.200)"
    assert found.tags["total"] == "1.02 (0.6 to 1.7)"
    assert "| deviance | 0.900 | 1.200 | -0.300 | -0.400 to -0.200 |" in str(found.description)
    assert str(found.description).startswith("The model tells deals apart.\n\n**Promoted**: it is better.")
    facts = json.loads(client.get_registered_model(NAME).tags["promotion"])
    assert (facts["version"], facts["before"], facts["at"]) == ("3", "2", found.tags["champion_since"])
    run = client.get_run(third(client).id)
    assert (run.info.status, run.data.tags["promoted"]) == ("FINISHED", "yes: it is better")


def test_a_refusal_keeps_the_champion_and_masks_secrets(client: MlflowClient) -> None:
    decide(third(client), "3", NO)
    assert champion_version(client, NAME) == "2"
    found = client.get_model_version_by_alias(NAME, CHALLENGER)
    assert (found.version, found.tags["promoted"]) == (3, "no: no skill")
    assert "champion_before" not in found.tags
    assert "**Alarm**: gate: look at postgresql://" in str(found.description)
    assert "secret" not in f"{found.description} {found.tags} {client.get_run(third(client).id).data.tags}"


def test_a_rollback_goes_one_champion_back_each_time_until_there_is_none(client: MlflowClient) -> None:
    decide(third(client), "3")
    assert rollback(client, NAME, now=NOW, why="odd lists") == ("3", "2")
    assert champion_version(client, NAME) == "2"
    assert tags(client, "3")["rolled_back"].startswith("2026-05-04T03:02:01Z by ")
    assert tags(client, "3")["rolled_back"].endswith(" to version 2: odd lists")
    assert tags(client, "2")["rolled_back_from"] == "3"
    facts = json.loads(client.get_registered_model(NAME).tags["promotion"])
    assert (facts["version"], facts["before"], facts["at"]) == ("2", "3", "2026-05-04T03:02:01Z")
    assert rollback(client, NAME, now=NOW) == ("2", "1")
    before = client.get_registered_model(NAME).tags
    with pytest.raises(InputError, match="no champion before version 1 is on record"):
        rollback(client, NAME, now=NOW)
    assert client.get_registered_model(NAME).tags == before
    assert recovery.put_in_order(client, NAME, NOW) == (), "a rollback leaves nothing to mend"


def test_what_was_rolled_back_is_known_to_the_gate(client: MlflowClient, small_scorer: Scorer) -> None:
    assert kept_out(client, NAME, "2") == []
    decide(third(client), "3")
    rollback(client, NAME, now=NOW)
    (scorer,) = kept_out(client, NAME, "2") or []
    assert scorer.past.equals(small_scorer.past)
    client.delete_model_version(NAME, "3")
    assert kept_out(client, NAME, "2") is None


def test_a_former_champion_that_is_gone_or_damaged_is_not_put_back(
    client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    from models.registry import rollback as module
    from models.scorer import ModelError

    def damaged(*_: object) -> None:
        raise ModelError("1: scorer.json was changed")

    before = [tags(client, version) for version in "12"]
    with monkeypatch.context() as patch:
        patch.setattr(module, "load", damaged)
        with pytest.raises(InputError) as raised:
            rollback(client, NAME, now=NOW)
    assert "version 1, the champion before version 2, cannot be used (1: scorer.json was changed)" in str(raised.value)
    client.delete_model_version(NAME, "1")
    with pytest.raises(InputError, match="version 1, the champion before version 2, cannot be used"):
        rollback(client, NAME, now=NOW)
    assert champion_version(client, NAME) == "2"
    assert tags(client, "2") == before[1]
    with pytest.raises(InputError, match="no version of it is the champion"):
        rollback(client, "other", now=NOW)


def in_order(client: MlflowClient) -> None:
    """Assert that what is written about the versions agrees with the aliases."""
    champion = champion_version(client, NAME)
    assert champion is not None
    assert json.loads(client.get_registered_model(NAME).tags["promotion"])["version"] == champion
    assert "rolled_back" not in tags(client, champion)
    for version in client.search_model_versions(f"name = '{NAME}'"):
        assert ("champion_before" in version.tags) == ("champion_since" in version.tags)
        assert version.tags["promoted"].startswith("yes") == ("champion_since" in version.tags)
        assert client.get_run(version.run_id or "").info.status != "RUNNING"
    assert recovery.put_in_order(client, NAME, NOW) == (), "nothing is left to mend"


def test_a_ledger_that_cannot_be_written_does_not_hide_a_new_champion() -> None:
    serves = "Version 3 is the champion already; the next training completes its record."
    for champion, said in ((True, f"full. {serves}"), (False, "full.")):
        with pytest.raises(OutputError) as found, promotion.registered("3", champion):
            raise OutputError("full.")
        assert str(found.value) == said


@pytest.mark.parametrize("work", [pytest.param("promotion", marks=pytest.mark.long), "rollback"])
def test_a_fault_at_any_request_leaves_the_champion_before_or_after(
    template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, work: str
) -> None:
    allowed = {"promotion": ("2", "3"), "rollback": ("2", "1")}[work]
    seen, mended, done = set(), 0, set[str]()
    made = 0
    while True:
        folder = tmp_path / str(made)
        folder.mkdir()
        shutil.copy(template / "mlflow.db", folder / "mlflow.db")
        client = enter(folder, monkeypatch)
        failing, run = FailingClient(client.tracking_uri, made), third(client).id
        try:
            if work == "promotion":
                decide(runs.Run(failing, NAME, run), "3")
            else:
                rollback(failing, NAME, now=NOW)
        except StoreError as error:
            if work == "promotion":
                said = "Version 3 is the champion already" in str(error)
                assert said == (champion_version(client, NAME) == "3")
                done.add(error.done)
            client.set_terminated(run, "FAILED")  # as the context of a training does
        else:
            break
        champion = champion_version(client, NAME)
        assert champion in allowed, failing.requests
        seen.add(champion)
        mended += len(recovery.put_in_order(client, NAME, NOW))
        assert champion_version(client, NAME) == champion, "what is mended is the record, not the champion"
        in_order(client)
        if work == "rollback" and champion == "1":
            with pytest.raises(InputError, match="no champion before version 1"):
                rollback(client, NAME, now=NOW)
        made += 1
        shutil.rmtree(folder)
    assert seen == set(allowed)
    assert made > 4
    if work == "promotion":
        serves = "version 3 is the champion already; the next training completes its record"
        assert done == {"version 3 is registered, and is not the champion", serves}
    assert mended >= made, "each fault leaves something to say"


def test_a_rollback_that_was_cut_off_is_completed_and_goes_no_further(client: MlflowClient) -> None:
    decide(third(client), "3")
    failing = FailingClient(client.tracking_uri, 3)
    with pytest.raises(StoreError):
        rollback(failing, NAME, now=NOW)
    assert failing.requests[2] == "set_registered_model_alias"
    assert champion_version(client, NAME) == "2", "the alias was set"
    assert rollback(client, NAME, now=NOW) == ("3", "2")
    assert champion_version(client, NAME) == "2"
    in_order(client)


def test_versions_of_trainings_that_still_run_are_left_alone(client: MlflowClient) -> None:
    assert recovery.put_in_order(client, NAME, NOW) == ()
    assert "promoted" not in tags(client, "3")
    client.set_terminated(third(client).id, "KILLED")
    (note,) = recovery.put_in_order(client, NAME, NOW)
    assert note == "The training of version 3 was cut off before it was decided on: it is not the champion."
    assert tags(client, "3")["promoted"] == "no: its training was cut off before the decision"


def test_an_alias_set_by_hand_is_recorded(client: MlflowClient) -> None:
    client.set_registered_model_alias(NAME, CHAMPION, "1")
    (note,) = recovery.put_in_order(client, NAME, NOW)
    assert note.startswith("Version 1 became the champion without a record of it")
    assert json.loads(client.get_registered_model(NAME).tags["promotion"])["version"] == "1"


def test_the_next_training_says_what_it_put_in_order(client: MlflowClient) -> None:
    client.set_terminated(third(client).id, "FAILED")
    with runs.open_run(NAME, 0) as run:
        assert run.notes == ("The training of version 3 was cut off before it was decided on: it is not the champion.",)


def test_no_decision_rests_on_data_that_changed_while_the_gate_read_it(
    client: MlflowClient, small_trained: Trained, tmp_path: Path
) -> None:
    read = tmp_path / "creators.csv"
    read.write_text("old")
    history: Any = SimpleNamespace(stamp=Stamp.of_paths([read]))
    against, _ = promotion.compare(client, NAME, small_trained, history)
    assert against == "2"
    read.write_text("newer")
    with pytest.raises(InputError, match=r"DATA: it changed while it was being read: received .*creators\.csv"):
        promotion.compare(client, NAME, small_trained, history)
