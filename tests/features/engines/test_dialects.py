"""The SQL of every family, and of what they share, for engines that no test can reach, kept as it was.

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
from sqlglot import expressions as sge

from features.engines import dialects
from tests.support.family_queries import FAMILIES

GOLDEN = Path(__file__).parent / "golden"
UNREACHED = ("bigquery", "snowflake")


def _sql(family: str, dialect: str) -> str:
    queries = FAMILIES[family]()
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
    assert len(sqlglot.parse(found, read=dialect)) >= len(FAMILIES[family]())


def test_there_is_no_golden_file_of_anything_else() -> None:
    expected = {f"{family}.{dialect}.sql" for family in FAMILIES for dialect in UNREACHED}
    assert {file.name for file in GOLDEN.iterdir()} == expected


@pytest.mark.parametrize("family", FAMILIES)
def test_bigquery_has_a_function_for_every_type(family: str) -> None:
    """Moments without a zone are DATETIMEs there, which no function of TIMESTAMPs takes."""
    assert "TIMESTAMP" not in _sql(family, "bigquery")


@pytest.mark.parametrize("family", FAMILIES)
def test_every_outer_join_has_an_equality(family: str) -> None:
    """BigQuery refuses one that has none."""
    for query in FAMILIES[family]().values():
        for join in sqlglot.parse_one(dialects.sql(query, "bigquery"), read="bigquery").find_all(sge.Join):
            on = join.args.get("on")
            parts = on.flatten() if isinstance(on, sge.And) else [on]
            assert not join.side or any(isinstance(part, sge.EQ) for part in parts), join.sql("bigquery")


def test_monday_is_0_in_snowflake_whatever_weeks_begin_with() -> None:
    moments = ibis.table({"at": "timestamp(6)"}, name="moments")
    found = dialects.sql(moments.select(day=moments["at"].day_of_week.index()), "snowflake")
    assert found == 'SELECT DAYOFWEEKISO("t0"."at") - 1 AS "day" FROM "moments" AS "t0"'


def test_texts_are_in_the_order_of_their_code_points_in_postgres() -> None:
    schema = ibis.Schema.from_pyarrow(pa.schema([("a", pa.string()), ("n", pa.int64())]))
    assert dialects.columns(schema, "postgres") == '"a" VARCHAR COLLATE "C", "n" BIGINT'
    assert dialects.columns(schema, "duckdb") == '"a" TEXT, "n" BIGINT'
