"""A project that was moved, copied, or lies in a folder with an odd name: its models are found, and only there."""

from __future__ import annotations

import fcntl
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import pytest
from alembic.script import ScriptDirectory
from mlflow import MlflowClient
from mlflow.store.db import utils

from features.faults import InputError
from models.batch.output_file import check_not_kept
from models.registry import registry, runs, store
from models.registry.artifacts import ADDRESSES, local_path, places
from models.registry.store import connect
from models.registry.store_faults import StoreError
from models.scorer import Scorer
from tests.support.small_store import NAME, add_version, contents, enter, make_project

URI = f"models:/{NAME}@champion"
ODD = "we ird%20 100%% #h ?q=1&+é☕"


@pytest.fixture
def project(tmp_path: Path, empty_store: Path, small_scorer: Scorer, monkeypatch: pytest.MonkeyPatch) -> Path:
    return make_project(tmp_path / "original", empty_store, small_scorer, monkeypatch)


def home(client: MlflowClient, name: str = NAME) -> Path:
    """Where the experiment's files go."""
    found = client.get_experiment_by_name(name)
    assert found
    path = local_path(found.artifact_location)
    assert path
    return path


def test_a_moved_project_predicts_and_trains(
    project: Path, tmp_path: Path, small_scorer: Scorer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    moved = project.rename(tmp_path / "moved")
    client = enter(moved, monkeypatch)
    before = contents(moved)
    assert registry.load(client, URI).scorer.facts == small_scorer.facts
    assert contents(moved) == before, "reading changes nothing"
    assert add_version(client, small_scorer) == "2"
    said = f"New files go beside the store, to {moved / 'mlartifacts' / NAME}, and no longer to {project}/"
    assert said in capsys.readouterr().err
    assert not project.exists()
    assert home(client) == moved / "mlartifacts" / NAME
    for version in ("1", "2"):
        folder = local_path(client.get_model_version_download_uri(NAME, version))
        assert folder
        assert moved in folder.parents
        run = client.get_model_version(NAME, version).run_id
        assert run
        assert "model_card.md" in {file.path for file in client.list_artifacts(run)}, "for MLflow's own pages as well"
    runs.start(client, NAME, 0)
    assert capsys.readouterr().err == ""


def test_a_copy_neither_reads_nor_writes_the_original(
    project: Path, tmp_path: Path, small_scorer: Scorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "original" / "inside" / "copy"
    shutil.copytree(project, tmp_path / "copy")
    shutil.copytree(tmp_path / "copy", copy)
    before = contents(project)
    for folder in (tmp_path / "copy", copy):
        client = enter(folder, monkeypatch)
        add_version(client, small_scorer)
        assert home(client) == folder / "mlartifacts" / NAME
        own = {key: value for key, value in contents(project).items() if not key.startswith("inside/")}
        assert own == {key: value for key, value in before.items() if not key.startswith("inside/")}
    for file in (project / "mlartifacts").rglob("*.json"):
        file.write_text("damaged")
    for folder in (tmp_path / "copy", copy):
        assert registry.load(enter(folder, monkeypatch), f"models:/{NAME}/1").version == "1"
    with pytest.raises(registry.ModelError, match="is damaged"):
        registry.load(enter(project, monkeypatch), f"models:/{NAME}/1")


def test_a_store_that_was_copied_without_its_files_reads_the_original_s(
    project: Path, tmp_path: Path, small_scorer: Scorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    shutil.copy(project / "mlflow.db", copy)
    before = contents(project)
    client = enter(copy, monkeypatch)
    assert add_version(client, small_scorer) == "2"
    assert registry.load(client, f"models:/{NAME}/1").version == "1"
    assert registry.load(client, f"models:/{NAME}/2").version == "2"
    assert home(client) == copy / "mlartifacts" / NAME
    assert contents(project) == before


def test_a_copy_of_another_name_without_its_files_never_writes_into_the_original(
    project: Path, tmp_path: Path, small_scorer: Scorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    (copy := tmp_path / "copy").mkdir()
    shutil.copy(project / "mlflow.db", copy / "backup.sqlite")
    before = contents(project)
    client = enter(copy, monkeypatch, "sqlite:///backup.sqlite")
    assert add_version(client, small_scorer) == "2"
    assert home(client) == copy / "mlartifacts" / NAME
    assert contents(project) == before


def test_relative_addresses_hold_from_any_folder(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(sqlite3.connect(project / "mlflow.db")) as database, database:
        for table, _, column in (*ADDRESSES, ("experiments", "", "artifact_location")):
            database.execute(f"UPDATE {table} SET {column} = replace({column}, ?, '')", (f"{project.as_uri()}/",))
    assert registry.load(enter(project, monkeypatch), URI).version == "1"
    (tmp_path / "elsewhere").mkdir()
    assert registry.load(enter(tmp_path / "elsewhere", monkeypatch, "sqlite:///../original/mlflow.db"), URI)


def test_the_files_of_a_store_behind_a_link_are_where_it_lies(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "mlflow.db").symlink_to(project / "mlflow.db")
    client = enter(tmp_path / "linked", monkeypatch)
    assert registry.load(client, URI).version == "1"
    with pytest.raises(InputError, match="models are kept there"):
        check_not_kept(project / "mlartifacts" / NAME / "scores.csv", places(client))


def test_stores_of_runs_that_share_a_registry_share_its_lock(
    tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("runs", "registry"):
        (tmp_path / name).mkdir()
        shutil.copy(empty_store, tmp_path / name / "mlflow.db")
    monkeypatch.chdir(tmp_path / "runs")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", "sqlite:///../registry/mlflow.db")
    other = os.open(tmp_path / "registry", os.O_RDONLY)
    try:
        with store.alone(connect()), pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.close(other)


def test_a_place_that_the_user_chose_is_kept(
    tmp_path: Path, empty_store: Path, small_scorer: Scorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, disk = tmp_path / "project", tmp_path / "disk" / "mlartifacts" / NAME
    folder.mkdir()
    disk.mkdir(parents=True)
    shutil.copy(empty_store, folder / "mlflow.db")
    client = enter(folder, monkeypatch)
    client.create_experiment(NAME, disk.as_uri())
    add_version(client, small_scorer)
    assert home(client) == disk
    assert registry.load(client, URI).version == "1"
    assert not (folder / "mlartifacts").exists()


@pytest.mark.parametrize(
    "name", [ODD.replace("&", "-"), *(pytest.param(one, marks=pytest.mark.long) for one in ("%41", 'it\'s "it"', "-x"))]
)
def test_odd_names_of_folders_and_experiments(
    tmp_path: Path, empty_store: Path, small_scorer: Scorer, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    folder = make_project(tmp_path / ODD, empty_store, small_scorer, monkeypatch, name)
    assert (folder / "mlartifacts" / name / "models").is_dir()
    moved = folder.rename(tmp_path / f"{ODD} 2")
    for uri in (None, f"sqlite:///{quote(str(moved / 'mlflow.db'))}?timeout=30", "sqlite:///../%s/mlflow.db"):
        client = enter(moved, monkeypatch, uri and uri.replace("%s", quote(moved.name)))
        assert registry.load(client, f"models:/{name}@champion").name == name
    assert sorted(path.name for path in tmp_path.iterdir()) == [moved.name], "no second folder of a decoded name"


def test_a_store_in_a_folder_that_is_not_there(
    tmp_path: Path, small_scorer: Scorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///a/b%3F/m.db?timeout=30")
    with pytest.raises(StoreError, match=r"there is no a/b\?/m.db, so nothing was trained here"):
        connect(create=False)
    assert not any(tmp_path.iterdir())
    client = connect()
    add_version(client, small_scorer)
    assert sorted(p.name for p in (tmp_path / "a" / "b?").iterdir()) == ["m.db", "mlartifacts"]
    assert [p.name for p in tmp_path.iterdir()] == ["a"]
    assert registry.load(connect(create=False), URI).version == "1"


def test_a_store_that_was_replaced_by_another_file_is_followed(
    project: Path, tmp_path: Path, small_scorer: Scorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = enter(project, monkeypatch)
    assert registry.resolve(client, URI) == (NAME, "1")
    shutil.copytree(project, tmp_path / "next")
    add_version(enter(tmp_path / "next", monkeypatch), small_scorer)
    monkeypatch.chdir(project)
    (project / "mlflow.db").rename(project / "away.db")
    with pytest.raises(StoreError, match="there is no store"):
        registry.resolve(client, URI)
    assert not (project / "mlflow.db").exists(), "to look makes no file"
    shutil.copytree(tmp_path / "next" / "mlartifacts", project / "mlartifacts", dirs_exist_ok=True)
    (tmp_path / "next" / "mlflow.db").rename(project / "mlflow.db")
    assert registry.load(client, URI).version == "2"


def test_packages_in_a_folder_with_a_percent_sign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    migrations = tmp_path / "100%s" / "store" / "db_migrations"
    migrations.parent.mkdir(parents=True)
    migrations.symlink_to(store._MIGRATIONS)
    head = ScriptDirectory.from_config(store._migrations()).get_current_head()
    monkeypatch.setattr(store, "_MIGRATIONS", migrations)
    monkeypatch.setattr(utils, "_get_package_dir", lambda: str(tmp_path / "100%s"))
    for replaced in ("_get_alembic_config", "_make_parent_dirs_if_sqlite"):
        monkeypatch.setattr(utils, replaced, getattr(utils, replaced))
    store._set_up()
    assert ScriptDirectory.from_config(utils._get_alembic_config("sqlite:///a%20b.db")).get_current_head() == head
