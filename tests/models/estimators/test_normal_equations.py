"""Effects of creators eliminated from the normal equations: the solution of all of them at once, at any size."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import linalg, sparse

from models.estimators import blocks, normal_equations
from models.estimators.normal_equations import PENALTY_CREATOR, indicators_of, solve

ROWS, CREATORS = 600, 90


@pytest.fixture(scope="module")
def problem() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    indicators = sparse.hstack([indicators_of(rng.integers(0, n, ROWS), n) for n in (4, 7)], format="csr")
    return {
        "terms": np.hstack([np.ones((ROWS, 1)), rng.normal(size=(ROWS, 3))]),
        "indicators": indicators,
        "creator": rng.integers(1, CREATORS, ROWS),
        "creators": CREATORS,
        "penalty": np.r_[1e-6, np.full(14, 3.0)],
        "weight": rng.random(ROWS) + 0.1,
        "response": rng.normal(size=ROWS),
    }


def at_once(problem: dict[str, Any]) -> np.ndarray:
    of_creator = indicators_of(problem["creator"], CREATORS).toarray()
    design = np.hstack([problem["terms"], problem["indicators"].toarray(), of_creator])
    penalty = np.append(problem["penalty"], np.full(CREATORS, PENALTY_CREATOR))
    weighed = design * problem["weight"][:, None]
    return np.linalg.solve(weighed.T @ design + np.diag(penalty), weighed.T @ problem["response"])


@pytest.mark.parametrize("values", [60, 1 << 23])
def test_the_solution_is_that_of_all_equations(
    values: int, problem: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (blocks, normal_equations):
        monkeypatch.setattr(module, "BLOCK_VALUES", values)
    fixed, effects = solve(**problem)
    np.testing.assert_allclose(np.append(fixed, effects), at_once(problem), rtol=1e-9, atol=1e-12)
    assert effects[0] == 0, "nobody's effect is no effect"


def test_one_block_has_the_bits_of_whole_tables(problem: dict[str, Any]) -> None:
    terms, indicators, weight, response = (problem[k] for k in ("terms", "indicators", "weight", "response"))
    of_creator = indicators_of(problem["creator"], CREATORS)
    heavy, light = terms * weight[:, None], indicators.multiply(weight[:, None]).tocsr()
    cross = indicators.T @ heavy
    normal = np.block([[terms.T @ heavy, cross.T], [cross, (indicators.T @ light).toarray()]])
    normal += np.diag(problem["penalty"])
    right = np.concatenate([heavy.T @ response, light.T @ response])
    shared = np.hstack([of_creator.T @ heavy, (of_creator.T @ light).toarray()])
    own = of_creator.T @ weight + PENALTY_CREATOR
    own_right = of_creator.T @ (weight * response)
    fixed = linalg.solve(
        normal - shared.T @ (shared / own[:, None]), right - shared.T @ (own_right / own), assume_a="pos"
    )
    found, effects = solve(**problem)
    np.testing.assert_array_equal(found, fixed)
    np.testing.assert_array_equal(effects, (own_right - shared @ fixed) / own)
