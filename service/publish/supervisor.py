"""The server's side of the publisher: starts it, restarts it when it dies, and reports when it falls silent."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from features.faults import FAILED
from service.publish.children import END_SECONDS, close
from service.publish.heartbeat import CURRENT, SILENT_SECONDS, silence, silence_text

FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0  # before it is started again; twice as long each time it dies soon after
EVERY = 1.0
log = logging.getLogger("creator_yield")


class Supervisor:
    """Keeps a publisher running. Where one ends before anything was published, the server ends with its status."""

    def __init__(self, state: Path, data: str, model: str) -> None:
        self.command = [sys.executable, "-m", "service.publish.publisher", str(state), data, model]
        self.state, self.status = state, 0
        self._ends = threading.Event()
        self._silent = False
        self.process = self._start()
        self._thread = threading.Thread(target=self._watch, name="supervisor", daemon=True)
        self._thread.start()

    def _start(self) -> subprocess.Popen[bytes]:
        root = str(Path(__file__).resolve().parents[2])
        path = os.pathsep.join(p for p in (root, os.environ.get("PYTHONPATH", "")) if p)
        environment = os.environ | {"PYTHONPATH": path}
        # a session of its own: a signal to the group is for the server, which ends the publisher last
        return subprocess.Popen(self.command, stdin=subprocess.PIPE, env=environment, start_new_session=True)

    def _watch(self) -> None:
        wait, began = FIRST_WAIT, time.monotonic()
        while not self._ends.wait(EVERY):
            self._listen()
            status = self.process.poll()
            if status is None:
                continue
            if not (self.state / CURRENT).exists():
                self._give_up(status)
                return
            wait = FIRST_WAIT if time.monotonic() - began > 2 * LONGEST_WAIT else wait
            log.error("the publisher died", extra={"facts": {"status": status, "restarted_in_s": wait}})
            if self._ends.wait(wait):
                return
            wait, began = min(wait * 2, LONGEST_WAIT), time.monotonic()
            try:
                self.process = self._start()
            except OSError as error:
                log.error("the publisher cannot be started", extra={"facts": {"why": error.strerror}})

    def _listen(self) -> None:
        """Log once when the publisher falls silent, and once when it looks again."""
        seconds = silence(self.state)
        if (seconds > SILENT_SECONDS) != self._silent:
            self._silent = not self._silent
            why = silence_text(seconds) if self._silent else "it looks again"
            log.log(logging.ERROR if self._silent else logging.INFO, "publisher", extra={"facts": {"why": why}})

    def _give_up(self, status: int) -> None:
        """End the server: nothing was published, and the publisher has printed why, unless it was killed."""
        if status < 0:
            print(f"the publisher was ended by signal {-status} before anything was published", file=sys.stderr)
        self.status = status if status > 0 else FAILED
        os.kill(os.getpid(), signal.SIGTERM)

    def end(self) -> None:
        """End it."""
        self._ends.set()
        close(self.process, END_SECONDS)
        self._thread.join(END_SECONDS)
