"""The one way from rows to scores: arrays in, scores out. Batch, service, pyfunc and report all score here.

Rows are coded (rows, columns + 1) as `Scoring.coding` codes them: numbers as they are with NaN for a missing one, a
category as its level's code, the creator's code last. A row's scores do not depend on the rows beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from features.history.score_columns import row_columns
from models.estimators.encoding import FIRST_LEVEL, OTHER, Encoding
from models.estimators.rate import RateModel
from models.explanations.reasons import Values, top_reasons
from models.uncertainty.interval import POOLED, Intervals
from models.uncertainty.support import Support
from models.uncertainty.target import Target

LEVELS = 64  # of intervals whose quantiles are kept
UNLIKE, FAR_AHEAD = "unlike_results", "far_ahead"
FAR_AHEAD_US = 365 * 86_400 * 10**6  # no backtest has tested anything further ahead
# by warning, the column that must be there and above 0 for it not to be given
NEEDED = {
    "unknown_creator": "platform",
    "no_posts": "posts_90d",
    "no_comments": "comments_seen",
    "no_results": "creator_evidence",
}


@dataclass(frozen=True)
class Scores:
    """Scores of n rows; bounds, reasons and a target's two where they were requested.

    rate: conversions per dollar. low, high: its bounds. conversions: at the row's spend. cost: dollars a conversion.
    warnings: codes. reasons: JSON texts. within, walk_away: `Target.worth`.
    """

    rate: np.ndarray
    low: np.ndarray | None
    high: np.ndarray | None
    conversions: np.ndarray
    cost: np.ndarray
    warnings: list[tuple[str, ...]]
    reasons: list[str] | None = None
    within: np.ndarray | None = None
    walk_away: np.ndarray | None = None

    def columns(self) -> dict[str, Any]:
        """What was requested by the contract's names, in its order."""
        fields = vars(self)
        return {name: values for name, field in _FIELDS.items() if (values := fields[field]) is not None}


_FIELDS = dict(
    zip(
        row_columns(target=True),
        ("rate", "low", "high", "conversions", "cost", "within", "walk_away", "reasons", "warnings"),
        strict=True,
    )
)


