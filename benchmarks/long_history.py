"""A long history as models are trained on it: features, results and conversions by day of any size, made as arrays.

Nothing of it is read from tables, so features cost nothing here. Creators differ in a few traits that shape all their
numbers; the rate follows some columns, kinks and luck. Conversions come within days, a tail of them within a year.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from features.catalogue import CATALOGUE
from features.settings import TIERS
from models.estimators.outcomes import DAY_US, Outcomes
from models.training import TrainingSet

BEGIN, LENGTH = np.datetime64("2023-01-01T00:00:00", "us"), 900.0
ATTRIBUTION_DAYS, TAIL_SHARE, LONGEST_DELAY = 30.0, 0.05, 400.0
TRAITS, MEAN_CONVERSIONS, MISSING = 6, 12.0, 0.15
LEVELS = {
    "tier": list(TIERS),
    "platform": ["instagram", "tiktok", "youtube"],
    "objective": ["sales", "awareness", "launch"],
}
NICHES, COUNTRIES = 14, 12


def long_history(results: int, creators: int, brands: int, seed: int = 0) -> TrainingSet:
    """As many results of creators and brands drawn at random, in the order of their start."""
    rng = np.random.default_rng(seed)
    creator = rng.integers(0, creators, results)
    traits = rng.normal(size=(creators, TRAITS))
    matrix = pd.DataFrame(_columns(rng, traits, creator, brands), copy=False)
    outcomes = _outcomes(rng, matrix, traits[creator, 0])
    spine = pd.DataFrame(
        {"creator_id": np.array([f"c{i}" for i in range(creators)], object)[creator], "brand": matrix.brand}
    )
    return TrainingSet(matrix, spine, outcomes.with_kinds(matrix))


def _columns(
    rng: np.random.Generator, traits: np.ndarray, creator: np.ndarray, brands: int
) -> dict[str, np.ndarray | pd.Series]:
    """All columns of the catalogue by name, categories as texts with None, numbers with NaN."""
    rows = len(creator)
    out: dict[str, np.ndarray | pd.Series] = {}
    for feature in CATALOGUE:
        if feature.kind == "category":
            levels = LEVELS.get(feature.name) or [
                f"{feature.name}_{i}" for i in range({"brand": brands}.get(feature.name, NICHES))
            ]
            of_creator = rng.integers(0, len(levels), len(traits))
            place = rng.integers(0, len(levels), rows) if _of_deal(feature.entity) else of_creator[creator]
            out[feature.name] = pd.Series(np.array(levels, object)[place], dtype=object)
            continue
        values = (traits @ rng.normal(0, 0.4, TRAITS))[creator] + rng.normal(0, 0.4, rows)
        values = values if feature.low is None else np.exp(values)
        if feature.family in ("comments", "track_record"):
            values[rng.random(rows) < MISSING] = np.nan
        out[feature.name] = values
    out["spend"] = np.round(np.exp(rng.normal(6.2, 1.0, rows)), 2)
    out["promotion_hours"] = rng.choice([24.0, 72.0, 168.0, 336.0], rows)
    out["deliverables"] = rng.integers(1, 5, rows).astype(float)
    return out


def _of_deal(entity: str) -> bool:
    return "creator" not in entity


def _outcomes(rng: np.random.Generator, matrix: pd.DataFrame, appeal: np.ndarray) -> Outcomes:
    """Results counted at one moment, the youngest half open."""
    rows = len(matrix)
    starts = BEGIN + (np.sort(rng.random(rows)) * LENGTH * DAY_US).astype("timedelta64[us]")
    until = np.full(rows, BEGIN + np.timedelta64(int(LENGTH), "D"))
    hours = matrix.promotion_hours.to_numpy()
    spend = matrix.spend.to_numpy()
    log_rate = 0.5 * appeal + 0.6 * np.tanh(2 * np.log(matrix.followers.to_numpy())) - 0.25 * np.log(spend / 500)
    log_rate += 0.4 * (matrix.objective == "sales").to_numpy() + 0.3 * np.nan_to_num(matrix.buying_intent_share > 1.2)
    mean = spend * np.exp(log_rate)
    final = rng.poisson(mean * MEAN_CONVERSIONS / mean.mean() * rng.gamma(2.5, 0.4, rows))
    row = np.repeat(np.arange(rows), final)
    delay = rng.exponential(4.0, len(row))
    late = rng.random(len(row)) < TAIL_SHARE
    delay[late] = rng.random(int(late.sum())) * LONGEST_DELAY
    seen = delay < (until - starts)[row] / np.timedelta64(1, "D")
    row, delay = row[seen], delay[seen]
    day = ((starts[row] + (delay * DAY_US).astype("timedelta64[us]")) - BEGIN) // np.timedelta64(1, "D")
    cells, came = np.unique(row * 4096 + day.astype(int), return_counts=True)
    daily = pd.DataFrame(
        {
            "row": cells // 4096,
            "date": BEGIN + (cells % 4096).astype("timedelta64[D]"),
            "conversions": came.astype(float),
        }
    )
    window = ((hours / 24 + ATTRIBUTION_DAYS) * DAY_US).astype("timedelta64[us]")
    nothing = np.full(rows, "")
    return Outcomes(
        np.array([f"r{i:07}" for i in range(rows)], object), starts, until, starts + window, hours, spend,
        np.bincount(row, minlength=rows).astype(float), nothing, nothing, daily,
    )  # fmt: skip
