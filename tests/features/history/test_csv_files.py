"""Every line of a CSV is a row, or the one fault that says which line is none and why."""

import gzip
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from features.faults import InputError
from features.history.source import open_candidates, open_history
from tests.support.contract_tables import candidates, frames, write

pytestmark = pytest.mark.slow  # each opens a history anew

HEADER = b"post_id,creator_id,posted_at,likes,caption\n"
ROWS = b"p1,c1,2025-01-01,9,hi\np2,c2,2025-01-02,8,yo\n"


def opened(folder: Path, name: str, content: bytes) -> list[dict[str, object]] | str:
    """Rows of posts with `name` beside collaborations and creators; the faults where it is refused."""
    write(folder, {table: frames()[table] for table in ("collaborations", "creators")})
    (folder / name).write_bytes(content)
    try:
        with open_history(folder, threads=1) as history:
            assert history.posts is not None
            return list(history.posts.order_by("post_id").to_pyarrow().to_pylist())
    except InputError as error:
        return str(error)


def captions(read: list[dict[str, object]] | str) -> list[object]:
    assert not isinstance(read, str), read
    return [row["caption"] for row in read]


READ = {
    "a header with a line break": (
        b'post_id,creator_id,posted_at,caption,"Reach\n(Avg.)"\r\np1,c1,2025-01-01,hi,5\r\n',
        ["hi"],
    ),
    "CR alone": ((HEADER + ROWS).replace(b"\n", b"\r"), ["hi", "yo"]),
    "CRLF below LF": (HEADER + ROWS.replace(b"\n", b"\r\n"), ["hi", "yo"]),
    "LF below CRLF": (HEADER.replace(b"\n", b"\r\n") + ROWS, ["hi", "yo"]),
    "a quoted CR": (HEADER + b'p1,c1,2025-01-01,9,"a\rb"\np2,c2,2025-01-02,8,"c\r\nd"\n', ["a\rb", "c\r\nd"]),
    "no end of the last line": ((HEADER + ROWS)[:-1], ["hi", "yo"]),
    "blank lines": (HEADER + b"\n" + ROWS + b"  \n\r\n", ["hi", "yo"]),
    "an unnamed index": (b",post_id,creator_id,posted_at,caption\n0,p1,c1,2025-01-01,hi\n", ["hi"]),
    "commas at the end of all lines": ((HEADER + ROWS).replace(b"\n", b",,\n"), ["hi", "yo"]),
    "inches": (HEADER + b'p1,c1,2025-01-01,9,6" tall\n', ['6" tall']),
    "a text longer than a buffer": (HEADER + b"p1,c1,2025-01-01,9," + b"x" * 400_000 + b"\n", ["x" * 400_000]),
    "no rows": (HEADER, []),
}


@pytest.mark.parametrize("case", READ)
def test_a_csv_is_read_whole(case: str, tmp_path: Path) -> None:
    content, expected = READ[case]
    assert captions(opened(tmp_path / "plain", "posts.csv", content)) == expected
    packed = gzip.compress(content[:9]) + gzip.compress(content[9:])
    assert captions(opened(tmp_path / "packed", "posts.csv.gz", packed)) == expected


