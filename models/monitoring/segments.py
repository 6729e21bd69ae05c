"""The smallest part of a batch whose level no chance explains: all of it, or some brands, platforms, weeks, creators.

Parts compete by how much better a level of their own explains their rows (log likelihood of Student's t with 4 degrees
of freedom, so that no row decides), less the logarithm of the batch's rows for every part with a level of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from models.monitoring.residuals import LEAST_ROWS, Residuals

# A level may drift by 20 to 40 % between trainings and rise by a third in a season; new brands pay two or three times
# as much. Below a factor of three a batch is ordinary, however surely it differs. Campaigns of another length are
# ordinary, too: hours of 24 where 168 were usual are a factor of seven.
LEAST_FACTOR = {"spend": 3.0, "conversions": 3.0, "hours": 10.0}
# Standard deviations of chance: 30 to 100 parts of a batch are looked at for each of three quantities every week, and
# log residuals have heavier tails than a normal distribution.
SURE, SURE_OF_PART = 5.0, 6.0
NU = 4.0


@dataclass(frozen=True)
class Part:
    """Rows (bool) of a batch, by what they have in common; `effect` and `spread` of their mean log residual."""

    name: str
    rows: np.ndarray
    effect: float
    spread: float

    @property
    def interval(self) -> tuple[float, float]:
        """The effect as a factor, two standard deviations of chance to both sides."""
        return float(np.exp(self.effect - 2 * self.spread)), float(np.exp(self.effect + 2 * self.spread))


def surely_off(quantity: str, part: Part, whole: bool) -> bool:
    """Whether a part's level is another one: far off, and beyond chance."""
    far = abs(part.effect) >= np.log(LEAST_FACTOR[quantity])
    return bool(far and abs(part.effect) > (SURE if whole else SURE_OF_PART) * part.spread)


def find(
    quantity: str,
    residuals: Residuals,
    batches: Mapping[str, np.ndarray],
    parted: Mapping[str, np.ndarray],
    groupings: Mapping[str, np.ndarray],
) -> list[Part]:
    """The parts that are off and explain a batch best: all of it, or values of one grouping; none where it is ordinary.

    batches: rows (bool) by name. parted: those of them whose parts are looked at. groupings: by name, the value (rows,)
    of every row.
    """
    best: tuple[float, list[Part]] = (0.0, [])
    for name, batch in batches.items():
        known = residuals.known(batch)
        if known.sum() < LEAST_ROWS:
            continue
        price = float(np.log(known.sum()))
        whole = _part(name, residuals, batch)
        all_off = surely_off(quantity, whole, whole=True)
        choices = [[whole]] if all_off else []
        if name in parted:
            found = [_off_within(quantity, residuals, batch, label, values) for label, values in groupings.items()]
            choices += [parts for parts in found if not (all_off and _rest_is_off(residuals, batch, parts))]
        for parts in choices:
            score = sum(_gain(residuals, part) - price for part in parts)
            if parts and score > best[0]:
                best = (score, parts)
    return best[1]


def _part(name: str, residuals: Residuals, rows: np.ndarray) -> Part:
    effect, spread = residuals.mean(rows)
    return Part(name, rows, effect, spread)


def _off_within(quantity: str, residuals: Residuals, batch: np.ndarray, label: str, values: np.ndarray) -> list[Part]:
    """The values of a grouping whose rows are off within a batch."""
    found = []
    known = residuals.known(batch)
    for value in sorted(set(values[batch].tolist())):
        rows = batch & (values == value)
        if (rows & known).sum() >= LEAST_ROWS and rows.sum() < batch.sum():
            part = _part(f"{label} {value}", residuals, rows)
            if surely_off(quantity, part, whole=False):
                found.append(part)
    return found


def _rest_is_off(residuals: Residuals, batch: np.ndarray, parts: list[Part]) -> bool:
    """Whether the rows beside the parts may well have the parts' level: nearer to it than to 0, or within chance."""
    if not parts:
        return False
    rest = batch & ~np.logical_or.reduce([part.rows for part in parts])
    level, spread = residuals.mean(rest)
    effect = float(np.mean([part.effect for part in parts]))
    level *= np.sign(effect)
    return bool(level > abs(effect) / 2 or abs(effect) - level < 2 * spread)


def _gain(residuals: Residuals, part: Part) -> float:
    rows = residuals.known(part.rows)
    values, scale = residuals.values[rows], residuals.spread.scale

    def loss(off: np.ndarray) -> np.ndarray:
        return (NU + 1) / 2 * np.log1p((off / scale) ** 2 / NU)

    return float((residuals.weight[rows] * (loss(values) - loss(values - part.effect))).sum())
