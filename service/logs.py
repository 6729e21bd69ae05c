"""Structured logs on standard error: one JSON object a line, never a key, a body or a path of the machine."""

from __future__ import annotations

import logging
import os
import sys
import time
import traceback

import msgspec

_encode = msgspec.json.Encoder().encode


class _Lines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        told = {"time": _stamp(record.created), "level": record.levelname.lower(), "message": record.getMessage()}
        told |= getattr(record, "told", {})
        if record.exc_info and record.exc_info[1] is not None:
            told["error"] = type(record.exc_info[1]).__name__
            frames = traceback.extract_tb(record.exc_info[2])
            told["where"] = " < ".join(f"{os.path.basename(f.filename)}:{f.lineno}" for f in reversed(frames))
        return _encode(told).decode()


def set_up() -> None:
    """Let this process's logs go to standard error as JSON lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines())
    logger = logging.getLogger("creator_yield")
    logger.handlers, logger.propagate = [handler], False
    logger.setLevel(logging.INFO)


def request(request_id: str, method: str, route: str, status: int, seconds: float, key: str | None) -> None:
    """One line for a request that was answered."""
    told = {
        "time": _stamp(time.time()), "level": "info", "message": "request", "request_id": request_id,
        "method": method, "route": route, "status": status, "ms": round(seconds * 1000, 3), "key": key,
    }  # fmt: skip
    os.write(2, _encode(told) + b"\n")


def _stamp(seconds: float) -> str:
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{whole}.{int(seconds % 1 * 1000):03d}Z"
