"""Spark of the tests' own: a standalone cluster on this host, and Sail, a Spark Connect server in one wheel."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tests.support.workspace import free_port

SECONDS = 60  # to start
WORKERS = 2
# a cluster's own would cut small tables into hundreds of parts, and compile each query's code for minutes
CONFIGURATION = "spark.sql.shuffle.partitions 2\nspark.sql.codegen.wholeStage false\n"
# of executors and of the commands: everything on this host, the interpreter and code of the tests
ENVIRONMENT = {"SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable, "PYTHONPATH": str(ROOT)}


@dataclass
class Cluster:
    """A master and its workers, each a process of its own. url: of the master. folder: for all that they write."""

    url: str
    folder: Path
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def add_worker(self) -> None:
        """Start one more worker, and wait until the master knows it."""
        name = f"worker-{len(self.workers)}"
        words = ["--host", "127.0.0.1", "--webui-port", "0", "--cores", "1", "--memory", "1g"]
        words += ["--work-dir", str(self.folder / name), self.url]
        self.workers.append(_started("worker.Worker", words, self.folder / f"{name}.log", "Successfully registered"))

    def kill_worker(self) -> None:
        """Kill the first worker that lives; its executor ends with it."""
        worker = next(one for one in self.workers if one.poll() is None)
        worker.kill()
        worker.wait()


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """A standalone cluster of Spark on free ports of this host, of two workers with a core each; while it runs, what
    starts a session here is configured for small tables."""
    (folder / "spark-defaults.conf").write_text(CONFIGURATION, encoding="utf-8")
    port = free_port()
    words = ["--host", "127.0.0.1", "--port", str(port), "--webui-port", "0"]
    master = _started("master.Master", words, folder / "master.log", "I have been elected leader")
    found = Cluster(f"spark://127.0.0.1:{port}", folder)
    try:
        for _ in range(WORKERS):
            found.add_worker()
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SPARK_CONF_DIR", str(folder))
            yield found
    finally:
        for process in (*found.workers, master):
            if process.poll() is None:
                process.terminate()
                process.wait()


def _started(name: str, words: list[str], log: Path, ready: str) -> subprocess.Popen[bytes]:
    """A process of Spark's that has logged that it is ready."""
    import pyspark

    home = Path(pyspark.__file__).parent
    command = [str(home / "bin" / "spark-class"), f"org.apache.spark.deploy.{name}", *words]
    environment = {**os.environ, **ENVIRONMENT, "SPARK_HOME": str(home), "SPARK_DAEMON_MEMORY": "256m"}
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
    end = time.monotonic() + SECONDS
    while ready not in log.read_text(encoding="utf-8", errors="replace"):
        if process.poll() is not None or time.monotonic() > end:
            process.kill()
            process.wait()
            raise RuntimeError(f"{name} did not start: {log.read_text(encoding='utf-8', errors='replace')[-2000:]}")
        time.sleep(0.1)
    return process


@contextmanager
def sail() -> Iterator[str]:
    """The URL of a Sail server on a free port of this host."""
    from pysail.spark import SparkConnectServer

    server = SparkConnectServer("127.0.0.1", 0)
    server.start(background=True)
    try:
        yield f"sc://127.0.0.1:{server.listening_address[1]}"
    finally:
        server.stop()


KINDS = ("cluster", "sail")


@contextmanager
def running(kind: str, folder: Path) -> Iterator[str]:
    """The URL of a Spark of one of KINDS, whose executors have the interpreter and the code of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        for key, value in ENVIRONMENT.items():
            patch.setenv(key, value)
        if kind == "sail":
            with sail() as url:
                yield url
        else:
            with cluster(folder) as started:
                yield started.url
