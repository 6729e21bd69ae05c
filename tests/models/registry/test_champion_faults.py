"""Models that are not there, out of reach or damaged: what commands say, and which version stays the champion."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

import cli
import train
from features.faults import InputError
from models.registry import promotion, registry
from models.training import Trained
from tests.support.past_market import write_tables
from tests.support.small_store import NAME, add_version, change, enter

URI = f"models:/{NAME}@champion"


MODELS = {
    "models:/x@": "it is not the URI of a registered model",
    "models:/x/abc": "it is not the URI of a registered model",
    "models:/x": "it is not the URI of a registered model",
    "models:/x/1/2": "it is not the URI of a registered model",
    "models:/x/99999999999999999999": "it is not the URI of a registered model",
    "runs:/abc/model": "it is not the URI of a registered model",
    f"models:/{NAME}@nobody": "has no alias nobody in ",
    f"models:/{NAME}/2": "has no version 2 in ",
    "models:/never@champion": "there is no such model in ",
    "models:/gone/1": "no version is left",
    "models:/other/1": "this is not a saved model",
}
FEW = ("models:/x@", f"models:/{NAME}@nobody", "models:/gone/1")  # one of a kind


@pytest.mark.parametrize("uri", [uri if uri in FEW else pytest.param(uri, marks=pytest.mark.long) for uri in MODELS])
def test_a_model_that_is_not_there(
    command: Callable[..., str], project: Path, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = enter(project, monkeypatch)
    client.create_registered_model("gone")
    client.create_registered_model("other")
    (project / "elsewhere").mkdir()
    (project / "elsewhere" / "MLmodel").write_text("flavors: {}\nmodel_uuid: a\n")
    client.create_model_version("other", (project / "elsewhere").as_uri())
    said = command(None, "--model", uri, name="predict")
    assert said.startswith("--model: ")
    assert MODELS[uri] in said
    if NAME in uri:
        assert "champion is version 1" in said


def files_of(client: MlflowClient, project: Path) -> Path:
    return next((project / "mlartifacts" / NAME / "models").glob("*/artifacts"))


LOSSES: dict[str, tuple[Callable[[Path], Any], bool]] = {
    "all": (lambda folder: shutil.rmtree(folder), False),
    "description": (lambda folder: (folder / "MLmodel").unlink(), False),
    "one file": (lambda folder: (folder / "artifacts" / "scorer" / "scorer.json").unlink(), False),
    "checksums": (lambda folder: (folder / "artifacts" / "scorer" / "checksums.json").unlink(), False),
    "cut off": (lambda folder: os.truncate(folder / "artifacts" / "scorer" / "scorer.json", 99), True),
    "description cut off": (lambda folder: os.truncate(folder / "MLmodel", 0), True),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_a_champion_out_of_reach_keeps_its_place_and_a_damaged_one_does_not(
    command: Callable[..., str],
    project: Path,
    stored: Path,
    loss: str,
    small_trained: Trained,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = enter(project, monkeypatch)
    assert registry.load(client, URI).version == "1"
    spoil, lost = LOSSES[loss]
    away = stored / "mlartifacts"
    away.rename(stored / "away")  # else its files would be found there
    try:
        spoil(files_of(client, project))
        said = command(name="predict")
        against, decision = promotion.compare(client, NAME, small_trained, None)  # type: ignore[arg-type]
    finally:
        (stored / "away").rename(away)
    assert said.startswith("--model: ")
    assert "cannot be fetched" in said or lost
    assert "or name another version" in said
    assert (against, decision.promoted, decision.alarm) == ("1", lost, True)
    assert lost or "set the alias champion to this version" in decision.why


@pytest.mark.parametrize("address", ["s3://bucket/x", "http://host/x"])
def test_a_champion_elsewhere_that_cannot_be_brought_keeps_its_place(
    command: Callable[..., str],
    project: Path,
    address: str,
    small_trained: Trained,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = enter(project, monkeypatch)
    change(project, "UPDATE model_versions SET source = ?, storage_location = ?", address, address)

    def nobody(*_: object, **__: object) -> None:  # whether the package for such places is installed or not
        class NoCredentialsError(Exception):
            pass

        raise NoCredentialsError

    monkeypatch.setattr("mlflow.artifacts.download_artifacts", nobody)
    assert "its files cannot be fetched (NoCredentialsError)" in command(name="predict")
    against, decision = promotion.compare(client, NAME, small_trained, None)  # type: ignore[arg-type]
    assert (against, decision.promoted, decision.alarm) == ("1", False, True)


def test_files_on_a_server_that_is_away_are_not_waited_for(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow.environment_variables import MLFLOW_HTTP_REQUEST_MAX_RETRIES

    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", raising=False)
    client = enter(project, monkeypatch)
    change(project, "UPDATE model_versions SET source = 'http://h/x', storage_location = 'http://h/x'")
    retries: list[int] = []

    def away(*_: object, **__: object) -> None:
        retries.append(MLFLOW_HTTP_REQUEST_MAX_RETRIES.get())
        raise ConnectionError

    monkeypatch.setattr("mlflow.artifacts.download_artifacts", away)
    with pytest.raises(InputError):
        registry.require(client, URI)
    assert retries == [1]


def test_an_alias_of_a_version_that_is_not_there(command: Callable[..., str], project: Path) -> None:
    change(project, "UPDATE registered_model_aliases SET version = 7")
    said = command(name="predict")
    assert f"the alias champion of {NAME} is of version 7, which is not there" in said
    assert "; the newest is version 1: received" in said


def test_a_model_whose_run_was_removed_for_good_is_described(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client = enter(project, monkeypatch)
    model = registry.load(client, URI)
    change(project, "DELETE FROM runs")
    known = registry.card(client, model)
    assert (known["skill"], known["figures"]) == (None, {})
    assert known["trained_on"] == model.scorer.facts.to_dict()


def test_a_champion_of_a_newer_version_keeps_its_place(
    project: Path, small_trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    from models import scorer

    client = enter(project, monkeypatch)
    monkeypatch.setattr(scorer, "FORMAT", scorer.FORMAT + 1)
    add_version(client, small_trained.scorer)
    monkeypatch.undo()
    _, decision = promotion.compare(client, NAME, small_trained, None)  # type: ignore[arg-type]
    assert (decision.promoted, decision.alarm) == (False, True)
    assert "a newer version saved it" in decision.why
    assert "Update creator-yield and train again" in decision.why


@pytest.mark.long
def test_a_training_that_cannot_be_compared_is_done_but_a_person_should_look(
    project: Path, stored: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    client = enter(project, monkeypatch)
    write_tables(project, rows=60)
    shutil.rmtree(project / "mlartifacts")
    (stored / "mlartifacts").rename(stored / "away")
    monkeypatch.setattr("sys.argv", ["train.py", "data", "--search", "0"])
    try:
        status = cli.main(train.arguments, train.train)
    finally:
        (stored / "away").rename(stored / "mlartifacts")
    said = capfd.readouterr()
    assert status == 3
    why = f"it could not be compared with the champion, {NAME} 1: its files cannot be fetched"
    assert f"models:/{NAME}/2 is not promoted: {why}" in said.out
    alarms = [line for line in said.err.splitlines() if line.startswith("alarm: ")]
    assert [line.partition(": ")[2].startswith(f"store: {why}") for line in alarms] == [True]
    version = client.get_model_version_by_alias(NAME, "challenger")
    assert (registry.champion_version(client, NAME), str(version.version)) == ("1", "2")
    run = client.get_run(version.run_id or "")
    assert run.data.tags["alarm.store"].startswith(why)
    card = project / "mlartifacts" / NAME / run.info.run_id / "artifacts" / "model_card.md"
    assert card.read_text(encoding="utf-8").startswith(f"**Alarm**: store: {why}")
