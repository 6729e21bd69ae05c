"""How far each row's spend, hours and conversions lie from what older rows lead one to expect, and the part of chance.

A level is what the deal's terms explain (ridge regression on logarithms, Huber's weights), then the brand's and the
creator's earlier deviations, shrunk by K (Bühlmann credibility): each row is compared with rows before it alone, a
batch with older rows alone, so that a slip cannot hide in its own baseline. The mean residual of a batch varies by

    a + b / n + Σ s² u      a, b: from re-sampled older batches, whole creators drawn out of a run of weeks;
                            s: the batch's share of a brand or platform; u: variance of its level that is not known
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import nnls

LEAST_ROWS = 5  # of fewer no level is known
LEAST_OLDER = 40  # rows that show what is ordinary
K_BRAND, K_CREATOR = 2.0, 1.0
RIDGE, ROUNDS = 1.0, 4
CLIP = 3.0  # robust standard deviations: no single row decides a mean
SIZES, DRAWS, MOST_SAMPLED = (6, 12, 25, 50, 100, 200), 150, 20_000
RECENT_SHARE, LEAST_RECENT = 0.25, 60
# Standard deviation of the level of a brand or platform that was never seen: rates differ by 0.55 between brands in the
# demo's assumptions, prices by a factor of two to three; estimated from the brands where there are ten or more.
NEW_GROUP, LEAST_GROUPS, FIRST_OF_GROUP = 0.6, 10, 15
LEAST_DRIFT = 0.1  # of the level from batch to batch, whatever the older ones show
KNOWN_GROUP = 10.0  # rows after which the level of a group is half known


def robust_scale(values: np.ndarray) -> float:
    """Standard deviation as the median absolute deviation shows it; a small number where most values are the same."""
    if not len(values):
        return 1.0
    return max(1.4826 * float(np.median(np.abs(values - np.median(values)))), 0.05)


@dataclass(frozen=True)
class Spread:
    """Variance of the mean residual of a batch by chance: a + b / n. scale: of one row."""

    a: float
    b: float
    scale: float


@dataclass(frozen=True)
class Residuals:
    """Log residuals of one quantity (rows,), NaN where nothing is expected; about 0 for the newest older rows.

    weight: information of each row, 0 to 1. older: rows (bool) that are the reference. unknown: variance of the level
    of each row's brand and platform that older rows leave open, by name of the grouping, with the group's code.
    """

    values: np.ndarray
    weight: np.ndarray
    older: np.ndarray
    spread: Spread
    centre: float
    unknown: tuple[tuple[np.ndarray, np.ndarray], ...]

    def known(self, rows: np.ndarray) -> np.ndarray:
        """Those of the rows (bool) that have a residual and weight."""
        return rows & np.isfinite(self.values) & (self.weight > 0)

    def mean(self, rows: np.ndarray) -> tuple[float, float]:
        """Mean residual of rows (bool) in which none dominates, and its standard deviation by chance."""
        rows = self.known(rows)
        weight = self.weight[rows]
        total = weight.sum()
        if not total:
            return 0.0, np.inf
        n = total**2 / (weight**2).sum()
        variance = self.spread.a + self.spread.b / n
        for codes, open_variance in self.unknown:
            share = np.bincount(codes[rows], weight) / total
            left = np.bincount(codes[rows], open_variance[rows]) / np.maximum(np.bincount(codes[rows]), 1)
            variance += float((share**2 * left).sum())
        return float(clipped_mean(self.values[rows], weight, self.spread.scale)), float(np.sqrt(variance))


def clipped_mean(values: np.ndarray, weight: np.ndarray, scale: float) -> np.ndarray:
    """Weighted mean over the last axis of values drawn to within CLIP scales of their median."""
    middle = np.median(values, axis=-1, keepdims=True)
    kept = np.clip(values, middle - CLIP * scale, middle + CLIP * scale)
    return np.asarray((kept * weight).sum(-1) / weight.sum(-1))


def measure(
    values: np.ndarray,
    weight: np.ndarray,
    older: np.ndarray,
    creators: np.ndarray,
    groups: Sequence[np.ndarray],
    rng: np.random.Generator,
) -> Residuals:
    """Residuals with their spread, from raw log residuals (rows,) in the order of time.

    groups: the brand and the platform of every row. The level of the newest older rows becomes 0.
    """
    reference = np.flatnonzero(older & np.isfinite(values) & (weight > 0))
    centre, spread = 0.0, Spread(1.0, 1.0, 1.0)
    if len(reference):
        recent = reference[-max(int(len(reference) * RECENT_SHARE), LEAST_RECENT) :]
        scale = robust_scale(values[reference])
        centre = float(clipped_mean(values[recent], weight[recent], scale))
        newest = reference[-MOST_SAMPLED:]
        spread = _spread(values[newest], weight[newest], creators[newest], scale, rng)
    known = older & np.isfinite(values) & (weight > 0)
    unknown = tuple(_open_variance(group, values - centre, known, spread) for group in groups)
    return Residuals(values - centre, weight, older, spread, centre, unknown)


def _spread(
    values: np.ndarray, weight: np.ndarray, creators: np.ndarray, scale: float, rng: np.random.Generator
) -> Spread:
    """a and b from batches of older rows: creators drawn by chance out of a run of rows three times as long."""
    total = len(values)
    codes = pd.factorize(creators)[0]
    design, variances = [], []
    for size in (size for size in SIZES if size * 2 <= total):
        length = min(3 * size, total)
        at = rng.integers(0, total - length + 1, DRAWS)[:, None] + np.arange(length)
        rank = np.take_along_axis(rng.random((DRAWS, codes.max() + 1)), codes[at], axis=1)
        drawn = np.take_along_axis(at, np.argsort(rank, axis=1, kind="stable")[:, :size], axis=1)
        heavy = weight[drawn]
        variances.append(float(np.var(clipped_mean(values[drawn], heavy, scale))))
        design.append([1.0, float(np.mean((heavy**2).sum(1) / heavy.sum(1) ** 2))])
    if not design:
        return Spread(0.05, scale**2, scale)
    relative = np.array(variances)[:, None]
    (a, b), _ = nnls(np.array(design) / relative, np.ones(len(design)))
    few = 1 + SIZES[-1] / 4 / total  # a spread that few rows show is itself uncertain
    return Spread(max(float(a), LEAST_DRIFT**2) * few, max(float(b), 0.25 * scale**2) * few, scale)


def _open_variance(
    group: np.ndarray, values: np.ndarray, known: np.ndarray, spread: Spread
) -> tuple[np.ndarray, np.ndarray]:
    """Codes of the groups, and for each row the variance of its group's level that known rows leave open."""
    codes, _ = pd.factorize(group)
    seen = np.bincount(codes[known], minlength=codes.max(initial=0) + 1)
    first = pd.DataFrame({"code": codes[known], "value": values[known]}).groupby("code").head(FIRST_OF_GROUP)
    means = first.groupby("code").value.agg(["mean", "size"]).query("size >= 3")
    variance = NEW_GROUP**2
    if len(means) >= LEAST_GROUPS:
        between = robust_scale(means["mean"].to_numpy()) ** 2 - spread.b * float((1 / means["size"]).mean())
        variance = float(np.clip(between, 0.3**2, 1.0))
    return codes, variance * (KNOWN_GROUP / (KNOWN_GROUP + seen))[codes]


