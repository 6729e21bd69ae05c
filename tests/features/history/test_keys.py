"""Keys and names meet their like in every type; those that meet nothing are said, with what they resemble."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.faults import InputError
from features.history.casting import read_key
from features.history.source import open_candidates, open_history
from service.api.request_values import as_text
from tests.support.contract_tables import Frames, candidates, frames, write

pytestmark = pytest.mark.slow  # each opens a history anew

NFC, NFD = "café", "cafe\u0301"


def numbered() -> Frames:
    """Creators 10 to 13, so that a zero at the end is seen too."""
    tables = frames()
    for name in ("creators", "collaborations", "posts", "comments"):
        tables[name]["creator_id"] = tables[name]["creator_id"].str.replace("c", "1")
    return tables


FORMS = {
    "int": pa.array([10, 11, 12, 13]),
    "int8": pa.array([10, 11, 12, 13], pa.int8()),
    "uint64": pa.array([10, 11, 12, 13], pa.uint64()),
    "double": pa.array([10.0, 11.0, 12.0, 13.0]),
    "float": pa.array([10.0, 11.0, 12.0, 13.0], pa.float32()),
    "decimal": pa.array([Decimal("10.00"), Decimal("11.00"), Decimal("12.00"), Decimal("13.00")]),
    "wide decimal": pa.array([Decimal(10), Decimal(11), Decimal(12), Decimal(13)], pa.decimal128(38, 0)),
    "text": pa.array(["10", "11", "12", "13"]),
    "decimal text": pa.array(["10.0", "11.00", "12.000", "13"]),
    "dictionary": pa.array(["10", "11.0", "12", "13"]).dictionary_encode(),
    "large text": pa.array(["10", "11", "12", "13"], pa.large_string()),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_whole_number_is_one_key_in_every_type(form: str, tmp_path: Path) -> None:
    creators = pa.Table.from_pandas(numbered()["creators"], preserve_index=False)
    write(tmp_path, {"collaborations": numbered()["collaborations"]})
    pq.write_table(creators.set_column(0, "creator_id", FORMS[form]), tmp_path / "creators.parquet")
    with open_history(tmp_path, threads=1) as history:
        assert history.creators.creator_id.to_pyarrow().to_pylist() == ["10", "11", "12", "13"]


def test_ids_that_pandas_made_floats_meet_those_of_other_tables(tmp_path: Path) -> None:
    """A column with gaps goes to CSV as 10.0, 11.0, …"""
    listed = candidates().assign(creator_id=[10.0, 13.0, 11.0], product_country=[1.0, float("nan"), 2.0])
    listed.to_csv(tmp_path / "candidates.csv", index=False)
    assert "10.0" in (tmp_path / "candidates.csv").read_text()
    with open_history(write(tmp_path, numbered(), "csv"), threads=1) as history:
        opened = open_candidates(history, tmp_path / "candidates.csv")
        (batch,) = opened.batches(10)
        assert batch["creator_id"].to_pylist() == ["10", "13", "11"]
        assert batch["product_country"].to_pylist() == ["1", None, "2"]
        assert opened.notes == ()


READ: dict[str, str | None] = {
    "17.00": "17", "17.": "17.", "-17.0": "-17", "0.0": "0", "-0.0": "-0.0", "007": "007", "007.0": "007.0",
    "17.50": "17.50", "1.7e1": "1.7e1", "1e5": "1e5", "v1.0": "v1.0", "1.0.0": "1.0.0", ".0": ".0", " 17.0": " 17.0",
    "17,00": "17,00", "１７.0": "１７.0", NFD: NFC, NFC: NFC, "12345678901234567890.0": "12345678901234567890",
    " ": None, "\t\n": None, "": None, "x ": "x ",
}  # fmt: skip


def test_a_text_is_read_as_one_key_by_files_frames_and_requests(tmp_path: Path) -> None:
    tables = {
        "creators": pd.DataFrame({"creator_id": range(len(READ)), "platform": "x", "niche": "y", "country": list(READ)})
    }
    tables["collaborations"] = frames()["collaborations"].assign(creator_id="0")
    with open_history(write(tmp_path, tables), threads=1) as history:
        found = history.creators.order_by(history.creators.creator_id.cast("int64")).country.to_pyarrow().to_pylist()
    assert dict(zip(READ, found, strict=True)) == READ
    assert {text: read_key(text) or None for text in READ} == READ
    assert {text: as_text(text) or None for text in READ} == READ
    assert [as_text(17), as_text(17.0)] == ["17", "17"]


def test_a_key_that_a_float_cannot_hold_is_refused(tmp_path: Path) -> None:
    tables = frames()
    tables["creators"] = tables["creators"].assign(creator_id=[17841405822339456.0, 1.0, 2.0, 3.5])
    with pytest.raises(InputError) as raised, open_history(write(tmp_path, tables), threads=1):
        pass
    faults = {str(fault).partition(". ")[0] for fault in raised.value.faults if fault.where == "creators"}
    assert faults == {
        "creators.creator_id: 1 row is beyond what a float holds to the last digit, first row 1: "
        "received 1.7841405822339456e+16",
        "creators.creator_id: 1 row is unreadable as a text, first row 4: received 3.5",
    }


def test_a_key_that_a_float_of_32_bits_cannot_hold_is_refused(tmp_path: Path) -> None:
    key = 2**24 + 1
    write(tmp_path, {"collaborations": frames()["collaborations"].assign(creator_id=str(2**24))})
    creators = pa.Table.from_pandas(frames()["creators"][:1], preserve_index=False)
    single = pa.array([float(key)]).cast(pa.float32(), safe=False)
    pq.write_table(creators.set_column(0, "creator_id", single), tmp_path / "creators.parquet")
    with pytest.raises(InputError, match="beyond what a float holds to the last digit"):
        open_history(tmp_path, threads=1).__enter__()


def test_names_in_other_forms_of_unicode_are_one(tmp_path: Path) -> None:
    tables = frames()
    tables["creators"]["niche"], tables["collaborations"]["product_niche"] = NFC, NFD
    tables["posts"]["niche"], tables["comments"]["text"] = NFD, NFD
    with open_history(write(tmp_path, tables), threads=1) as history:
        assert history.posts is not None
        assert history.comments is not None
        for column in (history.creators.niche, history.collaborations.product_niche, history.posts.niche):
            assert set(column.to_pyarrow().to_pylist()) == {NFC}
        assert set(history.comments.text.to_pyarrow().to_pylist()) == {NFD}  # prose stays as it is
        assert history.notes == ()


def test_names_that_differ_in_case_or_blanks_are_said_with_their_counts(tmp_path: Path) -> None:
    tables = frames()
    tables["creators"]["niche"] = ["fitness", "Fitness", "food", "art"]
    tables["posts"]["niche"] = "fitness "
    with open_history(write(tmp_path, tables), threads=1) as history:
        assert history.notes == (
            "niche: 1 name is written in several ways, which count as different names: "
            "'Fitness' (1 row) and 'fitness' (7 rows) and 'fitness ' (8 rows)",
        )


SLIPS: dict[str, tuple[Callable[[str], str], str]] = {
    "at": (lambda key: f"@{key}", "'@c0' looks like 'c0'"),
    "blank": (lambda key: f"{key} ", "'c0 ' looks like 'c0'"),
    "case": (str.upper, "'C0' looks like 'c0'"),
    "zeros": (lambda key: f"c-{key[1:]}", "'c-0' looks like 'c0'"),
    "link": (lambda key: f"https://example.com/{key}/", "'https://example.com/c0/' looks like 'c0'"),
    "link with a query": (lambda key: f"https://www.tiktok.com/@{key}?lang=en", "?lang=en' looks like 'c0'"),
    "link to a post": (lambda key: f"https://www.tiktok.com/@{key}/video/7?is=1", "/video/7?is=1' looks like 'c0'"),
    "link to a tab": (lambda key: f"www.instagram.com/{key}/reels/", "'www.instagram.com/c0/reels/' looks like 'c0'"),
    "broken link": (lambda key: f"https://x.com/%ff/{key}", "'https://x.com/%ff/c0' looks like 'c0'"),
    "full width": (lambda key: f"ｃ{key[1:]}", "'ｃ0' looks like 'c0'"),
    "Cyrillic": (lambda key: f"\u0441{key[1:]}", "'\u04410' looks like 'c0'"),
    "styled": (lambda key: f"𝓬{key[1:]}", "'𝓬0' looks like 'c0'"),
    "other": (lambda key: f"id{key[1:]}x", "such as 'id0x'; there it is written 'c0'"),
}


@pytest.mark.parametrize("slip", SLIPS)
def test_a_list_whose_creators_are_unknown_says_so_with_the_nearest_forms(slip: str, tmp_path: Path) -> None:
    change, said = SLIPS[slip]
    listed = candidates().assign(creator_id=[change("c0"), change("c1"), "c2"], brand=["Ash", "new", "ash"])
    listed.to_parquet(tmp_path / "candidates.parquet")
    with open_history(write(tmp_path, frames()), threads=1) as history:
        opened = open_candidates(history, tmp_path / "candidates.parquet")
    creators, brands = opened.notes
    assert creators.startswith("candidates.creator_id: 2 of 3 rows (67 %) name none of DATA's creators: ")
    assert said in creators
    assert brands.endswith("name none of the collaborations' values of brand: 'Ash' looks like 'ash'")


@pytest.mark.parametrize("given", ["1.23E+17", "1.2e17", "1.23456789012346E+17", "123456789012345000"])
def test_numbers_that_a_spreadsheet_rounded_show_what_they_may_have_been(given: str, tmp_path: Path) -> None:
    tables = frames()
    for name in ("creators", "collaborations", "posts", "comments"):
        tables[name]["creator_id"] = tables[name]["creator_id"].replace({"c0": "123456789012345678"})
    candidates().assign(creator_id=given).to_csv(tmp_path / "candidates.csv", index=False)
    with open_history(write(tmp_path, tables), threads=1) as history:
        (note,) = open_candidates(history, tmp_path / "candidates.csv").notes
    assert note.endswith(f"name none of DATA's creators: '{given}' looks like '123456789012345678'")


def test_a_few_unknown_names_give_no_note(tmp_path: Path) -> None:
    candidates().assign(brand="new").to_parquet(tmp_path / "candidates.parquet")
    with open_history(write(tmp_path, frames()), threads=1) as history:
        assert open_candidates(history, tmp_path / "candidates.parquet").notes == ()


def test_a_fault_of_keys_shows_the_nearest_forms(tmp_path: Path) -> None:
    tables = frames()
    tables["conversions"]["collaboration_id"] = tables["conversions"]["collaboration_id"] + " "
    write(tmp_path, tables)
    with pytest.raises(InputError, match=r"'r0 ' looks like 'r0'; 'r2 ' looks like 'r2'\. Add the collaboration"):
        open_history(tmp_path, threads=1).__enter__()


def test_comments_that_name_no_post_are_said(tmp_path: Path) -> None:
    tables = frames()
    tables["comments"]["post_id"] = "#" + tables["comments"]["post_id"]
    with open_history(write(tmp_path, tables), threads=1) as history:
        (note,) = history.notes
    assert note.startswith("comments.post_id: 10 of 10 rows (100 %) name none of the posts: '#p0' looks like 'p0'")


def test_keys_of_a_database_meet_those_of_a_list(tmp_path: Path) -> None:
    """Enums, huge whole numbers and universally unique ids."""
    one, two = "5a1d2f00-0000-4000-8000-000000000001", str(2**100)
    candidates().iloc[:2].assign(creator_id=[one, two]).to_csv(tmp_path / "candidates.csv", index=False)
    write(tmp_path, {"collaborations": frames()["collaborations"].assign(creator_id=one)})
    with duckdb.connect(tmp_path / "history.db") as connection:
        connection.execute(f"CREATE TABLE collaborations AS FROM '{tmp_path}/collaborations.parquet'")
        connection.execute("CREATE TYPE kind AS ENUM ('x', 'y')")
        for column, value in {"UUID": one, "HUGEINT": two}.items():
            connection.execute(
                f"CREATE OR REPLACE TABLE creators AS SELECT CAST('{value}' AS {column}) AS creator_id, "
                "CAST('x' AS kind) AS platform, 'fitness' AS niche"
            )
            connection.execute(f"UPDATE collaborations SET creator_id = '{value}'")
            connection.execute("CHECKPOINT")
            connection.close()
            with open_history(f"duckdb://{tmp_path}/history.db", threads=1) as history:
                found = history.creators.select("creator_id", "platform").to_pyarrow().to_pylist()
                assert found == [{"creator_id": value, "platform": "x"}]
            connection = duckdb.connect(tmp_path / "history.db")
        connection.close()
