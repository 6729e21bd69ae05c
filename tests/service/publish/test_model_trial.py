"""Models that the service cannot use."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest

from models.registry import runs
from models.registry.left_out import announce, record
from models.registry.run_log import log_intake
from models.registry.store_faults import StoreError
from models.scorer import FilesMissingError, ModelError, Scorer
from service.publish.model_trial import key, require_columns, try_model
from tests.support.small_store import NAME, enter, make_project


def test_a_model_of_columns_that_nobody_knows_is_refused_by_their_names() -> None:
    known: Any = SimpleNamespace(encoding=SimpleNamespace(columns=("followers", "tier")))
    require_columns(known)
    strange: Any = SimpleNamespace(encoding=SimpleNamespace(columns=("moon", "tier")))
    with pytest.raises(ModelError, match=r"does not come by: \['moon'\]"):
        require_columns(strange)


def test_models_that_leave_out_other_results_share_no_features(small_scorer: Scorer) -> None:
    other = replace(small_scorer, facts=replace(small_scorer.facts, kept_out=("r00001",)))
    assert key(replace(small_scorer)) == key(small_scorer) != key(other)


@pytest.mark.slow
def test_what_a_stopped_training_kept_out_is_left_out_of_the_features(
    empty_store: Path, small_scorer: Scorer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_project(tmp_path / "project", empty_store, small_scorer, monkeypatch)
    client = enter(tmp_path / "project", monkeypatch)
    monkeypatch.setattr("service.publish.model_trial.require_signature", lambda model: None)
    monkeypatch.setattr("service.publish.model_trial.require_columns", lambda scorer: None)
    before = try_model(tmp_path, f"models:/{NAME}@champion", "before")
    run = runs.start(client, NAME, 0)
    log_intake(client, run, {"kept_out": [{"collaboration_id": "r00007"}]})
    record(client, run, ["r00007"])
    announce(client, NAME, run)
    after = try_model(tmp_path, f"models:/{NAME}@champion", "after")
    assert (before["left_out"], after["left_out"]) == (None, run)
    assert (before["kept_out_by"], after["kept_out_by"]) == (None, run)
    assert after["key"] != before["key"]
    card: Any = before["card"]
    assert card["left_out"] is None
    assert after["card"] == card | {"left_out": {"run": run, "results": 1}}
    assert Scorer.load(tmp_path / "after").facts.kept_out == ("r00007",)
    with monkeypatch.context() as patch:
        patch.setattr("models.registry.left_out.fetch_file", Mock(side_effect=FilesMissingError("503 for intake.json")))
        with pytest.raises(StoreError, match="503 for"):
            try_model(tmp_path, f"models:/{NAME}@champion", "later")
    assert not (tmp_path / "later").exists()
    (tmp_path / "project" / "mlartifacts" / NAME / run / "artifacts" / "intake.json").unlink()
    gone = try_model(tmp_path, f"models:/{NAME}@champion", "gone")
    assert (gone["left_out"], gone["kept_out_by"], gone["key"]) == (run, None, before["key"])
    assert gone["card"] == before["card"]
