"""The log of what was added and corrected, and when: append-only, with what stood before each correction.

A folder keeps a Parquet file for each addition, `added/000001.parquet`; a database keeps the table `creator_yield_log`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from features.engines.duckdb import OFFLINE, first_line, name, quote
from features.engines.postgres import SCHEME
from features.faults import fail
from features.history.append.batch import key_of
from features.history.append.merge import BEFORE, CHANGED, KIND, Changes
from features.history.contract import LOG
from features.history.databases import require_file
from features.history.postgres import reading

TABLE, FOLDER = LOG, "added"
SCHEMA = pa.schema(
    [
        ("batch", pa.int64()), ("added_at", pa.timestamp("us")), ("source", pa.string()), ("table", pa.string()),
        ("key", pa.string()), ("kind", pa.string()), ("before", pa.string()),
    ]
)  # fmt: skip
COLUMNS = 'batch BIGINT, added_at TIMESTAMP, source TEXT, "table" TEXT, key TEXT, kind TEXT, before TEXT'


def entries(changes: Changes, batch: int, source: str, now: datetime) -> pa.Table:
    """The log's rows of one addition, as `SCHEMA`. key: of conversions, collaboration and day with a blank between."""
    parts = []
    for table, change in changes.tables.items():
        rows = change.rows
        key = rows[key_of(table)[0]].cast(pa.string())
        for other in key_of(table)[1:]:
            key = pc.binary_join_element_wise(key, rows[other].cast(pa.string()), " ")
        kind = pc.if_else(pc.equal(rows[KIND], CHANGED), "corrected", "new")
        fixed = [[value] * rows.num_rows for value in (batch, now, source, table)]
        parts.append(pa.table([*fixed, key, kind, rows[BEFORE]], schema=SCHEMA))
    return pa.concat_tables(parts)


def files(folder: Path) -> list[Path]:
    """The log's files in a folder of DATA, in the order of their numbers."""
    return sorted((path for path in (folder / FOLDER).glob("*.parquet") if path.stem.isdigit()), key=_number)


def _number(path: Path) -> int:
    return int(path.stem)


def next_of_folder(folder: Path) -> int:
    """The number of the next addition to a folder."""
    return max(map(_number, files(folder)), default=0) + 1


def read_log(data: str) -> pd.DataFrame:
    """What was added to DATA and what was corrected, in the order in which it came; empty if nothing was.

    Columns: batch (its number, from 1), added_at (UTC), source (the name of NEW), table, key, kind ("new" or
    "corrected"), before (of a corrected row: what stood there, as JSON by column). Raises InputError for a database
    that cannot be read.
    """
    scheme, separator, rest = data.partition("://")
    if not separator:
        parts = [pq.read_table(path, schema=SCHEMA) for path in files(Path(data))]
        rows = pa.concat_tables(parts) if parts else SCHEMA.empty_table()
    elif scheme == SCHEME:
        rows = _of_postgres(data)
    else:
        require_file(scheme, rest)
        rows = _of_duckdb(rest)
    return rows.to_pandas()


def _of_duckdb(path: str) -> pa.Table:
    try:
        with duckdb.connect(path, read_only=True, config=OFFLINE) as connection:
            held = f"SELECT count(*) FROM duckdb_tables() WHERE table_name = {quote(TABLE)}"
            if not connection.execute(held).fetchall()[0][0]:
                return SCHEMA.empty_table()
            return connection.sql(f"FROM {TABLE} ORDER BY batch, rowid").to_arrow_table().cast(SCHEMA)
    except duckdb.Error as error:
        raise fail(f"duckdb://{path}", "its log cannot be read", "Check the file.", first_line(error)) from error


def _of_postgres(url: str) -> pa.Table:
    columns = ", ".join(map(name, SCHEMA.names))
    with reading(url) as session:
        if session.rows(f"SELECT to_regclass('{TABLE}') IS NULL")[0][0]:
            return SCHEMA.empty_table()
        with session.stream(f"SELECT {columns} FROM {TABLE} ORDER BY batch, ctid") as reader:  # rows are only added
            return reader.read_all().cast(SCHEMA)


def main(argv: Sequence[str] | None = None) -> None:
    """Print the log of DATA as CSV."""
    parser = argparse.ArgumentParser(
        "python -m features.history.append.log",
        description=main.__doc__,
        epilog="example:\n  python -m features.history.append.log duckdb://results.duckdb > log.csv",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("data", metavar="DATA", help="a folder, duckdb://FILE, or postgresql://USER@HOST/DB")
    print(read_log(parser.parse_args(argv).data).to_csv(index=False), end="")


if __name__ == "__main__":
    main()
