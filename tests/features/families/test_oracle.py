"""Every feature of the catalogue against a second implementation: plain SQL, from the formulas, naive on purpose.

The oracle looks at each spine row by itself and joins it with all that it may see; it shares no code with `features`.
Both put fractions on the same grid before they sum them, as `features/families/expressions.py` says.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from features.catalogue import CATALOGUE, FAMILIES
from features.comment_classifier.classifier import CLASSES
from features.history.source import open_history
from features.matrix import FeatureBuilder
from features.settings import FeatureSettings
from tests.support.small_world import StubClassifier, Tables, small_world, write

ORACLE = Path(__file__).parent / "oracle"
USUAL = {  # usual share of each class, as the catalogue's formulas give it
    "spam": 0.05,
    "emoji_only": 0.15,
    "mention_only": 0.05,
    "hollow": 0.35,
    "substance": 0.25,
    "question": 0.15,
    "buying_intent": 0.05,
}
PRIORS = {"creator": 1, "brand": 2, "pair": 1, "niche_pair": 5, "tier": 5, "platform": 5}
# a record of a key that does not exist (an unknown creator's platform) is missing, not 1
KEYS = {"niche_pair": "sc.niche", "tier": "sz.followers", "platform": "sc.platform"}


def _filled(family: str) -> str:
    """A family's SQL, with what repeats once a class or once a record."""
    sql = (ORACLE / f"{family}.sql").read_text()
    of = {name: "creator AND brand" if name == "pair" else name for name in PRIORS}
    shares = [
        f"(exact_sum(CASE WHEN fan THEN {c} END) + 5 * {USUAL[c]}) / (count(*) FILTER (fan) + 5) AS {c}_share"
        for c in CLASSES
    ]
    sums = [f"exact_sum(CASE WHEN {of[name]} THEN {v} END) AS {name}_{v}" for name in PRIORS for v in ("w", "ws")]
    records = []
    for name, k in PRIORS.items():
        known = f"CASE WHEN {KEYS.get(name, 'TRUE')} IS NOT NULL THEN"
        records += [
            f"{known} exp(coalesce({name}_ws / ({name}_w + {k}), 0)) END AS {name}_record",
            f"{known} coalesce({name}_w, 0) END AS {name}_evidence",
        ]
    parts = {"{shares}": shares, "{sums}": sums, "{records}": records}
    for hole, values in parts.items():
        sql = sql.replace(hole, ", ".join(values))
    return sql


def oracle(tables: Tables) -> dict[str, pd.DataFrame]:
    """The families' columns by plain SQL, from the frames themselves."""
    with duckdb.connect() as connection:
        distinct = tables["comments"]["text"].unique()
        texts = StubClassifier().classify(distinct).assign(text=distinct)
        spine = tables["spine"].assign(row_id=np.arange(len(tables["spine"])))
        for name, table in (tables | {"spine": spine, "texts": texts}).items():
            connection.register(f"given_{name}", table)
            connection.execute(f"CREATE TABLE {name} AS FROM given_{name}")
        connection.execute((ORACLE / "views.sql").read_text())
        return {family: connection.sql(f"{_filled(family)} ORDER BY row_id").df() for family in FAMILIES}


Both = tuple[pd.DataFrame, dict[str, pd.DataFrame]]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    """The matrix of a small market by both implementations."""
    tables = small_world()
    folder = write(tables, tmp_path_factory.mktemp("world"))
    with open_history(folder, threads=2) as history, FeatureBuilder(history, classifier=StubClassifier()) as builder:
        yield builder.build(tables["spine"]), oracle(tables)


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_equals_plain_sql(both: Both, family: str) -> None:
    matrix, expected = both[0], both[1][family]
    features = [f for f in CATALOGUE if f.family == family]
    assert sorted(expected.columns) == sorted(["row_id", *(f.name for f in features)])
    wrong = {}
    for feature in features:
        ours, theirs = matrix[feature.name], expected[feature.name]
        agree = (ours.isna() & theirs.isna()).to_numpy()
        if feature.kind == "category":
            agree = agree | (ours == theirs).to_numpy()
        else:
            agree = agree | np.isclose(ours.to_numpy(), theirs.to_numpy("float64", na_value=np.nan), rtol=1e-9, atol=0)
        if not agree.all():
            first = int(np.flatnonzero(~agree)[0])
            wrong[feature.name] = (int((~agree).sum()), first, ours[first], theirs[first])
    assert wrong == {}, "column: (rows that differ, first of them, ours, oracle's)"


def test_columns_are_the_catalogues(both: Both) -> None:
    matrix = both[0]
    assert list(matrix.columns) == [f.name for f in CATALOGUE]
    assert isinstance(matrix.index, pd.RangeIndex)
    for feature in CATALOGUE:
        assert matrix[feature.name].dtype == ("object" if feature.kind == "category" else "float64"), feature.name


def test_the_market_tries_every_column(both: Both) -> None:
    """The comparison is worth little where a column is missing throughout, or the same throughout."""
    for feature in CATALOGUE:
        assert both[0][feature.name].nunique() > 1, feature.name


def test_values_lie_in_the_catalogues_range(both: Both) -> None:
    for feature in CATALOGUE:
        if feature.kind == "number":
            column = both[0][feature.name].dropna()
            low, high = (-math.inf if feature.low is None else feature.low), feature.high or math.inf
            assert (column.between(low, high) & np.isfinite(column)).all(), feature.name


@pytest.mark.slow
def test_settings_move_tiers_and_windows(tmp_path: Path) -> None:
    """Tiers and the moment at which an unlisted count is final follow the settings."""
    tables = small_world()
    settings = FeatureSettings(tier_bounds=(5_000, 50_000, 60_000, 70_000), attribution_days=0.0)
    with (
        open_history(write(tables, tmp_path / "world"), threads=2) as history,
        FeatureBuilder(history, settings, StubClassifier()) as builder,
    ):
        matrix = builder.build(tables["spine"])
    edges = [-1, 4_999, 49_999, 59_999, 69_999, math.inf]
    cut = pd.cut(matrix.followers, edges, labels=["nano", "micro", "mid", "macro", "mega"]).astype("object")
    pd.testing.assert_series_equal(matrix.tier.fillna("missing"), cut.fillna("missing"), check_names=False)
