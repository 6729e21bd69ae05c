"""What an MLflow user sees of a training: names, descriptions, datasets, settings, figures, an example of the input."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from mlflow import MlflowClient
from mlflow.entities import Run

from features.history.source import fingerprint, open_history
from models.registry import promotion, registry, runs
from models.registry.origin import user
from models.registry.registry import CHAMPION
from models.report import summary
from models.scorer import SCORES
from models.training import Trained
from tests.support.past_market import write_tables
from tests.support.small_store import NAME, enter

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def client(
    tmp_path_factory: pytest.TempPathFactory, empty_store: Path, small_trained: Trained
) -> Iterator[MlflowClient]:
    """A client of a store in which one training was recorded, without its plots."""
    folder = tmp_path_factory.mktemp("logged")
    shutil.copy(empty_store, folder / "mlflow.db")
    write_tables(folder, rows=60)
    with pytest.MonkeyPatch.context() as patch:
        made = enter(folder, patch)
        patch.setattr(summary, "plots", lambda report: {"importance.png": Figure()})
        with open_history(folder / "data") as history, runs.open_run(NAME, 0) as run:
            prints = fingerprint(history)
            promotion.record(run, summary.study(small_trained), history, prints, data="data")
        yield made


@pytest.fixture
def run(client: MlflowClient) -> Run:
    version = client.get_model_version_by_alias(NAME, CHAMPION)
    return client.get_run(version.run_id or "")


def test_the_run_says_what_it_is(run: Run, small_trained: Trained) -> None:
    skill = run.data.metrics["skill"]
    t = small_trained.scorer.facts.skill.t
    day = small_trained.scorer.facts.last_start[:10]
    assert run.info.run_name == f"{day}, 60 results, skill {skill:.2f} (t = {t:.1f})"
    assert run.data.tags["mlflow.note.content"] == run.data.tags["skill"]
    assert run.data.tags["mlflow.user"] == user()
    assert run.data.tags["mlflow.source.name"] == "train.py"
    assert run.info.status == "FINISHED"


def test_the_commit_of_the_project_is_known(client: MlflowClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "commit", lambda: "0123abcd")
    found = client.get_run(runs.start(client, NAME, 0))
    client.delete_run(found.info.run_id)
    assert found.data.tags["mlflow.source.git.commit"] == "0123abcd"


def test_datasets_are_logged_with_place_and_digest(run: Run) -> None:
    assert run.inputs is not None
    found = {one.dataset.name: one.dataset for one in run.inputs.dataset_inputs}
    assert found["collaborations"].digest == run.data.tags["data.collaborations"][:36]
    assert json.loads(found["collaborations"].source)["uri"].endswith("/data")


def test_settings_of_lightgbm_are_params(run: Run, small_trained: Trained) -> None:
    recipes = [c.recipe for c in small_trained.scorer.rate.components if c.recipe != "mixed"]
    assert recipes
    for recipe in recipes:
        assert int(run.data.params[f"{recipe}.num_leaves"]) > 1
        assert float(run.data.params[f"{recipe}.learning_rate"]) > 0
        assert int(run.data.params[f"{recipe}.trees"]) > 0


def test_our_figures_stand_alone_and_the_others_in_groups(run: Run) -> None:
    alone = {name for name in run.data.metrics if "/" not in name}
    assert {"skill", "rank", "value", "total"} <= alone
    assert alone <= {"skill", "rank", "value", "total", "coverage", "width", "skill_t", "level_correction"}
    assert {"one_rate/skill", "own_record/rank", "folds/ours.skill"} <= run.data.metrics.keys()


def test_the_card_names_figures_by_model(client: MlflowClient) -> None:
    figures = registry.card(client, registry.load(client, f"models:/{NAME}@{CHAMPION}"))["figures"]
    assert {"ours.skill", "one_rate.skill", "skill_t"} <= figures.keys()
    assert not [name for name in figures if "/" in name]


def test_the_experiment_opens_in_the_view_for_models_and_keeps_a_users_words(client: MlflowClient) -> None:
    found = client.get_experiment_by_name(NAME)
    assert found is not None
    assert found.tags["mlflow.experimentKind"] == "custom_model_development"
    assert "nested below" in found.tags["mlflow.note.content"]
    client.set_experiment_tag(found.experiment_id, "mlflow.note.content", "ours")
    client.delete_run(runs.start(client, NAME, 0))
    assert client.get_experiment(found.experiment_id).tags["mlflow.note.content"] == "ours"


def test_model_and_version_are_described(client: MlflowClient) -> None:
    assert "`champion` is the version in use" in str(client.get_registered_model(NAME).description)
    version = client.get_model_version_by_alias(NAME, CHAMPION)
    assert "**Promoted**: it is the first" in str(version.description)
    assert version.tags["skill"] in str(version.description)


def test_the_model_has_an_example_that_it_scores(
    client: MlflowClient, small_trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mlflow, "get_tracking_uri", lambda: client.tracking_uri)
    place = client.get_model_version_download_uri(NAME, client.get_model_version_by_alias(NAME, CHAMPION).version)
    model = mlflow.pyfunc.load_model(place)
    example = model.input_example
    assert len(example) == runs.EXAMPLE
    training = small_trained.training
    assert example.creator_id.tolist() == training.creators[-runs.EXAMPLE :].tolist()
    np.testing.assert_allclose(example.spend, training.results.spend[-runs.EXAMPLE :])
    found = model.predict(example)
    ours = small_trained.scorer.score(training.matrix.tail(5).reset_index(drop=True), training.spine.tail(5))
    pd.testing.assert_frame_equal(found[list(SCORES[:5])], ours[list(SCORES[:5])], check_dtype=False)
