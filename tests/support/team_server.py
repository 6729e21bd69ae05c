"""A team's MLflow: `mlflow server` with its store in PostgreSQL and an artefact store that it serves itself."""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.workspace import environment, free_port

SECONDS = 180


@contextmanager
def serving(folder: Path, database: str) -> Iterator[str]:
    """The address of a server that is ready; ended with the context. database: postgresql://…, to be filled by it."""
    address = f"http://127.0.0.1:{(port := free_port())}"
    store = database.replace("postgresql:", "postgresql+psycopg:")
    call = [
        sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "2",
        "--backend-store-uri", store, "--artifacts-destination", str(folder / "artifacts"),
    ]  # fmt: skip
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(call, cwd=folder, env=environment(), stdout=log, stderr=log, process_group=0)
    try:
        _wait(address, process, folder / "server.log")
        yield address
    finally:
        process.terminate()
        process.wait(60)


def _wait(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            assert process.poll() is None, log.read_text()[-3000:]
            time.sleep(0.2)
    raise TimeoutError(log.read_text()[-3000:])
