"""A small market and its matrix, which the tests of the matrix share."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd
import pytest

from features.history.source import History, open_history
from features.matrix import FeatureBuilder
from tests.support.small_world import StubClassifier, Tables, small_world, write


@pytest.fixture(scope="module")
def tables() -> Tables:
    return small_world()


@pytest.fixture(scope="module")
def history(tables: Tables, tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    with open_history(write(tables, tmp_path_factory.mktemp("world")), threads=2) as opened:
        yield opened


@pytest.fixture(scope="module")
def builder(history: History) -> Iterator[FeatureBuilder]:
    with FeatureBuilder(history, classifier=StubClassifier()) as prepared:
        yield prepared


@pytest.fixture(scope="module")
def matrix(builder: FeatureBuilder, tables: Tables) -> pd.DataFrame:
    return builder.build(tables["spine"])
