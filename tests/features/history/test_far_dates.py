"""Times of the history that lie far from all others are a fault; those a little ahead of the clock are said."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pandas as pd
import pytest

from features.faults import InputError
from features.history.source import open_history
from tests.support.contract_tables import Frames, frames, write

pytestmark = pytest.mark.slow  # each opens a history anew

NOW = datetime(2025, 6, 1)  # all that the frames hold has happened by then


def opened(data: Path, now: datetime = NOW) -> tuple[list[str], tuple[str, ...]]:
    """The faults and the notes of DATA."""
    try:
        with open_history(data, threads=1, now=now) as history:
            return [], history.notes
    except InputError as error:
        return [str(fault) for fault in error.faults], ()


def moved(table: str, column: str, row: int | slice, to: str) -> Callable[[Frames], None]:
    def move(tables: Frames) -> None:
        tables[table].loc[tables[table].index[row], column] = pd.Timestamp(to, tz="UTC")

    return move


SLIPS = {
    "a post": (moved("posts", "posted_at", 3, "2099-05-01"), "posts.posted_at: 1 row is"),
    "a comment": (moved("comments", "commented_at", 3, "2031-05-01"), "comments.commented_at: 1 row is"),
    "an open end": (moved("collaborations", "observed_until", 1, "2099-12-31"), "collaborations.observed_until: 1 row"),
    "all ends": (
        moved("collaborations", "observed_until", slice(None), "2099-12-31"),
        "collaborations.observed_until: 6 rows",
    ),
}


@pytest.mark.parametrize("slip", SLIPS)
def test_what_lies_years_beyond_all_others_is_a_fault(slip: str, tmp_path: Path) -> None:
    move, said = SLIPS[slip]
    tables = frames()
    move(tables)
    for form in ("parquet", "csv"):
        (fault,), _ = opened(write(tmp_path / form, tables, form))
        assert fault.startswith(said)
        assert "ahead of the clock, and more than a year after all others, first row" in fault
        assert "correct it, or leave the row out until it has happened." in fault


def test_a_start_far_ahead_is_a_fault_of_what_was_counted_from_it(tmp_path: Path) -> None:
    tables = frames()
    for column in ("starts_at", "observed_until"):
        moved("collaborations", column, 5, "2040-01-01")(tables)
    (fault,), _ = opened(write(tmp_path, tables))
    assert fault.startswith("collaborations.observed_until: 1 row is ahead of the clock")


def test_what_lies_a_little_ahead_is_said_with_its_count(tmp_path: Path) -> None:
    tables = frames()
    moved("posts", "posted_at", slice(6, 8), "2025-09-01")(tables)
    assert opened(write(tmp_path, tables)) == (
        [],
        (
            "posts.posted_at: 2 rows are later than now, 2025-06-01; the last is 2025-09-01 00:00:00, "
            "no deal before it can be ranked",
        ),
    )
    moved("posts", "posted_at", slice(6, 8), "2025-06-01 23:00")(tables)  # another zone's evening
    assert opened(write(tmp_path, tables)) == ([], ())


def test_a_history_that_goes_on_beyond_the_clock_opens(tmp_path: Path) -> None:
    """A made-up market, or a clock that is behind: no row lies apart from the others."""
    for now in (datetime(2025, 1, 1), datetime(2015, 1, 1)):
        faults, notes = opened(write(tmp_path, frames()), now)
        assert faults == []
        assert len(notes) > 0
    tables = frames()
    moved("posts", "posted_at", 3, "2099-05-01")(tables)
    (fault,), _ = opened(write(tmp_path, tables), datetime(2015, 1, 1))
    assert fault.startswith("posts.posted_at: 1 row is")


def test_the_clock_is_the_machine_s_unless_given(tmp_path: Path) -> None:
    ahead = datetime.now().year + 4
    tables = frames()
    moved("posts", "posted_at", 3, f"{ahead}-01-01")(tables)
    with pytest.raises(InputError, match=f"received {ahead}-01-01"), open_history(write(tmp_path, tables), threads=1):
        pass
