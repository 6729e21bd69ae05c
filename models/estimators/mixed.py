"""A log-linear mixed model of the rate: what few results can bear, and what they show of each creator.

log rate = offset + Σ slope × column + Σ effect of category + effect of the niche pair + effect of the creator

Numbers enter as logarithms where they can, so ratios of them (price per view, per follower) are straight lines. Slopes,
effects of categories, of niche pairs and of creators are shrunk to 0 by penalties, so a creator's effect is the
credibility estimate of what the columns leave unexplained about them: the more results, the less it is shrunk.
Fitted by penalised quasi-likelihood (Breslow & Clayton 1993, JASA 88, 9-25) with the negative-binomial variance of
`models.estimators.rate`; `models.estimators.normal_equations` solves each step.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from threading import Lock
from typing import Any

import numpy as np
from scipy import sparse

from models.estimators.blocks import blocks
from models.estimators.count_data import DISPERSION, CountData
from models.estimators.encoding import FIRST_LEVEL, Encoding
from models.estimators.normal_equations import PENALTY_CREATOR, indicators_of, solve

# against the weight of results, 2 each for a large count: where they are equal, a term is shrunk halfway to 0
PENALTY_SLOPE, PENALTY_PAIR = 30.0, 3.0
ITERATIONS, LARGEST_STEP = 6, 3.0
FEW_VALUES, RARE_MISSING, TAIL = 12, 0.01, 0.005
MANY_ROWS, _ONE_OF_MANY_ROWS = 200_000, Lock()
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


class _Lines:
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


@dataclass(frozen=True)
class MixedModel:
    """A fitted log-linear mixed model; `centre` is its training rows' average log rate.

    Columns are positions in the encoded features, whose last one holds the creator's code. lines, slopes: numbers and
    their slopes, one or two each. categories: effects by code. pair: columns of the creator's and the product's niche;
    pair_effects by both codes, 0 for a pair that was never met. creators: effect by code; code 0 is the unknown.
    reason_columns: columns under which the effects of creator and pair appear as reasons; without those the last (-1).
    """

    lines: tuple[Line, ...]
    slopes: np.ndarray
    categories: Mapping[int, np.ndarray]
    pair: tuple[int, int] | None
    pair_effects: np.ndarray
    creators: np.ndarray
    reason_columns: tuple[int, int]
    offset: float
    centre: float
    recipe: str = "mixed"

    def log_rate(self, features: np.ndarray) -> np.ndarray:
        """Log conversions per dollar (rows,), of encoded features (rows, columns + 1)."""
        out = np.empty(len(features))
        for rows in blocks(len(features), features.shape[1]):
            out[rows] = self.total(self.contributions(features[rows]))
        return out

    def total(self, contributions: np.ndarray) -> np.ndarray:
        """The log rate (rows,) of rows whose contributions are known."""
        return self.offset + contributions.sum(axis=1)

    def contributions(self, features: np.ndarray) -> np.ndarray:
        """What each column adds to the log rate (rows, columns): the SHAP values of a sum of single columns' terms."""
        out = np.zeros((len(features), features.shape[1] - 1))
        self._all_lines.add(features, out)
        columns, effects, starts = self._all_effects
        if len(columns):
            out[:, columns] += effects.take(features[:, columns].astype(np.int64) + starts)
        creator, pair = self.reason_columns
        out[:, creator] += self.creators[_codes(features, -1)]
        if self.pair is not None:
            first, second = self.pair
            out[:, pair] += self.pair_effects[_codes(features, first), _codes(features, second)]
        return out

    @cached_property
    def _all_lines(self) -> _Lines:
        return _Lines(self.lines, self.slopes)

    @cached_property
    def _all_effects(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Columns of the categories, their effects end to end, and where each column's begin."""
        parts = list(self.categories.values())
        starts = np.cumsum([0, *(len(part) for part in parts)])[:-1]
        return np.array(list(self.categories), np.intp), np.concatenate([*parts, np.zeros(0)]), starts

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values; `from_dict` is its inverse."""
        return {
            "lines": [asdict(line) for line in self.lines],
            "slopes": self.slopes.tolist(),
            "categories": {str(k): v.tolist() for k, v in self.categories.items()},
            "pair": self.pair and list(self.pair),
            "pair_effects": self.pair_effects.tolist(),
            "creators": self.creators.tolist(),
            "reason_columns": list(self.reason_columns),
            "offset": self.offset,
            "centre": self.centre,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> MixedModel:
        """Inverse of `to_dict`."""
        return cls(
            tuple(Line(**line) for line in values["lines"]),
            np.array(values["slopes"], float),
            {int(k): np.array(v, float) for k, v in values["categories"].items()},
            values["pair"] and (values["pair"][0], values["pair"][1]),
            np.array(values["pair_effects"], float),
            np.array(values["creators"], float),
            (values["reason_columns"][0], values["reason_columns"][1]),
            values["offset"],
            values["centre"],
        )


def _codes(features: np.ndarray, column: int) -> np.ndarray:
    return features[:, column].astype(np.int64)


def fit_mixed(count_data: CountData, strength: float = 1.0) -> MixedModel:
    """Fit the model, penalties of slopes, categories and niche pairs times `strength`.

    Raises ValueError for results that are too few.
    """
    if not count_data.enough:
        raise ValueError(f"{len(count_data.counts)} results with {count_data.counts.sum():.0f} conversions are too few")
    x, encoding = count_data.features, count_data.encoding
    lines, sizes = _lines(count_data), _sizes(encoding)
    with _in_turn(len(x)):
        slopes, effects, creators = _fit(count_data, lines, np.zeros((len(x), 0)), 0.0, strength)
    categories = dict(zip(sizes, effects, strict=False))
    pair, pair_effects = encoding.pair, np.zeros((0, 0))
    if pair is not None:
        pair_effects = np.zeros((sizes[pair[0]], sizes[pair[1]]))
        pair_effects.flat[_met(x, pair, sizes)[0]] = effects[len(sizes)]
    reason_columns = tuple(encoding.place(name, otherwise=-1) for name in ("creator_record", "niche_pair_record"))
    model = MixedModel(
        lines, slopes[1:], categories, pair, pair_effects, creators, (reason_columns[0], reason_columns[1]), 0.0, 0.0
    )
    model = replace(model, offset=float(slopes[0] + np.log(count_data.level)))
    return replace(model, centre=float(np.average(model.log_rate(x), weights=count_data.weight)))


def fit_further_terms(count_data: CountData, terms: np.ndarray, penalty: float) -> np.ndarray:
    """Slopes of further terms (rows, k) that are fitted beside all that the model has, shrunk to 0 by `penalty`."""
    with _in_turn(len(terms)):
        slopes, _, _ = _fit(count_data, _lines(count_data), terms, penalty)
    return slopes[len(slopes) - terms.shape[1] :]


def _in_turn(rows: int) -> AbstractContextManager[Any]:
    """Holds up all but one of the fits of many rows: each has tables of a GiB and more beside what it is given."""
    return _ONE_OF_MANY_ROWS if rows > MANY_ROWS else nullcontext()


def _lines(count_data: CountData) -> tuple[Line, ...]:
    encoding = count_data.encoding
    numbers = [i for i in range(len(encoding.columns)) if i not in encoding.categorical]
    return tuple(line for i in numbers if (line := Line.fit(i, count_data.features[:, i])) is not None)


def _sizes(encoding: Encoding) -> dict[int, int]:
    """Number of codes by category column."""
    return {i: len(encoding.levels[encoding.columns[i]]) + FIRST_LEVEL for i in encoding.categorical}


def _met(x: np.ndarray, pair: tuple[int, int], sizes: Mapping[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Niche pairs that rows have, as flat positions in the table of pairs, and each row's place among them."""
    return np.unique(_codes(x, pair[0]) * sizes[pair[1]] + _codes(x, pair[1]), return_inverse=True)


def _fit(
    count_data: CountData, lines: tuple[Line, ...], further: np.ndarray, penalty_further: float, strength: float = 1.0
) -> tuple[np.ndarray, list[np.ndarray], np.ndarray]:
    """Slopes (the intercept, the lines', the further terms'), effects of categories and of the pairs that were met (and
    an empty one), effects of creators: reweighted least squares on the working response.

    A creator's effect is known only roughly, and the mean of exp(effect) lies above exp(its mean) by half its variance:
    that half is part of the effect, most of all for the unknown creator.
    """
    x, encoding = count_data.features, count_data.encoding
    terms = _terms(x, lines, further)
    sizes = _sizes(encoding)
    groups = [(_codes(x, i), size, strength * PENALTY_SLOPE) for i, size in sizes.items()]
    if encoding.pair is not None:
        met, place = _met(x, encoding.pair, sizes)
        groups.append((place, len(met), strength * PENALTY_PAIR))
    penalties = np.full(terms.shape[1], strength * PENALTY_SLOPE)
    penalties[0], penalties[terms.shape[1] - further.shape[1] :] = 1e-6, penalty_further
    creator, creators = _codes(x, -1), len(encoding.creators) + 1
    nothing = sparse.csr_array((len(terms), 0))
    indicators = sparse.hstack([nothing, *(indicators_of(code, size) for code, size, _ in groups)], format="csr")
    penalty = np.concatenate([penalties, *(np.full(size, p) for _, size, p in groups)])
    expected = count_data.exposure * count_data.level
    eta = np.log((count_data.counts + 0.5) / (expected + 0.5))
    response, weight = eta, count_data.weight
    for _ in range(ITERATIONS + 1):
        fixed, effects = solve(terms, indicators, creator, creators, penalty, weight, response)
        eta = terms @ fixed[: terms.shape[1]] + indicators @ fixed[terms.shape[1] :] + effects[creator]
        mean = expected * np.exp(np.clip(eta, -20, 20))
        residual, last_weight = response - eta, weight
        weight = (DISPERSION + 0.5) / (1 / mean + DISPERSION + count_data.variance)
        response = eta + np.clip((count_data.counts - mean) / mean, -LARGEST_STEP, LARGEST_STEP)
    evidence = np.bincount(creator, last_weight, creators)
    uncertainty = _scale(residual, last_weight, evidence) / (evidence + PENALTY_CREATOR)
    slopes, rest = fixed[: terms.shape[1]], fixed[terms.shape[1] :]
    return slopes, np.split(rest, np.cumsum([size for _, size, _ in groups])), effects + uncertainty / 2


def _terms(x: np.ndarray, lines: tuple[Line, ...], further: np.ndarray) -> np.ndarray:
    """A column of ones, those of the lines, and the further terms (rows, terms)."""
    out = np.empty((len(x), 1 + sum(1 + line.flagged for line in lines) + further.shape[1]))
    out[:, 0], at = 1.0, 1
    for line in lines:
        made = line.apply(x)
        out[:, at : at + made.shape[1]] = made
        at += made.shape[1]
    out[:, at:] = further
    return out


def _scale(residual: np.ndarray, weight: np.ndarray, evidence: np.ndarray) -> float:
    """Variance of a result of large count around the fit; each creator takes up about evidence / (evidence + penalty)
    of it.
    """
    taken = float((evidence / (evidence + PENALTY_CREATOR)).sum())
    return float((weight * residual**2).sum() / max(len(residual) - taken, 1.0))
