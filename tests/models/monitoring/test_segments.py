"""The smallest part of a batch that is off."""

from __future__ import annotations

import numpy as np
import pytest

from models.monitoring.residuals import Residuals, measure
from models.monitoring.segments import find

ROWS, OLD = 600, 500
RNG = np.random.default_rng(0)
BRANDS = RNG.choice(["a", "b", "c", "d"], ROWS)
WEEKS = np.where(np.arange(ROWS) < 550, "first", "second")
BATCH = np.arange(ROWS) >= OLD
NOISE = RNG.normal(0, 0.6, ROWS)


def residuals(shift: np.ndarray) -> Residuals:
    even, codes = np.ones(ROWS), np.zeros(ROWS)
    return measure(NOISE + shift, even, ~BATCH, np.arange(ROWS) % 90, (codes,), np.random.default_rng(0))


def parts(shift: np.ndarray, quantity: str = "spend") -> dict[str, np.ndarray]:
    batches = {"all": BATCH}
    groupings = {"brand": BRANDS, "week": WEEKS}
    return {part.name: part.rows for part in find(quantity, residuals(shift), batches, batches, groupings)}


@pytest.mark.parametrize("names", [["a"], ["a", "c"], ["a", "b", "c", "d"]])
def test_what_slipped_is_found_and_no_more(names: list[str]) -> None:
    rows = BATCH & np.isin(BRANDS, names)
    found = parts(4.6 * rows)
    assert sorted(found) == (["all"] if len(names) == 4 else [f"brand {name}" for name in names])
    assert (np.logical_or.reduce(list(found.values())) == rows).all()


def test_a_week_that_slipped_is_a_week() -> None:
    assert list(parts(-3.0 * (BATCH & (WEEKS == "second")))) == ["week second"]


@pytest.mark.parametrize("shift", [0.0, 0.6, -0.6])
def test_a_level_within_a_factor_of_three_is_ordinary(shift: float) -> None:
    assert parts(shift * BATCH) == {}


def test_hours_may_be_a_seventh() -> None:
    assert parts(np.log(1 / 7) * BATCH, "hours") == {}
    assert list(parts(np.log(1 / 24) * BATCH, "hours")) == ["all"]


def test_one_row_far_off_is_no_part() -> None:
    assert parts(12.0 * (np.arange(ROWS) == 560)) == {}
