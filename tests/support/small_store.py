"""A store with a small registered model, made in a second without a training."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from pathlib import Path

import pytest
from mlflow import MlflowClient

from models.registry import runs
from models.registry.registry import CHAMPION
from models.registry.store import connect
from models.scorer import Scorer

NAME = "conversions-per-dollar"


def enter(folder: Path, patch: pytest.MonkeyPatch, uri: str | None = None) -> MlflowClient:
    """A client as a command in that folder has it. uri: MLFLOW_TRACKING_URI."""
    patch.chdir(folder)
    patch.delenv("MLFLOW_REGISTRY_URI", raising=False)
    if uri is None:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
    else:
        patch.setenv("MLFLOW_TRACKING_URI", uri)
    return connect()


def add_version(client: MlflowClient, scorer: Scorer, name: str = NAME) -> str:
    """Register a version as a training does, make it the champion, and return its number."""
    run = runs.start(client, name, 0)
    client.log_text(run, "figures", "model_card.md")
    version = runs.register(client, run, name, scorer)
    client.set_registered_model_alias(name, CHAMPION, version)
    return version


def make_project(folder: Path, store: Path, scorer: Scorer, patch: pytest.MonkeyPatch, name: str = NAME) -> Path:
    """A folder with a store and a champion; left in it."""
    folder.mkdir(parents=True)
    shutil.copy(store, folder / "mlflow.db")
    add_version(enter(folder, patch), scorer, name)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def change(project: Path, statement: str, *values: str) -> None:
    """Change a store behind MLflow's back."""
    with contextlib.closing(sqlite3.connect(project / "mlflow.db")) as database, database:
        database.execute(statement, values)
