"""The same features whether DuckDB makes them or Spark, here Sail's: make test-engines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings

from features.catalogue import FAMILIES
from features.history.source import open_history
from tests.support.random_histories import LARGE, RandomHistory, random_histories
from tests.support.small_world import write
from tests.support.spark import Spark, moved, running
from tests.support.two_engines import Both, all_differences, both, differences, matrix, scores, tied_world

pytestmark = pytest.mark.engines


@pytest.fixture(scope="module")
def engine() -> Iterator[Spark]:
    with running() as one:
        yield one


@pytest.fixture(scope="module")
def matrices(engine: Spark, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Both]:
    """By DuckDB and by Spark."""
    tables = tied_world()
    folder = write(tables, tmp_path_factory.mktemp("world"))
    with open_history(folder, threads=2) as here:
        return both(here, moved(here, engine), tables["spine"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For one random history after another."""
    return tmp_path_factory.mktemp("random")


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("market", ["whole", "less"])
def test_both_engines_agree(matrices: dict[str, Both], market: str, family: str) -> None:
    assert differences(matrices[market], family) == {}, "column: (rows that differ, the first, DuckDB's, Spark's)"


def test_the_demo_market_agrees(tiny_market: Path, engine: Spark) -> None:
    with open_history(tiny_market / "data", threads=2) as here:
        deals, there = here.collaborations.to_pandas(), moved(here, engine)
        assert all_differences(matrix(here, deals), matrix(there, deals)) == {}


@settings(max_examples=20, suppress_health_check=LARGE)
@given(example=random_histories())
def test_random_histories_agree(example: RandomHistory, folder: Path, engine: Spark) -> None:
    with example.opened(folder) as here:
        there = moved(here, engine)
        assert all_differences(matrix(here, example.spine), matrix(there, example.spine)) == {}


def test_scores_are_equal(matrices: dict[str, Both]) -> None:
    here, there = scores(tied_world(), matrices["whole"])
    pd.testing.assert_frame_equal(there, here, check_exact=True)
