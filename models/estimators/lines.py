"""How numbers enter the mixed model: as straight lines of their logarithms where they can, standardised."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.estimators.encoding import Encoding

FEW_VALUES, RARE_MISSING, TAIL = 12, 0.01, 0.005
ENOUGH = 1000  # values that show whether there are more than FEW_VALUES, nearly always


@dataclass(frozen=True)
class Line:
    """How a number enters: log(value + shift) where `shift` is not None, kept within low..high, then standardised.

    A missing value enters as `usual`, with a column of its own where values are often missing.
    """

    column: int
    shift: float | None
    low: float
    high: float
    usual: float
    mean: float
    scale: float
    flagged: bool

    @classmethod
    def fit(cls, column: int, values: np.ndarray) -> Line | None:
        """Learn it from a column (rows,) with NaN; None for a column that never varies."""
        known = values[~np.isnan(values)]
        distinct = np.unique(known[:ENOUGH])
        distinct = distinct if len(distinct) > FEW_VALUES else np.unique(known)
        flagged = 1 - len(known) / len(values) > RARE_MISSING
        if len(distinct) < 2 and not flagged:
            return None
        shift = None
        if len(distinct) > FEW_VALUES and known.min() >= 0:
            shift = float(np.quantile(known[known > 0], 0.05))
        transformed = known if shift is None else np.log(known + shift)
        low, high = (float(q) for q in np.quantile(transformed, [TAIL, 1 - TAIL]))
        transformed = np.clip(transformed, low, high)
        usual = float(np.median(transformed))
        filled = np.concatenate([transformed, np.full(len(values) - len(known), usual)])
        return cls(column, shift, low, high, usual, float(filled.mean()), float(filled.std()) or 1.0, flagged)

    def apply(self, features: np.ndarray) -> np.ndarray:
        """(rows, 1 or 2) of the encoded features."""
        values = features[:, self.column]
        missing = np.isnan(values)
        transformed = values if self.shift is None else np.log(np.maximum(values, 0.0) + self.shift)
        transformed = np.where(missing, self.usual, np.clip(transformed, self.low, self.high))
        line = (transformed - self.mean) / self.scale
        return np.column_stack([line, missing]) if self.flagged else line[:, None]


class AllLines:
    """All lines beside each other: what `Line.apply` makes of each, times its slopes, in a handful of calls."""

    def __init__(self, lines: tuple[Line, ...], slopes: np.ndarray) -> None:
        first = np.cumsum([0, *(1 + line.flagged for line in lines)])[:-1]
        # lines whose logarithm is taken come first, so that they are one slice
        order = sorted(range(len(lines)), key=lambda i: lines[i].shift is None)
        lines, first = tuple(lines[i] for i in order), first[order]
        self.column = np.array([line.column for line in lines], np.intp)
        self.shift = np.array([line.shift for line in lines if line.shift is not None])
        values = np.array([(line.low, line.high, line.usual, line.mean, line.scale) for line in lines]).reshape(-1, 5)
        self.low, self.high, self.usual, self.mean, self.scale = np.ascontiguousarray(values.T)
        self.flagged = np.flatnonzero([line.flagged for line in lines])
        self.slope, self.slope_missing = slopes[first], slopes[first[self.flagged] + 1]

    def add(self, features: np.ndarray, out: np.ndarray) -> None:
        """Add every line's terms to its column of `out`; no two lines share one."""
        values = features.take(self.column, axis=1)
        missing = np.isnan(values)
        transformed = values[:, : len(self.shift)]
        np.log(np.maximum(transformed, 0.0) + self.shift, out=transformed)
        values = np.where(missing, self.usual, np.minimum(np.maximum(values, self.low), self.high))
        out[:, self.column] += (values - self.mean) / self.scale * self.slope
        out[:, self.column[self.flagged]] += missing.take(self.flagged, axis=1) * self.slope_missing


def fit_lines(features: np.ndarray, encoding: Encoding) -> tuple[Line, ...]:
    """Those of all numbers that vary among encoded features (rows, columns + 1)."""
    numbers = [i for i in range(len(encoding.columns)) if i not in encoding.categorical]
    return tuple(line for i in numbers if (line := Line.fit(i, features[:, i])) is not None)


def terms_of(x: np.ndarray, lines: tuple[Line, ...], further: np.ndarray) -> np.ndarray:
    """A column of ones, those of the lines, and the further terms (rows, terms)."""
    out = np.empty((len(x), 1 + sum(1 + line.flagged for line in lines) + further.shape[1]))
    out[:, 0], at = 1.0, 1
    for line in lines:
        made = line.apply(x)
        out[:, at : at + made.shape[1]] = made
        at += made.shape[1]
    out[:, at:] = further
    return out
