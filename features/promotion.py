"""Promotion: the deal's own terms, and what they mean beside the creator's size and usual price."""

from __future__ import annotations

import ibis.expr.types as ir

from features.expressions import AS_OF, ratio
from features.feature import DEALS, POSTS_90, POSTS_365, TERMS, Feature

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


def finish(t: ir.Table) -> dict[str, ir.Value]:
    """Needs the terms, `followers`, `views_per_follower` and `usual_spend` in the row."""
    return {
        "hours_per_deliverable": ratio(t.promotion_hours, t.deliverables),
        "start_month": t[AS_OF].month().cast("float64"),
        "start_weekday": t[AS_OF].day_of_week.index().cast("float64"),
        "spend_per_deliverable": ratio(t.spend, t.deliverables),
        "spend_per_follower": ratio(t.spend, t.followers),
        "spend_per_view": ratio(t.spend, t.views_per_follower * t.followers),
        "spend_vs_usual": ratio(t.spend, t.usual_spend),
    }
