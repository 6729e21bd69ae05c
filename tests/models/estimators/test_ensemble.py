"""Weights of the recipes, and the correction of the level."""

from __future__ import annotations

import numpy as np
import pytest

from models.estimators.ensemble import fit_level, fit_weights


def test_the_blend_prefers_the_recipe_that_is_right() -> None:
    rng = np.random.default_rng(0)
    truth, noise = rng.normal(0, 1, 2000), rng.normal(0, 1, 2000)
    exposure, base = np.full(2000, 1000.0), np.full(2000, np.log(0.02))
    counts = rng.poisson(exposure * np.exp(base + truth)).astype(float)
    right = fit_weights(np.column_stack([truth, noise]), base, counts, exposure, np.zeros(2000), np.arange(2000) // 500)
    assert right[0] == pytest.approx(1, abs=0.1)
    assert right[1] == 0
    few = fit_weights(
        np.column_stack([truth, noise])[:10], base[:10], counts[:10], exposure[:10], np.zeros(10), np.zeros(10)
    )
    assert few.tolist() == [0.5, 0.5]


def test_a_level_that_folds_agree_on_is_corrected_and_one_they_dispute_is_not() -> None:
    fold = np.repeat([0, 1, 2, 3], 100)
    exposure, log_rate, certain = np.full(400, 1000.0), np.full(400, np.log(0.05)), np.zeros(400)
    assert fit_level(log_rate, exposure * 0.1, exposure, certain, fold) == pytest.approx(np.log(2), abs=0.02)
    disputed = exposure * np.where(fold % 2, 0.1, 0.025)
    assert fit_level(log_rate, disputed, exposure, certain, fold) == pytest.approx(0, abs=0.02)
