"""Where MLflow keeps runs and models: which place the environment names, whether it can be used, and its lock.

A store is a SQLite file, a database server or an MLflow server. What can be wrong with it is found by `connect`, in
seconds and before any work.
"""

from __future__ import annotations

import fcntl
import logging
import os
import re
import socket
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import quote, urlsplit

import mlflow
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from mlflow import MlflowClient
from mlflow.store.db import utils as mlflow_database
from sqlalchemy import create_engine
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from models.registry.store_faults import explain, impatient, refuse, store_faults
from models.registry.store_files import never_make

DEFAULT_STORE = "sqlite:///mlflow.db"
PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}
SQLITE_OPTIONS = {"timeout", "check_same_thread", "cached_statements", "isolation_level", "detect_types"}
SECONDS = 5.0  # to wait for a lock or an answer
_MIGRATIONS = Path(mlflow.__file__).parent / "store" / "db_migrations"


def connect(create: bool = True) -> MlflowClient:
    """A client of MLFLOW_TRACKING_URI, else of DEFAULT_STORE in the current folder; MLflow keeps quiet from then on.

    create: make a SQLite store that is not there yet, and require one that can be written to. Raises StoreError for a
    store that cannot be used.
    """
    _set_up()
    wanted = os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_STORE
    uri, registry = (_require(one, create) for one in (wanted, os.environ.get("MLFLOW_REGISTRY_URI") or wanted))
    with impatient(), store_faults(uri):
        client = MlflowClient(uri, registry)
        client.search_experiments(max_results=1)
    if registry != uri:
        with impatient(), store_faults(registry):
            client.search_registered_models(max_results=1)
    return client


def file_of(uri: str) -> Path | None:
    """The file of a SQLite store, as a path that holds from the current folder; None for any other store."""
    if not uri.startswith(("sqlite:", "sqlite+")):
        return None
    database = _parse(uri).database
    return Path(database) if database else None


def folder_of(client: MlflowClient) -> Path | None:
    """The folder that a SQLite store lies in, absolute; None for any other store."""
    return _folder(client.tracking_uri)


def _folder(uri: str) -> Path | None:
    file = file_of(uri)
    return file.resolve().parent if file else None


def require_present(client: MlflowClient) -> None:
    """Raise StoreError where a SQLite store is gone: opening it would make an empty one.

    A store that was replaced by another file under its name is followed: connections are not kept (`_set_up`).
    """
    for uri in {client.tracking_uri, client._registry_uri}:
        file = file_of(uri)
        if file and not (file.is_file() and file.stat().st_size):
            refuse(uri, f"there is no store in {file}", "Bring it back, or set MLFLOW_TRACKING_URI to where it is.")


@contextmanager
def alone(client: MlflowClient) -> Iterator[None]:
    """One process of this machine at a time, for a SQLite store; no lock for a server, or where the disk has none.

    The lock is on the store of registered models, which several stores of runs may share.
    """
    with _locked(_folder(str(client._registry_uri or client.tracking_uri))):
        yield


@contextmanager
def _locked(folder: Path | None) -> Iterator[None]:
    """Hold a lock on a folder, which ends with the process at the latest."""
    if folder is None:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network file systems know no locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _set_up() -> None:
    """MLflow's settings for this process. What it would log as an error comes back as an exception."""
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    # a database that takes a connection and says nothing would be waited for two minutes
    os.environ.setdefault("PGCONNECT_TIMEOUT", str(2 * int(SECONDS)))
    # an open connection would go on reading a SQLite file that was replaced by another one under its name
    if not any(f"MLFLOW_SQLALCHEMYSTORE_{name}" in os.environ for name in ("POOL_SIZE", "MAX_OVERFLOW")):
        os.environ.setdefault("MLFLOW_SQLALCHEMYSTORE_POOLCLASS", "NullPool")
    # MLflow does not decode %3F before it makes the folder of a store, so that a second folder would appear
    mlflow_database._make_parent_dirs_if_sqlite = lambda db_uri: None
    if "%" in str(_MIGRATIONS):  # which its parser of settings takes for a reference
        mlflow_database._get_alembic_config = _migrations


