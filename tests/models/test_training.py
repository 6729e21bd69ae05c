"""A fit on past results: reproducible, close to the true rate, and cautious where results are few or odd."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.training import Trained
from tests.support.past_market import fitted, matrix, spine


def _files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.mark.slow
def test_same_data_and_seed_give_the_same_bytes(trained: Trained, tmp_path: Path) -> None:
    trained.scorer.save(tmp_path / "a")
    fitted(spine(600)).scorer.save(tmp_path / "b")
    fitted(spine(600), seed=1).scorer.save(tmp_path / "c")
    assert _files(tmp_path / "a") == _files(tmp_path / "b")
    assert _files(tmp_path / "a")["rate_0.txt"] != _files(tmp_path / "c")["rate_0.txt"]


def test_the_true_rate_is_found(trained: Trained) -> None:
    candidates = spine(500, seed=7)
    rates = trained.scorer.rates(matrix(candidates), candidates.creator_id.to_numpy(object))
    assert np.corrcoef(np.log(rates), np.log(candidates.rate))[0, 1] > 0.85
    assert (rates * candidates.spend).sum() / (candidates.rate * candidates.spend).sum() == pytest.approx(1, abs=0.15)
    figures = trained.backtest.figures().set_index("model")[:4]
    skill, rank = figures.skill.to_dict(), figures["rank"].to_dict()
    assert rank["ours"] > rank["own_record"] + 0.2
    assert skill["ours"] > skill["one_rate"] + 0.2


@pytest.mark.slow
@pytest.mark.parametrize("case", ["30", "one_creator", "one_brand", "constant", "mostly_none", "two"])
def test_odd_data_are_survived(case: str) -> None:
    frame = spine({"30": 30, "two": 2}.get(case, 130))
    if case == "one_creator":
        frame["creator_id"] = "c001"
    elif case == "one_brand":
        frame["brand"] = "north"
    elif case == "constant":
        frame["appeal"], frame["spend"], frame["promotion_hours"] = 0.0, 500.0, 24.0
    elif case == "mostly_none":
        frame["conversions"] = np.where(np.arange(len(frame)) == 100, 1, 0)
    elif case == "two":
        frame["conversions"] = [0, 3]
    scores = fitted(frame).scorer.score(matrix(frame), frame)
    numbers = scores.select_dtypes("number").to_numpy()
    assert np.isfinite(numbers).all()
    assert (scores.conversions_per_dollar > 0).all()
    level = frame.conversions.sum() / frame.spend.sum()
    assert 0.2 < (scores.conversions.sum() / frame.spend.sum()) / level < 5


def test_recipes_that_no_fold_could_judge_do_not_speak() -> None:
    frame = spine(45)
    made = fitted(frame)
    assert len(made.backtest.rows)
    assert not made.scorer.facts.recipes
    assert made.scorer.rates(matrix(frame), frame.creator_id.to_numpy(object)).std() == 0
