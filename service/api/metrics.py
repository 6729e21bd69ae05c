"""Counters of all workers, in Prometheus' text format: each worker counts into a mapped file of its own, and a scrape
adds them up, including those of workers that are gone.
"""

from __future__ import annotations

import logging
import mmap
import os
from bisect import bisect_left
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np

ROUTES = ("score", "rank", "creators", "model", "openapi", "page", "healthz", "readyz", "metrics", "none")
STATUSES = (200, 400, 401, 404, 405, 408, 409, 413, 415, 421, 422, 429, 500, 503)
SECONDS = (0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
EVENTS = ("items", "swaps", "batch", "closed", "dropped_lines")
_HISTOGRAM = len(SECONDS) + 2  # buckets, all, sum
_SIZE = len(ROUTES) * (len(STATUSES) + _HISTOGRAM) + len(EVENTS)
_WORDS = {
    "items": ("creator_yield_items_total", "Rows scored."),
    "swaps": ("creator_yield_swaps_total", "Models or features taken up by workers after their first."),
    "closed": ("creator_yield_connections_closed_total", "Connections closed because their clients did nothing."),
    "dropped_lines": ("creator_yield_log_lines_dropped_total", "Lines of the log that found no reader."),
    "batch": ("creator_yield_batch_requests_total", "Requests that the batch code answered."),
}
log = logging.getLogger("creator_yield")


class Metrics:
    """This worker's counters."""

    def __init__(self, folder: Path) -> None:
        """folder: where all workers have their files. On a full disk, this worker alone shows what it counts."""
        self.folder = folder
        path = folder / f"{os.getpid()}.counts"
        try:
            folder.mkdir(exist_ok=True)
            with path.open("w+b") as file:
                file.write(bytes(_SIZE * 8))  # not a hole: writing to one kills the process once the disk is full
                file.flush()
                memory = mmap.mmap(file.fileno(), _SIZE * 8)
        except OSError as error:
            log.warning("metrics are not shared", extra={"facts": {"why": error.strerror}})
            with suppress(OSError):
                path.unlink()
            memory = mmap.mmap(-1, _SIZE * 8)
        self._values = np.frombuffer(memory, np.float64)
        self._path = path

    def request(self, route: str, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        at = ROUTES.index(route)
        self._values[at * len(STATUSES) + STATUSES.index(status)] += 1
        first = len(ROUTES) * len(STATUSES) + at * _HISTOGRAM
        self._values[first + bisect_left(SECONDS, seconds)] += 1
        self._values[first + _HISTOGRAM - 1] += seconds

    def count(self, event: str, n: int = 1) -> None:
        """Count one of EVENTS."""
        self._values[len(self._values) - len(EVENTS) + EVENTS.index(event)] += n

    def page(self, gauges: Mapping[str, tuple[str, float]]) -> str:
        """All workers' counters, and gauges by name with their meaning and value."""
        others = (np.fromfile(file, np.float64, _SIZE) for file in sorted(self.folder.glob("*.counts"))
                  if file != self._path)  # fmt: skip
        total = np.sum([self._values, *(counts for counts in others if len(counts) == _SIZE)], axis=0)
        name = "creator_yield_requests_total"
        lines = [f"# HELP {name} Requests answered.", f"# TYPE {name} counter"]
        for i, route in enumerate(ROUTES):
            for j, status in enumerate(STATUSES):
                if value := total[i * len(STATUSES) + j]:
                    lines.append(f'{name}{{route="{route}",status="{status}"}} {value:.0f}')
        name = "creator_yield_request_seconds"
        lines += [f"# HELP {name} Time from a request's arrival to its answer.", f"# TYPE {name} histogram"]
        for i, route in enumerate(ROUTES):
            first = len(ROUTES) * len(STATUSES) + i * _HISTOGRAM
            *buckets, seconds = total[first : first + _HISTOGRAM].tolist()
            if sum(buckets):
                below = np.cumsum(buckets)
                bounds = [*(f"{s:g}" for s in SECONDS), "+Inf"]
                lines += [
                    f'{name}_bucket{{route="{route}",le="{le}"}} {n:.0f}' for le, n in zip(bounds, below, strict=True)
                ]
                lines += [
                    f'{name}_sum{{route="{route}"}} {seconds!r}',
                    f'{name}_count{{route="{route}"}} {below[-1]:.0f}',
                ]
        for event, value in zip(EVENTS, total[-len(EVENTS) :].tolist(), strict=True):
            title, words = _WORDS[event]
            lines += [f"# HELP {title} {words}", f"# TYPE {title} counter", f"{title} {value:.0f}"]
        for title, (words, value) in gauges.items():
            lines += [f"# HELP {title} {words}", f"# TYPE {title} gauge", f"{title} {_number(value)}"]
        return "\n".join(lines) + "\n"


def _number(value: float) -> str:
    """With all its digits."""
    return f"{value:.0f}" if value.is_integer() else repr(value)
