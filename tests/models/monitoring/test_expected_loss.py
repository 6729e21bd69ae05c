"""The loss that a model expects of its scores is the one that comes, where its intervals are right."""

from __future__ import annotations

import numpy as np
import pytest

from models.estimators.count_data import count_loss
from models.monitoring.expected_loss import MOST_ROWS, expected_loss, loss_of_list, realised_loss
from models.scorer import Scorer
from models.uncertainty.interval import fit_intervals
from tests.support.past_market import matrix, spine


def market(rows: int, dispersion: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Expected and realised counts."""
    rng = np.random.default_rng(seed)
    expected = np.exp(rng.normal(2.5, 1.2, rows))
    return expected, rng.poisson(expected * rng.gamma(1 / dispersion, dispersion, rows)).astype(float)


@pytest.mark.slow
@pytest.mark.parametrize("dispersion", [0.2, 1.0])
def test_the_expected_loss_comes(dispersion: float) -> None:
    expected, counts = market(1_500, dispersion, 0)
    intervals = fit_intervals(expected, counts, np.full(1_500, "*"))
    later, came = market(1_500, dispersion, 1)
    before, after = expected_loss(intervals, later, np.full(1_500, "*")), realised_loss(later, came)
    assert before.deviance == pytest.approx(after.deviance, rel=0.15)
    assert before.error == pytest.approx(after.error, rel=0.15)
    assert expected_loss(intervals, later, np.full(1_500, "*")) == before
    unlike = expected_loss(intervals, later, np.full(1_500, "*"), 5.0)
    assert unlike.deviance > 1.2 * before.deviance


def test_a_realised_loss_is_what_its_names_say() -> None:
    expected, counts = np.array([4.0, 9.5]), np.array([4.0, 0.0])
    found = realised_loss(expected, counts)
    assert found.error == pytest.approx(np.log(20) / 2)
    assert found.deviance == pytest.approx(count_loss(counts, expected).mean())
    assert str(found).startswith("a factor of 4.5, up or down (mean deviance ")


def test_a_long_list_is_known_by_a_part_of_its_rows(small_scorer: Scorer) -> None:
    candidates = spine(MOST_ROWS + 1_000, seed=2)
    features = matrix(candidates)
    expected = small_scorer.score(features, candidates, reasons=False).conversions.to_numpy(float)
    part = loss_of_list(small_scorer, features, expected)
    every = np.arange(0, len(expected), 2)
    whole = expected_loss(
        small_scorer.intervals, expected[every], small_scorer.groups(features.iloc[every]),
        small_scorer.support.excess(features.iloc[every]),
    )  # fmt: skip
    assert part == whole
