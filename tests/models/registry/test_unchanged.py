"""What counts as a reason to train, and what an earlier training must still have to stand for a new one."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from models.registry import runs, unchanged
from models.registry.unchanged import TAG, earlier_training, training_fingerprint
from models.scorer import Scorer
from tests.support.small_store import NAME, enter

DATA = {"collaborations": "a1", "creators": "b2"}
GIVEN = {"collaborations": {"spend", "brand"}, "creators": {"niche"}}
SETTINGS = {"seed": 0, "search": 2}


@pytest.mark.parametrize(
    "other",
    [
        {"data": DATA | {"creators": "b3"}},
        {"data": DATA | {"posts": "c1"}},
        {"given": GIVEN | {"creators": {"niche", "country"}}},
        {"settings": SETTINGS | {"seed": 1}},
    ],
)
def test_whatever_a_training_follows_from_changes_its_fingerprint(other: dict[str, Any]) -> None:
    same: dict[str, Any] = {"data": DATA, "given": GIVEN, "settings": SETTINGS}
    assert training_fingerprint(**same) == training_fingerprint(**same)
    assert training_fingerprint(**{**same, **other}) != training_fingerprint(**same)


def test_changed_code_or_packages_are_a_reason_to_train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = unchanged.code_fingerprint()
    assert before == unchanged.code_fingerprint()
    monkeypatch.setattr(unchanged, "version", lambda package: "99")
    assert unchanged.code_fingerprint() != before
    monkeypatch.undo()
    code = tmp_path / "models"
    code.mkdir()
    (code / "rate.py").write_text("PRIOR = 1\n")
    monkeypatch.setattr(unchanged, "_folder", lambda package: code)
    before = unchanged.code_fingerprint()
    (code / "rate.py").write_text("PRIOR = 2\n")
    assert unchanged.code_fingerprint() != before


@pytest.mark.slow
def test_an_earlier_training_counts_once_finished_and_while_its_version_is_there(
    tmp_path: Path, empty_store: Path, small_scorer: Scorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    client = enter(tmp_path, monkeypatch)
    name = "brand's own"
    assert earlier_training(client, name, "f1") is None
    run = runs.start(client, name, 0)
    unchanged.mark(client, run, "f1")
    version = runs.register(client, run, name, small_scorer)
    assert earlier_training(client, name, "f1") is None, "it has not finished"
    client.set_tag(run, "alarm", "look at it")
    client.set_terminated(run)
    found = earlier_training(client, name, "f1")
    assert found is not None
    assert (found.run, found.version, [str(one) for one in found.alarms]) == (run, version, ["gate: look at it"])
    assert earlier_training(client, name, "f2") is None
    assert earlier_training(client, NAME, "f1") is None
    assert client.get_run(run).data.tags[TAG] == "f1"
    client.delete_model_version(name, version)
    assert earlier_training(client, name, "f1") is None
