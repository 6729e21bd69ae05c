"""Which engine makes the features: what `--engine` takes, and the DATA that each engine can read.

Imports nothing that is slow.
"""

from __future__ import annotations

import re

from features.faults import refuse

DUCKDB, POSTGRESQL = "duckdb", "postgresql"  # the latter is also the scheme of DATA
HELP = (
    "what makes the features: duckdb, in this process; postgresql, the database of DATA itself "
    f"({DUCKDB}; docs/data.md says what each needs)"
)
_SPARK = re.compile(r"(spark|sc)://[^\s/]+")
_REMEDY = "Give duckdb, or postgresql where DATA is a PostgreSQL database."


def check_engine(engine: str, data: str) -> None:
    """Raise InputError where `engine` is none that there is, or cannot read `data` (a folder or a URL)."""
    if engine == DUCKDB:
        return
    if _SPARK.fullmatch(engine):
        refuse("--engine", engine, "Spark makes no features for the commands", _REMEDY)
    if engine != POSTGRESQL:
        refuse("--engine", engine, "there is no such engine", _REMEDY)
    if not data.startswith(f"{POSTGRESQL}://"):
        remedy = f"Give DATA as {POSTGRESQL}://USER@HOST/DB, or leave --engine out."
        refuse("--engine", engine, "the database of DATA would make the features, and DATA is none", remedy)
