"""Promotion: the deal's own terms, and what they mean beside the creator's size and usual price."""

from __future__ import annotations

from typing import Any, Protocol

from features.families.expressions import AS_OF
from features.families.feature import DEALS, POSTS_90, POSTS_365, TERMS, Feature

FAMILY = "promotion"

FEATURES = (
    Feature(
        "promotion_hours",
        FAMILY,
        "deal",
        "promotion length",
        "hours",
        "hours that link, code or post stay live",
        0,
        None,
        TERMS,
    ),
    Feature("deliverables", FAMILY, "deal", "deliverables", "posts", "posts, stories, videos agreed", 1, None, TERMS),
    Feature(
        "hours_per_deliverable",
        FAMILY,
        "deal",
        "promotion length per deliverable",
        "hours",
        "promotion_hours / deliverables",
        0,
        None,
        TERMS,
    ),
    Feature("objective", FAMILY, "deal", "objective", "class", "objective as given", None, None, TERMS, "category"),
    Feature("start_month", FAMILY, "deal", "month of the start", "month", "month of the start, UTC", 1, 12, TERMS),
    Feature("start_weekday", FAMILY, "deal", "day of the week of the start", "day", "0 is Monday, UTC", 0, 6, TERMS),
    Feature("spend", FAMILY, "deal", "price of the deal", "US dollars", "spend as quoted", 0, None, TERMS),
    Feature(
        "spend_per_deliverable",
        FAMILY,
        "deal",
        "price per deliverable",
        "US dollars",
        "spend / deliverables",
        0,
        None,
        TERMS,
    ),
    Feature(
        "spend_per_follower",
        FAMILY,
        "deal",
        "price per follower",
        "US dollars",
        "spend / followers",
        0,
        None,
        POSTS_365,
    ),
    Feature(
        "spend_per_view",
        FAMILY,
        "deal",
        "price per view of a usual post",
        "US dollars",
        "spend / (views_per_follower × followers)",
        0,
        None,
        POSTS_90,
    ),
    Feature(
        "spend_vs_usual",
        FAMILY,
        "deal",
        "price against the creator's usual price",
        "ratio",
        "spend / median spend of the creator's earlier collaborations",
        0,
        None,
        DEALS,
    ),
)


class Operations(Protocol):
    """What the formulas need: `expressions` has it over a table, `arrays` over the columns of a request."""

    def ratio(self, above: Any, below: Any) -> Any:
        """above / below, missing where below is 0 or either is missing."""

    def month(self, moment: Any) -> Any:
        """1 to 12, UTC."""

    def weekday(self, moment: Any) -> Any:
        """0 is Monday, UTC."""


def finish(t: Any, over: Operations) -> dict[str, Any]:
    """The columns that are computed, by name; those of the terms themselves need no formula.

    t: the deal's terms, the creator's columns and `usual_spend`, each by its name, the start as AS_OF. Batch and
    service both evaluate this, with `over` for a table or for arrays.
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
