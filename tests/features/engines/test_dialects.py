"""The SQL of every family for engines that no test can reach, kept as it was.

`python -m pytest tests/features/engines/test_dialects.py --overwrite-golden` writes it anew, after a change that is
meant to move it.
"""

from __future__ import annotations

import re
from pathlib import Path

import ibis
import pyarrow as pa
import pytest
import sqlglot

from features.catalogue import FAMILIES
from features.engines import dialects
from tests.support import family_queries

GOLDEN = Path(__file__).parent / "golden"
UNREACHED = ("bigquery", "snowflake")


def _sql(family: str, dialect: str) -> str:
    queries = family_queries.FAMILIES[family]()
    parts = [f"-- {name}\n{dialects.sql(query, dialect, pretty=True)};\n" for name, query in queries.items()]
    return re.sub(r"(EXCEPT|EXCLUDE) \(([^)]*)\)", _sorted, "\n".join(parts))


def _sorted(left_out: re.Match[str]) -> str:
    """Columns that are left out come in the order of a set, which changes from process to process."""
    return f"{left_out[1]} ({', '.join(sorted(name.strip() for name in left_out[2].split(',')))})"


@pytest.mark.parametrize("dialect", UNREACHED)
@pytest.mark.parametrize("family", FAMILIES)
def test_sql_is_as_it_was(family: str, dialect: str, request: pytest.FixtureRequest) -> None:
    file = GOLDEN / f"{family}.{dialect}.sql"
    found = _sql(family, dialect)
    if request.config.getoption("--overwrite-golden"):
        file.write_text(found, encoding="utf-8")
    assert found == file.read_text(encoding="utf-8")
    assert len(sqlglot.parse(found, read=dialect)) >= len(family_queries.FAMILIES[family]())


def test_there_is_no_golden_file_of_anything_else() -> None:
    expected = {f"{family}.{dialect}.sql" for family in FAMILIES for dialect in UNREACHED}
    assert {file.name for file in GOLDEN.iterdir()} == expected


def test_texts_are_in_the_order_of_their_code_points_in_postgres() -> None:
    schema = ibis.Schema.from_pyarrow(pa.schema([("a", pa.string()), ("n", pa.int64())]))
    assert dialects.columns(schema, "postgres") == '"a" VARCHAR COLLATE "C", "n" BIGINT'
    assert dialects.columns(schema, "duckdb") == '"a" TEXT, "n" BIGINT'
