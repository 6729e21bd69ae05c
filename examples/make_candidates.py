"""Writes FOLDER/candidates.parquet from FOLDER/candidates.sql, whose paths are relative to the folder."""

import argparse
import os
from pathlib import Path

import duckdb
import pyarrow.parquet as pq


def make_candidates(folder: Path) -> Path:
    """Write the rows of the folder's candidates.sql, in their order, beside it; raises duckdb.Error if it fails."""
    query = (folder / "candidates.sql").read_text(encoding="utf-8")
    target = (folder / "candidates.parquet").resolve()
    aside = target.with_suffix(".partial")
    back = Path.cwd()
    os.chdir(folder)
    try:
        with duckdb.connect() as connection:
            # read, then written by pyarrow: a COPY whose query fails midway never returns in DuckDB 2.0.0
            rows = connection.sql(query).to_arrow_table()
        pq.write_table(rows, aside)
        os.replace(aside, target)
    finally:
        os.chdir(back)
    return target


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="an example's folder, such as examples/kag_ads")
    print(make_candidates(parser.parse_args().folder))
