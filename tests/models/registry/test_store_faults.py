"""What can be wrong with MLflow's store: one line with the cure, before the work, in seconds, and nothing written."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import sqlite3
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow import MlflowClient

import cli
import predict
import train
from features.faults import InputError
from models.registry import promotion, registry, runs, store
from models.scorer import Scorer
from models.training import TrainingSet
from tests.support.past_market import write_tables
from tests.support.servers import closed_port, server, silent
from tests.support.small_store import NAME, add_version, contents, enter, make_project

URI = f"models:/{NAME}@champion"


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory, empty_store: Path, small_scorer: Scorer) -> Path:
    """A folder with a store and a champion; leave it as it is."""
    folder = tmp_path_factory.mktemp("stored") / "project"
    with pytest.MonkeyPatch.context() as patch:
        return make_project(folder, empty_store, small_scorer, patch)


@pytest.fixture
def project(stored: Path, tmp_path: Path) -> Path:
    """A copy of it, and where the files lie that its store records: nothing is there any more."""
    return shutil.copytree(stored, tmp_path / "project")


@pytest.fixture
def command(
    project: Path, tiny_market: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """Runs train.py, or predict.py, in the project, where it must end with status 2 before the work; what it said."""

    def run(uri: str | None = None, *words: str, name: str = "train") -> str:
        monkeypatch.chdir(project)
        monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
        if uri is not None:
            monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        before = contents(project)
        capsys.readouterr()
        began = time.monotonic()
        if name == "train":
            call = train.arguments([str(tiny_market / "data"), *words])
            status = cli.run(lambda: train.train(call))
        else:
            required = [
                str(tiny_market / "candidates.parquet"),
                "--data",
                str(tiny_market / "data"),
                "--output",
                "s.csv",
            ]
            call = predict.arguments([*required, *words])
            status = cli.run(lambda: predict.predict(call))
        said = capsys.readouterr().err
        assert status == 2, said
        assert len(said.splitlines()) == 1, said
        assert time.monotonic() - began < 60
        assert contents(project) == before
        return said

    def never(*_: object, **__: object) -> None:
        raise AssertionError("the work has begun")

    monkeypatch.setattr(TrainingSet, "from_history", never)
    return run


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
    f"sqlite:///{'n' * 256}": "File name too long",
}


@pytest.mark.parametrize("uri", URIS)
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


@pytest.mark.parametrize("scheme", ["http", "https", "postgresql", "mysql", "mssql"])
def test_nobody_answers(command: Callable[..., str], scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "SECONDS", 1.0)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    assert "no answer comes from there" in command(f"{scheme}://127.0.0.1:{closed_port()}/x")
    if scheme.startswith("http"):
        with silent() as port:
            said = command(f"{scheme}://127.0.0.1:{port}", name="predict")
            assert "no answer comes from there" in said or "no secure connection" in said
    else:  # it takes connections, but nothing here understands it
        with silent() as port:
            assert "driver is not installed" in command(f"{scheme}://127.0.0.1:{port}/x")


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


@pytest.mark.parametrize("uri", MODELS)
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


def change(project: Path, statement: str, *values: str) -> None:
    """Change a store behind MLflow's back."""
    with contextlib.closing(sqlite3.connect(project / "mlflow.db")) as database, database:
        database.execute(statement, values)


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
        against, decision = promotion.compare(client, NAME, None, None)  # type: ignore[arg-type]
    finally:
        (stored / "away").rename(away)
    assert said.startswith("--model: ")
    assert "cannot be fetched" in said or lost
    assert "or name another version" in said
    assert (against, decision.promoted, decision.alarm) == ("1", lost, True)
    assert lost or "set the alias champion to this version" in decision.why


@pytest.mark.parametrize("address", ["s3://bucket/x", "http://host/x"])
def test_a_champion_elsewhere_that_cannot_be_brought_keeps_its_place(
    command: Callable[..., str], project: Path, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = enter(project, monkeypatch)
    change(project, "UPDATE model_versions SET source = ?, storage_location = ?", address, address)

    def nobody(*_: object, **__: object) -> None:  # whether the package for such places is installed or not
        class NoCredentialsError(Exception):
            pass

        raise NoCredentialsError

    monkeypatch.setattr("mlflow.artifacts.download_artifacts", nobody)
    assert "its files cannot be fetched (NoCredentialsError)" in command(name="predict")
    against, decision = promotion.compare(client, NAME, None, None)  # type: ignore[arg-type]
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
    project: Path, small_scorer: Scorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from models import scorer

    client = enter(project, monkeypatch)
    monkeypatch.setattr(scorer, "FORMAT", scorer.FORMAT + 1)
    add_version(client, small_scorer)
    monkeypatch.undo()
    _, decision = promotion.compare(client, NAME, None, None)  # type: ignore[arg-type]
    assert (decision.promoted, decision.alarm) == (False, True)
    assert "a newer version saved it" in decision.why
    assert "Update creator-yield and train again" in decision.why


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
    assert [line.partition(": ")[2].startswith(f"{NAME} 2: {why}") for line in alarms] == [True]
    version = client.get_model_version_by_alias(NAME, "challenger")
    assert (registry.champion_version(client, NAME), str(version.version)) == ("1", "2")
    run = client.get_run(version.run_id or "")
    assert run.data.tags["alarm"].startswith(why)
    card = project / "mlartifacts" / NAME / run.info.run_id / "artifacts" / "model_card.md"
    assert card.read_text(encoding="utf-8").startswith(f"**Alarm**: {why}")


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
