"""Tables into a file, or into a folder of parts."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq
import pytest

from models.batch.table_files import TableFiles

TABLES = [pa.table({"a": list(range(at, at + 3)), "b": [f"{at}"] * 3}) for at in range(0, 15, 3)]


def test_a_file_has_all_rows_in_order(tmp_path: Path) -> None:
    for name in ("x.parquet", "x.csv"):
        with TableFiles(tmp_path / name) as files:
            for table in TABLES:
                files.write(table)
    assert pq.ParquetFile(tmp_path / "x.parquet").read().equals(pa.concat_tables(TABLES))
    assert arrow_csv.read_csv(tmp_path / "x.csv")["a"].to_pylist() == list(range(15))


def test_a_folder_has_parts_of_so_many_rows_whose_names_are_in_order(tmp_path: Path) -> None:
    with TableFiles(tmp_path / "x", part_rows=5) as files:
        for table in TABLES:
            files.write(table)
    parts = sorted((tmp_path / "x").iterdir())
    assert [part.name for part in parts] == ["part-00000.parquet", "part-00001.parquet", "part-00002.parquet"]
    tables = [pq.ParquetFile(part).read() for part in parts]
    assert [table.num_rows for table in tables] == [6, 6, 3]
    assert pa.concat_tables(tables).equals(pa.concat_tables(TABLES))


@pytest.mark.parametrize("name", ["x.parquet", "x.csv", "x"])
def test_an_error_is_not_hidden_by_closing(tmp_path: Path, name: str) -> None:
    def fail() -> None:
        with TableFiles(tmp_path / name) as files:
            files.write(TABLES[0])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
