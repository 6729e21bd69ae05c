"""How good predicted rates are, on results that are whole."""

from __future__ import annotations

import numpy as np
import pandas as pd


def poisson_deviance(counts: np.ndarray, expected: np.ndarray) -> float:
    """Sum over rows of 2 (y log(y / m) − (y − m)) (McCullagh & Nelder 1989, p. 34)."""
    expected = np.maximum(expected, 1e-9)
    hit = np.where(counts > 0, counts * np.log(np.maximum(counts, 1) / expected), 0.0)
    return float(2 * (hit - (counts - expected)).sum())


def bought(order_by: np.ndarray, spend: np.ndarray, counts: np.ndarray, budget: float) -> float:
    """Conversions that a budget buys, taken from the highest `order_by` on; the last one in part."""
    order = np.argsort(-order_by, kind="stable")
    before = np.cumsum(spend[order]) - spend[order]
    part = np.clip((budget - before) / spend[order], 0, 1)
    return float((counts[order] * part).sum())


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
    budget = share * spend.sum()
    varied = np.ptp(rate) > 0
    return {
        "skill": 1 - poisson_deviance(counts, spend * rate) / null if null > 0 else float("nan"),
        "rank": float(pd.Series(rate).corr(pd.Series(counts / spend), method="spearman")) if varied else float("nan"),
        "value": bought(rate, spend, counts, budget) / bought(counts / spend, spend, counts, budget),
        "total": float((rate * spend).sum() / total),
    }


def covered(low: np.ndarray, high: np.ndarray, rate: np.ndarray) -> dict[str, float]:
    """coverage: share of realised rates within low..high. width: median of log(high / low), both raised by 1e-4."""
    if not len(rate):
        return {"coverage": float("nan"), "width": float("nan")}
    inside = (rate >= low - 1e-12) & (rate <= high + 1e-12)
    return {"coverage": float(inside.mean()), "width": float(np.median(np.log((high + 1e-4) / (low + 1e-4))))}
