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

from models.estimators.blocks import small_blocks
from models.estimators.count_data import DISPERSION, CountData, EarlierFit
from models.estimators.encoding import FIRST_LEVEL, Encoding
from models.estimators.lines import AllLines, Line, fit_lines, terms_of
from models.estimators.normal_equations import PENALTY_CREATOR, indicators_of, solve

# against the weight of results, 2 each for a large count: where they are equal, a term is shrunk halfway to 0
PENALTY_SLOPE, PENALTY_PAIR = 30.0, 3.0
ITERATIONS, LARGEST_STEP = 6, 3.0
MANY_ROWS, _ONE_OF_MANY_ROWS = 200_000, Lock()
# Fits to more than so many rows begin where an earlier one ended, and end when the log rates change by less than that
# (root mean square), which is little beside what any fit is wrong by. Fewer rows take all iterations, from the counts.
SETTLING_ROWS, SETTLED = 50_000, 0.003


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
        for rows in small_blocks(len(features), features.shape[1]):
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
    def _all_lines(self) -> AllLines:
        return AllLines(self.lines, self.slopes)

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
        slopes, effects, creators, _ = _fit(count_data, lines, np.zeros((len(x), 0)), 0.0, strength)
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


def fit_further_terms(count_data: CountData, terms: np.ndarray, penalty: float) -> tuple[np.ndarray, EarlierFit]:
    """Slopes of further terms (rows, k) that are fitted beside all that the model has, shrunk to 0 by `penalty`.

    Also returns what further fits to the same rows can use of this one.
    """
    lines = _lines(count_data)
    with _in_turn(len(terms)):
        slopes, _, _, log_expected = _fit(count_data, lines, terms, penalty)
    return slopes[len(slopes) - terms.shape[1] :], EarlierFit(lines, log_expected)


def _lines(count_data: CountData) -> tuple[Line, ...]:
    earlier = count_data.earlier
    return earlier.lines if earlier else fit_lines(count_data.features, count_data.encoding)


def _in_turn(rows: int) -> AbstractContextManager[Any]:
    """Holds up all but one of the fits of many rows: each has tables of a GiB and more beside what it is given."""
    return _ONE_OF_MANY_ROWS if rows > MANY_ROWS else nullcontext()


def _sizes(encoding: Encoding) -> dict[int, int]:
    """Number of codes by category column."""
    return {i: len(encoding.levels[encoding.columns[i]]) + FIRST_LEVEL for i in encoding.categorical}


def _met(x: np.ndarray, pair: tuple[int, int], sizes: Mapping[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Niche pairs that rows have, as flat positions in the table of pairs, and each row's place among them."""
    return np.unique(_codes(x, pair[0]) * sizes[pair[1]] + _codes(x, pair[1]), return_inverse=True)


def _fit(
    count_data: CountData, lines: tuple[Line, ...], further: np.ndarray, penalty_further: float, strength: float = 1.0
) -> tuple[np.ndarray, list[np.ndarray], np.ndarray, np.ndarray]:
    """Slopes (the intercept, the lines', the further terms'), effects of categories and of the pairs that were met (and
    an empty one), effects of creators, log expected counts: reweighted least squares on the working response.

    A creator's effect is known only roughly, and the mean of exp(effect) lies above exp(its mean) by half its variance:
    that half is part of the effect, most of all for the unknown creator.
    """
    x, encoding = count_data.features, count_data.encoding
    terms = terms_of(x, lines, further)
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
    response, weight, many = eta, count_data.weight, len(x) > SETTLING_ROWS
    if many and count_data.earlier:
        eta = count_data.earlier.log_expected - np.log(expected)
        response, weight = _working(count_data, expected, eta)
    for _ in range(ITERATIONS + 1):
        before = eta
        fixed, effects = solve(terms, indicators, creator, creators, penalty, weight, response)
        eta = terms @ fixed[: terms.shape[1]] + indicators @ fixed[terms.shape[1] :] + effects[creator]
        residual, last_weight = response - eta, weight
        if many and np.sqrt(np.mean((eta - before) ** 2)) < SETTLED:
            break
        response, weight = _working(count_data, expected, eta)
    evidence = np.bincount(creator, last_weight, creators)
    uncertainty = _scale(residual, last_weight, evidence) / (evidence + PENALTY_CREATOR)
    slopes, rest = fixed[: terms.shape[1]], fixed[terms.shape[1] :]
    by_group = np.split(rest, np.cumsum([size for _, size, _ in groups]))
    return slopes, by_group, effects + uncertainty / 2, np.log(expected) + eta


def _working(count_data: CountData, expected: np.ndarray, eta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Working response and weight (rows,) each, where log counts lie `eta` above those `expected`."""
    mean = expected * np.exp(np.clip(eta, -20, 20))
    response = eta + np.clip((count_data.counts - mean) / mean, -LARGEST_STEP, LARGEST_STEP)
    return response, (DISPERSION + 0.5) / (1 / mean + DISPERSION + count_data.variance)


def _scale(residual: np.ndarray, weight: np.ndarray, evidence: np.ndarray) -> float:
    """Variance of a result of large count around the fit; each creator takes up about evidence / (evidence + penalty)
    of it.
    """
    taken = float((evidence / (evidence + PENALTY_CREATOR)).sum())
    return float((weight * residual**2).sum() / max(len(residual) - taken, 1.0))
