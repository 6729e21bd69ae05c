"""Who is let in, and who is scored beside whom."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from models.newest.assembler import Terms
from models.scoring import Scores
from service.api.batching import MOST_AT_ONCE, MOST_INSIDE, TOGETHER, Batcher, ScoreTask
from service.problems import Problem


class Recorder:
    """Stands for a publication: a row's rate is its spend; remembers how many rows were scored at a time."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.scorer = self
        self.snapshot = SimpleNamespace(rows=lambda creators: np.zeros(len(creators), np.intp))

    def score(self, terms: Terms, rows: Any, **options: Any) -> Scores:
        self.sizes.append(len(terms))
        rate = terms.spend
        return Scores(rate, None, None, rate, rate, [()] * len(rate), None)


def deals(first: int, rows: int) -> Terms:
    texts, numbers = ["x"] * rows, np.ones(rows)
    spend = np.arange(first, first + rows, dtype=float)
    return Terms(texts, texts, texts, texts, texts, np.ones(rows, np.int64), numbers, numbers, spend)


def let_in(batcher: Batcher, inside: ExitStack) -> int:
    """How many more are let in before one is turned away, with Retry-After."""
    before = batcher.inside

    def all_come() -> None:
        for _ in range(1000):
            inside.enter_context(batcher.place())

    with pytest.raises(Problem) as refused:
        all_come()
    assert (refused.value.status, refused.value.headers) == (429, [("retry-after", "1")])
    return batcher.inside - before


def test_many_may_come_at_once_but_few_may_stay() -> None:
    now = [100.0]
    loop: Any = SimpleNamespace(time=lambda: now[0])
    batcher = Batcher(loop)
    with ExitStack() as inside:
        assert let_in(batcher, inside) == MOST_AT_ONCE
    with ExitStack() as inside:
        assert let_in(batcher, inside) == MOST_AT_ONCE, "who left makes room"
        now[0] += 0.2
    with ExitStack() as inside:
        assert let_in(batcher, inside) == MOST_INSIDE, "it was busy lately"
        now[0] += 3.0
    with ExitStack() as inside:
        assert let_in(batcher, inside) == MOST_INSIDE, "it was busy all the while"
    now[0] += 3.0
    with ExitStack() as inside:
        assert let_in(batcher, inside) == MOST_AT_ONCE, "it has been quiet"
    with pytest.raises(ValueError, match="a fault"), batcher.place():
        raise ValueError("a fault")
    assert batcher.inside == 0, "who fails leaves its place too"


def test_those_who_wait_are_scored_together_in_parts_between_which_others_get_a_word() -> None:
    serving: Any = Recorder()
    heard: list[int] = []

    async def all_at_once() -> list[Scores]:
        loop = asyncio.get_running_loop()
        batcher = Batcher(loop)

        def listen() -> None:
            heard.append(len(serving.sizes))
            if len(heard) < 20:
                loop.call_soon(listen)

        loop.call_soon(listen)
        sizes = [100, 100, 100, 1, 200, 1]
        tasks = [ScoreTask(serving, deals(1000 * i, rows), None, False) for i, rows in enumerate(sizes)]
        return await asyncio.gather(*(batcher.score(one) for one in tasks))

    found = asyncio.run(all_at_once())
    assert [scores.rate[0] for scores in found] == [0, 1000, 2000, 3000, 4000, 5000]
    assert sum(serving.sizes) == 502
    assert 1 < len(serving.sizes) < 6
    assert max(size for size in serving.sizes if size != 200) <= TOGETHER
    assert set(range(len(serving.sizes))) <= set(heard), "the loop was kept all the while"
