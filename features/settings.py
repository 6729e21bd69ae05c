"""Settings of the features, carried along by every model that was trained with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from itertools import pairwise
from typing import Any

TIERS = ("nano", "micro", "mid", "macro", "mega")


@dataclass(frozen=True)
class FeatureSettings:
    """What a user may choose about the features.

    tier_bounds: followers at which micro, mid, macro and mega begin, rising (the articles' micro: 10,000 to 100,000).
    attribution_days: days after a promotion's end until its count is taken as final.
    """

    tier_bounds: tuple[int, int, int, int] = (10_000, 100_000, 500_000, 1_000_000)
    attribution_days: float = 30.0

    def __post_init__(self) -> None:
        bounds = self.tier_bounds
        if len(bounds) != len(TIERS) - 1 or any(a >= b for a, b in pairwise(bounds)) or bounds[0] <= 0:
            raise ValueError(f"tier_bounds: {len(TIERS) - 1} rising numbers above 0 are needed, received {bounds}")
        if not 0 <= self.attribution_days <= 3650:
            raise ValueError(f"attribution_days: a number from 0 to 3650 is needed, received {self.attribution_days}")

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values; `from_dict` is its inverse."""
        return asdict(self) | {"tier_bounds": list(self.tier_bounds)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> FeatureSettings:
        """Inverse of `to_dict`. Raises ValueError for a setting that does not exist."""
        known = {f.name for f in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise ValueError(f"unknown feature settings {unknown}; there are {sorted(known)}")
        plain: dict[str, Any] = {k: tuple(v) if k == "tier_bounds" else v for k, v in values.items()}
        return cls(**plain)
