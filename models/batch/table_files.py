"""Where scores are written: a Parquet or CSV file, or a folder of Parquet parts."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq

PART_ROWS = 1_000_000  # of a part but the last, or a chunk more


class TableFiles:
    """Takes tables of one schema, one after the other; what is written is on the disk once it is closed."""

    def __init__(self, path: Path, part_rows: int = PART_ROWS) -> None:
        """path: the file, `.parquet` or `.csv`; without an ending a folder, which must not exist, for parts of at least
        part_rows rows."""
        self.path, self.part_rows = path, part_rows
        self._writer: Any = None
        self._file: Any = None
        self._rows, self._parts = 0, 0
        if not path.suffix:
            path.mkdir()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end(whole=error is None)
        if error is None and not self.path.suffix:
            sync(self.path)

    def write(self, table: pa.Table) -> None:
        """The next rows, at least one."""
        if self._writer is None:
            path = self.path if self.path.suffix else self.path / f"part-{self._parts:05}.parquet"
            self._file = path.open("wb")
            kind = pq.ParquetWriter if path.suffix == ".parquet" else arrow_csv.CSVWriter
            self._writer, self._rows, self._parts = kind(self._file, table.schema), 0, self._parts + 1
        self._writer.write_table(table)
        self._rows += table.num_rows
        if not self.path.suffix and self._rows >= self.part_rows:
            self._end(whole=True)

    def _end(self, whole: bool) -> None:
        """Close what is open. whole: otherwise it will be thrown away, and may be on a disk that is full."""
        writer, file, self._writer, self._file = self._writer, self._file, None, None
        if file is None:
            return
        if whole:
            with file:
                writer.close()
                file.flush()
                os.fsync(file.fileno())
            return
        for one in (writer, file):
            with suppress(Exception):  # what led here is said already
                one.close()


def sync(path: Path) -> None:
    """Let what is in a file, or the names that are in a folder, be on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
