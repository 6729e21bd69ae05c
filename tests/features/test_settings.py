"""Settings of the features: what is accepted, and that they come back as they were saved."""

from __future__ import annotations

import json
from typing import Any

import pytest

from features.settings import FeatureSettings


def test_they_come_back_as_they_were_saved() -> None:
    settings = FeatureSettings(tier_bounds=(1_000, 5_000, 20_000, 80_000), attribution_days=7.5)
    assert FeatureSettings.from_dict(json.loads(json.dumps(settings.to_dict()))) == settings
    assert FeatureSettings.from_dict({}) == FeatureSettings()


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"tier_bounds": (1, 2, 3)}, "4 rising numbers"),
        ({"tier_bounds": (1, 2, 2, 3)}, "4 rising numbers"),
        ({"tier_bounds": (0, 1, 2, 3)}, "above 0"),
        ({"attribution_days": -1.0}, "from 0 to 3650"),
        ({"attribution_days": float("nan")}, "from 0 to 3650"),
        ({"attribution_days": 3651.0}, "from 0 to 3650"),
    ],
    ids=str,
)
def test_others_are_refused_by_name(changed: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        FeatureSettings(**changed)


def test_a_setting_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match=r"unknown feature settings \['window'\]; there are \['attribution_days'"):
        FeatureSettings.from_dict({"window": 3})