def _migrations(db_url: str = "", alembic_dir: str | None = None) -> Config:
    """Alembic's settings for MLflow's tables."""
    place = alembic_dir or str(_MIGRATIONS)
    config = Config(os.path.join(place, "alembic.ini"))
    config.set_main_option("script_location", place.replace("%", "%%"))
    config.set_main_option("sqlalchemy.url", db_url.replace("%", "%%"))
    return config


def _parse(uri: str) -> URL:
    try:
        return make_url(uri)
    except (ArgumentError, ValueError):  # ValueError: a port that is no number
        refuse(uri, "it is no URI of a database", "Use sqlite:///FILE, or sqlite:////FILE from the root.")


def _require(uri: str, create: bool) -> str:
    """The URI of a store, absolute. Raises StoreError for one that cannot be used, without waiting for long."""
    if uri != uri.strip() or not uri.isprintable():
        problem = "it has a blank at an end, or a character that does not show"
        refuse(repr(uri), problem, "Take it out; one that belongs to a path is written as its code, such as %20.")
    try:
        scheme = urlsplit(uri).scheme.split("+")[0].lower()
    except ValueError as error:
        refuse(uri, f"it is no URI ({error})", "Use sqlite:///FILE, or http(s)://HOST:PORT.")
    if uri in ("databricks", "databricks-uc"):  # no folder: MLflow's names of a workspace and of its Unity Catalog
        return uri
    if len(scheme) < 2 or scheme == "file":
        remedy = "Use sqlite:///FOLDER/mlflow.db; `mlflow migrate-filestore` carries over what is in a folder."
        refuse(uri, "MLflow no longer keeps runs and models in a folder of files", remedy)
    if scheme == "postgres":
        refuse(uri, "MLflow knows no store of this kind", "Write postgresql:// instead.")
    if scheme == "sqlite":
        with store_faults(uri):  # a name that is too long, a folder that may not be looked into
            file = _named_file(uri)
            if file.is_symlink() and not file.exists():  # a new store would take the place of the link
                remedy = "Bring that back, or remove the link."
                refuse(uri, f"{file} is a link to {os.readlink(file)}, which is not there", remedy)
            if create:
                _make(file, uri)
            _examine(file, uri, create)
        never_make(file)
        # MLflow keeps what a relative path meant in the folder of its first use
        return f"sqlite:///{quote(str(file.absolute()))}?{uri.partition('?')[2]}".rstrip("?")
    if scheme in PORTS:
        _require_database(uri)
    return uri


def _named_file(uri: str) -> Path:
    """The file of a SQLite URI. Raises StoreError where it names none, or not the one that it seems to."""
    url = _parse(uri)
    if url.host or not url.database or url.database == ":memory:" or url.database.startswith("file:"):
        refuse(uri, "it names no file of its own", "Use sqlite:///FILE, or sqlite:////FILE from the root.")
    raw, _, options = uri.partition(":///")[2].partition("?")
    if unknown := [o for o in options.split("&") if o and o.partition("=")[0] not in SQLITE_OPTIONS]:
        remedy = "A ? in the path of a file is written %3F."
        refuse(uri, f"it has an unknown option, {unknown[0]!r}, after its ?", remedy)
    try:
        url.set(drivername="sqlite").get_dialect()().create_connect_args(url)
    except (TypeError, ValueError) as error:
        refuse(uri, f"an option after its ? has an impossible value ({error})", "Write one as in ?timeout=30.")
    file = Path(url.database)
    if file.parts[:1] == ("~",) and not file.parent.is_dir():
        remedy = f"Write sqlite:///{quote(str(file.expanduser()))}"
        refuse(uri, "the ~ would be a folder of this name: a URI knows no home folder", remedy)
    if raw != url.database and not file.exists() and Path(raw).parent.is_dir() and not file.parent.is_dir():
        remedy = f"Write the % of a name as %25: sqlite:///{quote(raw)}"
        refuse(uri, f"it stands for {file}, for % begins a code in a URI", remedy)
    return file


