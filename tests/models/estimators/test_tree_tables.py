"""The tables of boosters, worked through row by row in NumPy, against LightGBM; and what they refuse."""

from __future__ import annotations

from typing import Any

import lightgbm as lgb
import numpy as np
import pytest

from models.estimators.tree_tables import TreeTables, tabulate
from tests.support.boosters import CATEGORICAL, MANY_THRESHOLDS, at_thresholds, counts, fitted, made_up

CASES: list[dict[str, Any]] = [{}, {"use_missing": False}, {"zero_as_missing": True}, {"num_leaves": 64}]


def leaf_value(tables: TreeTables, tree: int, row: np.ndarray) -> float:
    """What the tables say that a tree adds for a row of features, (columns,)."""
    top = int(np.iinfo(tables.code.dtype).max)
    word = int(np.iinfo(tables.word.dtype).max)
    for split in range(tables.first_split[tree], tables.first_split[tree + 1]):
        column = tables.split_column[split]
        value = row[tables.column[column]]
        if tables.steps[column]:
            end = 2 ** tables.steps[column] - 1
            place = int(end if np.isnan(value) else np.searchsorted(tables.cuts[column], value))
        else:
            last = tables.last[column]
            place = int(value) if -1 < value < last else int(last)
        code = int(tables.code[column, place])
        if tables.table[split] >= 0:
            word &= int(tables.tables[tables.table[split] + code])
        elif code + int(tables.shift[split]) & top > tables.width[split]:
            word &= int(tables.word[split])
    lowest = (word & -word).bit_length() - 1
    return float(tables.value[tables.first_leaf[tree] + lowest])


@pytest.mark.parametrize("settings", CASES, ids=str)
def test_a_row_comes_to_the_leaf_of_lightgbm(settings: dict[str, Any]) -> None:
    text = fitted(trees=8, **settings)
    tables, booster = tabulate([text]), lgb.Booster(model_str=text)
    for row in at_thresholds(text, 60, 4):
        total = 0.0
        for tree in range(tables.first_tree[1]):
            total += leaf_value(tables, tree, row)
        assert total == booster.predict(row[None], raw_score=True)[0]


@pytest.mark.parametrize(
    ("leaves", "code", "word"),
    [(7, np.uint8, np.uint8), (15, np.uint8, np.uint32), (33, np.uint16, np.uint64)],
)
def test_the_smallest_types_that_fit_are_taken(leaves: int, code: type, word: type) -> None:
    tables = tabulate([fitted(trees=10, num_leaves=leaves)])
    assert (tables.code.dtype, tables.tables.dtype, tables.word.dtype) == (code, word, word)


def test_a_column_of_many_thresholds_takes_wide_codes() -> None:
    tables = tabulate([fitted(**MANY_THRESHOLDS)])
    assert (tables.code.dtype, tables.word.dtype) == (np.uint16, np.uint64)
    missing = np.iinfo(np.uint16).max
    assert tables.code.max() == missing
    assert 255 <= tables.code[tables.code < missing].max() < 2000


def test_a_tree_asks_once_for_a_column_of_categories() -> None:
    tables = tabulate([fitted(num_leaves=31)])
    assert (tables.table >= 0).any()
    for tree in range(tables.first_tree[-1]):
        splits = slice(tables.first_split[tree], tables.first_split[tree + 1])
        columns = tables.split_column[splits][tables.table[splits] >= 0]
        assert len(columns) == len(set(columns.tolist()))


def test_boosters_share_the_columns_that_both_look_at() -> None:
    one, other = fitted(trees=5), fitted(trees=7, seed=9)
    tables = tabulate([one, other])
    assert tables.first_tree.tolist() == [0, 5, 12]
    assert tables.column.tolist() == sorted({*tabulate([one]).column, *tabulate([other]).column})
    assert tabulate([]).first_tree.tolist() == [0]


def test_what_tables_cannot_hold_is_refused() -> None:
    with pytest.raises(ValueError, match=r"a tree has 6[5-9] leaves, more than 64"):
        tabulate([fitted(trees=2, num_leaves=69, min_data_in_leaf=3)])
    with pytest.raises(ValueError, match="random forest"):
        tabulate([fitted(trees=3, boosting="rf")])
    features = made_up(1000, 1)
    numbers = lgb.train(
        {"objective": "poisson", "verbosity": -1, "num_threads": 1}, lgb.Dataset(features, counts(features)), 20
    ).model_to_string(num_iteration=-1)
    with pytest.raises(ValueError, match=rf"column ({'|'.join(map(str, CATEGORICAL))}) has categories in some splits"):
        tabulate([fitted(), numbers])
    with pytest.raises(ValueError, match="disagree on what a missing value is"):
        tabulate([fitted(), fitted(zero_as_missing=True)])
