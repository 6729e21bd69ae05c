"""Whether what a typical deal shows is plausible at all; beyond that something is most likely in another unit.

The ranges are broad on purpose: of a first training nothing else is known, and nothing is repaired by them. They catch
exports in another unit as a whole; of a batch that differs from older rows the door says more
(`models.monitoring.intake`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.training import TrainingSet

LEAST = 20  # values: fewer do not show what is typical


@dataclass(frozen=True)
class Range:
    """Where the typical value of a quantity plausibly lies, and why; what it most likely is below and above."""

    name: str
    unit: str
    low: float
    high: float
    reason: str
    below: str
    above: str


RANGES = {
    "spend": Range(
        "spend of a deal", "dollars", 1, 1_000_000, "from a free sample to a star's fee",
        "thousands of dollars given as dollars", "cents given as dollars, or another currency",
    ),
    "conversions_per_dollar": Range(
        "conversions per dollar, in all", "conversions", 1 / 2_000, 2,
        "a conversion costs from 0.50 $, as an installed app does, to 2,000 $, as a contract does",
        "spend in cents or in another currency, or conversions that were not matched",
        "clicks or views given as conversions, or spend in thousands of dollars",
    ),
    "conversions_per_follower": Range(
        "conversions per follower", "conversions", 0, 1, "no more people buy than are reached",
        "", "followers in thousands, or views given as conversions",
    ),
    "conversions_per_click": Range(
        "conversions per click, in all", "conversions", 0, 10,
        "few clicks lead to a conversion, but who has a discount code buys without a click",
        "", "clicks and conversions that are swapped, or clicks that were not all counted",
    ),
    "revenue_per_conversion": Range(
        "revenue per conversion, in all", "dollars", 0.1, 50_000, "from a song to a car",
        "revenue in thousands of dollars", "revenue in cents or in another currency",
    ),
    "promotion_hours": Range(
        "length of a promotion", "hours", 0.5, 8_760,
        "live shopping lasts an hour or some, few codes stay for more than a year",
        "days given as hours", "minutes or seconds given as hours",
    ),
    "deliverables": Range(
        "deliverables of a deal", "pieces", 1, 100, "a deal is for one post to some dozens", "",
        "something else, such as views or hours, in this column",
    ),
    "followers": Range(
        "followers of a deal's creator", "followers", 100, 200_000_000,
        "who is hired has at least some hundred followers, and few have as many as the best-known stars",
        "followers given in thousands or millions", "followers multiplied by 1,000",
    ),
    "spend_per_follower": Range(
        "spend per follower", "dollars", 1e-5, 2, "1,000 followers cost from cents to some hundred dollars",
        "spend in thousands of dollars, or followers multiplied",
        "spend in cents or in another currency, or followers in thousands",
    ),
    "spend_per_view": Range(
        "spend per view of a usual post", "dollars", 1e-5, 5, "1,000 views cost from cents to some hundred dollars",
        "spend in thousands of dollars, or views multiplied",
        "spend in cents or in another currency, or views in thousands",
    ),
    "views_per_follower": Range(
        "views per follower", "views", 1e-3, 50, "a post is seen by a part of the followers, or by many others",
        "views in thousands", "followers in thousands",
    ),
    "engagement_rate_median": Range(
        "likes and comments per follower", "likes", 1e-5, 1, "most followers do not react to most posts",
        "followers multiplied, or likes in thousands", "followers in thousands, or views given as likes",
    ),
    "engagement_per_view_median": Range(
        "likes and comments per view", "likes", 1e-5, 1, "who likes a post has seen it",
        "likes in thousands", "views in thousands, or likes and views that are swapped",
    ),
    "comments_per_like": Range(
        "comments per like", "comments", 0, 1, "a like is less work than a comment",
        "", "likes and comments that are swapped, or likes in thousands",
    ),
    "saves_per_like": Range(
        "saves per like", "saves", 0, 2, "most posts are liked by more people than save them",
        "", "saves and likes that are swapped, or likes in thousands",
    ),
    "shares_per_like": Range(
        "shares per like", "shares", 0, 2, "most posts are liked by more people than share them",
        "", "shares and likes that are swapped, or likes in thousands",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Measure:
    """What is typical of a quantity: the median of `values` deals, or a ratio of two sums over them."""

    within: Range
    values: int
    typical: float

    @property
    def plausible(self) -> bool:
        """Whether it lies within its range."""
        return self.within.low <= self.typical <= self.within.high

    @property
    def note(self) -> str | None:
        """A sentence where it is not plausible."""
        if self.plausible:
            return None
        found = self.within
        likely = found.below if self.typical < found.low else found.above
        return (
            f"{found.name}: {number(self.typical)} {found.unit} over {self.values:,} deals, where {_span(found)} would "
            f"be plausible ({found.reason}); probably {likely}. Nothing was changed"
        )

    def cells(self) -> list[str]:
        """Quantity, typical value, plausible range and its reason."""
        return [self.within.name, f"{number(self.typical)} {self.within.unit}", _span(self.within), self.within.reason]

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return vars(self.within) | {
            "values": self.values, "typical": self.typical, "plausible": self.plausible, "note": self.note,
        }  # fmt: skip


def measure(training: TrainingSet) -> tuple[Measure, ...]:
    """The quantities of RANGES of which at least LEAST deals know a value."""
    found = []
    for name, values in _medians(training).items():
        known = values[np.isfinite(values)]
        if len(known) >= LEAST:
            found.append(Measure(RANGES[name], len(known), float(np.median(known))))
    for name, (above, below) in _ratios(training).items():
        known = np.isfinite(above) & np.isfinite(below)
        if known.sum() >= LEAST and below[known].sum() > 0:
            found.append(Measure(RANGES[name], int(known.sum()), float(above[known].sum() / below[known].sum())))
    return tuple(sorted(found, key=lambda one: list(RANGES.values()).index(one.within)))


def _medians(training: TrainingSet) -> Mapping[str, np.ndarray]:
    """Values by deal (rows,), NaN where they are not known."""
    results, matrix = training.results, training.matrix
    columns = {name: matrix[name].to_numpy(float) for name in RANGES if name in matrix}
    columns |= {"spend": results.spend, "promotion_hours": results.hours}
    if "followers" in columns:
        followers = np.where(columns["followers"] > 0, columns["followers"], np.nan)
        columns["conversions_per_follower"] = results.counts / followers
    return columns


def _ratios(training: TrainingSet) -> Mapping[str, tuple[np.ndarray, np.ndarray]]:
    """What is summed over all deals above and below the line (rows,): most single deals have few conversions."""
    results, spine = training.results, training.spine

    def column(name: str) -> np.ndarray:
        return spine[name].to_numpy(float, na_value=np.nan) if name in spine else np.full(len(spine), np.nan)

    clicks = column("clicks")
    return {
        "conversions_per_dollar": (results.counts, results.spend),
        "conversions_per_click": (results.counts, np.where(clicks > 0, clicks, np.nan)),
        "revenue_per_conversion": (column("revenue"), results.counts),
    }


def number(value: float) -> str:
    """Three figures, without an exponent."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{float(f'{value:.3g}'):.7f}".rstrip("0").rstrip(".")


def _span(within: Range) -> str:
    return f"{number(within.low)} to {number(within.high)}"
