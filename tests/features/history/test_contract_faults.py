"""Every fault of DATA and of candidates names its place, its rows and what to do."""

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.faults import InputError
from features.history.checks import check_trainable
from features.history.contract import TABLES
from features.history.source import open_candidates, open_history
from tests.support.contract_faults import damaged, faults, lines, setting
from tests.support.contract_tables import candidates, frames, write

pytestmark = pytest.mark.slow  # each opens a history anew


SPEND = "Spend is what the deal costs in all, in US dollars; leave out deals that cost nothing."
COUNTED = "Conversions are counted: 0, 1, 2 and so on."
SPAN = "outside 2000-01-01 to 2100-01-01"
FORMAT = "Check its format and, if it was a number once, its unit."
NUMBERS = "Write numbers as 1234.5: a point for decimals, neither currency nor separators of thousands."
AGAIN = "Keep one row of each key."
LISTED = (
    "The conversions table holds all conversions of a collaboration that it names, up to its observed_until: "
    "correct one of the two, or leave it out there."
)

VALUES = {
    "negative spend": (
        setting("collaborations", 1, "spend", -5.0),
        f"collaborations.spend: 1 row is not above 0, first row 2 (collaboration_id 'r1'): received -5.0. {SPEND}",
    ),
    "zero spend": (
        setting("collaborations", 3, "spend", 0.0),
        f"collaborations.spend: 1 row is not above 0, first row 4 (collaboration_id 'r3'): received 0.0. {SPEND}",
    ),
    "negative conversions": (
        setting("collaborations", 4, "conversions", -1),
        f"collaborations.conversions: 1 row is below 0, first row 5 (collaboration_id 'r4'): received -1. {COUNTED}",
    ),
    "negative conversions of a deal that is listed by day": (
        setting("collaborations", 2, "conversions", -1),
        f"collaborations.conversions: 1 row is below 0, first row 3 (collaboration_id 'r2'): received -1. {COUNTED}",
    ),
    "a start out of range, of a deal that is listed by day": (
        setting("collaborations", 0, "starts_at", pd.Timestamp("2222-01-01")),
        f"collaborations.starts_at: 1 row is {SPAN}, first row 1 (collaboration_id 'r0'): "
        f"received 2222-01-01 00:00:00. {FORMAT}",
    ),
    "an end out of range, of a deal that is listed by day": (
        setting("collaborations", 2, "observed_until", pd.Timestamp("1970-01-01")),
        f"collaborations.observed_until: 1 row is {SPAN}, first row 3 (collaboration_id 'r2'): "
        f"received 1970-01-01 00:00:00. {FORMAT}",
    ),
    "key without a value": (
        setting("creators", 2, "platform", None),
        "creators.platform: 1 row is without a value, first row 3 (creator_id 'c2'). "
        "Every row needs it: instagram, youtube, tiktok, ….",
    ),
    "duplicate key": (
        setting("collaborations", 5, "collaboration_id", "r1"),
        "collaborations.collaboration_id: 1 row is repeating the key of an earlier row, first row 6: "
        f"received 'r1' of row 2 again. {AGAIN}",
    ),
    "deal of an unknown creator": (
        setting("collaborations", 2, "creator_id", "nobody"),
        "collaborations.creator_id: 1 row is not among the creator_ids of creators, first row 3 "
        "(collaboration_id 'r2'): received 'nobody'. Add the creator to creators, or correct its id.",
    ),
    "post of an unknown creator": (
        setting("posts", 6, "creator_id", "nobody"),
        "posts.creator_id: 1 row is not among the creator_ids of creators, first row 7 (post_id 'p6'): "
        "received 'nobody'. Add the creator to creators, or leave the post out.",
    ),
    "comment of an unknown creator": (
        setting("comments", 6, "creator_id", "nobody"),
        "comments.creator_id: 1 row is not among the creator_ids of creators, first row 7 (comment_id 'k6'): "
        "received 'nobody'. Add the creator to creators, or leave the comment out.",
    ),
    "conversions of an unknown deal": (
        setting("conversions", 2, "collaboration_id", "none"),
        "conversions.collaboration_id: 1 row is not among the collaboration_ids of collaborations, first row 3: "
        "received 'none'. Add the collaboration, or leave its conversions out.",
    ),
    "year 1970": (
        setting("posts", 0, "posted_at", pd.Timestamp("1970-01-01T00:20:00Z")),
        f"posts.posted_at: 1 row is {SPAN}, first row 1 (post_id 'p0'): received 1970-01-01 00:20:00. {FORMAT}",
    ),
    "year 2262": (
        setting("comments", 9, "commented_at", pd.Timestamp("2262-04-11T00:00:00Z")),
        f"comments.commented_at: 1 row is {SPAN}, first row 10 (comment_id 'k9'): "
        f"received 2262-04-11 00:00:00. {FORMAT}",
    ),
    "counted before the deal began": (
        setting("collaborations", 5, "observed_until", pd.Timestamp("2025-02-14T11:59:59Z")),
        "collaborations.observed_until: 1 row is before starts_at, first row 6 (collaboration_id 'r5'): "
        "received 2025-02-14 11:59:59 with starts_at 2025-02-14 12:00:00. "
        "Conversions are counted from the start on; leave out deals that have not begun.",
    ),
    "conversions before the start": (
        setting("conversions", 0, "date", date(2025, 1, 9)),
        "conversions.date: 1 row is before the collaboration's starts_at, first row 1 (collaboration_id 'r0'): "
        "received 2025-01-09 with collaborations.starts_at 2025-01-10 12:00:00. "
        "Conversions are counted from the start on, by days of UTC.",
    ),
    "conversions after the count": (
        setting("conversions", 2, "date", date(2025, 7, 1)),
        "conversions.date: 1 row is after the collaboration's observed_until, first row 3 (collaboration_id 'r2'): "
        "received 2025-07-01 with collaborations.observed_until 2025-03-05 12:00:00. "
        "Set observed_until to when the conversions were last counted, in UTC.",
    ),
    "listed above the count": (
        setting("conversions", 2, "conversions", 8),
        "collaborations.conversions: 1 row is not what the conversions table adds up to, first row 3 "
        f"(collaboration_id 'r2'): received 7 with conversions.conversions 8. {LISTED}",
    ),
    "listed below the count": (
        setting("conversions", 0, "conversions", 0),
        "collaborations.conversions: 1 row is not what the conversions table adds up to, first row 1 "
        f"(collaboration_id 'r0'): received 3 with conversions.conversions 2. {LISTED}",
    ),
    "negative likes": (
        setting("posts", 3, "likes", -3),
        "posts.likes: 1 row is below 0, first row 4 (post_id 'p3'): received -3. "
        "It is a number of likes; leave it empty where it is not known.",
    ),
    "no promotion": (
        setting("collaborations", 0, "promotion_hours", 0.0),
        "collaborations.promotion_hours: 1 row is not above 0, first row 1 (collaboration_id 'r0'): received 0.0. "
        "It is how many hours link, code or post stay live.",
    ),
}


