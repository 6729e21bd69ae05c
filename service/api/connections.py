"""Lets go of clients that hold a connection and do nothing: that send no request, or do not read their answer.

granian counts the time for a request's headers and the time that a kept connection may rest as one, and knows no limit
for writing. So each worker asks the kernel once a second how far its connections are. Linux only: elsewhere granian's
own limit has to do (`rest`).
"""

from __future__ import annotations

import logging
import os
import socket
import struct
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

MOST = 4096  # connections of a worker
SPARE_FILES = 256  # that a worker has open beside them
HEADER_SECONDS, UNREAD_SECONDS = 10.0, 10.0
KEPT_SECONDS = (
    75.0  # longer than the 60 seconds of common proxies, who else send into a connection that is being closed
)
EVERY = 1.0
FDS = Path("/proc/self/fd")
# struct tcp_info: state, unacked, last_data_sent, last_data_recv, bytes_acked, bytes_received, notsent_bytes
_INFO = struct.Struct("=B23xI16xI4xI64xQQ8xI")
_OPEN = (1, 8)  # established, and half closed by the client
_RESET = struct.pack("ii", 1, 0)
log = logging.getLogger("creator_yield")


def watched() -> bool:
    """Whether this system provides what the watch needs."""
    return sys.platform == "linux" and FDS.is_dir()


def rest() -> int:
    """Milliseconds that a connection may wait for a request's headers: where they are watched, those kept at rest."""
    return round(1000 * (KEPT_SECONDS if watched() else HEADER_SECONDS))


def most() -> int:
    """Connections that a worker may hold, by the files that it may open."""
    if sys.platform == "win32":
        return MOST
    import resource

    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return MOST if files == resource.RLIM_INFINITY else max(16, min(MOST, files - SPARE_FILES))


def raise_limit() -> None:
    """Let this process and those that it starts open as many files as MOST connections need, if the system lets it."""
    if sys.platform == "win32":
        return
    import resource

    files, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST + SPARE_FILES if hard == resource.RLIM_INFINITY else min(MOST + SPARE_FILES, hard)
    if files != resource.RLIM_INFINITY and files < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


@dataclass
class _Seen:
    """What a connection was last doing, its bytes acknowledged by then, and since when."""

    doing: str
    acked: int
    since: float


class Connections:
    """Watches this process's connections from a thread of its own."""

    def __init__(self, port: int, most: int = MOST, closed: Callable[[int], None] = lambda n: None) -> None:
        """port: whose connections are watched. closed: is called with how many were let go."""
        self.port, self.most, self.closed = port, most, closed
        self.busy: set[str] = set()  # addresses of clients whose request is being answered
        self.open = 0
        self._seen: dict[int, _Seen] = {}
        self._stop = threading.Event()

    def start(self) -> None:
        """Begin to watch, where the system provides enough."""
        if watched():
            threading.Thread(target=self._watch, name="connections", daemon=True).start()

    def stop(self) -> None:
        """Watch no more."""
        self._stop.set()

    def _watch(self) -> None:
        while not self._stop.wait(EVERY):
            try:
                self.look(time.monotonic())
            except Exception:  # the service goes on without the watch, and the next look may go well
                log.exception("connections cannot be watched")

    def look(self, now: float) -> Counter[str]:
        """Let go of those whose time is up, and of the oldest where there are too many; how many, by what they did."""
        seen: dict[int, _Seen] = {}
        for inode, connection in _connections(self.port):
            with connection:
                doing, acked = self._doing(connection)
            last = self._seen.get(inode)
            same = last is not None and (last.doing, last.acked) == (doing, acked)
            seen[inode] = last if same and last is not None else _Seen(doing, acked, now)
        limits = {"silent": HEADER_SECONDS, "unread": UNREAD_SECONDS}
        over = {inode for inode, one in seen.items() if now - one.since >= limits.get(one.doing, float("inf"))}
        self._seen, self.open = seen, len(seen)
        if len(seen) - len(over) > self.most * 3 // 4:
            over |= self._oldest(len(seen) - len(over) - self.most // 2, over)
        return self._let_go(over) if over else Counter()

    def _oldest(self, n: int, over: set[int]) -> set[int]:
        """The n that have done nothing the longest: silent ones first, then those kept at rest."""
        idle = [
            (one.doing == "resting", one.since, inode)
            for inode, one in self._seen.items()
            if inode not in over and one.doing in ("silent", "resting")
        ]
        return {inode for _, _, inode in sorted(idle)[:n]}

    def _doing(self, connection: socket.socket) -> tuple[str, int]:
        """What a connection is at, and how many bytes its client has acknowledged."""
        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
        _, unacked, sent, received, acked, _, unsent = _INFO.unpack_from(info)
        if unacked or unsent:
            return "unread", acked
        if _address(connection) in self.busy:
            return "answered", acked
        # milliseconds since either: what came after the last answer is a request that is not whole yet
        return ("resting" if acked and received >= sent else "silent"), acked

    def _let_go(self, over: set[int]) -> Counter[str]:
        done: Counter[str] = Counter()
        for inode, connection in _connections(self.port):
            with connection:
                if inode not in over or self._doing(connection)[0] != self._seen[inode].doing:
                    continue
                try:
                    if self._seen[inode].doing == "unread":  # else the kernel goes on offering what nobody reads
                        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue  # it has ended by itself
                done[self._seen.pop(inode).doing] += 1
        if done:
            self.closed(done.total())
            log.warning("connections closed", extra={"facts": dict(done)})
        return done


def _connections(port: int) -> Iterator[tuple[int, socket.socket]]:
    """This process's open TCP connections at a port, by their inode, each as a duplicate that the receiver closes."""
    for name in os.listdir(FDS):
        try:
            kind = os.readlink(FDS / name)
            if not kind.startswith("socket:"):
                continue
            connection = socket.socket(fileno=os.dup(int(name)))
        except OSError:
            continue  # closed meanwhile
        try:
            inode = os.fstat(connection.fileno()).st_ino  # of the duplicate: the number may be another's by now
            internet = connection.family in (socket.AF_INET, socket.AF_INET6) and connection.type == socket.SOCK_STREAM
            here = internet and connection.getsockname()[1] == port
            if here and connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] in _OPEN:
                yield inode, connection
                continue
        except OSError:
            pass
        connection.close()


def _address(connection: socket.socket) -> str:
    """The client's address as granian writes it."""
    try:
        host, port = connection.getpeername()[:2]
    except OSError:
        return ""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
