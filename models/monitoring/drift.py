"""How a list of candidates differs from what a model learnt from, feature by feature.

The effect is a distance between distributions, from 0 to 1, or the difference of the shares in which a feature is
missing. Its interval is as wide as chance may move both sides (`models.learnt`): by the triangle inequality the
distance between what the two were drawn from lies within it. A feature is reported where the near end is beyond
LEAST_EFFECT, so that neither chance nor the size of a list reports anything.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from features.catalogue import BY_NAME
from models.explanations.reason_words import measured
from models.learnt import Distribution, Learnt, Sample, describe, distance
from models.monitoring.expected_loss import Loss, loss_of_list
from models.scorer import Scorer

LEAST_EFFECT = 0.1  # a tenth of the rows lies elsewhere; a shift by half a standard deviation is a distance of 0.2
SHOWN = 3
MOST_ROWS = 5_000  # of longer lists every so many-th row is compared: more would only narrow an interval that is narrow


@dataclass(frozen=True)
class Difference:
    """Of one feature. words: what differs. measure: "distance", or "difference" of the missing shares. effect: how
    large it is; low, high: its interval."""

    feature: str
    words: str
    measure: str
    effect: float
    low: float
    high: float

    def __str__(self) -> str:
        known = BY_NAME.get(self.feature)
        name = known.label if known else self.feature
        return f"{name}: {self.words}, {self.measure} {self.effect:.2f} ({self.low:.2f} to {self.high:.2f})"


class Listed:
    """Takes a list's rows as they are scored, every so many-th of them."""

    def __init__(self, rows: int) -> None:
        """rows: of the whole list."""
        self.rows, self._step, self._seen = rows, max(-(-rows // MOST_ROWS), 1), 0
        self._parts: list[tuple[pd.DataFrame, pd.DataFrame]] = []

    def due(self, rows: int) -> np.ndarray:
        """Places, among the list's next so many rows, of those that are to be added."""
        found = np.flatnonzero((np.arange(rows) + self._seen) % self._step == 0)
        self._seen += rows
        return found

    def add(self, matrix: pd.DataFrame, spine: pd.DataFrame, scores: pd.DataFrame) -> None:
        """The rows that were due: the catalogue's columns, and the contract's of candidates and of scores."""
        self._parts.append((matrix, spine[["creator_id", "brand"]].assign(expected=scores.conversions.to_numpy(float))))

    def judge(self, scorer: Scorer) -> tuple[str | None, Loss]:
        """How the list differs from what a model learnt from, None where it does not or that is not known; and the loss
        that the model expects of its scores."""
        matrix, keys = (pd.concat(parts, ignore_index=True) for parts in zip(*self._parts, strict=True))
        differs = sentence(scorer.learnt, Sample.of(matrix, keys), self.rows) if scorer.learnt else None
        return differs, loss_of_list(scorer, matrix, keys.expected.to_numpy(float))


def differences(learnt: Learnt, sample: Sample) -> list[Difference]:
    """Features whose distribution is surely another one, the farthest apart first; none for too few rows."""
    if not sample.enough:
        return []
    draws, out = sample.draws(), []
    for name in sample.judged:
        if name in learnt.features:
            was = learnt.features[name]
            out += _compared(name, was, describe(sample.matrix[name], was.cells, draws), sample.matrix[name])
    return sorted((one for one in out if one.low >= LEAST_EFFECT), key=lambda one: -one.low)


def _compared(name: str, was: Distribution, now: Distribution, column: pd.Series) -> list[Difference]:
    apart = float(distance(now.shares, was.shares, was.number)) if now.missing < 1 else 0.0
    chance = float(np.hypot(was.chance, now.chance))
    words = _middle(name, was, column) if was.number else _level(was, now)
    gone = abs(now.missing - was.missing)
    unsure = float(np.hypot(was.missing_chance, now.missing_chance))
    unknown = f"unknown in {now.missing:.0%} instead of {was.missing:.0%} of the rows"
    return [
        Difference(name, words, "distance", apart, max(apart - chance, 0.0), min(apart + chance, 1.0)),
        Difference(name, unknown, "difference", gone, max(gone - unsure, 0.0), min(gone + unsure, 1.0)),
    ]


def _middle(name: str, was: Distribution, column: pd.Series) -> str:
    unit = BY_NAME[name].unit if name in BY_NAME else ""
    place = min(int(np.searchsorted(was.shares.cumsum(), 0.5)), len(was.cells) - 1)
    now = float(column.median()) if column.notna().any() else None
    return f"the middle is {measured(now, unit)} instead of {measured(was.cells[place], unit)}"


def _level(was: Distribution, now: Distribution) -> str:
    place = int(np.abs(now.shares - was.shares).argmax())
    name = [*was.cells, "others"][place]
    return f"{name} {now.shares[place]:.0%} instead of {was.shares[place]:.0%}"


def sentence(learnt: Learnt, sample: Sample, rows: int) -> str | None:
    """What a user should know of a list of so many rows; None where it does not differ."""
    found = differences(learnt, sample)
    # a feature that is both elsewhere and missing is one
    found = [one for i, one in enumerate(found) if one.feature not in {other.feature for other in found[:i]}]
    if not found:
        return None
    more = f"; and {len(found) - SHOWN} more features" if len(found) > SHOWN else ""
    named = "; ".join(str(one) for one in found[:SHOWN])
    part = f", {len(sample.matrix):,} of them compared" if len(sample.matrix) < rows else ""
    return (
        f"the list ({rows:,} rows{part}) differs from the {learnt.rows:,} newest results that the model learnt from in "
        f"{named}{more}; so its scores rest on fewer results like it"
    )
