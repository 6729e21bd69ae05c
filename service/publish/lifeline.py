"""Processes that end with their parent, however it dies: the kernel then closes the parent's end of a pipe that they
read, on Linux and macOS alike.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import wait

from service import logs

FINISH_SECONDS = 30.0  # for requests in hand when the server was killed
REGULAR = b"end\n"  # what a parent that ends as it should writes before it closes the pipe


def hold(on_end: Callable[[bool], None]) -> None:
    """Call `on_end` from a thread once standard input closes, then end this process; signals are for the server.

    on_end: receives whether the parent ended as it should. A terminal and a service manager send their signals to
    every process at once; were they heeded here, requests in hand would lose the process that answers them.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)

    def listen() -> None:
        received = b""
        while part := os.read(0, 4096):
            received += part
        try:
            on_end(received.endswith(REGULAR))
        finally:
            logs.WRITER.flush()
            os._exit(0)

    threading.Thread(target=listen, name="lifeline", daemon=True).start()


def end_with_server() -> None:
    """Let a worker finish what it has in hand, and end, once the server that spawned it is gone."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return  # not spawned by a server, as in tests

    def listen() -> None:
        wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(FINISH_SECONDS)
        os._exit(1)

    threading.Thread(target=listen, name="lifeline", daemon=True).start()