REFUSED = {
    "a bare CR": (
        HEADER + b"p1,c1,2025-01-01,9,a\rb\n" + ROWS,
        "line 3 of posts.csv has 1 column where the header has 5: received 'b'. "
        "Delete the line if it is a remark or a sum; put values that hold a line break into double quotes.",
    ),
    "a short row": (HEADER + ROWS + b"p3,c1\n", "line 4 of posts.csv has 2 columns where the header has 5"),
    "a long row": (HEADER + ROWS + b"p3,c1,2025-01-03,1,2,x\n", "line 4 of posts.csv has 6 columns"),
    "a long row far below": (HEADER + ROWS * 20_000 + b"p3,c1,2025-01-03,1,2,x\n", "line 40002 of posts.csv has 6"),
    "an open quote": (
        HEADER + b'p1,c1,2025-01-01,9,"hi\n' + ROWS,
        "the value in double quotes that begins in line 2 of posts.csv does not end",
    ),
    "text after a quote": (
        HEADER + ROWS + b'p3,c1,2025-01-01,9,"say \\"x\\""\n',
        "line 4 of posts.csv has text after a closing double quote",
    ),
    "a zero byte": (HEADER + ROWS + b"p3\0,c1,2025-01-01,9,x\n", "line 4 of posts.csv holds a zero byte"),
    "Windows-1252 far below": (
        HEADER + ROWS * 20_000 + "p3,c1,2025-01-01,9,“x”\n".encode("cp1252"),
        "posts.csv is not encoded in UTF-8: see line 40002",
    ),
    "UTF-32": ((HEADER + ROWS).decode().encode("utf-32"), "posts.csv is text in UTF-32"),
    "tabs": ((HEADER + ROWS).replace(b",", b"\t"), "posts.csv is separated by tabs"),
    "a blank line above the names": (
        b"\n,,,,\n" + HEADER + ROWS,
        "the names of columns stand in line 3 of posts.csv, not in its first: received ''. Delete the 2 lines above",
    ),
    "a blank before quotes": (
        HEADER + b'p1, c1, 2025-01-01, 9, "a, b"\n',
        "line 2 of posts.csv has 6 columns where the header has 5: received "
        """'p1, c1, 2025-01-01, 9, "a, b"'. Delete the blanks before opening double quotes""",
    ),
    "semicolons below sep=": (
        b"sep=;\n" + (HEADER + ROWS).replace(b",", b";"),
        "posts.csv is separated by ';', not by commas",
    ),
    "a workbook": (b"PK\x03\x04rest", "posts.csv is an Excel workbook or a ZIP archive"),
    "a page": (b"\n<!DOCTYPE html>\n<html>", "posts.csv is a web page or XML"),
    "Parquet": (b"PAR1xxxx", "posts.csv is a Parquet file. Rename it to posts.parquet."),
    "gzip": (gzip.compress(HEADER), "posts.csv is compressed by gzip"),
    "JSON": (b'[{"post_id": 1}]', "posts.csv is JSON"),
    "a pointer": (b"version https://git-lfs.github.com/spec/v1\noid x\n", "posts.csv is a pointer of Git LFS"),
    "no names": (b" \n" + ROWS, "posts.csv has no names of columns in its first line"),
    "a preamble": (
        b"Report of Acme,,,,\nfrom 2025,,,,\n\n" + HEADER + ROWS,
        "the names of columns stand in line 4 of posts.csv, not in its first: received 'Report of Acme,,,,'. "
        "Delete the 3 lines above them.",
    ),
    "a preamble above foreign names": (
        b"Report\nPost ID,Influencer,Post Date\n1,2,3\n",
        "the names of columns stand in line 2 of posts.csv, not in its first",
    ),
    "a short total": (HEADER + ROWS + b"Total,17\n", "line 4 of posts.csv has 2 columns where the header has 5"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_row_is_one_fault(case: str, tmp_path: Path) -> None:
    content, expected = REFUSED[case]
    found = opened(tmp_path, "posts.csv", content)
    assert isinstance(found, str)
    assert len(found.splitlines()) == 1
    assert found.startswith(f"posts: {expected}")


def test_gzip_that_is_not_whole_is_refused(tmp_path: Path) -> None:
    packed = gzip.compress(HEADER + ROWS * 500)
    for name, content, expected in (
        ("short", packed[:-20], "posts.csv.gz is cut off: its end is missing"),
        ("sum", packed[:-8] + b"12345678", "posts.csv.gz is no whole gzip file"),
        ("plain", HEADER + ROWS, "posts.csv.gz is no whole gzip file"),
        (
            "twice",
            gzip.compress(packed),
            "posts.csv.gz unpacks to something that is compressed by gzip. Pack a CSV file",
        ),
        ("more", packed + b"more", "posts.csv.gz is no whole gzip file"),
    ):
        found = opened(tmp_path / name, "posts.csv.gz", content)
        assert isinstance(found, str)
        assert found.startswith(f"posts: {expected}")


STRAY = {
    "a total": (b"Total,,,17,\n", "1 row is a total, not a row of data, first row 3: received 'Total'."),
    "blank rows": (b",,,,\n,,,,\n", "2 rows are blank, first row 3. Delete these rows."),
    "names again": (
        HEADER,
        "1 row is no data but the names of the columns again, first row 3: received 'post_id'.",
    ),
    "a remark": (b"Made by X,,,,\n", "1 row is without most of its 3 required values, first row 3"),
    "units": (b"id,c1,UTC,#,text\n", None),
}


@pytest.mark.parametrize("case", STRAY)
def test_a_row_that_is_no_data_is_one_fault(case: str, tmp_path: Path) -> None:
    line, expected = STRAY[case]
    found = opened(tmp_path, "posts.csv", HEADER + ROWS + line)
    assert isinstance(found, str)
    if expected is None:  # only two columns: a fault each
        assert [one.split(":")[0] for one in found.splitlines()] == ["posts.posted_at", "posts.likes"]
    else:
        assert len(found.splitlines()) == 1
        assert found.startswith(f"posts: {expected}")


def test_units_below_the_names_are_one_fault(tmp_path: Path) -> None:
    data = write(tmp_path, frames(), "csv")
    lines = (data / "collaborations.csv").read_text().splitlines()
    lines.insert(1, "id,c1,name,name,UTC,h,#,USD,#,UTC,USD")
    (data / "collaborations.csv").write_text("\n".join(lines))
    with pytest.raises(InputError) as raised, open_history(data, threads=1):
        pass
    (fault,) = raised.value.faults
    assert str(fault).startswith(
        "collaborations: 1 row is unreadable in 7 columns, first row 1 (collaboration_id 'id'): "
        "received starts_at 'UTC', promotion_hours 'h', deliverables '#'"
    )


def test_totals_of_parquet_are_one_fault(tmp_path: Path) -> None:
    tables = frames()
    total = pd.DataFrame({"collaboration_id": ["Grand total"], "spend": [1430.5], "conversions": [25]})
    tables["collaborations"] = pd.concat([tables["collaborations"], total], ignore_index=True)
    with pytest.raises(InputError) as raised, open_history(write(tmp_path, tables), threads=1):
        pass
    assert [str(fault) for fault in raised.value.faults] == [
        "collaborations: 1 row is a total, not a row of data, first row 7: received 'Grand total'. "
        "Delete these rows: a table holds only data."
    ]


@pytest.mark.parametrize(
    ("file", "cure"),
    {
        "posts.CSV": "Rename it to posts.csv: names are exact.",
        "Posts.parquet": "Rename it to posts.parquet: names are exact.",
        "posts.xlsx": "Make it one of posts.parquet, posts.csv, posts.csv.gz, posts/, posts.sql.",
        "posts.csv.zip": "Make it one of posts.parquet, posts.csv, posts.csv.gz, posts/, posts.sql.",
        "posts.tsv": "Make it one of posts.parquet, posts.csv, posts.csv.gz, posts/, posts.sql.",
    }.items(),
)
def test_an_optional_table_in_a_form_that_is_not_read_is_refused(file: str, cure: str, tmp_path: Path) -> None:
    problem = f"posts: {file} is there, but no form in which the table is read."
    assert opened(tmp_path, file, HEADER + ROWS) == f"{problem} {cure}"


def carried(folder: Path, content: str) -> pa.Table:
    folder.mkdir()
    (folder / "list.csv").write_text(content)
    with open_history(write(folder / "data", frames()), threads=1) as history:
        return pa.Table.from_batches(list(open_candidates(history, folder / "list.csv").batches(10)))


def test_unnamed_columns_of_candidates_are_named_by_their_place(tmp_path: Path) -> None:
    once = candidates().to_csv()
    table = carried(tmp_path / "once", once)
    assert table["Unnamed: 0"].to_pylist() == ["0", "1", "2"]
    assert table["candidate_id"].to_pylist() == ["a", "b", "c"]
    (tmp_path / "once.csv").write_text(once)
    table = carried(tmp_path / "twice", pd.read_csv(tmp_path / "once.csv").to_csv())
    assert {"Unnamed: 0", "Unnamed: 0.1"} <= set(table.column_names)
    table = carried(tmp_path / "empty", candidates().to_csv(index=False).replace("\n", ",\n"))
    assert not any(name.startswith("Unnamed") for name in table.column_names)


@pytest.mark.parametrize(
    ("content", "cure"),
    [
        (b"PAR1", "is a Parquet file. Rename it to list.parquet."),
        (b'[{"a": 1}]', "is JSON. Save it as CSV or Parquet."),
        (b"\x1f\x8b\x08", "is compressed by gzip. Unpack it first."),
        (b"candidate_id;creator_id\na;c0\n", "commas between columns and points in decimals."),
    ],
)
def test_the_cure_of_a_list_is_none_that_lists_do_not_have(content: bytes, cure: str, tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_bytes(content)
    data = write(tmp_path / "data", frames())
    with open_history(data, threads=1) as history, pytest.raises(InputError) as raised:
        open_candidates(history, tmp_path / "list.csv")
    assert str(raised.value).endswith(cure)
