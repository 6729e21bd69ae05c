"""What is published is checked as workers use it: compiled, in one go and row by row, against LightGBM's scores."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from features.history.source import open_history
from features.matrix import FeatureBuilder
from models.estimators.fast_trees import FastTrees
from models.newest.snapshot import Snapshot
from models.newest.snapshot_builder import probe
from models.scorer import Scorer
from service.publish import parity
from service.publish.publication import Publication, load

ROWS = 40


@pytest.fixture(scope="module")
def published(
    trained_workspace: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Path, FeatureBuilder]]:
    """A state folder with a model and its features, and what builds them."""
    state = tmp_path_factory.mktemp("state")
    scorer = Scorer.load(next(path.parent for path in trained_workspace.glob("**/scorer/checksums.json")))
    scorer.save(state / "model")
    with (
        open_history(trained_workspace / "data", threads=2) as history,
        FeatureBuilder(history.without(scorer.facts.kept_out), scorer.settings, scorer.classifier) as builder,
    ):
        probe(builder).save(state / "features")
        yield state, builder


def check(published: tuple[Path, FeatureBuilder]) -> Scorer:
    """Check it with a model that is loaded anew."""
    state, builder = published
    scorer = Scorer.load(state / "model")
    assert parity.check(Snapshot.load(state / "features"), scorer, builder, ROWS) == ()
    return scorer


def test_compiled_scores_are_those_of_lightgbm(published: tuple[Path, FeatureBuilder]) -> None:
    assert check(published).rate.fast, "the check was made with compiled trees"


@pytest.mark.parametrize("rows", [1, ROWS])
def test_a_bit_that_differs_is_refused(
    published: tuple[Path, FeatureBuilder], rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = FastTrees.raw_scores

    def wrong(self: FastTrees, features: np.ndarray) -> np.ndarray:
        scores = right(self, features)
        return scores + 1e-13 if len(features) == rows else scores

    monkeypatch.setattr(FastTrees, "raw_scores", wrong)
    with pytest.raises(parity.CheckError, match=rf"\d+ of {rows} rows differ"):
        check(published)


def test_a_worker_scores_in_compiled_code(published: tuple[Path, FeatureBuilder]) -> None:
    state, _ = published
    publication = Publication(1, "model/1", "model", "features", {}, {})
    serving = load(state, publication)
    model = serving.scorer.scorer
    assert model.rate.fast
    assert load(state, publication, serving).scorer.scorer is model, "what is loaded is not prepared again"
    assert model.rate.prepare(math.inf) == ()
