"""Scores of a request's rows, without a data frame: what `Scorer.score` answers, to the bit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from models.encoding import OTHER
from models.interval import EVERY
from models.reasons import top_reasons
from models.scorer import ABSENT, UNLIKE, Scorer
from models.target import Target
from service.assembly import Assembled, Assembler, Terms
from service.likeness import Likeness
from service.snapshot import Snapshot
from service.trees import log_rate

LEVELS = 64  # of intervals whose shares are kept at hand
NEEDED = ABSENT | {"no_results": "creator_told"}  # columns that tell something where they are above 0
Bounds = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Scores:
    """The contract's columns of scores (n,); bounds, reasons and a target's two where they were asked for.

    rank: 1 is the best of these rows; equal rates share one. reasons: JSON texts, as `predict.py` writes them.
    within, worth: probability of a cost within the target, walk-away price in dollars (`Target.worth`).
    """

    rate: np.ndarray
    low: np.ndarray | None
    high: np.ndarray | None
    expected: np.ndarray
    cost: np.ndarray
    rank: np.ndarray
    warnings: list[tuple[str, ...]]
    reasons: list[str] | None
    within: np.ndarray | None = None
    worth: np.ndarray | None = None


class RequestScorer:
    """A model beside the newest features. Several threads may use it at a time."""

    def __init__(self, snapshot: Snapshot, scorer: Scorer) -> None:
        """Raises ValueError for a model whose columns a request cannot come by."""
        self.assembler = Assembler(snapshot, scorer.encoding)
        self.scorer = scorer
        at = self.assembler.at
        needed = {code: at[column] for code, column in NEEDED.items() if column in at}
        self.needed = np.array(list(needed.values()), np.intp)
        self.categories = np.array([at[name] for name in scorer.encoding.levels], np.intp)
        ranged = [(at[name], *bounds) for name, bounds in scorer.ranges.items() if name in at]
        self.ranged, self.lowest, self.highest = (np.array(part) for part in zip(*ranged, strict=True))
        self.codes = [*needed, "unknown_category", "outside_training_range", UNLIKE]
        self.likeness = Likeness(scorer.support, self.assembler)
        self.powers = 1 << np.arange(len(self.codes))
        self._lists: dict[int, tuple[str, ...]] = {}
        self.tier = snapshot.columns["texts"].index("tier") if "tier" in at else None
        groups = [EVERY] if self.tier is None else ["unknown", "unknown", *snapshot.vocabularies["tier"]]
        self.groups = np.array(groups)
        self._shares = lru_cache(LEVELS)(lambda level: scorer.intervals.shares(groups, level))

    def score(
        self,
        terms: Terms,
        rows: np.ndarray | None = None,
        *,
        level: float | None = None,
        reasons: bool = False,
        target: Target | None = None,
    ) -> Scores:
        """Score rows that start at the snapshot's horizon or later.

        rows: of the creators in the snapshot, where known already. level: of the interval, None for none.
        """
        assembled = self.assembler.assemble(terms, rows)
        return self.of(assembled, level, reasons, target)

    def of(self, assembled: Assembled, level: float | None, reasons: bool, target: Target | None = None) -> Scores:
        """Score a matrix."""
        features, spend = assembled.features, assembled.terms.spend
        rate = np.exp(log_rate(self.scorer.rate, features))
        expected = rate * spend
        excess = self.likeness.excess(assembled)
        low = high = None
        if level is not None:
            low, high = self.bounds(assembled, level, expected, excess)
            low, high = low / spend, high / spend
        within = worth = None
        if target is not None:
            within, worth = target.worth(
                self.scorer.intervals, expected, self.groups[self.tier_of(assembled)], excess, spend
            )
        told = None
        if reasons:
            contributions = self.scorer.rate.contributions(features)
            values = self.assembler.values(assembled)
            told = top_reasons(contributions, self.scorer.encoding.columns, values)
        codes = self.warnings(features, excess)
        return Scores(rate, low, high, expected, 1 / rate, ranks(rate), codes, told, within, worth)

    def tier_of(self, assembled: Assembled) -> np.ndarray:
        """Of every row (rows,), its follower tier's place among `groups`, as `Scorer.groups` tells it."""
        rows = len(assembled.texts)
        return np.zeros(rows, np.intp) if self.tier is None else assembled.texts[:, self.tier]

    def bounds(self, assembled: Assembled, level: float, expected: np.ndarray, excess: np.ndarray) -> Bounds:
        """Low and high counts, as `Intervals.bounds` tells them."""
        group = self.tier_of(assembled)
        low, high = self._shares(level)
        return self.scorer.intervals.between(expected, low.take(group), high.take(group), excess)

    def warnings(self, features: np.ndarray, excess: np.ndarray) -> list[tuple[str, ...]]:
        """Codes, a row each, as `Scorer.warnings` gives them."""
        flags = np.empty((len(features), len(self.codes)), bool)
        flags[:, :-3] = ~(features.take(self.needed, axis=1) > 0)
        flags[:, -3] = (features.take(self.categories, axis=1) == OTHER).any(axis=1)
        asked = features.take(self.ranged, axis=1)
        flags[:, -2] = ((asked < self.lowest) | (asked > self.highest)).any(axis=1)
        flags[:, -1] = excess > 0
        bits = flags @ self.powers
        return [self._list(key) for key in bits.tolist()]

    def _list(self, bits: int) -> tuple[str, ...]:
        if bits not in self._lists:
            self._lists[bits] = tuple(code for i, code in enumerate(self.codes) if bits >> i & 1)
        return self._lists[bits]


def ranks(rate: np.ndarray | Sequence[float]) -> np.ndarray:
    """1 for the highest; equal ones share the lowest of their places."""
    if len(rate) == 1:
        return np.ones(1, np.intp)
    falling = -np.asarray(rate)
    return np.searchsorted(np.sort(falling), falling) + 1
