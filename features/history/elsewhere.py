"""DATA in the engine that a command chooses for its features, beside the one that reads and checks it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from features.engines.choice import is_spark
from features.history.source import History


@contextmanager
def elsewhere(history: History, data: str, engine: str) -> Iterator[History | None]:
    """The same history in the engine that `features.engines.choice` names; None where that is DuckDB, in this process.

    history: of `data`, opened by DuckDB. Raises as `features.engines.spark.connected` and
    `features.history.in_spark.in_spark` do.
    """
    if not is_spark(engine):
        yield None
        return
    from features.engines.spark import connected
    from features.history.in_spark import in_spark

    with connected(engine) as opened:
        yield in_spark(history, data, opened)
