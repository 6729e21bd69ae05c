"""What is expected of each row: its spend, its promotion hours and its conversions.

Conversions by the champion, from predictions that did not know the row; without one from older rows, as spend and hours
are. Beside them conversions as the creator and brand had them whatever they cost, which tells a spend in another unit
from larger deals.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from models.estimators.maturity import fit_maturity
from models.monitoring import residuals, training_rows
from models.monitoring.residuals import LEAST_OLDER, Residuals
from models.scorer import Scorer
from models.training import TrainingSet

HALF = 0.5  # conversions added to both sides of a ratio, for counts of 0
NOISE = 2.0  # a count has the weight m / (m + 2), as in the track record


@dataclass(frozen=True)
class Expectations:
    """By quantity (spend, hours, conversions) the residuals; `by_creator`: of conversions whatever the spend.

    counts: expected conversions (rows,). source: who expects them, in words. notes: why not the champion.
    """

    residuals: Mapping[str, Residuals]
    by_creator: Residuals
    counts: np.ndarray
    source: str
    notes: tuple[str, ...]


def expect(
    training: TrainingSet, older: np.ndarray, batch: np.ndarray, champion: Scorer | None, rng: np.random.Generator
) -> Expectations:
    """Expectations of every row from the older ones (bool) and the champion.

    batch: rows (bool) of which the champion expects something even where it was trained on them, as they were then.
    """
    results, spine, matrix = training.results, training.spine, training.matrix
    brands = spine.brand.fillna("").to_numpy(object)
    platforms = matrix.platform.fillna("").to_numpy(object) if "platform" in matrix else np.full(len(spine), "", object)
    terms, even = _terms(matrix), np.ones(len(spine))

    def plain(target: np.ndarray, weight: np.ndarray, columns: np.ndarray) -> np.ndarray:
        return residuals.deviations(target, weight, columns, brands, training.creators, older)

    def measured(values: np.ndarray, weight: np.ndarray) -> Residuals:
        weight = np.where(np.isfinite(values), weight, 0.0)
        return residuals.measure(values, weight, older, training.creators, (brands, platforms), rng)

    share, _ = (champion.maturity if champion else fit_maturity(results)).arrived(results)
    level = (results.counts[older] + HALF).sum() / max(float((results.spend * share)[older].sum()), 1e-9)
    usual = plain(np.log(results.spend), even, terms)
    # what the row would be expected to bring at the spend that is expected of it: a slip of the spend changes no weight
    usual_count = level * results.spend * share / np.exp(np.nan_to_num(usual))
    weight = usual_count / (usual_count + NOISE)
    found = np.log((results.counts + HALF) / np.maximum(share, 1e-3))
    own_rate = plain(found - np.log(results.spend), weight, np.column_stack([terms, np.log(results.spend)]))
    counts, notes = _champions(training, champion, older, batch)
    source = "the champion"
    values = np.log((results.counts + HALF) / (counts + HALF))
    if not np.isfinite(values[older]).sum() >= LEAST_OLDER:
        source, values = "the record of older results", own_rate
        counts = (results.counts + HALF) / np.exp(own_rate)
    weights = counts / (counts + NOISE)
    return Expectations(
        {
            "spend": measured(usual, even),
            "hours": measured(plain(np.log(results.hours), even, terms), even),
            "conversions": measured(values, np.nan_to_num(weights)),
        },
        measured(plain(found, weight, terms), weight),
        counts,
        source,
        notes,
    )


def _champions(
    training: TrainingSet, champion: Scorer | None, older: np.ndarray, batch: np.ndarray
) -> tuple[np.ndarray, tuple[str, ...]]:
    """The champion's expected conversions (rows,), NaN where it has none, and why not."""
    nothing = np.full(len(training.spine), np.nan)
    if champion is None:
        return nothing, ()
    try:
        counts = training_rows.expected(champion, training, batch)
    except ValueError as error:
        return nothing, (f"the champion cannot say what it expects ({error}); older results stand in for it",)
    known = int(np.isfinite(counts[older]).sum())
    few = f"the champion expects something of only {known} older results; older results stand in for it"
    return counts, (few,) if known < LEAST_OLDER else ()


def _terms(matrix: pd.DataFrame) -> np.ndarray:
    """Numbers without gaps that explain what a deal costs and how long it runs: size, deliverables, platform, tier."""
    columns = []
    for name in ("followers", "deliverables"):
        if name in matrix:
            values = np.log1p(matrix[name].to_numpy(float))
            known = np.isfinite(values)
            columns += [np.where(known, values, np.median(values[known]) if known.any() else 0.0), known.astype(float)]
    for name in ("tier", "platform"):
        if name in matrix:
            values = matrix[name].fillna("").to_numpy(object).astype(str)
            columns += [(values == value).astype(float) for value in sorted(set(values.tolist()))]
    return np.column_stack(columns) if columns else np.zeros((len(matrix), 0))
