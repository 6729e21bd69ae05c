"""Whether a model tells deals apart better than the rules of thumb do, by the evidence of its backtest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from models.estimators.count_data import count_loss, level_shift

if TYPE_CHECKING:
    from models.evaluation.backtest import (
        Backtest,  # at run time, to say what a saved model is worth takes no estimators
    )

LEAST_T, LITTLE = 2.0, 100
RULES = ("one_rate", "price_only", "own_record")  # of thumb: they need no model of the creators
WORDS = {
    "ours": "this model",
    "one_rate": "one rate for all",
    "price_only": "the price alone",
    "own_record": "the creator's own record",
    "poisson_regression": "Poisson regression",
}


def evidence(backtest: Backtest) -> tuple[str, float]:
    """The rule of thumb that is hardest to beat, and the t of the model's paired differences in deviance from it.

    Every fold is set to the level known in hindsight first, so that only differences between rows count.
    """
    rows = backtest.rows
    if len(rows) < 2 or not rows.counts.sum():
        return RULES[0], 0.0
    ours = _losses(rows, "ours")
    better = {name: _losses(rows, name) - ours for name in RULES}
    spread = {name: float(v.std(ddof=1)) for name, v in better.items()}
    sure = {n: float(v.mean() / (spread[n] / np.sqrt(len(v)))) if spread[n] else 0.0 for n, v in better.items()}
    return min(sure.items(), key=lambda item: item[1])


def _losses(rows: pd.DataFrame, name: str) -> np.ndarray:
    out = np.zeros(len(rows))
    for fold in rows.fold.unique():
        mine = (rows.fold == fold).to_numpy()
        part = rows[mine]
        counts, variance = part.counts.to_numpy(float), part.variance.to_numpy(float)
        expected = (part.exposure * part[name]).to_numpy(float)
        shift = level_shift(counts, expected, variance)
        out[mine] = count_loss(counts, expected * np.exp(shift), variance)
    return out


def skill(backtest: Backtest) -> dict[str, Any]:
    """What `verdict` says, as plain JSON values: the rule of thumb that is hardest to beat, t, and judged results."""
    rule, t = evidence(backtest)
    return {"rule": rule, "t": t, "results": len(backtest.rows)}


def verdict(found: Mapping[str, Any] | None) -> str:
    """One sentence: does the model tell deals apart better than every rule of thumb?

    found: as `skill` gives it; None for a model that an earlier version saved without it.
    """
    if found is None:
        return "Whether this model has skill is not recorded in it: train anew to see."
    rule, t, results = WORDS[found["rule"]], found["t"], found["results"]
    if not results:
        return "No skill can be claimed: there are too few results for a backtest."
    proof = f"(t = {t:.1f} on {results:,} results that the model had not seen)."
    proof += " So few tell little." if results < LITTLE else ""
    if t > LEAST_T:
        return f"The model tells deals apart better than every rule of thumb; the best of them is {rule} {proof}"
    return f"No skill beyond {rule}: on this data the model is not surely better {proof}"
