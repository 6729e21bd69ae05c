"""What keeps the registry from being read, in sentences."""

from __future__ import annotations

import re
import shutil
import sqlite3
from pathlib import Path
from urllib.parse import quote

import pytest

from models.registry.left_out import RUN
from models.registry.store import connect
from service.publish import registry_watch
from service.publish.registry_watch import RegistryWatch


def test_a_registry_that_is_away_is_logged_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    watch = RegistryWatch("models:/m@champion")
    monkeypatch.setattr(registry_watch.log, "propagate", True)
    caplog.set_level("INFO", "creator_yield")
    for why in ("it is away", "it is away still", None):
        watch._note(why)
    assert [record.levelname for record in caplog.records] == ["ERROR", "INFO"]


@pytest.mark.parametrize(
    ("damage", "cause"),
    [
        ("DROP TABLE model_versions", "tables or columns that MLflow needs are missing"),
        ("ALTER TABLE model_versions DROP COLUMN run_id", "tables or columns that MLflow needs are missing"),
        ("DELETE FROM registered_models", "there is no such model in …. Train first"),
    ],
)
def test_an_alarm_of_the_registry_is_a_sentence_with_its_cause(
    damage: str, cause: str, empty_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = shutil.copy(empty_store, tmp_path / "mlflow.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{quote(str(store))}")
    client = connect()
    client.create_registered_model("m")
    version = client.create_model_version("m", "file:///nowhere").version
    client.set_registered_model_alias("m", "champion", version)
    watch = RegistryWatch("models:/m@champion")
    assert watch.version() == ("m/1", None, None)
    client.set_registered_model_tag("m", RUN, "r7")
    assert watch.version() == ("m/1", None, "r7")
    with sqlite3.connect(store) as connection:
        connection.execute(damage)
    assert watch.version() is None
    assert watch.away is not None
    assert watch.away.startswith(f"the model stays as it is: {cause}")
    assert not re.search(rf"SQL|SELECT|sqlalche|Error|{tmp_path}", watch.away)


def test_a_store_that_is_replaced_by_rename_is_read_at_the_next_look(
    empty_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watches: dict[str, RegistryWatch] = {}
    for name in ("mlflow.db", "other.db"):
        store = shutil.copy(empty_store, tmp_path / name)
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{quote(str(store))}")
        client = connect()
        client.create_registered_model("m")
        for _ in range(1 + len(watches)):
            version = client.create_model_version("m", "file:///nowhere").version
        client.set_registered_model_alias("m", "champion", version)
        watches[name] = RegistryWatch("models:/m@champion")
        assert watches[name].version() == (f"m/{len(watches)}", None, None)
    (tmp_path / "other.db").replace(tmp_path / "mlflow.db")
    assert watches["mlflow.db"].version() == ("m/2", None, None)
