"""The same features whether DuckDB makes them or a PostgreSQL server in which the tables lie."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import ibis.expr.types as ir
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings

from features.catalogue import FAMILIES
from features.engines.duckdb import connect
from features.engines.engine import Engine, Query
from features.engines.postgres import PostgreSQL, connected
from features.families import track_record
from features.faults import InputError
from features.history.in_place import open_in_place
from features.history.source import open_history
from tests.support.contract_tables import frames
from tests.support.postgres import AS_PEOPLE_SORT, Server
from tests.support.random_histories import LACKS, LARGE, RandomHistory, random_histories
from tests.support.small_world import write
from tests.support.two_engines import Both, Differences, all_differences, both, differences, matrix, scores, tied_world


@pytest.fixture(scope="module")
def matrices(postgres_server: Server, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Both]:
    """By DuckDB and by PostgreSQL."""
    tables = tied_world()
    folder = write(tables, tmp_path_factory.mktemp("world"))
    spine = tables.pop("spine")
    url = postgres_server.url(postgres_server.database(tables, AS_PEOPLE_SORT))
    with open_history(folder, threads=2) as here, open_in_place(url) as there:
        return both(here, there, spine)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("market", ["whole", "less"])
def test_both_engines_agree(matrices: dict[str, Both], market: str, family: str) -> None:
    assert differences(matrices[market], family) == {}, "column: (rows that differ, the first, DuckDB's, PostgreSQL's)"


def test_what_is_left_out_changes_features(matrices: dict[str, Both]) -> None:
    assert not matrices["whole"][1].equals(matrices["less"][1])


@pytest.fixture(scope="module")
def database(postgres_server: Server) -> str:
    """For one random history after another."""
    return postgres_server.database(options=AS_PEOPLE_SORT)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For the same history as files."""
    return tmp_path_factory.mktemp("random")


@pytest.mark.long
def test_the_demo_market_agrees(tiny_market: Path, postgres_server: Server, database: str) -> None:
    data = tiny_market / "data"
    postgres_server.fill(database, {path.stem: pq.read_table(path) for path in data.glob("*.parquet")})
    with open_history(data, threads=2) as here, open_in_place(postgres_server.url(database)) as there:
        deals = here.collaborations.to_pandas()
        assert all_differences(matrix(here, deals), matrix(there, deals)) == {}


def _differences(example: RandomHistory, folder: Path, server: Server, database: str) -> Differences:
    server.fill(database, example.tables)
    with example.opened(folder) as here, open_in_place(server.url(database)) as there:
        return all_differences(matrix(here, example.spine), matrix(there, example.spine))


@settings(max_examples=3, suppress_health_check=LARGE)
@given(example=random_histories(LACKS[:1]))
def test_a_few_random_histories_agree(
    example: RandomHistory, folder: Path, postgres_server: Server, database: str
) -> None:
    assert _differences(example, folder, postgres_server, database) == {}


@pytest.mark.long
@settings(max_examples=50, suppress_health_check=LARGE)
@given(example=random_histories())
def test_many_random_histories_agree(
    example: RandomHistory, folder: Path, postgres_server: Server, database: str
) -> None:
    assert _differences(example, folder, postgres_server, database) == {}


def test_scores_are_equal(matrices: dict[str, Both]) -> None:
    here, there = scores(tied_world(), matrices["whole"])
    pd.testing.assert_frame_equal(there, here, check_exact=True)
    assert here.conversions_per_dollar.nunique() > 300, "or they would be equal whatever the features are"


def _computed(server: Server, scratch: Path, rows: pa.Table, build: Callable[[ir.Table], ir.Table]) -> list[pa.Table]:
    """What an expression over rows yields, by DuckDB and by PostgreSQL."""

    def computed(engine: Engine) -> pa.Table:
        engine.put("numbers", rows)
        return engine.fetch(Query.of(build(engine.table("numbers")), engine.dialect))

    here = connect(1, None, str(scratch))
    expected = computed(here)
    here.close()
    with connected(server.url(server.database())) as session:
        return [expected, computed(PostgreSQL(session))]