@pytest.mark.parametrize("case", VALUES)
def test_values_out_of_the_contract_are_reported(case: str, tmp_path: Path) -> None:
    damage, expected = VALUES[case]
    assert lines(write(tmp_path, damaged(damage, expected.split(".")[0]))) == [expected]


@pytest.mark.long
def test_csv_gives_the_same_faults_as_parquet(tmp_path: Path) -> None:
    tables = frames()
    for damage, _ in VALUES.values():
        damage(tables)
    from_parquet = lines(write(tmp_path / "parquet", tables))
    assert len(from_parquet) == 16
    assert lines(write(tmp_path / "csv", tables, "csv")) == from_parquet


UNREADABLE = {
    "text for a number": (
        setting("collaborations", 1, "spend", "cheap"),
        "collaborations.spend: 1 row is unreadable as a number, first row 2 (collaboration_id 'r1'): "
        f"received 'cheap'. {NUMBERS}",
    ),
    "decimal comma": (
        setting("collaborations", 1, "spend", "250,5"),
        "collaborations.spend: 1 row is unreadable as a number, first row 2 (collaboration_id 'r1'): "
        f"received '250,5'. {NUMBERS}",
    ),
    "not a number": (
        setting("collaborations", 1, "spend", "NaN"),
        "collaborations.spend: 1 row is not a finite number, first row 2 (collaboration_id 'r1'): "
        f"received nan. {SPEND}",
    ),
    "infinity": (
        setting("collaborations", 1, "revenue", "inf"),
        "collaborations.revenue: 1 row is not a finite number, first row 2 (collaboration_id 'r1'): "
        "received inf. It is revenue attributed; leave the cell empty where it is not known.",
    ),
    "fractional conversions": (
        setting("collaborations", 4, "conversions", "1.5"),
        "collaborations.conversions: 1 row is unreadable as a whole number, first row 5 (collaboration_id 'r4'): "
        "received '1.5'. Write whole numbers as 1234, without separators.",
    ),
    "American date": (
        setting("posts", 1, "posted_at", "12/31/2024"),
        "posts.posted_at: 1 row is unreadable as a date and time, first row 2 (post_id 'p1'): "
        "received '12/31/2024'. Write ISO 8601: 2025-03-31T18:00:00Z or 2025-03-31 18:00.",
    ),
    "neither true nor false": (
        setting("posts", 1, "is_sponsored", "paid"),
        "posts.is_sponsored: 1 row is unreadable as true or false, first row 2 (post_id 'p1'): "
        "received 'paid'. Write true or false, or 1 or 0.",
    ),
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_values_that_cannot_be_read_are_reported(case: str, tmp_path: Path) -> None:
    damage, expected = UNREADABLE[case]
    assert lines(write(tmp_path, damaged(damage, expected.split(".")[0]), "csv")) == [expected]


def test_floats_of_parquet_that_are_no_numbers_are_reported(tmp_path: Path) -> None:
    folder = write(tmp_path, frames())
    table = pa.Table.from_pandas(frames()["collaborations"], preserve_index=False)
    for column, values in {"spend": [np.nan, 1, 2, np.inf, 3, -np.inf], "conversions": [3, 0, 7, 12, 1.5, 2]}.items():
        table = table.set_column(table.schema.get_field_index(column), column, pa.array(np.array(values)))
    pq.write_table(table, folder / "collaborations.parquet")
    assert [(f.column, f.rows, f.received, f.problem) for f in faults(folder)] == [
        ("spend", 3, "nan", "not a finite number"),
        ("spend", 1, "-inf", "not above 0"),
        ("conversions", 1, "1.5", "unreadable as a whole number"),
    ]


def test_a_column_of_another_type_is_reported(tmp_path: Path) -> None:
    tables = frames()
    tables["creators"]["followers"] = pd.Timestamp("2025-01-01")
    tables["comments"]["commented_at"] = range(10)
    assert lines(write(tmp_path, tables)) == [
        "creators.followers: 4 rows are unreadable as a whole number, first row 1 (creator_id 'c0'): "
        "received 2025-01-01 00:00:00. Write whole numbers as 1234, without separators.",
        "comments.commented_at: 10 rows are unreadable as a date and time, first row 1 (comment_id 'k0'): "
        "received 0. Write ISO 8601: 2025-03-31T18:00:00Z or 2025-03-31 18:00.",
    ]


def test_comments_must_lead_to_a_creator(tmp_path: Path) -> None:
    tables = frames()
    setting("comments", 3, "creator_id", None)(tables)
    setting("comments", 8, "creator_id", None)(tables)
    tables["posts"] = tables["posts"].iloc[:2]
    expected = (
        "comments.post_id: 1 row is not among the post_ids of posts, first row 4 (comment_id 'k3'): received 'p3'. "
        "Say whose post it was written under: fill creator_id, or add the post."
    )
    assert lines(write(tmp_path / "some", tables)) == [expected]
    del tables["posts"]
    tables["comments"] = tables["comments"].drop(columns="creator_id")
    (fault,) = faults(write(tmp_path / "all", tables))
    assert (fault.column, fault.rows, fault.received) == ("post_id", 10, "'p0'")


def test_all_faults_are_reported_at_once_in_the_order_of_tables(tmp_path: Path) -> None:
    tables = frames()
    for damage in (VALUES["negative spend"][0], VALUES["year 1970"][0], VALUES["key without a value"][0]):
        damage(tables)
    setting("collaborations", 2, "spend", -7.0)(tables)
    tables["comments"] = tables["comments"].drop(columns="text")
    assert [(f.where, f.column, f.rows) for f in faults(write(tmp_path, tables))] == [
        ("collaborations", "spend", 2),
        ("creators", "platform", 1),
        ("posts", "posted_at", 1),
        ("comments", "text", None),
    ]


def test_missing_tables_and_columns_are_reported(tmp_path: Path) -> None:
    tables = frames()
    tables["collaborations"] = tables["collaborations"].rename(columns={"spend": "Spend"}).drop(columns="brand")
    del tables["creators"]
    folder = write(tmp_path, {k: tables[k] for k in ("collaborations",)})
    assert lines(folder) == [
        "collaborations.brand: the column is missing. Add it: whose product is promoted.",
        "collaborations.spend: the column is missing. Rename 'Spend': names of columns are exact.",
        "creators: the table is missing: received a folder with collaborations.parquet. Put one of creators.parquet, "
        "creators.csv, creators.csv.gz, creators/, creators.sql into the folder.",
    ]


def test_empty_tables_are_reported_unless_they_are_optional(tmp_path: Path) -> None:
    tables = {table: frame.iloc[:0] for table, frame in frames().items()}
    for form in ("parquet", "csv"):
        assert lines(write(tmp_path / form, tables, form)) == [
            "collaborations: the table has no rows. Export it again with its rows.",
            "creators: the table has no rows. Export it again with its rows.",
        ]


def test_too_little_to_learn_from_is_reported(tmp_path: Path) -> None:
    tables = frames()
    del tables["conversions"]
    tables["collaborations"] = tables["collaborations"].assign(conversions=0).iloc[:1]
    with open_history(write(tmp_path / "little", tables), threads=1) as history:
        assert [str(fault) for fault in check_trainable(history.collaborations)] == [
            "collaborations: too few results to learn from: 1. "
            "A model needs 2 past collaborations at the very least, and hundreds to be of use.",
            "collaborations.conversions: no collaboration has any conversion. "
            "Check that conversions were attributed to the collaborations.",
        ]
    with open_history(write(tmp_path / "enough", frames()), threads=1) as history:
        assert check_trainable(history.collaborations) == []


def list_faults(folder: Path, table: pd.DataFrame, name: str = "candidates.csv") -> list[str]:
    folder.mkdir()
    if name.endswith(".csv"):
        table.to_csv(folder / name, index=False)
    else:
        table.to_parquet(folder / name, index=False)
    try:
        with open_history(write(folder / "data", frames()), threads=1) as history:
            open_candidates(history, folder / name)
    except InputError as error:
        return [str(fault) for fault in error.faults]
    return []


def test_candidates_with_faults_are_reported(tmp_path: Path) -> None:
    outcomes = {"conversions": 1, "observed_until": 1, "clicks": 1, "revenue": 1, "coupon_redemptions": 1}
    remedy = "Leave the column out: candidates have no results yet."
    assert list_faults(tmp_path / "outcomes", candidates().assign(**outcomes)) == [
        f"candidates.{column}: it cannot be known beforehand. {remedy}" for column in outcomes
    ]
    assert list_faults(tmp_path / "scores", candidates().assign(rank=1)) == [
        "candidates.rank: it is the name of a score. Rename the column, or leave it out."
    ]
    damaged = candidates().assign(candidate_id=["a", "b", "a"], spend=[1.0, 0.0, -1.0]).drop(columns="brand")
    assert list_faults(tmp_path / "several", damaged, "candidates.parquet") == [
        "candidates.brand: the column is missing. Add it: whose product is promoted.",
        "candidates.spend: 2 rows are not above 0, first row 2 (candidate_id 'b'): received 0.0. "
        "Spend is the quote in all, in US dollars; it cannot be 0.",
        "candidates.candidate_id: 1 row is repeating the key of an earlier row, first row 3: "
        f"received 'a' of row 1 again. {AGAIN}",
    ]
    assert list_faults(tmp_path / "none", candidates().iloc[:0])[0].startswith("candidates: the table has no rows.")
    with open_history(write(tmp_path / "data", frames()), threads=1) as history:
        for name, problem in {"a.xlsx": "its ending is unknown", "a.csv": "there is no such file"}.items():
            with pytest.raises(InputError, match=problem):
                open_candidates(history, tmp_path / name)


DAMAGES: dict[str, list[str | None]] = {
    "text": [None],
    "number": ["x", "inf", "-1", "1,5"],
    "hours": ["x", "-inf", "0", "2400001"],
    "count": ["x", "1.5", "-1", "1e400", "9007199254740992"],
}
DAMAGES |= {
    "prose": [None],
    "time": ["soon", "1970-01-01", "2262-04-11"],
    "date": ["soon", "1969-12-31"],
    "flag": ["perhaps", "2"],
}
CELLS = [
    (table, column)
    for table, frame in frames().items()
    for column in frame.columns
    if TABLES[table].columns[column].metadata["kind"] not in ("text", "prose") or TABLES[table].columns[column].required
]


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_cell_is_named_with_its_place(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    table, column = data.draw(st.sampled_from(CELLS))
    row = data.draw(st.integers(0, len(frames()[table]) - 1))
    value = data.draw(st.sampled_from(DAMAGES[TABLES[table].columns[column].metadata["kind"]]))
    tables = damaged(setting(table, row, column, value), table)
    found = faults(write(tmp_path_factory.mktemp("damaged"), tables, "csv"))
    here = [fault for fault in found if (fault.where, fault.column, fault.rows) == (table, column, 1)]
    assert any(fault.first is not None and fault.first.split(" (")[0] == f"row {row + 1}" for fault in here), found
