"""A fault at each step of a whole training: the champion before or after serves, and the next training clears up.

The steps are the requests to MLflow, what they write and commit, the files that a model is made of, and what is
appended to the ledger. How they are tried: `tests/support/faulty_training.py`.
"""

from __future__ import annotations

import shutil
import sys
from datetime import datetime
from pathlib import Path

import pandas as pd
import pytest
from mlflow import MlflowClient

from models.monitoring.ledger import ListFacts, seal, verify
from models.registry.registry import champion_version
from tests.support import prestarted
from tests.support.faulty_look import LEDGER, NAME, half_done, wrongly_cleared
from tests.support.paths import ROOT
from tests.support.workspace import command, environment

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere nothing says that a process is dead"),
]
EVERY = 12  # requests, in `make test-long`
MESSAGES = "no answer comes from there|the disk is full|No space left on device"


@pytest.fixture
def project(request: pytest.FixtureRequest) -> Path:
    """A folder with a store, its champion and DATA: the tiny market in full, else two tables, which are quicker."""
    soak = request.config.getoption("--soak")
    folder: Path = request.getfixturevalue("trained_workspace" if soak else "trained_world")
    return folder


def test_a_fault_at_any_step_leaves_a_champion_and_the_next_training_clears_up(
    tmp_path: Path, project: Path, request: pytest.FixtureRequest
) -> None:
    every = 1 if request.config.getoption("--soak") else EVERY
    place, data = tmp_path / "place", project / "data"
    for folder in (place / "project", place / "tmp"):
        folder.mkdir(parents=True)
    shutil.copy(project / "mlflow.db", place / "project")
    _promise_all(place / "project" / LEDGER, data)
    words: list[str | Path] = [ROOT / "tests" / "support" / "faulty_training.py", tmp_path, data, str(every)]
    done = prestarted.run(tmp_path, words, environment(), timeout=36_000)
    assert done.returncode == 0, done.stderr
    assert '"done"' in done.stdout, done.stdout
    found = pd.read_json(tmp_path / "found.jsonl", lines=True, dtype={"champion": str})
    print(f"{done.stdout}{found.groupby(['kind', 'ended', 'champion']).size()}")
    _require_clean(found)
    _train_again(tmp_path / "left", place, data)


def _promise_all(ledger: Path, data: Path) -> None:
    """Seal a promise for each deal of DATA, so that a training has weeks to judge and to append."""
    (file,) = data.glob("collaborations.*")
    deals = pd.read_parquet(file) if file.suffix == ".parquet" else pd.read_csv(file, parse_dates=["starts_at"])
    columns = [deals[name].tolist() for name in ("collaboration_id", "creator_id", "brand", "product_niche")]
    moments = pd.to_datetime(deals.starts_at, utc=True).dt.tz_localize(None)
    starts = [start.isoformat() for start in moments.dt.to_pydatetime()]
    numbers = [deals[name].astype(float).tolist() for name in ("promotion_hours", "spend")]
    rate, low, high, own_record = 0.05, 0.001, 1.0, 0.04
    rows = [(*row, rate, low, high, own_record) for row in zip(*columns, starts, *numbers, strict=True)]
    seal(ledger, ListFacts(datetime(2020, 1, 1), f"{NAME}/1", {}, 0.8, len(rows)), rows)


def _require_clean(found: pd.DataFrame) -> None:
    """What must hold of all faults together. found: a row for each, as `Found` has it."""
    assert found[found.faults.str.len() > 0].to_dict("records") == []
    killed = found.kind == "killed"
    assert set(found[killed].ended) == {"killed"}
    assert set(found[~killed].ended) <= {"refused", "done"}, found[~killed & ~found.ended.isin(["refused", "done"])]
    refused = found[found.ended == "refused"]
    assert not refused.said.str.contains("\n").any()
    assert set(refused[~refused.said.str.contains(MESSAGES)].said) == set()
    serves = refused.said.str.contains("Version 2 is the champion already")
    assert set(refused[serves].champion) <= {"2"}
    assert set(refused[~serves].champion) == {"1"}
    alias = found.index[found.request == "set_registered_model_alias"]
    assert set(found.champion) == {"1", "2"}
    done = found.ended == "done"  # as one folder more could be done without, or a copy could take the place of a rename
    assert set(found.champion[: alias[0]][~done]) == {"1"}
    assert set(found.champion[done]) <= {"2"}
    assert set(found.champion[alias[-1] + 1 :]) == {"2"}
    assert {"seal", "log_model_artifacts", "create_model_version"} <= set(found.request)
    # the look has compared what the next training said with what was left: there was something of each
    assert set(found[killed & (found.request == "log_model_artifacts")].running) == {1}
    assert set(found[killed & (found.request == "log_model_artifacts")].pending) == {1}


def _train_again(left: Path, place: Path, data: Path) -> None:
    """An ordinary training where one was killed while it wrote its model."""
    shutil.rmtree(place)
    left.rename(place)
    project = place / "project"
    client = MlflowClient(f"sqlite:///{project / 'mlflow.db'}")
    running, pending = half_done(client)
    assert running == 1
    done = command(project, "train.py", str(data), "--search", "0", "--force", "--promote", "always")
    assert done.returncode in (0, 3), done.stderr
    assert wrongly_cleared(done.stderr.splitlines(), running, pending) == []
    assert champion_version(client, NAME) == "2"
    assert half_done(client) == (0, 0)
    assert verify(project / LEDGER).broken is None
