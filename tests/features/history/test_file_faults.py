"""Files and places that cannot be read are named, with what to do."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.contract_faults import lines
from tests.support.contract_tables import frames, write

pytestmark = pytest.mark.slow  # each opens a history anew


def with_file(folder: Path, name: str, content: bytes) -> Path:
    """A history in which the file `name` replaces its table."""
    tables = {"collaborations": frames()["collaborations"]}
    (write(folder, tables) / name).write_bytes(content)
    return folder


CREATORS = frames()["creators"].to_csv(index=False).encode()
FILES = {
    "empty file": ("creators.csv", b"", "creators: creators.csv is empty. Export it again"),
    "empty Parquet": ("creators.parquet", b"", "creators: creators.parquet is empty. Export it again"),
    "no Parquet": (
        "creators.parquet",
        CREATORS,
        "creators: creators.parquet is no whole Parquet file but text. End its name in .csv",
    ),
    "semicolons": (
        "creators.csv",
        CREATORS.replace(b",", b";"),
        "creators: creators.csv is separated by ';', not by commas: received 'creator_id;platform;niche;followers'. "
        "Export it with commas between columns and points in decimals, or read it by creators.sql.",
    ),
    "decimal commas": (
        "creators.csv",
        CREATORS.replace(b",300\n", b",300,5\n"),
        "creators: line 4 of creators.csv has 5 columns where the header has 4: received 'c2,instagram,fitness,300,5'. "
        "Put values that hold a comma into double quotes; write decimals with a point.",
    ),
    "UTF-16": (
        "creators.csv",
        CREATORS.decode().encode("utf-16"),
        "creators: creators.csv is text in UTF-16, not encoded in UTF-8. Export it as UTF-8 (Excel: 'CSV UTF-8').",
    ),
    "UTF-16 without mark": (
        "creators.csv",
        CREATORS.decode().encode("utf-16-le"),
        "creators: creators.csv is not encoded in UTF-8: line 1 holds a zero byte. Export it as UTF-8",
    ),
    "Latin-1": (
        "creators.csv",
        CREATORS.replace(b"food", "café".encode("latin-1")),
        "creators: creators.csv is not encoded in UTF-8: see line 3: received 'c1,instagram,café,25000'. "
        "If 'é' is right there, it is Windows-1252. Export it as UTF-8 (Excel: 'CSV UTF-8').",
    ),
    "doubled column": (
        "creators.csv",
        CREATORS.replace(b"followers", b"niche"),
        "creators.niche: there are 2 columns of this name: received niche, niche. Keep one, or rename the others.",
    ),
    "torn gzip": ("creators.csv.gz", b"\x1f\x8b\x08torn", "creators: creators.csv.gz is cut off: its end is missing"),
    "no SELECT": (
        "creators.sql",
        b"CREATE TABLE x AS SELECT 1",
        "creators: creators.sql is no single SELECT: received CREATE. "
        "A mapping is one SELECT in DuckDB's dialect that yields the table from other files.",
    ),
    "two statements": ("creators.sql", b"SELECT 1; DROP TABLE x", "creators: creators.sql is no single SELECT"),
    "no statement": ("creators.sql", b"-- later", "creators: creators.sql is no single SELECT: received no statement."),
    "no SQL": ("creators.sql", b"SELEC 1", "creators: creators.sql cannot be understood: received Parser Error"),
    "failing mapping": (
        "creators.sql",
        b"SELECT * FROM 'nowhere.parquet'",
        "creators: creators.sql fails: received IO Error: No files found that match the pattern",
    ),
    "mapping that fails on a row": (
        "creators.sql",
        b"SELECT CAST(collaboration_id AS INTEGER) AS creator_id, 'a' AS platform, 'b' AS niche "
        b"FROM 'collaborations.parquet'",
        "creators: creators.sql cannot be read: received Conversion Error: Could not convert string 'r0'",
    ),
}


@pytest.mark.parametrize("case", FILES)
def test_files_that_cannot_be_read_are_reported(case: str, tmp_path: Path) -> None:
    name, content, expected = FILES[case]
    first = [line for line in lines(with_file(tmp_path, name, content)) if line.startswith("creators")]
    assert len(first) == 1
    assert first[0].startswith(expected)


def test_truncated_parquet_is_reported(tmp_path: Path) -> None:
    whole = write(tmp_path, frames()) / "comments.parquet"
    whole.write_bytes(whole.read_bytes()[:-40])
    (line,) = lines(tmp_path)
    assert line.startswith(
        "comments: comments.parquet is no whole Parquet file: received Parquet magic bytes not found"
    )


def test_parquet_damaged_within_is_reported(tmp_path: Path) -> None:
    file = write(tmp_path, frames()) / "comments.parquet"
    content = bytearray(file.read_bytes())
    content[4:200] = b"\xff" * 196
    file.write_bytes(content)
    (line,) = lines(tmp_path)
    assert line.startswith("comments: comments.parquet cannot be read")


def test_doubled_columns_of_parquet_are_reported(tmp_path: Path) -> None:
    table = pa.Table.from_pandas(frames()["creators"], preserve_index=False)
    table = (
        table.append_column("Niche", table["niche"])
        .append_column("x", table["niche"])
        .append_column("x", table["niche"])
    )
    pq.write_table(table, write(tmp_path, frames()) / "creators.parquet")
    assert lines(tmp_path) == [
        "creators.niche: there are 2 columns of this name: received niche, Niche. Keep one, or rename the others."
    ]


def test_two_forms_of_a_table_are_reported(tmp_path: Path) -> None:
    frames()["creators"].to_csv(write(tmp_path, frames()) / "creators.csv", index=False)
    assert lines(tmp_path) == [
        "creators: there is more than one form of the table: creators.parquet and creators.csv. "
        "Keep one and move the others away."
    ]


def test_a_folder_without_parts_is_reported(tmp_path: Path) -> None:
    tables = frames()
    del tables["posts"]
    (write(tmp_path, tables) / "posts").mkdir()
    assert lines(tmp_path) == ["posts: the folder posts/ holds no .parquet file. Put the table's parts into it."]


def test_a_mapping_never_reads_from_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tables = frames()
    creators = tables.pop("creators")
    folder = write(tmp_path / "data", tables)
    (folder / "creators.sql").write_text("SELECT * FROM read_csv(['list.csv'])")
    creators.to_csv(folder / "list.csv", index=False)
    monkeypatch.chdir(tmp_path)
    assert lines(folder) == []
    creators.iloc[:1].to_csv(tmp_path / "list.csv", index=False)
    assert lines(folder) == [
        "creators: creators.sql reads 'list.csv', which is in the current folder too. "
        "Run from another folder: its paths are relative to the folder that it lies in."
    ]
    monkeypatch.chdir(folder)
    assert lines(folder) == []


def test_places_that_are_not_there_are_reported(tmp_path: Path) -> None:
    remedy = "Give the folder that holds collaborations and creators, or a database URL."
    (tmp_path / "file").touch()
    assert lines(tmp_path / "none") == [f"{tmp_path}/none: there is no such folder. {remedy}"]
    assert lines(tmp_path / "file") == [f"{tmp_path}/file: it is a file, not a folder. {remedy}"]
    assert lines("mysql://user:secret@host/db") == [
        "mysql://…: databases of this kind cannot be opened. "
        "Give a folder, duckdb:// and a file's path, or postgresql://USER@HOST/DATABASE."
    ]
    assert lines(f"duckdb://{tmp_path}/none.db")[0].startswith(f"duckdb://{tmp_path}/none.db: there is no such file.")
    for path in (f"{tmp_path}/{'x' * 300}", f"duckdb://{tmp_path}/{'x' * 300}.db"):
        assert lines(path)[0].startswith("DATA: it cannot be reached (File name too long): received '/")
    (tmp_path / "file").write_bytes(b"no database" * 1000)
    assert lines(f"duckdb://{tmp_path}/file")[0].startswith(f"duckdb://{tmp_path}/file: it is no DuckDB database")


def test_a_checksum_that_looks_like_json_is_that_of_a_database(tmp_path: Path) -> None:
    (tmp_path / "history.db").write_bytes(b'{"a": 1}' + b"DUCK" + bytes(12_276))
    assert "JSON" not in lines(f"duckdb://{tmp_path}/history.db")[0]
    (tmp_path / "export.json").write_bytes(b'{"a": 1}\n')
    assert "it is JSON, no DuckDB database" in lines(f"duckdb://{tmp_path}/export.json")[0]
