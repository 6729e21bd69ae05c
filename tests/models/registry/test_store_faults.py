"""What can be wrong with MLflow's store: one line with the cure, before the work, in seconds, and nothing written."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import shutil
import sqlite3
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from features.faults import InputError
from models.registry import registry, runs, store
from models.registry.store_faults import StoreError, insist, store_faults
from models.scorer import Scorer
from tests.support.servers import closed_port, server, silent
from tests.support.small_store import NAME, change, contents, enter

URI = f"models:/{NAME}@champion"


@contextmanager
def without_rights() -> Iterator[None]:
    """As a user to whom permissions apply."""
    if os.geteuid() != 0:
        yield
        return
    if not all(folder.stat().st_mode & stat.S_IXOTH for folder in Path(mlflow.__file__).parents):
        pytest.skip("the installed packages lie where only root may enter")
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


URIS = {
    "mlruns": "sqlite:///FOLDER/mlflow.db",
    "file:/tmp/mlruns": "mlflow migrate-filestore",
    "/tmp/mlruns": "MLflow no longer keeps runs and models in a folder",
    "C:\\mlruns": "MLflow no longer keeps runs and models in a folder",
    "ftp://host/x": "MLflow knows no store of this kind",
    "postgres://host/x": "Write postgresql:// instead",
    "sqlite://mlflow.db": "it names no file of its own",
    "sqlite:///:memory:": "it names no file of its own",
    "sqlite:///": "it names no file of its own",
    "sqlite:mlflow.db": "it is no URI of a database",
    "sqlite:///file:x.db?uri=true": "it names no file of its own",
    "sqlite:///what?/mlflow.db": "A ? in the path of a file is written %3F",
    "sqlite:///mlflow.db?time=3": "it has an unknown option, 'time=3'",
    "sqlite:///.": "no file",
    "http://": "",
    "http://127.0.0.1:99999": "",
    "http://[::1": "it is no URI",
    "postgresql://127.0.0.1:port/x": "it is no URI of a database",
    "sqlite:///new.db?timeout=soon": "an option after its ? has an impossible value",
    "sqlite:///new.db?timeout=1&timeout=2": "an option after its ? has an impossible value",
    "sqlite:///new.db?check_same_thread=perhaps": "an option after its ? has an impossible value",
    f"sqlite:///{'n' * 256}": "its path, or a name in it, is too long (",
    f"sqlite:///{'n' * 256}/mlflow.db": "its path, or a name in it, is too long (",
    "sqlite:///~/new.db": f"a URI knows no home folder: received sqlite:///~/new.db. Write sqlite:///{Path.home()}/new.db",
    "databricks": "no login to Databricks is set up",
    "databricks://profile": "no login to Databricks is set up",
    "databricks-uc": "it keeps registered models, but no runs",
}


# these load what the schemes need, which takes half a minute
SLOW_URIS = ("databricks", "databricks://profile", "databricks-uc")


@pytest.mark.parametrize(
    "uri", [pytest.param(uri, marks=pytest.mark.long) if uri in SLOW_URIS else uri for uri in URIS]
)
def test_a_uri_that_names_no_store(command: Callable[..., str], uri: str) -> None:
    said = command(uri)
    assert said.startswith("MLFLOW_TRACKING_URI: ")
    assert f"received {uri}" in said
    assert URIS[uri] in said


@pytest.mark.parametrize("uri", ["sqlite:///mlflow.db\r", "sqlite:///mlflow.db\n", "sqlite:///mlflow.db ", " http://x"])
def test_a_uri_with_what_does_not_show_names_no_other_store(command: Callable[..., str], uri: str) -> None:
    said = command(uri)
    assert f"a blank at an end, or a character that does not show: received {uri!r}" in said


def test_a_percent_that_is_not_encoded(command: Callable[..., str], project: Path) -> None:
    (project / "a%20b").mkdir()
    assert "Write the % of a name as %25: sqlite:///a%2520b/m.db" in command("sqlite:///a%20b/m.db")


SLOW_SCHEMES = [pytest.param(scheme, marks=pytest.mark.long) for scheme in ("https", "postgresql", "mssql")]


@pytest.mark.parametrize("scheme", ["http", "mysql", *SLOW_SCHEMES])
def test_nobody_answers(command: Callable[..., str], scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "SECONDS", 1.0)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    assert "no answer comes from there" in command(f"{scheme}://127.0.0.1:{closed_port()}/x")
    if scheme.startswith("http"):
        with silent() as port:
            said = command(f"{scheme}://127.0.0.1:{port}", name="predict")
            assert "no answer comes from there" in said or "no secure connection" in said
    else:  # it takes connections, and says nothing
        expected = "connection timeout expired" if scheme == "postgresql" else "driver is not installed"
        with silent() as port:
            assert expected in command(f"{scheme}://127.0.0.1:{port}/x")


def test_the_usual_patience_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow.environment_variables import MLFLOW_HTTP_REQUEST_MAX_RETRIES, MLFLOW_HTTP_REQUEST_TIMEOUT

    from models.registry.store_faults import impatient

    for name in ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "MLFLOW_HTTP_REQUEST_TIMEOUT"):
        monkeypatch.delenv(name, raising=False)
    with impatient():
        assert (1 + MLFLOW_HTTP_REQUEST_MAX_RETRIES.get()) * MLFLOW_HTTP_REQUEST_TIMEOUT.get() <= 12
    assert MLFLOW_HTTP_REQUEST_MAX_RETRIES.get() > 1, "in the middle of the work it is longer"


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (401, "who are you?", "wants a login"),
        (403, '{"error_code": "PERMISSION_DENIED", "message": "no"}', "does not allow this user"),
        (404, "<html>no</html>", "no MLflow server"),
        (200, "<html>hello</html>", "no MLflow server"),
        (200, "[1, 2]", "no MLflow server"),
        (503, "", "no answer comes from there"),
    ],
)
def test_a_server_that_refuses(command: Callable[..., str], status: int, body: str, said: str) -> None:
    with server(status, body) as address:
        assert said in command(address)


def damage(file: Path, kind: str) -> None:
    """Make a SQLite store one that cannot be used."""
    if kind == "text":
        file.write_text("no database at all, only text " * 50)
    elif kind == "other tables":
        file.unlink()
        with contextlib.closing(sqlite3.connect(file)) as made:
            made.execute("CREATE TABLE mine (x)")
    elif kind == "cut off":
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    else:
        older = "1b5f0d9ad7c1"  # of MLflow 2.3
        with contextlib.closing(sqlite3.connect(file)) as made, made:
            made.execute("UPDATE alembic_version SET version_num = ?", (older if kind == "older" else "f" * 12,))


DAMAGES = {
    "text": "no SQLite database, or is damaged",
    "other tables": "no store of MLflow's",
    "older": "an older MLflow made its tables",
    "newer": "a newer MLflow made its tables",
    "cut off": "",
}


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_file_that_is_no_store_of_today_s(command: Callable[..., str], project: Path, kind: str) -> None:
    damage(project / "mlflow.db", kind)
    assert DAMAGES[kind] in command()
    assert DAMAGES[kind] in command(name="predict")


def test_older_tables_are_not_changed_unasked(command: Callable[..., str], project: Path) -> None:
    damage(project / "mlflow.db", "older")
    with contextlib.closing(sqlite3.connect(project / "mlflow.db")) as made, made:
        made.execute("DROP TABLE trace_info")
    assert "mlflow db upgrade 'sqlite:///mlflow.db'" in command(name="predict")


@pytest.mark.parametrize("kind", ["EXCLUSIVE", "IMMEDIATE"])
def test_a_store_that_another_program_locks(
    command: Callable[..., str], project: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(store, "SECONDS", 0.2)
    with contextlib.closing(sqlite3.connect(project / "mlflow.db", isolation_level=None)) as other:
        other.execute(f"BEGIN {kind}")
        assert "another program keeps the store locked" in command()
        other.execute("ROLLBACK")


@pytest.fixture
def shared(stored: Path) -> Iterator[Path]:
    """A copy of the project that another user can reach."""
    folder = Path(tempfile.mkdtemp(prefix="creator-yield-"))
    folder.chmod(0o755)
    yield shutil.copytree(stored, folder / "project")
    shutil.rmtree(folder)


@pytest.mark.parametrize(("path", "mode"), [("mlflow.db", 0o444), (".", 0o555), ("mlartifacts", 0o555)])
def test_a_store_that_may_only_be_read(shared: Path, path: str, mode: int, monkeypatch: pytest.MonkeyPatch) -> None:
    client = enter(shared, monkeypatch)  # loads what the next calls need
    assert registry.load(client, URI).version == "1"
    for file in [shared, *shared.rglob("*")]:
        os.chown(file, 65534, 65534) if os.geteuid() == 0 else None
    (shared / path).chmod(mode)
    before = contents(shared)
    with without_rights():
        assert registry.load(store.connect(create=False), URI).version == "1"
        with pytest.raises(InputError) as caught, runs.open_run("another", 0):
            pass
    (shared / path).chmod(0o755)
    said = str(caught.value)
    assert len(said.splitlines()) == 1
    assert "writable" in said or "permissions" in said or "Permission denied" in said
    if path != "mlartifacts":
        assert contents(shared) == before


def test_a_store_whose_log_cannot_be_made(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    enter(shared, monkeypatch)
    with contextlib.closing(sqlite3.connect(shared / "mlflow.db")) as database:
        database.execute("PRAGMA journal_mode = WAL")
    shared.chmod(0o555)
    with without_rights(), pytest.raises(InputError, match=r"even a reader writes to its folder: .*journal_mode = DEL"):
        store.connect(create=False)
    shared.chmod(0o755)


def test_a_store_that_may_not_be_read(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    enter(shared, monkeypatch)
    (shared / "mlflow.db").chmod(0)
    with without_rights(), pytest.raises(InputError, match="cannot be opened"):
        store.connect(create=False)


def test_no_room_for_a_model(command: Callable[..., str], project: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**21, hard))
    try:
        assert "the disk is full" in command(None, "--experiment", "another")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_an_experiment_that_was_deleted(command: Callable[..., str], project: Path, monkeypatch: Any) -> None:
    client = enter(project, monkeypatch)
    found = client.get_experiment_by_name(NAME)
    assert found
    client.delete_experiment(found.experiment_id)
    said = command()
    assert f"mlflow experiments restore --experiment-id {found.experiment_id}" in said
    client.restore_experiment(found.experiment_id)
    assert runs.start(client, NAME, 0)


def test_a_name_that_a_prompt_has(command: Callable[..., str], project: Path, monkeypatch: Any) -> None:
    enter(project, monkeypatch).create_prompt("taken")
    assert "a prompt in " in command(None, "--experiment", "taken")


@pytest.mark.parametrize("name", ["", " ", ".", "..", "../x", "..x", "a/b", "a:b", "a@b", "a\\b", "a\nb", "é" * 101])
def test_a_name_that_cannot_be_one(command: Callable[..., str], name: str) -> None:
    assert command(None, "--experiment", name).startswith("--experiment: it ")


@pytest.mark.parametrize(
    "statement", ["DELETE FROM {}", "INSERT INTO {} VALUES ('f')", "UPDATE {} SET version_num = ''"]
)
def test_a_store_without_one_version_is_damaged(command: Callable[..., str], project: Path, statement: str) -> None:
    change(project, statement.format("alembic_version"))
    assert "the file is damaged: its tables have the versions [" in command()


@pytest.mark.parametrize("target", ["../not mounted/mlflow.db", "mlflow.db"])
def test_a_link_to_a_store_that_is_away_stays(command: Callable[..., str], project: Path, target: str) -> None:
    (project / "mlflow.db").unlink()
    (project / "mlflow.db").symlink_to(target)
    for name in ("train", "predict"):
        assert f"mlflow.db is a link to {target}, which is not there" in command(name=name)
    assert os.readlink(project / "mlflow.db") == target


def test_a_store_that_fails_later_fails_the_run(
    project: Path, monkeypatch: pytest.MonkeyPatch, small_scorer: Scorer
) -> None:
    client = enter(project, monkeypatch)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "/somewhere")

    begun: list[str] = []

    def training() -> None:
        with runs.open_run(NAME, 0) as run:
            begun.append(run.id)
            monkeypatch.setattr(MlflowClient, "log_model_artifacts", full)
            runs.register(run.client, run.id, NAME, small_scorer)

    with pytest.raises(InputError, match="the disk is full"):
        training()
    assert client.get_run(begun[0]).info.status == "FAILED"
    assert registry.champion_version(client, NAME) == "1"


@pytest.mark.parametrize(
    "said",
    ["(psycopg.errors.UniqueViolation) duplicate key value", "(sqlite3.IntegrityError) UNIQUE constraint"],
)
def test_a_row_that_another_process_was_first_to_write_is_changed(said: str) -> None:
    faults = [MlflowException(said)]

    def write(text: str) -> None:
        written.append(text)
        if faults:
            raise faults.pop()

    written: list[str] = []
    insist(write, "a")
    assert written == ["a", "a"]
    faults += [MlflowException(said), MlflowException("the disk is full")]
    with pytest.raises(MlflowException, match="disk is full"):
        insist(write, "b")
    assert written == ["a", "a", "b"]


def test_a_cause_that_mlflow_hides_is_named() -> None:
    error = MlflowException("Failed to copy the specified code path into the model artifacts.")
    error.__cause__ = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/x/models")
    with pytest.raises(StoreError) as raised, store_faults("sqlite:///mlflow.db"):
        raise error
    assert "the disk is full ([Errno 28] No space left on device: '/x/models')" in str(raised.value)
    assert "Make room, then try again." in str(raised.value)
