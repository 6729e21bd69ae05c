"""Which engine makes the features, as `--engine` chooses it. Imports nothing that is slow."""

from __future__ import annotations

from features.faults import refuse

DUCKDB = "duckdb"
SPARK = ("spark", "sc")  # schemes: a standalone cluster's master, and Spark Connect
OPTION = "--engine"
HELP = "duckdb (in this process), or a Spark: spark://HOST:PORT, or sc://HOST:PORT of Spark Connect (%(default)s)"


def is_spark(engine: str) -> bool:
    """Whether an engine is a Spark's URL."""
    scheme, separator, _ = engine.partition("://")
    return bool(separator) and scheme in SPARK


def check_engine(engine: str) -> None:
    """Raise InputError for what is no engine."""
    if engine != DUCKDB and not is_spark(engine):
        refuse(OPTION, engine, "it is no engine", "Give duckdb, spark://HOST:PORT or sc://HOST:PORT.")
