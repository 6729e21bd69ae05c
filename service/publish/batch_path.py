"""The batch path: rows that the flat arrays cannot answer, because they start before the snapshot's horizon or bring a
history of their own, are built by the batch code itself in a separate process, one request at a time. Messages are
MessagePack over a Unix socket.
"""

from __future__ import annotations

import asyncio
import logging
import re
import socketserver
import struct
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd

from features.faults import Fault, InputError
from models.newest.assembler import Terms
from service.problems import FieldError, Problem

MOST_QUEUED, SECONDS = 4, 120.0
_LENGTH = struct.Struct("<Q")
log = logging.getLogger("creator_yield")


class Question(msgspec.Struct):
    """Spine columns of the contract; history: rows to stand beside DATA's."""

    spine: dict[str, list[Any]]
    history: dict[str, list[dict[str, Any]]] = {}


class Answer(msgspec.Struct):
    """The matrix, by column; None where something is missing. problem: why there is none. faults: of the history."""

    matrix: dict[str, list[Any]] = {}
    problem: str | None = None
    faults: list[FieldError] = []


def spine_of(terms: Terms) -> dict[str, list[Any]]:
    """Terms as the contract's columns, with starts in microseconds."""
    return {name: list(getattr(terms, name)) if not isinstance(getattr(terms, name), np.ndarray)
            else getattr(terms, name).tolist() for name in Terms.__dataclass_fields__}  # fmt: skip


def frame_of(spine: Mapping[str, list[Any]]) -> pd.DataFrame:
    """The spine as the batch takes it."""
    frame = pd.DataFrame({name: pd.Series(v, dtype=object) for name, v in spine.items()})
    for name in ("promotion_hours", "deliverables", "spend"):
        frame[name] = frame[name].astype(float)
    frame["starts_at"] = pd.to_datetime(frame.starts_at.astype("int64"), unit="us")
    return frame


async def ask(socket: Path, terms: Terms, history: msgspec.Struct | None) -> pd.DataFrame:
    """The matrix of rows by the batch code that answers at `socket`.

    Raises Problem where that process is busy or away, or the history is at fault.
    """
    away = Problem(503, "batch-away", "This needs the whole history, which is not available now. Try again.",
                   retry_after="10")  # fmt: skip
    rows = {} if history is None else msgspec.to_builtins(history)
    question = msgspec.msgpack.encode(Question(spine_of(terms), rows))
    try:
        async with asyncio.timeout(SECONDS):
            reader, writer = await asyncio.open_unix_connection(str(socket))
            try:
                writer.write(_LENGTH.pack(len(question)) + question)
                await writer.drain()
                (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
                body = await reader.readexactly(length)
            finally:
                writer.close()
    except (OSError, TimeoutError, asyncio.IncompleteReadError):
        raise away from None
    answer = msgspec.msgpack.decode(body, type=Answer)
    if answer.faults:
        first = answer.faults[0]
        detail = f"{len(answer.faults)} faults in history, first {first.table}.{first.field}: {first.detail}"
        raise Problem(422, "invalid-history", detail, answer.faults)
    if answer.problem == "busy":
        detail = "Too many requests that need the whole history are waiting. Try again."
        raise Problem(429, "overloaded", detail, retry_after="5")
    if answer.problem:
        raise away
    return pd.DataFrame({name: _column(values) for name, values in answer.matrix.items()})


def _column(values: list[Any]) -> pd.Series:
    if any(isinstance(v, str) for v in values):
        return pd.Series(values, dtype=object)
    return pd.Series([np.nan if v is None else v for v in values], dtype=float)


def serve(socket: Path, build: Callable[[Question, pd.DataFrame], pd.DataFrame]) -> socketserver.BaseServer:
    """Answer questions from a thread of its own. build: the matrix of a question and its spine; InputError for a
    history at fault.
    """
    room = threading.Semaphore(MOST_QUEUED)
    turn = threading.Lock()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            (length,) = _LENGTH.unpack(self.rfile.read(_LENGTH.size))
            question = msgspec.msgpack.decode(self.rfile.read(length), type=Question)
            if not room.acquire(blocking=False):
                answer = Answer(problem="busy")
            else:
                try:
                    with turn:
                        answer = _answer(build, question)
                finally:
                    room.release()
            body = msgspec.msgpack.encode(answer)
            self.wfile.write(_LENGTH.pack(len(body)) + body)

    class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
        daemon_threads = True

    socket.unlink(missing_ok=True)  # of a process that was killed
    server = Server(str(socket), Handler)
    threading.Thread(target=server.serve_forever, name="batch path", daemon=True).start()
    return server


def _answer(build: Callable[[Question, pd.DataFrame], pd.DataFrame], question: Question) -> Answer:
    try:
        matrix = build(question, frame_of(question.spine))
        return Answer({str(n): [None if pd.isna(v) else v for v in matrix[n].tolist()] for n in matrix})
    except InputError as error:
        return Answer(faults=[_fault(fault) for fault in error.faults])
    except Exception:  # the client waits for an answer, and this process must live on for the next question
        log.exception("the batch path failed")
        return Answer(problem="failed")


def _fault(fault: Fault) -> FieldError:
    """A fault of a table; its rows are counted from 1, those of a request from 0."""
    at = re.match(r"row ([\d,]+)", fault.first or "")
    row = int(at[1].replace(",", "")) - 1 if at else None
    pointer = f"/history/{fault.where}" + ("" if row is None else f"/{row}/{fault.column}")
    bare = replace(fault, first=None, column=None)
    return FieldError(str(bare).partition(": ")[2], fault.column, row, pointer, fault.where)