def deviations(
    target: np.ndarray,
    weight: np.ndarray,
    terms: np.ndarray,
    brands: np.ndarray,
    creators: np.ndarray,
    older: np.ndarray,
) -> np.ndarray:
    """Log residuals (rows,) of a log quantity over what its row's terms, brand and creator lead one to expect.

    terms: (rows, columns), numbers without gaps. Rows in the order of time; NaN targets stay NaN.
    """
    known = older & np.isfinite(target) & (weight > 0)
    if not known.any():
        return np.full(len(target), np.nan)
    residual = target - _fit(target, weight, terms, known)
    for group, k in ((brands, K_BRAND), (creators, K_CREATOR)):
        residual = residual - _earlier(residual, weight, group, known, k)
    return residual


def _fit(target: np.ndarray, weight: np.ndarray, terms: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Expected target of every row by ridge regression on the known ones, with Huber's weights."""
    centre, width = terms[known].mean(0), terms[known].std(0)
    columns = np.column_stack([np.ones(len(terms)), (terms - centre) / np.where(width > 0, width, 1.0)])
    # beyond all that was known a straight line is a guess
    columns = np.clip(columns, columns[known].min(0), columns[known].max(0))
    penalty = np.diag([1e-9, *np.full(terms.shape[1], RIDGE)])
    x, y, w = columns[known], target[known], weight[known].copy()
    found = np.zeros(x.shape[1])
    for _ in range(ROUNDS):
        found = np.linalg.solve((x * w[:, None]).T @ x + penalty, (x * w[:, None]).T @ y)
        off = np.abs(y - x @ found)
        w = weight[known] / np.maximum(1.0, off / (1.5 * robust_scale(y - x @ found)))
    return np.asarray(columns @ found, float)


def _earlier(residual: np.ndarray, weight: np.ndarray, group: np.ndarray, known: np.ndarray, k: float) -> np.ndarray:
    """Shrunk mean of the known residuals of a row's group: those before a known row, all of them for another row."""
    scale = robust_scale(residual[known])
    middle = float(np.median(residual[known]))
    kept = np.where(known, np.clip(residual, middle - CLIP * scale, middle + CLIP * scale), 0.0)
    frame = pd.DataFrame({"w": np.where(known, weight, 0.0), "group": group})
    frame["wr"] = frame.w * kept
    sums = frame.groupby("group")[["w", "wr"]]
    before = sums.cumsum() - frame[["w", "wr"]]
    used = np.where(known[:, None], before, sums.transform("sum"))
    return np.asarray(used[:, 1] / (used[:, 0] + k), float)
