"""Promotion: the deal's own terms, and what they mean beside the creator's size and usual price."""

from __future__ import annotations

from typing import Any, Protocol

from features.families.expressions import AS_OF
from features.families.feature import DEALS, POSTS_90, POSTS_365, TERMS, Feature

FAMILY = "promotion"

FEATURES = (
    Feature(
        name="promotion_hours",
        family=FAMILY,
        entity="deal",
        label="promotion length",
        unit="hours",
        formula="hours that link, code or post stay live",
        low=0,
        as_of=TERMS,
    ),
    Feature(
        name="deliverables",
        family=FAMILY,
        entity="deal",
        label="deliverables",
        unit="posts",
        formula="posts, stories, videos agreed",
        low=1,
        as_of=TERMS,
    ),
    Feature(
        name="hours_per_deliverable",
        family=FAMILY,
        entity="deal",
        label="promotion length per deliverable",
        unit="hours",
        formula="promotion_hours / deliverables",
        low=0,
        as_of=TERMS,
    ),
    Feature(
        name="objective",
        family=FAMILY,
        entity="deal",
        label="objective",
        unit="class",
        formula="objective as given",
        as_of=TERMS,
        kind="category",
    ),
    Feature(
        name="start_month",
        family=FAMILY,
        entity="deal",
        label="month of the start",
        unit="month",
        formula="month of the start, UTC",
        low=1,
        high=12,
        as_of=TERMS,
    ),
    Feature(
        name="start_weekday",
        family=FAMILY,
        entity="deal",
        label="day of the week of the start",
        unit="day",
        formula="0 is Monday, UTC",
        low=0,
        high=6,
        as_of=TERMS,
    ),
    Feature(
        name="spend",
        family=FAMILY,
        entity="deal",
        label="price of the deal",
        unit="US dollars",
        formula="spend as quoted",
        low=0,
        as_of=TERMS,
    ),
    Feature(
        name="spend_per_deliverable",
        family=FAMILY,
        entity="deal",
        label="price per deliverable",
        unit="US dollars",
        formula="spend / deliverables",
        low=0,
        as_of=TERMS,
    ),
    Feature(
        name="spend_per_follower",
        family=FAMILY,
        entity="deal",
        label="price per follower",
        unit="US dollars",
        formula="spend / followers",
        low=0,
        as_of=POSTS_365,
    ),
    Feature(
        name="spend_per_view",
        family=FAMILY,
        entity="deal",
        label="price per view of a usual post",
        unit="US dollars",
        formula="spend / (views_per_follower × followers)",
        low=0,
        as_of=POSTS_90,
    ),
    Feature(
        name="spend_vs_usual",
        family=FAMILY,
        entity="deal",
        label="price against the creator's usual price",
        unit="ratio",
        formula="spend / median spend of the creator's earlier collaborations",
        low=0,
        as_of=DEALS,
    ),
)


class Operations(Protocol):
    """What the formulas need: `expressions` has it over a table, `arrays` over columns, `scalars` over a row."""

    def ratio(self, above: Any, below: Any) -> Any:
        """above / below, missing where below is 0 or either is missing."""

    def month(self, moment: Any) -> Any:
        """1 to 12, UTC."""

    def weekday(self, moment: Any) -> Any:
        """0 is Monday, UTC."""


def finish(t: Any, over: Operations) -> dict[str, Any]:
    """The columns that are computed, by name; those of the terms themselves need no formula.

    t: the deal's terms, the creator's columns and `usual_spend`, each by its name, the start as AS_OF. Batch and
    service both evaluate this, with `over` for a table, for arrays or for the numbers of a row.
    """
    return {
        "hours_per_deliverable": over.ratio(t["promotion_hours"], t["deliverables"]),
        "start_month": over.month(t[AS_OF]),
        "start_weekday": over.weekday(t[AS_OF]),
        "spend_per_deliverable": over.ratio(t["spend"], t["deliverables"]),
        "spend_per_follower": over.ratio(t["spend"], t["followers"]),
        "spend_per_view": over.ratio(t["spend"], t["views_per_follower"] * t["followers"]),
        "spend_vs_usual": over.ratio(t["spend"], t["usual_spend"]),
    }
