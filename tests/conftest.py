"""What all tests share: reproducible property tests, markets, stores, and the foreign data that some can use."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from hypothesis import settings

from tests.support.paths import ROOT
from tests.support.shared import make_once

if TYPE_CHECKING:
    from models.scorer import Scorer
    from models.training import Trained
    from tests.support import postgres
    from tests.support.workspace import Server


settings.register_profile("project", derandomize=True, deadline=None)
settings.load_profile("project")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--overwrite-golden", action="store_true", help="write the golden scores anew, then compare")
    parser.addoption("--soak", action="store_true", help="kills and faults in full number, which takes many minutes")


# What needs one of these is in the slow half of the tests: a market is made, a model trained, a service started.
SLOW_FIXTURES = {
    "tiny_market",
    "empty_store",
    "small_scorer",
    "trained_workspace",
    "http_workspace",
    "http_server",
    "shared_data",
    "postgres_server",
}


MOST_WARNINGS = 20  # of a run

# Tests of these folders call `http_server`: pytest-xdist runs them in one process, so that it is started once.
SERVED = ("tests/service/api/", "tests/client/", "tests/deploy/")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Shares the tests out by file, and those of SERVED together."""
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class ByService(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return SERVED[0] if nodeid.startswith(SERVED) else super()._split_scope(nodeid)

    return ByService(config, log)


@pytest.hookimpl(tryfirst=True)  # before pytest reads the markers
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what is slow by its fixtures, and sorts: what one process must run first, then the files with slow tests.

    Names must be the same in every process, or pytest-xdist cannot share the tests out.
    """
    if changing := [item.nodeid for item in items if " at 0x" in item.nodeid]:
        raise pytest.UsageError(f"name these tests by ids=, for they hold an address: {changing}")
    for item in items:
        if SLOW_FIXTURES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker("slow")
    slow_files = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: (not item.nodeid.startswith(SERVED), item.path not in slow_files))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fails a run that prints more warnings than anybody reads."""
    reporter: Any = session.config.pluginmanager.get_plugin("terminalreporter")  # none in pytest-xdist's workers
    count = len(reporter.stats.get("warnings", ())) if reporter else 0
    if count > MOST_WARNINGS:
        reporter.write_line(f"{count} warnings: mend their causes, or list them in pyproject.toml with a reason")
        session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of foreign exports: CREATOR_YIELD_SHARED_DATA, else ../shared/data; the test is skipped without it."""
    folder = Path(os.environ.get("CREATOR_YIELD_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"needs foreign exports, and there is no folder {folder} (CREATOR_YIELD_SHARED_DATA names another)")
    return folder


@pytest.fixture(scope="session")
def postgres_server() -> Iterator["postgres.Server"]:
    """A PostgreSQL server, in which each test makes a database of its own; skipped where none is installed."""
    from tests.support import postgres

    if not (programs := postgres.programs()):
        pytest.skip("needs PostgreSQL's initdb: apt-get install postgresql")
    with postgres.running(programs) as server:
        yield server


@pytest.fixture(scope="session")
def tiny_market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A made-up market of 60 creators, 150 results and 30 candidates, as `python -m demo` writes it; leave it as is."""
    sizes = ["--creators", "60", "--results", "150", "--candidates", "30", "--seed", "5"]

    def make(folder: Path) -> None:
        words = [sys.executable, "-m", "demo", str(folder / "market"), *sizes]
        subprocess.run(words, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)

    return make_once(tmp_path_factory, "tiny", make) / "market"


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow's store, a SQLite file with all its tables and nothing in them: copy it, for making one takes seconds."""

    from models.registry.store import connect

    def make(folder: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{quote(str(folder / 'mlflow.db'))}")
            connect()

    folder = make_once(tmp_path_factory, "store", make)
    make(folder)  # where another of pytest-xdist's workers made it, MLflow is not set up in this one yet
    return folder / "mlflow.db"


@pytest.fixture(scope="session")
def small_trained() -> "Trained":
    """A training on 60 made-up results, done in a second."""
    from tests.support.past_market import fitted, spine

    return fitted(spine(60))


@pytest.fixture(scope="session")
def small_scorer(small_trained: "Trained") -> "Scorer":
    """A model of 60 made-up results, for tests of where models lie."""
    return small_trained.scorer


@pytest.fixture(scope="session")
def trained_workspace(tmp_path_factory: pytest.TempPathFactory, tiny_market: Path, empty_store: Path) -> Path:
    """A folder with the tiny market's data and a store whose champion was trained on it; copy it, leave it as is."""
    from tests.support.workspace import make_workspace

    return make_once(tmp_path_factory, "workspace", lambda folder: make_workspace(folder, tiny_market, empty_store))


@pytest.fixture(scope="session")
def http_workspace(tmp_path_factory: pytest.TempPathFactory, trained_workspace: Path) -> Path:
    """The workspace that `http_server` serves."""
    from tests.support.workspace import copy_workspace

    return copy_workspace(tmp_path_factory.mktemp("service"), trained_workspace)


@pytest.fixture(scope="session")
def http_server(http_workspace: Path) -> Iterator["Server"]:
    """A running service with keys and a ledger, for tests that send requests and leave it as it is."""
    from tests.support.workspace import running

    keys, ledger = f"@{http_workspace / 'keys'}", str(http_workspace / "ledger.jsonl")
    with running(http_workspace, "--ledger", ledger, CREATOR_YIELD_API_KEYS=keys) as started:
        yield started
