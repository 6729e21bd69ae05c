"""Opens DATA in the engine that is to make the features."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from features.engines.choice import DUCKDB, POSTGRESQL, check_engine
from features.history.in_place import open_in_place
from features.history.source import History, open_history


@contextmanager
def open_data(data: str, engine: str = DUCKDB) -> Iterator[History]:
    """DATA, a folder or a URL, opened and checked for as long as the context lasts, its tables in `engine`; in DuckDB
    where that is Spark, which `features.history.elsewhere` opens beside it.

    engine: as `--engine` takes it. Raises InputError for an engine that cannot read DATA, and with all faults of DATA.
    """
    check_engine(engine, data)
    with open_in_place(data) if engine == POSTGRESQL else open_history(data) as history:
        yield history