def test_numbers_are_rounded_and_decay_alike(postgres_server: Server, tmp_path: Path) -> None:
    """Halves, what 15 digits would make a half, the largest that is no half, and ages at which `exp` underflows."""
    x = [0.5, -0.5, 1.5, 2.5, -2.5, 123_456_789.4999999, 4_194_303.499999999, 0.49999999999999994, 2.0**52 + 1, None]
    rows = pa.table({"n": range(len(x)), "x": x, "age": [0.0, 0.1, 1.0, 7.0, 40.0, 279.9, 280.1, 6_000.0, 1e5, None]})

    def values(t: ir.Table) -> ir.Table:
        return t.select("n", rounded=t.x.round(), arrived=track_record.arrived(t.age)).order_by("n")

    expected, found = _computed(postgres_server, tmp_path, rows, values)
    assert expected["rounded"].to_pylist()[:8] == [1, -1, 2, 3, -3, 123_456_789, 4_194_303, 0]
    assert found["rounded"].equals(expected["rounded"])
    np.testing.assert_allclose(found["arrived"].to_numpy(), expected["arrived"].to_numpy(), rtol=1e-12)


def test_medians_are_rounded_alike(postgres_server: Server, tmp_path: Path) -> None:
    """None to five values each, of very different sizes, some of them missing or left out."""
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(600), rng.integers(1, 6, 600))
    x = pa.array(10 ** rng.uniform(-16, 3, len(group)), mask=rng.random(len(group)) < 0.1)
    rows = pa.table({"n": group, "x": x, "chosen": rng.random(len(group)) < 0.7})

    def medians(t: ir.Table) -> ir.Table:
        return t.group_by("n").aggregate(all=t.x.median(), chosen=t.x.median(where=t.chosen)).order_by("n")

    expected, found = _computed(postgres_server, tmp_path, rows, medians)
    assert found.equals(expected)
    assert expected["chosen"].null_count > 50


def test_a_history_stays_as_it_was_when_it_was_opened(postgres_server: Server) -> None:
    tables = frames()
    database = postgres_server.database(tables)
    with open_in_place(postgres_server.url(database)) as history:
        first = matrix(history, tables["collaborations"])
        postgres_server.execute("DELETE FROM posts", database=database)
        pd.testing.assert_frame_equal(matrix(history, tables["collaborations"]), first, check_exact=True)
    with open_in_place(postgres_server.url(database)) as history:
        assert not matrix(history, tables["collaborations"]).equals(first)


def test_nothing_is_left_in_the_database(postgres_server: Server) -> None:
    tables = frames()
    database = postgres_server.database(tables)
    held = "SELECT count(*) FROM pg_class WHERE relnamespace::regnamespace::text NOT IN ('pg_catalog', 'pg_toast')"
    before = postgres_server.execute(held, database=database)
    with open_in_place(postgres_server.url(database)) as history:
        matrix(history, tables["collaborations"])
    assert postgres_server.execute(held, database=database) == before


def test_keys_are_read_as_those_of_a_file(postgres_server: Server) -> None:
    tables = frames()
    ids = {"c0": "7.0", "c1": "e\u0301", "c2": "c2", "c3": "c3"}
    renamed = {
        name: table.assign(creator_id=table.creator_id.map(ids)) if "creator_id" in table else table
        for name, table in tables.items()
    }
    spine = tables["collaborations"].assign(creator_id=lambda t: t.creator_id.map(ids | {"c0": "7", "c1": "\u00e9"}))
    with open_in_place(postgres_server.url(postgres_server.database(tables))) as history:
        expected = matrix(history, tables["collaborations"])
    with open_in_place(postgres_server.url(postgres_server.database(renamed))) as history:
        pd.testing.assert_frame_equal(matrix(history, spine), expected, check_exact=True)


def test_a_column_of_another_type_is_a_fault(postgres_server: Server) -> None:
    database = postgres_server.database(frames())
    changes = (
        "ALTER TABLE collaborations ALTER spend TYPE text",
        "ALTER TABLE posts DROP post_id",
        "DROP TABLE creators",
    )
    postgres_server.execute(*changes, database=database)
    with pytest.raises(InputError) as error, open_in_place(postgres_server.url(database)):
        pass
    assert [(fault.where, fault.column, fault.received) for fault in error.value.faults] == [
        ("collaborations", "spend", "text"),
        ("creators", None, "the tables collaborations, comments, conversions, posts"),
        ("posts", "post_id", None),
    ]


def test_who_may_make_no_temporary_table_learns_it(postgres_server: Server) -> None:
    database = postgres_server.database(frames())
    revoked = f"REVOKE TEMPORARY ON DATABASE {database} FROM PUBLIC"
    postgres_server.execute(revoked, "CREATE ROLE visitor LOGIN", database=database)
    url = f"postgresql:///{database}?host={postgres_server.folder}&port={postgres_server.port}&user=visitor"
    with pytest.raises(InputError, match="temporary tables"), open_in_place(url):
        pass
