"""The same features whether DuckDB makes them or Spark, here Sail's: make test-engines."""

from __future__ import annotations

import pytest

from features.catalogue import FAMILIES
from features.history.source import open_history
from tests.support import spark
from tests.support.small_world import write
from tests.support.two_engines import Both, both, differences, tied_world

pytestmark = pytest.mark.engines


@pytest.fixture(scope="module")
def matrices(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Both]:
    """By DuckDB and by Spark."""
    tables = tied_world()
    folder = write(tables, tmp_path_factory.mktemp("world"))
    with open_history(folder, threads=2) as here, spark.running() as engine:
        return both(here, spark.moved(here, engine), tables["spine"])


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("market", ["whole", "less"])
def test_both_engines_agree(matrices: dict[str, Both], market: str, family: str) -> None:
    assert differences(matrices[market], family) == {}, "column: (rows that differ, the first, DuckDB's, Spark's)"
