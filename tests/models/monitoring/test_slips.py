"""Factors get the name of the slip that makes them."""

from __future__ import annotations

import pytest

from models.monitoring.slips import name_slip


@pytest.mark.parametrize(
    ("quantity", "effect", "likely"),
    [
        ("spend", 96, "cents given as dollars"),
        ("spend", 0.0105, "dollars that were divided by 100"),
        ("spend", 1100, "dollars that were multiplied by 1,000"),
        ("spend", 0.00095, "thousands of dollars given as dollars"),
        ("spend", 10.4, "or another currency, with some 10.4 of it to a dollar"),
        ("spend", 24, "another currency, with some 24 of it to a dollar"),
        ("conversions", 110, "counts multiplied by 100"),
        ("conversions", 0.13, "counts divided by 10"),
        ("conversions", 35, "clicks or visits"),
        ("rate", 0.3, "not matched"),
        ("hours", 0.04, "days given as hours"),
        ("hours", 62, "minutes given as hours"),
        ("hours", 0.0059, "weeks given as hours"),
        ("hours", 400, "another unit than hours"),
    ],
)
def test_a_factor_is_named(quantity: str, effect: float, likely: str) -> None:
    assert likely in name_slip(quantity, effect, effect / 1.2, effect * 1.2)


def test_a_wide_interval_leaves_room_for_a_name() -> None:
    assert name_slip("conversions", 35, 10, 120) == "counts multiplied by 100"
    assert "clicks" in name_slip("conversions", 35, 30, 40)
