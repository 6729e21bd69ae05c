"""The training on a long history: what is made up is a training, and what is compared are its own fits."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import report, training
from benchmarks.long_history import long_history
from features.catalogue import CATALOGUE
from models.estimators import rate
from models.estimators.rate import RECIPES
from models.studies import budget_study


def test_a_long_history_has_all_features_and_conversions_by_day() -> None:
    made = long_history(3_000, 200, 8)
    assert made.matrix.columns.tolist() == [feature.name for feature in CATALOGUE]
    results = made.results
    assert (results.starts[1:] >= results.starts[:-1]).all()
    assert results.daily is not None
    sums = results.daily.groupby("row").conversions.sum()
    assert (results.counts[sums.index] == sums).all()
    assert results.counts.sum() == sums.sum()
    young = results.until < results.final
    assert 0 < young.mean() < 0.2
    assert results.daily.date.max() - results.daily.date.min() > results.final.max() - results.until.max()


@pytest.mark.slow
@pytest.mark.long
def test_both_ways_are_measured_on_the_same_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate, "ROUNDS", 8)
    args = Namespace(results=1_500, creators=150, brands=6, folder=tmp_path)
    recipes = RECIPES[::4]  # Poisson and the mixed model
    found = training.run_training(args, recipes)
    parts = {name: seconds for name, seconds, _ in found["parts"]}
    assert all(seconds > 0 for seconds in parts.values()), parts
    assert sum(parts.values()) <= found["of processors"]
    rounds = []
    monkeypatch.setattr(
        training, "bare_fit", lambda data, recipe, trees, seed: rounds.append((len(data.counts), trees))
    )
    bare = training.run_bare(args, recipes)
    assert bare["seconds"] < found["seconds"]
    assert len(rounds) == 6
    assert all(len(trees) == 2 and trees[0] <= 8 for _, trees in rounds)


def test_a_report_is_measured_on_rows_that_a_budget_can_be_spent_on() -> None:
    made = long_history(2_000, 200, 8)
    rows = report.rows_tested(made)
    assert rows.groupby("fold").size().tolist() == [200] * 5
    assert rows.came.tolist() == made.results.counts[1000:].tolist()
    assert {bought.choice for bought in budget_study.compare(rows, 0)} == set(budget_study.CHOICES)
    found = report.measure("nothing", lambda: np.arange(10))
    assert found["study"] == "nothing"
