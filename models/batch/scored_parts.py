"""Scored chunks of a list on the disk until all are scored: a file each, whole or absent, in the list's order."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from features.engines import duckdb as duckdb_engine
from models.batch.table_files import sync

RATE = "conversions_per_dollar"
RANK_MEMORY = "512MB"


class ScoredParts:
    """The chunks of a list that are scored so far. count: how many they are."""

    def __init__(self, folder: Path, durable: bool = False) -> None:
        """folder: of their own; those in it count. durable: whether a chunk must be on the disk, power cut or not, once
        it is added."""
        self.folder, self.durable, self.count = folder, durable, 0
        while self._path(self.count).exists():
            self.count += 1

    def _path(self, number: int) -> Path:
        return self.folder / f"scored-{number:06}.parquet"

    def add(self, table: pa.Table) -> None:
        """The next chunk."""
        path = self._path(self.count)
        being_written = path.with_suffix(".part")
        pq.write_table(table, being_written)
        if self.durable:
            sync(being_written)
        being_written.replace(path)
        if self.durable:
            sync(self.folder)
        self.count += 1

    def __iter__(self) -> Iterator[pa.Table]:
        """Every chunk, as it was added."""
        for number in range(self.count):
            yield pq.ParquetFile(self._path(number)).read()  # read_table takes key=value in a path for a column

    def ranks(self) -> Iterator[pa.Array]:
        """The ranks of each chunk's rows among all, 1 for the highest rate; equal ones share the lowest of their
        places. The engine sorts on the disk what outgrows RANK_MEMORY."""
        if not self.count:
            return
        rates = self.folder / "rates.parquet"  # by itself: the engine ignores case in the candidates' own columns
        with pq.ParquetWriter(rates, pa.schema([(RATE, pa.float64())])) as writer:
            for number in range(self.count):
                writer.write_table(pq.ParquetFile(self._path(number)).read([RATE]))
        with duckdb.connect(config=duckdb_engine.OFFLINE) as engine:
            scratch = duckdb_engine.quote(self.folder)
            engine.execute(f"SET memory_limit = '{RANK_MEMORY}'; SET temp_directory = {scratch}")
            ranked = engine.sql(
                f"SELECT rank FROM (SELECT file_row_number, rank() OVER (ORDER BY {RATE} DESC) AS rank "
                f"FROM read_parquet({duckdb_engine.literal(rates)}, file_row_number = true)) ORDER BY file_row_number"
            )
            rows = pq.ParquetFile(self._path(0)).metadata.num_rows
            for batch in duckdb_engine.batches(ranked, rows):
                yield batch.column(0)
