"""Which of the best change between two models, and why."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.report.changed_ranks import COLUMNS, changed_ranks, lines
from models.report.model_card import model_card
from models.report.summary import study
from models.scoring import ranks
from models.training import Trained
from tests.support.past_market import fitted, spine

BEST = 10


@pytest.fixture(scope="module")
def other() -> Trained:
    """A model of the same market, in which another appeal sold."""
    frame = spine(60)
    return fitted(frame.assign(conversions=np.random.default_rng(3).permutation(frame.conversions)))


@pytest.mark.slow
def test_the_same_model_changes_nothing(small_trained: Trained) -> None:
    training, scorer = small_trained.training, small_trained.scorer
    found = changed_ranks(scorer, scorer, training.matrix, training.spine, BEST)
    assert (len(found), found.attrs["entered"], found.attrs["deals"]) == (0, 0, 60)
    assert "0 of the best 10 by the new model" in model_card(study(small_trained), changed=found)


@pytest.mark.slow
def test_who_enters_and_who_leaves_the_best_and_why(small_trained: Trained, other: Trained) -> None:
    training, now, before = small_trained.training, small_trained.scorer, other.scorer
    found = changed_ranks(now, before, training.matrix, training.spine, BEST)
    place, place_before = (ranks(m.rates(training.matrix, training.creators)) for m in (now, before))
    ids = training.spine.collaboration_id.to_numpy()
    assert set(found.collaboration_id) == set(ids[(place <= BEST) != (place_before <= BEST)])
    assert found["rank"].is_monotonic_increasing
    assert found.attrs["entered"] == (found["rank"] <= BEST).sum() > 0
    assert list(found) == list(COLUMNS)
    at = int(np.flatnonzero(ids == found.collaboration_id[0])[0])
    moved = [
        dict(zip(m.encoding.columns, m.rate.contributions(m.encoding.transform(
            training.matrix.iloc[[at]], training.creators[[at]]))[0], strict=True))
        for m in (now, before)
    ]  # fmt: skip
    change = {name: abs(moved[0].get(name, 0) - moved[1].get(name, 0)) for name in {*moved[0], *moved[1]}}
    strongest = max(change, key=lambda name: change[name])
    assert found.why[0].startswith(strongest)  # no feature of the catalogue's: its own name
    assert f"×{np.exp(moved[0].get(strongest, 0)):.2f} instead of ×" in found.why[0]
    card = model_card(study(small_trained), changed=found)
    assert f"{found.attrs['entered']} of the best 10 by the new model were not" in card
    assert found.why[0] in card
    assert len(lines(found)) == len(found) + 1


def test_a_model_of_other_columns_ranks_nothing(small_trained: Trained) -> None:
    training, scorer = small_trained.training, small_trained.scorer
    lacking = training.matrix.drop(columns=scorer.encoding.columns[0])
    with pytest.raises(ValueError, match=scorer.encoding.columns[0]):
        changed_ranks(scorer, replace(scorer), lacking, training.spine, BEST)
