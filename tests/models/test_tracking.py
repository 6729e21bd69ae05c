"""What trainings leave behind in MLflow and on the disk: runs that were cut off, files that were fetched."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import FileInfo
from mlflow.models import Model
from mlflow.store.artifact import artifact_repository_registry as repositories
from mlflow.store.artifact.artifact_repo import ArtifactRepository

from models import tracking
from models.registry import processes, recovery, runs
from models.registry.processes import is_dead, name_process
from tests.support.past_market import fitted, spine
from tests.support.paths import ROOT

SLEEPER = [sys.executable, "-c", "import time; time.sleep(600)"]
on_linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="processes are named under /proc alone")


@pytest.fixture
def client(tmp_path: Path, empty_store: Path) -> MlflowClient:
    """A client of an empty store."""
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    return MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")


@on_linux
def test_runs_of_dead_processes_are_marked_as_killed(client: MlflowClient) -> None:
    first = runs.start(client, "here", 0)
    experiment = client.get_run(first).info.experiment_id

    def status(name: str | None, ended: str | None = None) -> str:
        """Of a run of the process of that name, once the next training has begun."""
        run = client.create_run(experiment, tags={"process": name} if name else {}).info.run_id
        if ended:
            client.set_terminated(run, ended)
        notes = recovery.put_in_order(client, "here", datetime(2026, 5, 4, tzinfo=UTC))
        said = f"The training of run {run} was cut off; it is marked as killed." in notes
        assert said == (client.get_run(run).info.status == "KILLED")
        return client.get_run(run).info.status

    with subprocess.Popen(SLEEPER) as child:
        living = name_process(child.pid)
        assert living
        assert status(living) == "RUNNING"
        child.kill()
    boot, space, number, began = living.split()
    assert status(living) == "KILLED"
    assert status(living, "FAILED") == "FAILED"
    reused = name_process(os.getpid())
    assert reused
    assert status(f"{reused.rpartition(' ')[0]} {int(began) - 1}") == "KILLED", "another process had this number before"
    for other in (f"another {space} {number} {began}", f"{boot} pid:[1] {number} {began}", "?", None):
        assert status(other) == "RUNNING", "on another machine, in another container, or nobody knows where"
    assert client.get_run(first).info.status == "RUNNING"
    assert client.get_run(first).data.tags["process"] == reused


@on_linux
def test_a_process_that_waits_to_be_reaped_is_dead_and_one_of_another_user_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with subprocess.Popen(SLEEPER) as child:
        name = name_process(child.pid)
        assert name
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert is_dead(name)
    assert is_dead(name)

    def forbidden(number: int, signal: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", forbidden)
    assert not is_dead(name), "its number is in use, by whom nobody may know"
    monkeypatch.setattr(processes, "BOOT", Path("/nowhere"))
    assert not is_dead(name)
    assert name_process(os.getpid()) is None


class Far(ArtifactRepository):
    """Files of a folder as a remote store hands them out."""

    def _folder(self) -> Path:
        return Path(self.artifact_uri.removeprefix("far:"))

    def log_artifact(self, local_file: str, artifact_path: str | None = None) -> None:
        """Nothing is brought there."""
        raise NotImplementedError

    def log_artifacts(self, local_dir: str, artifact_path: str | None = None) -> None:
        """Nothing is brought there."""
        raise NotImplementedError

    def list_artifacts(self, path: str | None = None) -> list[FileInfo]:
        """Files and folders right below a path."""
        below = sorted((self._folder() / (path or "")).glob("*"))
        names = [(str(one.relative_to(self._folder())), one) for one in below]
        return [FileInfo(name, one.is_dir(), None if one.is_dir() else one.stat().st_size) for name, one in names]

    def _download_file(self, remote_file_path: str, local_path: str) -> None:
        shutil.copy(self._folder() / remote_file_path, local_path)


def test_what_was_fetched_from_afar_is_cleared_away(
    client: MlflowClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer = fitted(spine(60)).scorer
    scorer.save(tmp_path / "store" / "artifacts" / "scorer")
    scorer.save(tmp_path / "torn" / "artifacts" / "scorer")  # without MLflow's description of the model
    Model().save(str(tmp_path / "store" / "MLmodel"))
    monkeypatch.setitem(repositories._artifact_repository_registry._registry, "far", Far)
    client.create_registered_model("far away")
    for source in (
        f"far:{tmp_path / 'store'}",
        (tmp_path / "store").as_uri(),
        f"far:{tmp_path / 'nowhere'}",
        (tmp_path / "torn").as_uri(),
    ):
        client.create_model_version("far away", source)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    for version in ("1", "2"):
        assert tracking.load(client, f"models:/far away/{version}").scorer.facts == scorer.facts
        assert list(scratch.iterdir()) == []
    for version in ("3", "4"):
        with pytest.raises(tracking.ModelError, match="cannot be fetched"):
            tracking.load(client, f"models:/far away/{version}")
    assert list(scratch.iterdir()) == []


@pytest.mark.long
def test_a_model_is_loaded_and_scored_without_what_only_trainings_need(client: MlflowClient, tmp_path: Path) -> None:
    run = runs.start(client, "here", 0)
    version = runs.register(client, run, "here", fitted(spine(60)).scorer)
    code = (
        "import sys; from models import tracking; from models.batch import score_file; import predict\n"
        f"tracking.load(tracking.connect(create=False), 'models:/here/{version}').scorer.scoring\n"
        "rooms = ('matplotlib', 'models.report', 'models.studies', 'models.training', 'models.evaluation.backtest')\n"
        "print(sorted(one for one in rooms if one in sys.modules))"
    )
    variables = os.environ | {"PYTHONPATH": str(ROOT), "MLFLOW_TRACKING_URI": client.tracking_uri}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=variables, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr
