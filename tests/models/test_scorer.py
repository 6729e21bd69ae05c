"""The saved model: it scores as before, and is refused where anyone has touched it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from models.scorer import ModelError, Scorer
from models.training import Trained
from tests.support.past_market import matrix, spine


def _files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_saved_model_scores_to_the_bit_as_before(trained: Trained, tmp_path: Path) -> None:
    candidates = spine(80, seed=3)
    trained.scorer.save(tmp_path / "model")
    loaded = Scorer.load(tmp_path / "model")
    pd.testing.assert_frame_equal(
        loaded.score(matrix(candidates), candidates),
        trained.scorer.score(matrix(candidates), candidates),
        check_exact=True,
    )
    loaded.save(tmp_path / "again")
    assert _files(tmp_path / "model") == _files(tmp_path / "again")


@pytest.mark.parametrize("damage", ["change", "remove", "add", "checksums"])
def test_a_tampered_model_is_refused(trained: Trained, tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "model"
    trained.scorer.save(folder)
    file = folder / "rate_0.txt"
    if damage == "change":
        file.write_text(file.read_text().replace("shrinkage=0.08", "shrinkage=0.09", 1))
    elif damage == "remove":
        file.unlink()
    elif damage == "add":
        (folder / "more.py").write_text("1")
    else:
        (folder / "checksums.json").unlink()
    said = {
        "change": "rate_0.txt was changed",
        "remove": "rate_0.txt is missing",
        "add": "more.py does not belong",
        "checksums": "no checksums.json",
    }
    with pytest.raises(ModelError, match=said[damage]):
        Scorer.load(folder)


def test_results_that_were_kept_out_are_remembered(small_scorer: Scorer, tmp_path: Path) -> None:
    facts = replace(small_scorer.facts, kept_out=("r1", "r2"))
    replace(small_scorer, facts=facts).save(tmp_path / "saved")
    assert Scorer.load(tmp_path / "saved").facts == facts
    assert "kept_out" not in small_scorer.facts.to_dict()  # and so earlier versions read it


def test_what_it_learnt_from_is_kept_and_may_be_missing(small_scorer: Scorer, tmp_path: Path) -> None:
    small_scorer.save(tmp_path / "saved")
    loaded = Scorer.load(tmp_path / "saved").learnt
    assert loaded
    assert small_scorer.learnt
    assert loaded.to_dict() == small_scorer.learnt.to_dict()
    assert {"noise", "spend", "tier"} <= set(loaded.features)
    replace(small_scorer, learnt=None).save(tmp_path / "older")  # as earlier versions did
    assert Scorer.load(tmp_path / "older").learnt is None
