"""Alarms on settled promises that may be looked at every week, for as long as the ledger lasts.

A fortune begins at 1 and is staked, block of weeks after block of weeks, on what must not be. If that is so, it cannot
be expected to grow, and the chance that it ever reaches 1/α is at most α however often one looks (Ville 1939, Étude
critique de la notion de collectif, p. 100). A stake is a fixed share of the fortune (betting on bounded means: Waudby-
Smith & Ramdas 2024, Journal of the Royal Statistical Society B 86, 1-27); the fortune is a mixture over shares and over
the block from which on it is staked, so that good years do not use it up. Two fortunes, each with half of ALPHA, so
that a false alarm of either, ever, has a chance of at most ALPHA:

- coverage. Null: whatever came before, the share of a block's results within their intervals is on average at least
  the promised level less SLACK.
- advantage. Null: whatever came before, the mean loss of a block's promises is in at least half of the blocks no larger
  than that of the creator's own record. The loss is the deviance of the count, cut off at MOST_LOSS.

The results of a week may depend on each other in any way, such as by a level that moves for all: a block is one stake.
What must hold is the null given the earlier blocks; a level that stays off for months, or a creator who is missed again
and again, breaks it, and should. A block is LEAST_DEALS deals or more, in whole weeks of their start, closed before
their results are looked at. After an alarm the fortune begins at 1 again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from models.estimators.count_data import count_loss

ALPHA = 0.05
BOUND = 2 / ALPHA  # for each of two fortunes
SLACK = 0.05  # of the coverage: 75 to 85 % is what is expected of 80 %
LEAST_DEALS = 10
MOST_LOSS = 4.0  # of a deal; half of all deals have a deviance below 1
STAKES = np.array([0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.95])  # shares of the fortune
HALF_BEGUN = 26  # blocks after which half of the fortune is staked


@dataclass(frozen=True)
class Week:
    """The settled promises of deals that started in one week. monday: ISO 8601. deals: how many. level, covered: mean
    promised level, and share within their intervals. advantage: mean of `advantages`."""

    monday: str
    deals: int
    level: float
    covered: float
    advantage: float


@dataclass(frozen=True)
class Fortune:
    """values: after each block. ends: Monday of each block's last week. through: how many weeks there were up to it.
    alarms: positions of the blocks at which the bound was reached, and the fortune began again."""

    values: tuple[float, ...]
    ends: tuple[str, ...]
    through: tuple[int, ...]
    alarms: tuple[int, ...]

    @property
    def now(self) -> float:
        """What it is worth now: 1 before the first block, and after an alarm."""
        return self.values[-1] if self.values and len(self.values) - 1 not in self.alarms else 1.0

    def raised_after(self, weeks: int) -> tuple[str, ...]:
        """Ends of the blocks with an alarm that have more than the first so many weeks."""
        return tuple(self.ends[at] for at in self.alarms if self.through[at] > weeks)


def advantages(counts: np.ndarray, exposure: np.ndarray, ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """By how much the loss of `ours` is below that of `theirs` (rows,), within -1..1. Rates in conversions per dollar,
    exposure in dollars × share arrived."""
    peer, own = (np.minimum(count_loss(counts, exposure * rate), MOST_LOSS) for rate in (theirs, ours))
    return (peer - own) / MOST_LOSS


def blocks(weeks: Iterable[Week]) -> list[tuple[int, Week]]:
    """Weeks, in the order in which they closed, joined until they have LEAST_DEALS, each after how many of the weeks; a
    last one with fewer waits."""
    out: list[tuple[int, Week]] = []
    part: list[Week] = []
    for number, week in enumerate(weeks, 1):
        part.append(week)
        deals = np.array([one.deals for one in part])
        if deals.sum() >= LEAST_DEALS:
            level, covered, advantage = (
                float(np.average([getattr(one, name) for one in part], weights=deals))
                for name in ("level", "covered", "advantage")
            )
            out.append((number, Week(week.monday, int(deals.sum()), level, covered, advantage)))
            part = []
    return out


def coverage_fortune(weeks: Iterable[Week]) -> Fortune:
    """The fortune that grows where coverage is gone."""
    found = blocks(weeks)
    least = np.array([max(block.level - SLACK, 0.0) for _, block in found])
    covered = np.array([block.covered for _, block in found])
    return _play(found, (least - covered) / (1 - least))


def advantage_fortune(weeks: Iterable[Week]) -> Fortune:
    """The fortune that grows where the advantage over the creator's own record is gone."""
    found = blocks(weeks)
    return _play(found, -np.sign([block.advantage for _, block in found]))


def _play(found: Sequence[tuple[int, Week]], gains: np.ndarray) -> Fortune:
    """gains (blocks,): of one that is staked, -1 or more; 0 or less on average under the null."""
    staked, waiting, age = np.zeros(len(STAKES)), 1.0, 0
    values, alarms = [], []
    for at, gain in enumerate(gains):
        age += 1
        begins, waiting = waiting, HALF_BEGUN / (HALF_BEGUN + age)
        staked = (staked + (begins - waiting) / len(STAKES)) * (1 + STAKES * gain)
        values.append(float(staked.sum()) + waiting)
        if values[-1] >= BOUND:
            alarms.append(at)
            staked, waiting, age = np.zeros(len(STAKES)), 1.0, 0
    ends, through = tuple(block.monday for _, block in found), tuple(number for number, _ in found)
    return Fortune(tuple(values), ends, through, tuple(alarms))
