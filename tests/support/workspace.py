"""A real server for tests: trained on the tiny market, started as a user starts it, queried over HTTP."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support import prestarted
from tests.support.paths import ROOT

KEY, LIMITED = "a key that nobody guesses", "a key for three a second"
SECONDS = 120.0


def environment(root: Path = ROOT, /, **more: str) -> dict[str, str]:
    """This process's variables, without those that point MLflow elsewhere. root: the project, or a copy of it."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "CREATOR_YIELD_"))}
    return kept | {"PYTHONPATH": str(root)} | more


def command(folder: Path, script: str | Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder. script: the project's, or the path of one in a copy of it."""
    path = ROOT / script
    variables = environment(path.parent, **more)
    if path.parent == ROOT and not any(name.startswith("PYTHON") for name in more):
        return prestarted.run(folder, [path, *words], variables)
    return subprocess.run([sys.executable, path, *words], cwd=folder, env=variables, capture_output=True, text=True)


def digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def free_port() -> int:
    """A port that nobody has, below those that the kernel gives to outgoing connections at any moment."""
    while True:
        port = secrets.choice(range(12000, 32000))
        with socket.socket() as one, contextlib.suppress(OSError):
            one.bind(("127.0.0.1", port))
            return port


@dataclass(frozen=True)
class Reply:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Server:
    """`serve.py` in a folder with a store."""

    def __init__(
        self,
        folder: Path,
        data: Path | str,
        *words: str,
        launcher: Sequence[str] = (sys.executable,),
        output: int | None = None,
        root: Path = ROOT,
        **more: str,
    ) -> None:
        """launcher: what runs `serve.py`. output: where it writes, else its log. root: the project, or a copy of it."""
        self.port, self.log = free_port(), folder / "serve.log"
        call = [*launcher, str(root / "serve.py"), "--data", str(data), "--port", str(self.port), *words]
        variables = environment(root, **more)
        with self.log.open("wb") as log:
            out = log if output is None else output
            self.process = subprocess.Popen(call, cwd=folder, env=variables, stderr=out, stdout=out, process_group=0)

    def wait(self, path: str = "/readyz", wanted: str = "ready") -> None:
        """Until `path` answers 200 with `wanted` in it."""
        until = time.monotonic() + SECONDS
        found = b""
        while time.monotonic() < until and self.process.poll() is None:
            try:
                reply = self.request("GET", path)
                found = reply.body
                if reply.status == 200 and wanted in found.decode():
                    return
            except OSError:
                pass
            time.sleep(0.1)
        raise AssertionError(f"{path} never answers {wanted!r} but {found!r}; the log: {self.log.read_text()[-3000:]}")

    def request(self, method: str, path: str, body: Any = None, key: str | None = KEY, **headers: str) -> Reply:
        """One request on a connection of its own. body: bytes as they are, anything else as JSON."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if key is not None:
            sent["X-API-Key"] = key
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
        raw = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        try:
            connection.request(method, path, raw, sent)
            reply = connection.getresponse()
            return Reply(reply.status, {k.lower(): v for k, v in reply.getheaders()}, reply.read())
        finally:
            connection.close()

    def logged(self, **wanted: Any) -> list[dict[str, Any]]:
        """Lines of the log with these members, waited for until there is one."""
        until = time.monotonic() + 20
        while time.monotonic() < until:
            lines = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]
            if found := [line for line in lines if wanted.items() <= line.items()]:
                return found
            time.sleep(0.02)
        return []

    def children(self) -> list[tuple[int, str]]:
        """Processes that it started, with their command lines."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue  # it has ended meanwhile
            if parent == self.process.pid and line:
                found.append((int(folder.name), line))
        return found

    def workers(self) -> list[int]:
        return [pid for pid, line in self.children() if "spawn_main" in line]

    def stop(self, within: float = 30.0) -> int:
        """End it as an orchestrator does; its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(within)


@contextmanager
def running(workspace: Path, *words: str, data: str | None = None, **more: Any) -> Iterator[Server]:
    """A service on a workspace's data, or on other data, that is ready, stopped at the end. more: of Server."""
    started = Server(workspace, data or workspace / "data", *words, TMPDIR=str(workspace), **more)
    try:
        started.wait()
        yield started
    finally:
        started.stop()


def make_workspace(folder: Path, market: Path, store: Path | None = None, root: Path = ROOT) -> Path:
    """A folder with a store and a champion, a copy of the market's data, and a file of keys.

    store: an empty one. root: the project that trains, or a copy of it.
    """
    shutil.copytree(market / "data", folder / "data")
    if store:
        shutil.copy(store, folder / "mlflow.db")
    done = command(folder, root / "train.py", "data", "--search", "0")
    assert done.returncode == 0, done.stderr
    (folder / "keys").write_text(f"# who may call\ntool:{digest(KEY)}\nlimited:{digest(LIMITED)}:3\n")
    return folder


def copy_workspace(folder: Path, workspace: Path) -> Path:
    """A workspace of its own; versions trained so far stay where they lie."""
    for name in ("mlflow.db", "keys"):
        shutil.copy(workspace / name, folder / name)
    shutil.copytree(workspace / "data", folder / "data")
    return folder
