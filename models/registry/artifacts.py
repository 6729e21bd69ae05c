"""Where the files of runs and models lie, also after the project was moved or copied.

MLflow records absolute addresses. In a project that was moved or copied they name the place where it was trained, so
the same files are looked for beside the store first: by the end of the recorded path. A training in a copy must not
write into the original, so it has the copy's own addresses recorded first (`settle`).
"""

from __future__ import annotations

import os
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from urllib.parse import quote, urlsplit

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Experiment
from mlflow.utils.file_utils import local_file_uri_to_path

from models.registry.store import SECONDS, file_of, folder_of
from models.registry.store_faults import store_faults
from models.scorer import FilesMissingError

ROOTS = ("mlartifacts", "mlruns")  # folders beside a store: ours, and MLflow's own
# table, key, column: every address of files that MLflow records
ADDRESSES = (
    ("runs", "run_uuid", "artifact_uri"), ("logged_models", "model_id", "artifact_location"),
    ("model_versions", "rowid", "source"), ("model_versions", "rowid", "storage_location"),
)  # fmt: skip


def fetch(client: MlflowClient, address: str, scratch: str) -> Path:
    """Where the files at an address lie: in their own folder, or in `scratch`, to which they were brought.

    Raises FilesMissingError for files elsewhere that cannot be brought.
    """
    path = local_path(address)
    if path is None:
        try:
            found = mlflow.artifacts.download_artifacts(address, dst_path=scratch, tracking_uri=client.tracking_uri)
        except Exception as error:  # each kind of place has a package with errors of its own, or lacks the package
            raise FilesMissingError(str(error) or type(error).__name__) from error
        return Path(found)
    folder = folder_of(client)
    return (beside(folder, path) if folder else None) or path


def fetch_file(client: MlflowClient, address: str, name: str, scratch: str) -> Path:
    """Where one of the files at an address lies; of those elsewhere it alone is brought. Raises as `fetch` does."""
    if local_path(address) is None:
        return fetch(client, f"{address}/{name}", scratch)
    return fetch(client, address, scratch) / name


def local_path(address: str) -> Path | None:
    """The path that an address on this machine stands for; None for one elsewhere."""
    return Path(local_file_uri_to_path(address)) if urlsplit(address).scheme in ("", "file") else None


def beside(folder: Path, recorded: Path) -> Path | None:
    """The folder below `folder` whose path ends as the recorded one does, in two names or more."""
    names = recorded.relative_to(recorded.anchor).parts
    tails = (folder.joinpath(*names[start:]) for start in range(len(names) - 2, -1, -1))
    return next((path for path in tails if path.is_dir()), None)


def home_of(client: MlflowClient, experiment: str) -> str | None:
    """The address for a new experiment's files: beside a store that is a file, else the server's choice."""
    folder = folder_of(client)
    return (folder / ROOTS[0] / experiment).as_uri() if folder else None


def places(client: MlflowClient) -> list[Path]:
    """The files and folders on this machine in which a store keeps runs and models, as far as its address says."""
    files = [file for uri in (client.tracking_uri, client._registry_uri) if uri and (file := file_of(str(uri)))]
    return [*files, *(file.resolve().parent / root for file in files for root in ROOTS)]


def settle(client: MlflowClient, experiment: Experiment) -> None:
    """Have a moved or copied store record its own folder as the place of the experiment's files."""
    folder, file = folder_of(client), file_of(client.tracking_uri)
    recorded = local_path(experiment.artifact_location or "")
    if not folder or not file or not recorded or not _is_foreign(experiment, recorded, folder, file.name):
        return
    own = folder / recorded.parent.name / recorded.name
    with store_faults(client.tracking_uri), closing(sqlite3.connect(file, timeout=SECONDS)) as database, database:
        database.execute(
            "UPDATE experiments SET artifact_location = ? WHERE experiment_id = ?",
            (own.as_uri(), int(experiment.experiment_id)),
        )
        for table, key, column in ADDRESSES:
            _readdress(database, folder, table, key, column)
    print(f"New files go beside the store, to {own}, and no longer to {recorded}", file=sys.stderr)


def _is_foreign(experiment: Experiment, recorded: Path, folder: Path, name: str) -> bool:
    """Whether an experiment's files were to lie beside the store, in the place that it was moved or copied from.

    A place of the user's own choice is kept: it has another name than ROOTS, or it is there and no store beside it.
    """
    home = recorded.parent.parent
    if recorded.parent.name not in ROOTS or home == folder or (home.exists() and os.path.samefile(home, folder)):
        return False
    if not recorded.exists() or (home / name).is_file() or (folder / recorded.parent.name / recorded.name).is_dir():
        return True
    return any(_records(file, experiment) for file in home.iterdir() if file.is_file())


def _records(file: Path, experiment: Experiment) -> bool:
    """Whether a file is a store with the same experiment: the original of a copy that bears another name."""
    query = "SELECT 1 FROM experiments WHERE experiment_id = ? AND artifact_location = ?"
    try:
        with closing(sqlite3.connect(f"file:{quote(str(file))}?mode=ro", uri=True)) as database:
            row = database.execute(query, (int(experiment.experiment_id), experiment.artifact_location)).fetchone()
    except sqlite3.Error:
        return False
    return row is not None


def _readdress(database: sqlite3.Connection, folder: Path, table: str, key: str, column: str) -> None:
    """Have addresses of files that also lie beside the store name those."""
    rows = database.execute(f"SELECT {key}, {column} FROM {table} WHERE {column} IS NOT NULL").fetchall()
    for identifier, address in rows:
        path = local_path(address)
        found = beside(folder, path) if path else None
        if found and found != path:
            database.execute(f"UPDATE {table} SET {column} = ? WHERE {key} = ?", (found.as_uri(), identifier))
