"""Units that no plausible market has are named; ordinary ones pass, and nothing is changed by it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.monitoring.plausibility import LEAST, RANGES, Measure, measure, number
from models.training import TrainingSet
from tests.support.batches import market, training_of, with_links

ROWS = 60
ORDINARY = {
    "followers": 40_000.0,
    "spend_per_follower": 0.02,
    "spend_per_view": 0.05,
    "views_per_follower": 0.3,
    "engagement_rate_median": 0.03,
    "engagement_per_view_median": 0.08,
    "comments_per_like": 0.05,
    "saves_per_like": 0.1,
    "shares_per_like": 0.1,
}


def made(**other: float) -> TrainingSet:
    """A small market with typical posts; other: values of columns, of the matrix or of the collaborations."""
    frame = market(ROWS)
    extra = {"clicks": frame.conversions * 20.0, "revenue": frame.conversions * 40.0}
    of_deals = {name: value for name, value in other.items() if name not in ORDINARY}
    training = training_of(frame.assign(**extra | of_deals))
    columns = {name: np.full(ROWS, other.get(name, value)) for name, value in ORDINARY.items()}
    return with_links(training, deliverables=training.spine.deliverables.to_numpy(float), **columns)


def notes(training: TrainingSet) -> list[str]:
    return [one.note for one in measure(training) if one.note]


def test_an_ordinary_market_is_plausible() -> None:
    found = measure(made())
    assert [one.within for one in found] == list(RANGES.values()), "each is measured, in this order"
    assert notes(made()) == []


@pytest.mark.parametrize(
    ("column", "value", "name", "likely"),
    [
        ("spend", 5e6, "spend of a deal", "cents given as dollars"),
        ("spend", 0.2, "spend of a deal", "thousands of dollars given as dollars"),
        ("spend", 5e6, "conversions per dollar, in all", "spend in cents or in another currency"),
        ("conversions", 1e5, "conversions per dollar, in all", "clicks or views given as conversions"),
        ("conversions", 1e5, "conversions per follower", "views given as conversions"),
        ("clicks", 0.5, "conversions per click, in all", "clicks and conversions that are swapped"),
        ("revenue", 1e8, "revenue per conversion, in all", "revenue in cents"),
        ("promotion_hours", 0.3, "length of a promotion", "days given as hours"),
        ("promotion_hours", 1e5, "length of a promotion", "minutes or seconds given as hours"),
        ("deliverables", 3000, "deliverables of a deal", "something else, such as views"),
        ("followers", 40.0, "followers of a deal's creator", "followers given in thousands"),
        ("spend_per_follower", 20.0, "spend per follower", "spend in cents"),
        ("spend_per_view", 50.0, "spend per view", "spend in cents"),
        ("views_per_follower", 300.0, "views per follower", "followers in thousands"),
        ("engagement_rate_median", 30.0, "likes and comments per follower", "followers in thousands"),
        ("engagement_per_view_median", 80.0, "likes and comments per view", "views in thousands"),
        ("comments_per_like", 20.0, "comments per like", "likes and comments that are swapped"),
        ("saves_per_like", 10.0, "saves per like", "saves and likes that are swapped"),
        ("shares_per_like", 10.0, "shares per like", "shares and likes that are swapped"),
    ],
)
def test_a_unit_beyond_its_range_is_named(column: str, value: float, name: str, likely: str) -> None:
    (note,) = [one for one in notes(made(**{column: value})) if one.startswith(name)]
    assert likely in note
    assert note.endswith("Nothing was changed")


def test_live_shopping_and_discount_codes_are_plausible() -> None:
    assert notes(made(promotion_hours=1.0)) == []
    frame = market(ROWS)
    by_code = np.arange(ROWS) % 2 == 0
    clicks = np.where(by_code, 0.0, frame.conversions / 4)
    found = {one.within.name: one for one in measure(training_of(frame.assign(clicks=clicks)))}
    per_click = found["conversions per click, in all"]
    assert (per_click.values, per_click.typical, per_click.note) == (ROWS // 2, pytest.approx(4), None)


def test_few_values_say_nothing() -> None:
    training = made(followers=1.0)
    few = np.where(np.arange(ROWS) < LEAST - 1, 1.0, np.nan)
    assert not any("followers of" in note for note in notes(with_links(training, followers=few)))
    empty = replace(training, spine=training.spine.drop(columns=["clicks", "revenue"]))
    assert "conversions per click, in all" not in [one.within.name for one in measure(empty)]


def test_a_measure_shows_its_range_and_its_reason() -> None:
    hours = Measure(RANGES["promotion_hours"], 60, 0.25)
    assert hours.cells() == [
        "length of a promotion", "0.25 hours", "0.5 to 8,760",
        "live shopping lasts an hour or some, few codes stay for more than a year",
    ]  # fmt: skip
    assert hours.to_dict()["plausible"] is False
    assert [number(value) for value in (0, 1e-5, 0.0005, 0.12345, 12.345, 123.45, 1e6)] == [
        "0", "0.00001", "0.0005", "0.123", "12.3", "123", "1,000,000",
    ]  # fmt: skip
