"""What CONTRIBUTING says of adding a feature column, a recipe and a table, done in a copy of the project."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from tests.support import contributions
from tests.support.contributions import COLUMN, RECIPE, TABLE, TABLE_COLUMN, Step
from tests.support.paths import ROOT
from tests.support.workspace import Server, command, environment, make_workspace, running

NAME = "conversions-per-dollar"
COPIED = ("features", "models", "service", "tests", "docs")
SECTIONS = {
    "Add a feature column": contributions.FEATURE,
    "Add a recipe": contributions.RECIPES,
    "Add a table": contributions.TABLES,
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project to which all three have been added."""
    folder = tmp_path_factory.mktemp("contributed") / "project"
    folder.mkdir()
    for name in COPIED:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
    for file in (*ROOT.glob("*.py"), ROOT / "pyproject.toml"):
        shutil.copy(file, folder)
    for steps in SECTIONS.values():
        contributions.write(folder, steps)
    return folder


@pytest.fixture(scope="module")
def market(project: Path, tiny_market: Path) -> Path:
    """The tiny market with stories."""
    folder = project.parent / "market"
    shutil.copytree(tiny_market, folder)
    posts = pd.read_parquet(folder / "data" / "posts.parquet")
    replies = np.random.default_rng(0).poisson(9, len(posts))
    stories = posts[["creator_id", "posted_at"]].assign(story_id=posts.post_id, replies=replies)
    stories.to_parquet(folder / "data" / f"{TABLE}.parquet", index=False)
    return folder


@pytest.fixture(scope="module")
def workspace(project: Path, market: Path, empty_store: Path) -> Path:
    """A folder with a model that the copy has trained."""
    folder = project.parent / "workspace"
    folder.mkdir()
    return make_workspace(folder, market, empty_store, project)


@pytest.fixture(scope="module")
def candidates(market: Path) -> pd.DataFrame:
    return pd.read_parquet(market / "candidates.parquet")


@pytest.fixture(scope="module")
def predicted(project: Path, workspace: Path, market: Path) -> pd.DataFrame:
    """What `predict.py` of the copy says of the candidates."""
    words = (str(market / "candidates.parquet"), "--data", "data", "--output", "scores.parquet")
    done = command(workspace, project / "predict.py", *words)
    assert done.returncode == 0, done.stderr
    return pd.read_parquet(workspace / "scores.parquet").set_index("candidate_id")


@pytest.fixture(scope="module")
def server(project: Path, workspace: Path) -> Iterator[Server]:
    with running(workspace, "--no-auth", root=project) as started:
        yield started


@pytest.fixture(scope="module")
def model(workspace: Path) -> dict[str, Any]:
    """What the training has logged: its parameters, and the inputs of the registered model."""
    client = MlflowClient(f"sqlite:///{workspace / 'mlflow.db'}")
    version = client.get_model_version(NAME, "1")
    assert version.run_id
    assert version.source
    text = (Path(version.source.removeprefix("file://")) / "MLmodel").read_text()
    return {"recipes": client.get_run(version.run_id).data.params["recipes"], "inputs": text}


def module(project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a module of the copy."""
    call = [sys.executable, "-m", *words]
    return subprocess.run(call, cwd=project, env=environment(project), capture_output=True, text=True)


@pytest.mark.parametrize("section", SECTIONS)
def test_the_section_names_every_file_that_is_changed(section: str) -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    (body,) = re.findall(rf"^## {section}\n(.*?)(?=^## |\Z)", text, re.M | re.S)
    steps: tuple[Step, ...] = SECTIONS[section]
    missing = [file for file, _, _ in steps if file not in body and str(Path(file).parent) + "/`" not in body]
    assert missing == []


@pytest.mark.long
def test_the_columns_agree_with_plain_sql(project: Path) -> None:
    done = module(project, "pytest", "-p", "no:cacheprovider", "tests/features/families/test_oracle.py")
    assert done.returncode == 0, done.stdout[-3000:]


@pytest.mark.long
def test_a_column_of_each_kind_is_in_the_model(model: dict[str, Any]) -> None:
    assert {COLUMN, TABLE_COLUMN} <= set(re.findall(r"\w+", model["inputs"]))


@pytest.mark.long
def test_the_service_gives_the_scores_of_the_batch(
    server: Server, predicted: pd.DataFrame, candidates: pd.DataFrame
) -> None:
    starts = [at.isoformat() for at in candidates.starts_at]
    rows = candidates.assign(starts_at=starts).astype(object).where(candidates.notna(), None).to_dict("records")
    reply = server.request("POST", "/v1/score?include=reasons,interval", {"items": rows}, key=None)
    assert reply.status == 200, reply.body
    found = pd.DataFrame(reply.json["scores"]).set_index("candidate_id")
    for column in ("conversions_per_dollar", "conversions_per_dollar_low", "conversions_per_dollar_high"):
        assert found[column].tolist() == predicted.loc[found.index, column].tolist(), column


@pytest.mark.long
def test_the_recipe_is_tried_and_chosen(model: dict[str, Any]) -> None:
    assert RECIPE in model["recipes"]


@pytest.mark.long
def test_the_table_is_checked(project: Path, market: Path, tmp_path: Path) -> None:
    data = shutil.copytree(market / "data", tmp_path / "data")
    stories = pd.read_parquet(data / f"{TABLE}.parquet")
    stories.loc[2, "replies"], stories.loc[3, "creator_id"] = -1, "nobody"
    stories.to_parquet(data / f"{TABLE}.parquet", index=False)
    done = command(tmp_path, project / "train.py", "data")
    assert done.returncode == 2
    assert f"{TABLE}.replies" in done.stderr
    assert f"{TABLE}.creator_id" in done.stderr


@pytest.mark.slow
def test_the_pages_describe_column_and_table(project: Path) -> None:
    assert module(project, "features.history.contract_page", "docs/data.md").returncode == 0
    assert f"### {TABLE} (optional)" in (project / "docs" / "data.md").read_text()
    page = module(project, "features.catalogue").stdout
    assert f"`{COLUMN}`" in page
    assert f"`{TABLE_COLUMN}`" in page


@pytest.mark.long
def test_without_the_table_it_says_what_is_missing(project: Path, workspace: Path, market: Path) -> None:
    data = shutil.copytree(market / "data", workspace / "without", ignore=shutil.ignore_patterns(f"{TABLE}.*"))
    words = (str(market / "candidates.parquet"), "--data", str(data), "--output", "without.parquet")
    done = command(workspace, project / "predict.py", *words)
    assert done.returncode == 0, done.stderr
    assert f"table {TABLE}" in done.stdout + done.stderr
