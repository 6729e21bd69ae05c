"""SQL that is remembered is that of the same tables, and no other's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import ibis
import pandas as pd
import pyarrow as pa
import pytest

from features.engines import compiled
from features.engines.duckdb import DuckDB, connect
from features.history.source import open_history
from features.matrix import FeatureBuilder
from tests.support.contract_tables import frames, write

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "_results", type(compiled._results)())


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[DuckDB]:
    one = connect(1, None, str(tmp_path))
    yield one
    one.close()


def test_an_expression_is_built_once_for_tables_of_one_shape(engine: DuckDB) -> None:
    built = []

    def doubled(name: str) -> list[dict[str, object]]:
        table = engine.table(name)

        def build() -> ibis.Table:
            built.append(name)
            return table.select(twice=table.x * 2).order_by("twice")

        return compiled.rows(engine, ("doubled", compiled.shape({"one": table})), build)

    engine.put("one", pa.table({"x": [2, 1]}))
    assert doubled("one") == [{"twice": 2}, {"twice": 4}]
    engine.put("one", pa.table({"x": [5]}))
    assert doubled("one") == [{"twice": 10}]
    assert built == ["one"]
    engine.put("one", pa.table({"x": [0.25]}))
    engine.put("two", pa.table({"x": [7]}))
    assert (doubled("one"), doubled("two")) == ([{"twice": 0.5}], [{"twice": 14}])
    assert built == ["one", "one", "two"], "another type, another name"


def test_what_is_no_table_of_the_engine_is_like_nothing_else(engine: DuckDB) -> None:
    engine.put("one", pa.table({"x": [1]}))
    table = engine.table("one")
    assert compiled.shape({"one": table, "two": None}) == compiled.shape({"one": engine.table("one")})
    assert compiled.shape({"one": table}) != compiled.shape({"other": table})
    some = table.filter(table.x > 0)
    assert compiled.shape({"one": some}) != compiled.shape({"one": some})


def test_what_was_used_longest_ago_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "MOST", 2)
    for key in ("a", "b"):
        compiled.remember(key, key.upper())
    assert compiled.remembered("a") == "A"
    compiled.remember("c", "C")
    assert [compiled.remembered(key) for key in "abc"] == ["A", None, "C"]


@pytest.mark.long
def test_features_are_the_same_whatever_was_built_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tables = frames()
    other = tables | {"posts": tables["posts"].assign(likes=3), "comments": tables["comments"].head(1)}

    def built(folder: Path, *left_out: str) -> pd.DataFrame:
        with open_history(folder, threads=1) as history:
            deals = history.collaborations.to_pandas()
            with FeatureBuilder(history.without(left_out)) as builder:
                first, second = builder.build(deals.head(2)), builder.build(deals)
        pd.testing.assert_frame_equal(first, second.head(2), check_exact=True)
        return second

    one, two = write(tmp_path / "one", tables), write(tmp_path / "two", other)
    alone = built(two)
    monkeypatch.setattr(compiled, "_results", type(compiled._results)())
    before = built(one)
    pd.testing.assert_frame_equal(built(two), alone, check_exact=True)
    assert not before.equals(alone)
    assert not built(one, *tables["collaborations"].collaboration_id[:3]).equals(before)


@pytest.mark.long
def test_results_that_are_left_out_are_compiled_for_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, made = write(tmp_path / "data", frames()), list[str]()
    of = compiled.Query.of

    def noted(expression: ibis.Table, dialect: str) -> compiled.Query:
        made.append(str(ibis.to_sql(expression)))
        return of(expression, dialect)

    monkeypatch.setattr(compiled.Query, "of", noted)

    def build() -> list[str]:
        made.clear()
        with open_history(folder, threads=1) as history:
            rest = history.without(["r0"])
            deals = rest.collaborations.to_pandas()
            with FeatureBuilder(rest) as builder:
                builder.build(deals)
        return made

    assert len(build()) > 10
    assert [sql for sql in build() if "text_id" not in sql] == []  # of comments, each text once
