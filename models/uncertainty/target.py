"""What a deal is worth, given a maximum cost per conversion.

The price moves, the deal stays: deliverables, hours, creator, and with them its expected conversions are held fixed. In
past results a higher price goes with a creator who brings more, so the price is evidence of what the deal is; paying
more for the same deal would not bring more conversions, although scoring it again at another price would suggest so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from models.uncertainty.interval import Intervals

MOST_DOLLARS, SURE = 1e12, 0.5


@dataclass(frozen=True)
class Target:
    """The most that a conversion may cost, in dollars, and with what probability the walk-away price must meet it.

    Raises ValueError for a cost that is no amount of money, or a confidence outside (0, 1).
    """

    cost: float
    confidence: float = SURE

    def __post_init__(self) -> None:
        if not 0 < self.cost <= MOST_DOLLARS:
            raise ValueError(f"target cost: dollars above 0 are needed, received {self.cost}")
        if not 0 < self.confidence < 1:
            raise ValueError(f"confidence: a number between 0 and 1 is needed, received {self.confidence}")

    def needed(self, spend: np.ndarray) -> np.ndarray:
        """The fewest conversions (rows,) with which `spend` dollars (rows,) stay within the target; at least 1."""
        counts = np.maximum(np.ceil(spend / self.cost), 1)
        # a rounded quotient may miss a whole number by one; the product decides, as it does for the walk-away price
        counts = np.where((counts > 1) & ((counts - 1) * self.cost >= spend), counts - 1, counts)
        return np.where(counts * self.cost < spend, counts + 1, counts)

    def worth(
        self, intervals: Intervals, expected: np.ndarray, group: np.ndarray, excess: np.ndarray, spend: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """P(spend / conversions ≤ cost), and the highest spend at which that is still at least the confidence.

        expected: final conversions, whatever the price. group, excess: as `Intervals.reached` takes them. All (rows,).
        A row's probability is at least the confidence if, and only if, its spend is at most the walk-away price. That
        is 0 where not even one conversion is likely enough, and goes in steps of the cost, as conversions are whole.
        """
        within = intervals.reached(expected, group, self.needed(spend), excess)
        return within, intervals.most(expected, group, self.confidence, excess) * self.cost
