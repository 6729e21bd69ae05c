"""Faults of a small history, and what damages it."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from features.faults import Fault, InputError
from features.history.source import open_history
from tests.support.contract_tables import Frames, frames


def faults(data: Path | str) -> list[Fault]:
    """The faults of DATA; none if it opens."""
    try:
        with open_history(data, threads=1):
            return []
    except InputError as error:
        return list(error.faults)


def lines(data: Path | str) -> list[str]:
    return [str(fault) for fault in faults(data)]


def setting(table: str, row: int, column: str, value: object) -> Callable[[Frames], None]:
    def damage(tables: Frames) -> None:
        values = tables[table][column].to_list()
        values[row] = value
        tables[table][column] = pd.Series(values, dtype=object)

    return damage


def damaged(damage: Callable[[Frames], None], table: str) -> Frames:
    """The damaged tables that checks of `table` look at; fewer are faster."""
    tables = frames()
    damage(tables)
    return {name: tables[name] for name in {"collaborations": 0, "creators": 0, "conversions": 0, table: 0}}