class Scoring:
    """A model, made ready to score. Several threads may use it at a time."""

    def __init__(
        self,
        rate: RateModel,
        encoding: Encoding,
        intervals: Intervals,
        support: Support,
        ranges: Mapping[str, tuple[float, float]],
        last_start: int,
    ) -> None:
        """last_start: of training's results, in microseconds since 1970."""
        self._last_near = last_start + FAR_AHEAD_US
        self.rate_model, self.encoding, self.intervals, self.support = rate, encoding, intervals, support
        # Levels too rare for the estimators still count as support, so rows are coded with both.
        self.coding = encoding.extended(support.terms.levels)
        place = {name: i for i, name in enumerate(encoding.columns)}
        self._categories = np.array([place[name] for name in encoding.levels], np.intp)
        self._known_levels = np.array([len(known) + FIRST_LEVEL for known in encoding.levels.values()])
        self._rare = [len(known) > len(encoding.levels[name]) for name, known in self.coding.levels.items()]
        needed = {code: place[column] for code, column in NEEDED.items() if column in place}
        self._needed = np.array(list(needed.values()), np.intp)
        ranged = [name for name in ranges if name in place]
        self._ranged = np.array([place[name] for name in ranged], np.intp)
        self._lowest, self._highest = np.array([ranges[name] for name in ranged]).reshape(-1, 2).T
        self._codes = [*needed, "unknown_category", "outside_training_range", UNLIKE, FAR_AHEAD]
        self._bits = 1 << np.arange(len(self._codes))
        terms = support.terms
        self._numbers = np.array([place[name] for name in terms.knots], np.intp)
        self._described = np.array([place[name] for name in terms.levels], np.intp)
        tables = [[-1, len(known), *(known.get(text, len(known)) for text in self.coding.levels[name])]
                  for name, known in terms.places.items()]  # fmt: skip
        self._support_codes = np.array([code for table in tables for code in table], np.intp)
        self._first_codes = np.cumsum([0, *map(len, tables)])[:-1]
        self._tier = place.get("tier")
        tiers = ["unknown", POOLED, *self.coding.levels["tier"]] if self._tier is not None else ["unknown"]
        self._groups = np.array(tiers)
        self._shares = lru_cache(LEVELS)(lambda level: intervals.shares(tiers, level))
        self._warnings = lru_cache(1 << len(self._codes))(self._named)

    def rates(self, coded: np.ndarray) -> np.ndarray:
        """Expected final conversions per dollar (rows,)."""
        return np.exp(self.rate_model.log_rate(self._features(coded)))

    def score(
        self,
        coded: np.ndarray,
        spend: np.ndarray,
        *,
        starts: np.ndarray | None = None,
        level: float | None = None,
        values: Values | None = None,
        target: Target | None = None,
    ) -> Scores:
        """Scores of rows.

        spend: dollars (rows,). starts: of the deals, in microseconds since 1970 (rows,), where they are known.
        level: of the central interval, None for none. values: the rows' columns as reasons show them, None for no
        reasons. Raises ValueError for a level outside (0, 1).
        """
        features = self._features(coded)
        moved = None
        if values is None:
            log_rate = self.rate_model.log_rate(features)
        else:
            log_rate, moved = self.rate_model.explained(features)
        rate = np.exp(log_rate)
        conversions = rate * spend
        excess = self._excess(coded)
        group = np.zeros(len(coded), np.intp) if self._tier is None else coded[:, self._tier].astype(np.intp)
        low = high = within = walk_away = reasons = None
        if level is not None:
            below, above = self._shares(level)
            low, high = self.intervals.between(conversions, below.take(group), above.take(group), excess)
            # dividing by the spend may round a bound past a rate that it touches
            low, high = np.minimum(low / spend, rate), np.maximum(high / spend, rate)
        if target is not None:
            within, walk_away = target.worth(self.intervals, conversions, self._groups[group], excess, spend)
        if values is not None and moved is not None:
            reasons = top_reasons(moved, self.encoding.columns, values)
        warnings = self._warn(features, excess, starts)
        return Scores(rate, low, high, conversions, 1 / rate, warnings, reasons, within, walk_away)

    def reasons(self, coded: np.ndarray, values: Values) -> list[str]:
        """What moved the scores of rows, as JSON texts. values: the rows' columns as reasons show them."""
        return top_reasons(self.rate_model.contributions(self._features(coded)), self.encoding.columns, values)

    def _features(self, coded: np.ndarray) -> np.ndarray:
        """What the estimators see: levels that are too rare for them become OTHER."""
        if not any(self._rare):
            return coded
        features = coded.copy()
        levels = coded.take(self._categories, axis=1)
        features[:, self._categories] = np.where(levels < self._known_levels, levels, OTHER)
        return features

    def _excess(self, coded: np.ndarray) -> np.ndarray:
        """How far each row (rows,) lies beyond what past results support."""
        codes = self._support_codes.take(coded.take(self._described, axis=1).astype(np.intp) + self._first_codes)
        return self.support.excess_of(coded.take(self._numbers, axis=1), codes)

    def _warn(self, features: np.ndarray, excess: np.ndarray, starts: np.ndarray | None) -> list[tuple[str, ...]]:
        """Codes of every row; `docs/models.md` says what each means."""
        flags = np.empty((len(features), len(self._codes)), bool)
        flags[:, :-4] = ~(features.take(self._needed, axis=1) > 0)
        any_of = np.logical_or.reduce  # what `any` calls, without what lies between
        any_of(features.take(self._categories, axis=1) == OTHER, axis=1, out=flags[:, -4])
        ranged = features.take(self._ranged, axis=1)
        any_of((ranged < self._lowest) | (ranged > self._highest), axis=1, out=flags[:, -3])
        np.greater(excess, 0, out=flags[:, -2])
        flags[:, -1] = False if starts is None else starts > self._last_near
        return [self._warnings(bits) for bits in (flags @ self._bits).tolist()]

    def _named(self, bits: int) -> tuple[str, ...]:
        return tuple(code for i, code in enumerate(self._codes) if bits >> i & 1)


def ranks(rate: np.ndarray | Sequence[float]) -> np.ndarray:
    """1 for the highest; equal ones share the lowest of their places."""
    if len(rate) == 1:
        return np.ones(1, np.intp)
    falling = -np.asarray(rate)
    return np.searchsorted(np.sort(falling), falling) + 1
