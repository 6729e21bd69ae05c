"""A model that an earlier version saved: refused by name, with the command that makes a new one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import cli
import predict
from models.registry import promotion
from models.registry.registry import SCORER
from models.scorer import FORMAT, OlderFormatError, Scorer
from models.training import Trained
from service.publish.children import TrialError
from service.publish.publisher import Publisher
from tests.support.small_store import NAME, enter, make_project

# 40 results of `python -m demo --seed 5`, saved when the evidence columns still were called creator_told, brand_told, …
OLD = Path(__file__).parent / "golden" / "model_format_4"
SAVED = "an earlier version saved it, in format 4; this version reads format "
TRAIN_AGAIN = f"Train again: python train.py DATA --experiment {NAME}"


@pytest.fixture
def project(tmp_path: Path, empty_store: Path, small_scorer: Scorer, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose store has such a model as its champion."""
    folder = make_project(tmp_path / "project", empty_store, small_scorer, monkeypatch)
    (saved,) = folder.glob(f"mlartifacts/*/models/*/artifacts/artifacts/{SCORER}")
    shutil.rmtree(saved)
    shutil.copytree(OLD, saved)
    return folder


def test_the_saved_model_is_whole_and_small() -> None:
    assert "creator_told" in (OLD / "scorer.json").read_text()
    assert sum(file.stat().st_size for file in OLD.rglob("*")) < 300_000


def test_it_is_not_loaded() -> None:
    with pytest.raises(OlderFormatError, match=f"^{SAVED}{FORMAT}$"):
        Scorer.load(OLD)


def test_predict_names_it_and_says_how_to_get_a_new_one(
    project: Path, tiny_market: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(tiny_market / "candidates.parquet"), "--data", str(tiny_market / "data"), "--output", "scores.csv"]
    assert cli.run(lambda: predict.predict(predict.arguments(words))) == 2
    received = capsys.readouterr().err.splitlines()
    problem = f"the model cannot be used ({NAME} 1: {SAVED}{FORMAT}): received models:/{NAME}@champion"
    assert received == [f"--model: {problem}. {TRAIN_AGAIN}, or name another version: models:/NAME/VERSION."]
    assert not (project / "scores.csv").exists()


@pytest.mark.long
def test_the_service_does_not_start_with_it(project: Path, tiny_market: Path, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    publisher = Publisher(tmp_path / "state", str(tiny_market / "data"), f"models:/{NAME}@champion")
    with pytest.raises(TrialError) as raised:
        publisher.first()
    assert raised.value.at_fault
    assert f"{NAME} 1: {SAVED}{FORMAT}" in raised.value.shown()
    assert TRAIN_AGAIN in raised.value.shown()


def test_the_next_training_takes_its_place(
    project: Path, small_trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, decision = promotion.compare(enter(project, monkeypatch), NAME, small_trained, None)  # type: ignore[arg-type]
    assert (decision.promoted, decision.alarm) == (True, False)
    assert f"{NAME} 1: {SAVED}{FORMAT}" in decision.why
