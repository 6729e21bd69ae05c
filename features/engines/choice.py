"""Which engine makes the features: what `--engine` takes, and the DATA that each engine can read.

Imports nothing that is slow.
"""

from __future__ import annotations

import re

from features.faults import refuse

DUCKDB, POSTGRESQL = "duckdb", "postgresql"  # the latter is also the scheme of DATA
HELP = (
    "what makes the features: duckdb, in this process; postgresql, the database of DATA itself; spark://HOST:PORT or "
    f"sc://HOST:PORT, Spark ({DUCKDB}; docs/data.md and docs/spark.md say what each needs)"
)
_SPARK = re.compile(r"(spark|sc)://[^\s/]+")
_REMEDY = "Give duckdb, or postgresql where DATA is a PostgreSQL database, or spark://HOST:PORT or sc://HOST:PORT."


def is_spark(engine: str) -> bool:
    """Whether an engine is the URL of a Spark: of a standalone cluster's master, or of Spark Connect."""
    return _SPARK.fullmatch(engine) is not None


def check_engine(engine: str, data: str) -> None:
    """Raise InputError where `engine` is none that there is, or cannot read `data` (a folder or a URL)."""
    if engine == DUCKDB:
        return
    if is_spark(engine):
        if "://" in data:
            remedy = "Give DATA as a folder of Parquet files that this machine and the executors see, or leave it out."
            refuse("--engine", engine, "Spark reads a folder of Parquet files, and DATA is none", remedy)
        return
    if engine != POSTGRESQL:
        refuse("--engine", engine, "there is no such engine", _REMEDY)
    if not data.startswith(f"{POSTGRESQL}://"):
        remedy = f"Give DATA as {POSTGRESQL}://USER@HOST/DB, or leave --engine out."
        refuse("--engine", engine, "the database of DATA would make the features, and DATA is none", remedy)
