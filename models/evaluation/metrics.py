"""How good predicted rates are, on results that are whole."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from models.estimators.blocks import small_blocks


def poisson_deviance(counts: np.ndarray, expected: np.ndarray) -> float:
    """Sum over rows of 2 (y log(y / m) − (y − m)) (McCullagh & Nelder 1989, p. 34)."""
    expected = np.maximum(expected, 1e-9)
    hit = np.where(counts > 0, counts * np.log(np.maximum(counts, 1) / expected), 0.0)
    return float(2 * (hit - (counts - expected)).sum())


def conversions_bought(
    rank_by: np.ndarray,
    spend: np.ndarray,
    conversions: np.ndarray,
    shares: Sequence[float],
    weights: np.ndarray | None = None,
) -> np.ndarray:
    """Conversions (samples, shares) that shares of all spend buy from the highest `rank_by` on.

    The last deal is bought in part. Deals that tie are bought in equal parts, so the order of rows does not matter; NaN
    comes last, all of it tied. rank_by, spend (US dollars), conversions: (rows,). weights: how often each deal counts,
    (samples, rows); by default one sample in which each deal counts once.
    """
    weights = np.ones((1, len(spend))) if weights is None else weights
    order = np.argsort(-rank_by, kind="stable")
    ranked = rank_by[order]
    tied = (ranked[1:] == ranked[:-1]) | (np.isnan(ranked[1:]) & np.isnan(ranked[:-1]))
    starts = np.flatnonzero(np.concatenate([[True], ~tied]))
    spend, conversions = spend[order], conversions[order]
    out = np.empty((len(weights), len(shares)))
    for samples in small_blocks(len(weights), len(order)):
        weight = weights[samples].take(order, axis=1)
        money = np.add.reduceat(weight * spend, starts, axis=1)
        gain = np.add.reduceat(weight * conversions, starts, axis=1)
        spent = np.cumsum(money, axis=1)
        for k, share in enumerate(shares):
            left = share * spent[:, -1:] - spent + money
            out[samples, k] = (gain * np.clip(left / np.where(money > 0, money, 1), 0, 1)).sum(axis=1)
    return out


def value(rank_by: np.ndarray, spend: np.ndarray, conversions: np.ndarray, share: float = 0.1) -> float:
    """What a share of the spend buys from the highest `rank_by` on, over what hindsight would have bought with it."""
    bought = conversions_bought(rank_by, spend, conversions, (share,))
    best = conversions_bought(conversions / spend, spend, conversions, (share,))
    return float(bought[0, 0] / best[0, 0])


def measure(rate: np.ndarray, counts: np.ndarray, spend: np.ndarray, share: float = 0.1) -> dict[str, float]:
    """Figures of predicted rates (rows,) beside counts and dollars.

    skill: share of the Poisson deviance explained against one rate known in hindsight. rank: Spearman's correlation
    with the realised rate. value: conversions that a tenth of the money buys, over what hindsight would have bought.
    total: predicted over realised conversions. NaN where a figure is not defined.
    """
    total = counts.sum()
    if len(counts) < 2 or total <= 0:
        return dict.fromkeys(("skill", "rank", "value", "total"), float("nan"))
    null = poisson_deviance(counts, spend * total / spend.sum())
    varied = np.ptp(rate) > 0
    return {
        "skill": 1 - poisson_deviance(counts, spend * rate) / null if null > 0 else float("nan"),
        "rank": float(pd.Series(rate).corr(pd.Series(counts / spend), method="spearman")) if varied else float("nan"),
        "value": value(rate, spend, counts, share),
        "total": float((rate * spend).sum() / total),
    }


def covered(low: np.ndarray, high: np.ndarray, rate: np.ndarray) -> dict[str, float]:
    """coverage: share of realised rates within low..high. width: median of log(high / low), both raised by 1e-4."""
    if not len(rate):
        return {"coverage": float("nan"), "width": float("nan")}
    inside = (rate >= low - 1e-12) & (rate <= high + 1e-12)
    return {"coverage": float(inside.mean()), "width": float(np.median(np.log((high + 1e-4) / (low + 1e-4))))}
