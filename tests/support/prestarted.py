"""The project's commands in processes of their own, forked from one that has imported all they need.

Importing MLflow, LightGBM and the rest takes a command some five seconds of processor time, more than most tests'
commands work. A forked process has its own folder, variables, arguments and streams, and ends as any other; only what
happens before the first line of a script is not tried. `tests/commands/test_end_to_end.py` also starts some for real.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import runpy
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.support.paths import ROOT

IMPORTED = (
    "train", "predict", "models.pipeline", "models.batch.score_file", "models.batch.sealing", "features.matrix",
    "features.history.append.add", "models.report.plots", "mlflow.pyfunc", "mlflow.store.tracking.sqlalchemy_store",
    "mlflow.store.model_registry.sqlalchemy_store", "matplotlib.backends.backend_agg", "joblib.externals.loky",
    "sqlalchemy.dialects.sqlite", "pyarrow.dataset", "PIL.Image",
)  # fmt: skip
LONGEST = 1 << 20  # bytes of a request


@functools.cache
def _address() -> str:
    """The socket of this process's server, which is started at first use and ends when this process does."""
    address = os.path.join(tempfile.mkdtemp(prefix="prestarted-"), "socket")
    call = [sys.executable, "-m", "tests.support.prestarted", address]
    variables = os.environ | {"PYTHONPATH": str(ROOT)}
    server = subprocess.Popen(call, cwd=ROOT, env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert server.stdout is not None
    assert server.stdout.readline() == b"ready\n"
    return address


def run(
    folder: Path, words: Sequence[str | Path], variables: Mapping[str, str], timeout: float = 600.0
) -> subprocess.CompletedProcess[str]:
    """Run a script with its arguments in a folder, as `subprocess.run` does with `capture_output` and `text`."""
    call = [str(word) for word in words]
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(timeout)
        connection.connect(_address())
        request = json.dumps({"folder": str(folder), "words": call, "variables": dict(variables)}).encode()
        assert len(request) < LONGEST
        socket.send_fds(connection, [len(request).to_bytes(8, "big")], [out.fileno(), err.fileno()])
        connection.sendall(request)
        status = int(connection.makefile().readline())
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode().replace("\r\n", "\n"))
    return subprocess.CompletedProcess(call, status, *texts)


def _serve(address: str) -> dict[str, Any]:
    """Fork a process for each request, and report its status; returns, in that process, what it is to run."""
    running: dict[int, socket.socket] = {}
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(16)
        print("ready", flush=True)
        while True:
            ready = select.select([listener, sys.stdin], [], [], 0.01 if running else None)[0]
            if sys.stdin in ready:  # whoever started this has ended, and left its end of the pipe
                for child in running:
                    os.kill(child, signal.SIGKILL)
                shutil.rmtree(Path(address).parent)
                os._exit(0)
            if ready:
                connection, _ = listener.accept()
                length, streams, _, _ = socket.recv_fds(connection, 8, 2)
                request = connection.makefile("rb").read(int.from_bytes(length, "big"))
                if (child := os.fork()) == 0:
                    for other in (*running.values(), connection):
                        other.close()
                    return json.loads(request) | {"streams": streams}
                for stream in streams:
                    os.close(stream)
                running[child] = connection
            for child in list(running):
                ended, status = os.waitpid(child, os.WNOHANG)
                if ended:
                    with contextlib.suppress(OSError), running.pop(child) as connection:
                        connection.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))


def _compile() -> None:
    """The checks of a made-up market and its features, which `features.engines.compiled` remembers."""
    from demo.__main__ import write_world
    from demo.market import make_market
    from demo.settings import MarketSettings
    from features.history.source import open_candidates, open_history
    from features.matrix import FeatureBuilder

    settings = MarketSettings(creators=5, results=10, candidates=3)
    with tempfile.TemporaryDirectory() as folder:
        market = Path(folder) / "market"
        write_world(make_market(settings, 0), market, settings, 0)
        with open_history(market / "data", threads=1) as history, FeatureBuilder(history) as builder:
            builder.build(history.collaborations.to_pandas())
            candidates = open_candidates(history, market / "candidates.parquet")
            builder.build(next(candidates.batches(10)).to_pandas())


def main() -> None:
    for module in IMPORTED:
        importlib.import_module(module)
    _compile()
    gc.freeze()
    request = _serve(sys.argv[1])
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream, number in zip((nothing, *request["streams"]), (0, 1, 2), strict=True):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(request["variables"])
    tempfile.tempdir = None  # by the variables, not as it was found before
    os.chdir(request["folder"])
    sys.argv = request["words"]
    sys.path[0] = str(Path(sys.argv[0]).parent)
    status = 0
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
        status = 1
    threading._shutdown()  # type: ignore[attr-defined]  # what the interpreter does at its end, but for taking
    atexit._run_exitfuncs()  # all modules apart, which takes a second where they are shared with another process
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    main()
