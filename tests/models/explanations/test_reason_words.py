"""Reasons in a person's words: labels, units and rounded numbers."""

import json

import pytest

from features.catalogue import CATALOGUE
from models.explanations.reason_words import factor, reason_words


@pytest.mark.parametrize(
    ("feature", "value", "words"),
    [
        ("creator_record", 3.37234, "earlier conversions per dollar of the creator (3.37 × the market's)"),
        ("creator_click_record", 0.05, "earlier clicks per dollar of the creator (0.05 × the market's)"),
        ("spend", 1234.5, "price of the deal ($1,234)"),
        ("spend", 99.5, "price of the deal ($99.50)"),
        ("spend_per_follower", 0.0123456, "price per follower ($0.0123)"),
        ("buying_intent_share", 0.1234, "share of comments that are about buying (12 %)"),
        ("engagement_rate_median", 0.03456, "engagement per follower, typical post (3.5 %)"),
        ("followers", 1234567.0, "number of followers (1,234,567 accounts)"),
        ("posts_90d", 1.0, "posts in 90 days (1 post)"),
        ("brands_90d", 0.0, "brands the creator worked for in 90 days (0 brands)"),
        ("promotion_hours", 48.5, "promotion length (48.5 hours)"),
        ("followers_growth_90d", -0.05, "growth of followers in 90 days (−4.9 %)"),
        ("followers_jump", 0.6931471, "largest jump in followers from one post to the next (+100 %)"),
        ("same_country", 1.0, "creator from the country of sale (yes)"),
        ("start_month", 12.0, "month of the start (December)"),
        ("start_weekday", 0.0, "day of the week of the start (Monday)"),
        ("brand", "Acme", "brand (Acme)"),
        ("tier", None, "size class of the creator (unknown)"),
        ("views_per_follower", 1e-7, "views per follower, lately (0.0000001)"),
        ("a_column_of_an_older_model", 2.0, "a_column_of_an_older_model (2)"),
    ],
)
def test_a_reason_reads_as_a_person_would_say_it(feature: str, value: object, words: str) -> None:
    reason = {"feature": feature, "value": value, "factor": 3.247}
    assert reason_words([reason]) == [f"{words} ×3.25"]
    assert reason_words(json.dumps([reason, reason])) == [f"{words} ×3.25"] * 2


def test_factors_have_no_senseless_digits() -> None:
    factors = [factor(value) for value in (0.8149, 1.0, 99.994, 1234.6, 0.012345, 1e-300)]
    assert factors[:5] == ["×0.81", "×1.00", "×99.99", "×1,235", "×0.0123"]


def test_every_feature_has_words_for_every_kind_of_value() -> None:
    for feature in CATALOGUE:
        values = ["x", None] if feature.kind == "category" else [feature.low, feature.high, 0.5, 3.0, None]
        for value in values:
            assert feature.label in reason_words([{"feature": feature.name, "value": value, "factor": 1.5}])[0]
