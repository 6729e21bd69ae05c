"""Requests that wait at the same moment are scored together: what a call costs beside its rows is paid once. Rows do
not depend on their company, so no bit of an answer does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from math import expm1
from typing import Any

import numpy as np

from models.newest.assembler import Terms, cut
from models.scoring import Scores
from models.uncertainty.target import Target
from service.problems import Problem
from service.publish.publication import Serving

MOST_WAITING = 2_000  # rows; a request that finds none waiting may have more
# requests in a worker: many may come at once, but where as many stay, who is let in would wait several times as long
MOST_AT_ONCE, MOST_INSIDE = 64, 8
MEMORY = 0.5  # seconds over which it is reckoned how many stay
LARGE = 256  # rows from which a request is scored in a thread, in parts between which others get their turn
PART = 512
TOGETHER = 128  # rows of several requests; a go of more is hardly faster, and keeps those who arrive waiting


@dataclass(frozen=True)
class ScoreTask:
    """What a request wants of a publication. rows: of its creators in the snapshot, where known already."""

    serving: Serving
    terms: Terms
    level: float | None
    reasons: bool
    target: Target | None = None
    rows: np.ndarray | None = None


class Batcher:
    """Scores for one worker."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.waiting = self.inside = 0
        self._staying, self._reckoned = 0.0, loop.time()
        self._queue: list[tuple[ScoreTask, asyncio.Future[Scores]]] = []
        self._thread = ThreadPoolExecutor(1, "large")

    @contextmanager
    def place(self) -> Iterator[None]:
        """Held by a request from before it is read until it is scored: who is turned away should cost next to nothing.

        Raises Problem where too many are inside already.
        """
        self._reckon()
        if self.inside >= (MOST_AT_ONCE if self._staying < MOST_INSIDE / 2 else MOST_INSIDE):
            raise Problem(429, "overloaded", "Too many requests are waiting here. Try again shortly.", retry_after="1")
        self.inside += 1
        try:
            yield
        finally:
            self._reckon()
            self.inside -= 1

    def _reckon(self) -> None:
        """Bring the average of `inside` up to now; what was `MEMORY` ago counts a third."""
        now = self.loop.time()
        self._staying += (self.inside - self._staying) * -expm1((self._reckoned - now) / MEMORY)
        self._reckoned = now

    async def score(self, task: ScoreTask) -> Scores:
        """Scores of a request's rows. Raises Problem where too many wait already."""
        n = len(task.terms)
        if self.waiting and self.waiting + n > MOST_WAITING:
            raise Problem(429, "overloaded", "Too many rows are waiting here. Try again shortly.", retry_after="1")
        self.waiting += n
        try:
            if n > LARGE:
                return await self.loop.run_in_executor(self._thread, _in_parts, task)
            future = self.loop.create_future()
            if not self._queue:
                self.loop.call_soon(self._flush)
            self._queue.append((task, future))
            return await future
        finally:
            self.waiting -= n

    def _flush(self) -> None:
        first, rows = self._queue[0][0], 0
        alike: list[tuple[ScoreTask, asyncio.Future[Scores]]] = []
        left: list[tuple[ScoreTask, asyncio.Future[Scores]]] = []
        for one in self._queue:
            n = len(one[0].terms)
            if _alike(one[0], first) and (not alike or rows + n <= TOGETHER):
                alike.append(one)
                rows += n
            else:
                left.append(one)
        self._queue = left
        if left:  # between two goes those who arrive get a word: they are let in, or turned away
            self.loop.call_soon(self._flush)
        try:
            found = together([task for task, _ in alike])
            for (_, future), scores in zip(alike, found, strict=True):
                if not future.done():
                    future.set_result(scores)
        except Exception as error:  # everyone who waits gets it, or they would wait for ever
            for _, future in alike:
                if not future.done():
                    future.set_exception(error)


def _alike(one: ScoreTask, other: ScoreTask) -> bool:
    same = one.level == other.level and one.reasons == other.reasons and one.target == other.target
    return same and one.serving is other.serving


def together(tasks: Sequence[ScoreTask]) -> list[Scores]:
    """Score requests of the same publication, level, reasons and target in one go."""
    first = tasks[0]
    if len(tasks) == 1:
        return [_score(first, first.terms, first.rows)]
    terms = join([one.terms for one in tasks])
    rows = None
    if any(one.rows is not None for one in tasks):
        rows = np.concatenate([_rows(one) for one in tasks])
    scores = _score(first, terms, rows)
    ends = np.cumsum([len(one.terms) for one in tasks]).tolist()
    return [part(scores, slice(end - len(one.terms), end)) for one, end in zip(tasks, ends, strict=True)]


def _score(task: ScoreTask, terms: Terms, rows: np.ndarray | None) -> Scores:
    scorer = task.serving.scorer
    return scorer.score(terms, rows, level=task.level, reasons=task.reasons, target=task.target)


def _rows(task: ScoreTask) -> np.ndarray:
    return task.serving.snapshot.rows(task.terms.creator_id) if task.rows is None else task.rows


def _in_parts(task: ScoreTask) -> Scores:
    places = [slice(at, at + PART) for at in range(0, len(task.terms), PART)]
    rows = _rows(task)
    return put_together([_score(task, cut(task.terms, place), rows[place]) for place in places])


def join(parts: Sequence[Terms]) -> Terms:
    """The rows of all parts, one after the other."""
    columns: dict[str, Any] = {}
    for name in Terms.__dataclass_fields__:
        values = [getattr(one, name) for one in parts]
        joined = np.concatenate(values) if isinstance(values[0], np.ndarray) else [v for one in values for v in one]
        columns[name] = joined
    return Terms(**columns)


def part(scores: Scores, place: slice) -> Scores:
    """The scores of one request among those of several."""
    columns: dict[str, Any] = {}
    for name in Scores.__dataclass_fields__:
        values = getattr(scores, name)
        columns[name] = None if values is None else values[place]
    return Scores(**columns)


def put_together(parts: Sequence[Scores]) -> Scores:
    """The scores of one request that was scored in parts."""
    columns: dict[str, Any] = {}
    for name in Scores.__dataclass_fields__:
        values = [getattr(one, name) for one in parts]
        if values[0] is None:
            columns[name] = None
        elif isinstance(values[0], np.ndarray):
            columns[name] = np.concatenate(values)
        else:
            columns[name] = [v for one in values for v in one]
    return Scores(**columns)