def _make(file: Path, uri: str) -> None:
    """Make an empty store where there is none: aside, then moved into place, for a half-made one is of no use."""
    if file.exists() and (not file.is_file() or file.stat().st_size):
        return
    with store_faults(uri):
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{file.name[:100]}-", dir=file.parent) as folder:
            aside = Path(folder) / file.name
            MlflowClient(f"sqlite:///{quote(str(aside))}").search_experiments(max_results=1)
            with _locked(file.parent):  # another training may make it, and use it, at the same time
                if not file.exists() or not file.stat().st_size:
                    aside.replace(file)


def _examine(file: Path, uri: str, write: bool) -> None:
    """Raise StoreError for a SQLite file that is no store, cannot be read, or cannot be written to where it must."""
    if not file.exists() or (file.is_file() and not file.stat().st_size):
        remedy = "Train first: python train.py DATA. Or set MLFLOW_TRACKING_URI to where it was trained."
        refuse(uri, f"there is no {file}, so nothing was trained here", remedy)
    if not file.is_file():
        refuse(uri, f"{file} is no file", "Name a file, such as sqlite:///mlflow.db.")
    address = f"file:{quote(str(file.absolute()))}?mode={'rw' if write else 'ro'}"
    try:
        with closing(sqlite3.connect(address, timeout=SECONDS, isolation_level=None, uri=True)) as connection:
            tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
            if not {"alembic_version", "experiments", "model_versions"} <= tables:
                remedy = "Name another file; train.py makes one that is not there."
                refuse(uri, f"{file} is a SQLite database, but no store of MLflow's", remedy)
            _require_version(uri, [row[0] for row in connection.execute("SELECT version_num FROM alembic_version")])
            if write:
                connection.execute("BEGIN IMMEDIATE")
                connection.execute("CREATE TABLE tried (value)")  # taken back: nothing is changed
                connection.execute("ROLLBACK")
    except (sqlite3.Error, OSError) as error:
        if re.search("unable to open" if write else "unable to open|readonly", str(error)) and _has_log(file):
            problem = "the store keeps a log beside it (SQLite's WAL), so that even a reader writes to its folder"
            remedy = f"Make the folder writable, or where it is: sqlite3 {file.name} 'PRAGMA journal_mode = DELETE'"
            refuse(uri, problem, remedy)
        raise explain(error, uri) from error


def _has_log(file: Path) -> bool:
    """Whether a SQLite file that can be read is in WAL mode: https://www.sqlite.org/fileformat.html, offset 18."""
    try:
        with file.open("rb") as content:
            return content.read(20)[18:] == b"\2\2"
    except OSError:
        return False


def _require_version(uri: str, versions: list[str]) -> None:
    """Raise StoreError for tables that are not those of the MLflow at hand, which would change older ones unasked."""
    if len(versions) != 1 or not versions[0]:
        problem = f"the file is damaged: its tables have the versions {versions} instead of one"
        refuse(uri, problem, "Put a backup in its place, or name another store.")
    found = versions[0]
    scripts = ScriptDirectory.from_config(_migrations())
    if found == scripts.get_current_head():
        return
    try:
        scripts.get_revision(found)
    except CommandError:
        problem, remedy = "a newer MLflow made its tables", "Install that version of MLflow, or name another store."
    else:
        problem, remedy = "an older MLflow made its tables", f"Copy the file, then run: mlflow db upgrade '{uri}'"
    refuse(uri, f"{problem} (version {found}; this is MLflow {mlflow.__version__})", remedy)


def _require_database(uri: str) -> None:
    """Raise StoreError for a database server that does not answer, or lets nobody in: MLflow would try for minutes."""
    url = _parse(uri)
    with store_faults(uri):
        if url.host and not url.query.get("host"):
            with socket.create_connection((url.host, url.port or PORTS[url.get_backend_name()]), SECONDS):
                pass
        engine = create_engine(url)
        try:
            engine.connect().close()
        finally:
            engine.dispose()
