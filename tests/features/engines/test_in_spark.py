"""The same features whether DuckDB makes them or Spark, a standalone cluster's or Sail's: make test-engines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings

from features.catalogue import FAMILIES
from features.engines.spark import Spark, connected
from features.faults import InputError
from features.history.in_spark import in_spark
from features.history.source import open_history
from tests.support import spark
from tests.support.contract_tables import frames
from tests.support.random_histories import LARGE, RandomHistory, random_histories
from tests.support.small_world import write
from tests.support.two_engines import Both, all_differences, both, differences, matrix, scores, tied_world
from tests.support.workspace import free_port

pytestmark = pytest.mark.engines


@pytest.fixture(scope="module", params=spark.KINDS)
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Spark]:
    """An engine in each kind of Spark."""
    with spark.running(request.param, tmp_path_factory.mktemp("spark")) as url, connected(url) as found:
        yield found


@pytest.fixture(scope="module")
def matrices(engine: Spark, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Both]:
    """By DuckDB and by Spark."""
    tables = tied_world()
    folder = write(tables, tmp_path_factory.mktemp("world"))
    with open_history(folder, threads=2) as here:
        return both(here, in_spark(here, folder, engine), tables["spine"])


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("market", ["whole", "less"])
def test_both_engines_agree(matrices: dict[str, Both], market: str, family: str) -> None:
    assert differences(matrices[market], family) == {}, "column: (rows that differ, the first, DuckDB's, Spark's)"


def test_what_is_left_out_changes_features(matrices: dict[str, Both]) -> None:
    assert not matrices["whole"][1].equals(matrices["less"][1])


def test_the_demo_market_agrees(tiny_market: Path, engine: Spark) -> None:
    with open_history(tiny_market / "data", threads=2) as here:
        deals, there = here.collaborations.to_pandas(), in_spark(here, tiny_market / "data", engine)
        assert all_differences(matrix(here, deals), matrix(there, deals)) == {}


@pytest.fixture(scope="module")
def sail(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Spark]:
    """The quicker kind."""
    with spark.running("sail", tmp_path_factory.mktemp("sail")) as url, connected(url) as found:
        yield found


@pytest.fixture(scope="module")
def random_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For one random history after another."""
    return tmp_path_factory.mktemp("random")


@settings(max_examples=20, suppress_health_check=LARGE)
@given(example=random_histories())
def test_random_histories_agree(example: RandomHistory, random_folder: Path, sail: Spark) -> None:
    with example.opened(random_folder) as here:
        there = in_spark(here, random_folder, sail)
        assert all_differences(matrix(here, example.spine), matrix(there, example.spine)) == {}


def test_scores_are_equal(matrices: dict[str, Both]) -> None:
    here, there = scores(tied_world(), matrices["whole"])
    pd.testing.assert_frame_equal(there, here, check_exact=True)


def test_what_spark_reads_otherwise_is_a_fault(engine: Spark, tmp_path: Path) -> None:
    tables = frames()
    tables["posts"]["caption"] = "so much"
    tables["creators"]["niche"] = "cafe\u0301"
    tables["collaborations"]["spend"] = tables["collaborations"].spend.astype(str)
    folder = write(tables, tmp_path / "data")
    (folder / "posts.parquet").unlink()
    tables["posts"].to_csv(folder / "posts.csv", index=False)
    with open_history(folder) as here, pytest.raises(InputError) as error:
        in_spark(here, folder, engine)
    assert [(fault.where, fault.column, fault.received) for fault in error.value.faults] == [
        ("collaborations", "spend", "string"),
        ("creators", "niche", "cafe\u0301"),
        ("posts", None, "posts.csv"),
    ]


def test_a_place_where_nothing_listens_is_a_fault() -> None:
    for scheme in ("spark", "sc"):
        with pytest.raises(InputError, match="cannot be reached"), connected(f"{scheme}://127.0.0.1:{free_port()}"):
            pass
