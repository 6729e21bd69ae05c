"""Weighted least squares with penalties, in which every creator has an effect of its own.

The creators' block of the normal equations is diagonal and is eliminated (Schur complement), so the time grows with
(rows + creators) × columns², and beside the rows there is one table of creators × columns of numbers.
"""

from __future__ import annotations

import numpy as np
from scipy import linalg, sparse

from models.estimators.blocks import BLOCK_VALUES, blocks

PENALTY_CREATOR = 2.0


def indicators_of(code: np.ndarray, size: int) -> sparse.csr_array:
    """A 1 in each row's column (rows, size)."""
    rows = len(code)
    return sparse.csr_array((np.ones(rows), (np.arange(rows), code)), shape=(rows, size))


def solve(
    terms: np.ndarray,
    indicators: sparse.csr_array,
    creator: np.ndarray,
    creators: int,
    penalty: np.ndarray,
    weight: np.ndarray,
    response: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Minimise Σ weight (response − fit)² + Σ penalty × term²; the creators' diagonal block is eliminated.

    indicators: a 1 in one column of each of several categories (rows, columns), those of the first category first.
    creator: code of every row (rows,), below `creators`. Returns what all share, and the creators' effects.
    """
    codes = indicators.indices.reshape(len(terms), -1)
    each = np.repeat(weight, codes.shape[1])
    light = sparse.csr_array((indicators.data * each, indicators.indices, indicators.indptr), shape=indicators.shape)
    columns, others = terms.shape[1], indicators.shape[1]
    of_terms, cross, right = np.zeros((columns, columns)), np.zeros((others, columns)), np.zeros(columns)
    shared_terms = np.zeros((creators, columns))
    for rows in blocks(len(terms), columns):
        heavy = terms[rows] * weight[rows, None]
        of_terms += terms[rows].T @ heavy
        cross += indicators[rows].T @ heavy
        right += heavy.T @ response[rows]
        met, place = np.unique(creator[rows], return_inverse=True)
        shared_terms[met] += indicators_of(place, len(met)).T @ heavy
    normal = np.block([[of_terms, cross.T], [cross, _products_of_indicators(codes, others, weight)]]) + np.diag(penalty)
    right = np.concatenate([right, light.T @ response])
    own = np.bincount(creator, weight, creators) + PENALTY_CREATOR
    own_right = np.bincount(creator, weight * response, creators)
    shared = _Shared(shared_terms, (indicators_of(creator, creators).T @ light).tocsr())
    fixed = linalg.solve(normal - shared.products(own), right - shared.sums(own_right / own), assume_a="pos")
    return fixed, (own_right - shared.times(fixed)) / own


def _products_of_indicators(codes: np.ndarray, size: int, weight: np.ndarray) -> np.ndarray:
    """indicators′ diag(weight) indicators (size, size), of the columns that rows have a 1 in (rows, categories)."""
    out = np.zeros((size, size))
    if not codes.size:
        return out
    columns = np.ascontiguousarray(codes.T, np.intp)
    first, last = columns.min(axis=1), columns.max(axis=1) + 1
    for i in range(len(columns)):
        for j in range(i, len(columns)):
            width = last[j] - first[j]
            cell = (columns[i] - first[i]) * width + columns[j] - first[j]
            pair = np.bincount(cell, weight, (last[i] - first[i]) * width).reshape(-1, width)
            out[first[i] : last[i], first[j] : last[j]] = pair
            out[first[j] : last[j], first[i] : last[i]] = pair.T
    return out


class _Shared:
    """The block of the normal equations that creators (rows) and everything else (columns) share.

    The few columns of `indicators` that a creator's deals meet stay sparse where there are many creators.
    """

    def __init__(self, terms: np.ndarray, indicators: sparse.csr_array) -> None:
        self.terms, self.indicators = terms, indicators
        few = len(terms) * (terms.shape[1] + indicators.shape[1]) <= BLOCK_VALUES
        self.dense = np.hstack([terms, indicators.toarray()]) if few else None

    def products(self, own: np.ndarray) -> np.ndarray:
        """shared′ diag(own)⁻¹ shared."""
        if self.dense is not None:
            return self.dense.T @ (self.dense / own[:, None])
        columns = self.terms.shape[1]
        of_terms, cross = np.zeros((columns, columns)), np.zeros((self.indicators.shape[1], columns))
        for rows in blocks(len(self.terms), columns):
            scaled = self.terms[rows] / own[rows, None]
            of_terms += self.terms[rows].T @ scaled
            cross += self.indicators[rows].T @ scaled
        of_indicators = (self.indicators.T @ self.indicators.multiply(1 / own[:, None]).tocsr()).toarray()
        return np.block([[of_terms, cross.T], [cross, of_indicators]])

    def sums(self, values: np.ndarray) -> np.ndarray:
        """shared′ values."""
        if self.dense is not None:
            return self.dense.T @ values
        return np.concatenate([self.terms.T @ values, self.indicators.T @ values])

    def times(self, fixed: np.ndarray) -> np.ndarray:
        """shared × fixed."""
        if self.dense is not None:
            return self.dense @ fixed
        terms = self.terms.shape[1]
        return self.terms @ fixed[:terms] + self.indicators @ fixed[terms:]
