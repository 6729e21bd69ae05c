"""Whether a model ranks deals better than the rules of thumb do, as its backtest shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from models.estimators.count_data import count_loss, level_shift

if TYPE_CHECKING:
    from models.evaluation.backtest import (
        Backtest,  # at run time, to say what a saved model is worth takes no estimators
    )

LEAST_T, FEW_RESULTS = 2.0, 100
RULES = ("one_rate", "price_only", "own_record")  # of thumb: they need no model of the creators
WORDS = {
    "ours": "this model",
    "one_rate": "one rate for all",
    "price_only": "the price alone",
    "own_record": "the creator's own record",
    "poisson_regression": "Poisson regression",
}


def hardest_rule(backtest: Backtest) -> tuple[str, float]:
    """The rule of thumb that is hardest to beat, and the t of the model's paired differences in deviance from it.

    Every fold is set to the level known in hindsight first, so that only differences between rows count.
    """
    rows = backtest.rows
    if len(rows) < 2 or not rows.counts.sum():
        return RULES[0], 0.0
    ours = _losses(rows, "ours")
    better = {name: _losses(rows, name) - ours for name in RULES}
    spread = {name: float(v.std(ddof=1)) for name, v in better.items()}
    t = {n: float(v.mean() / (spread[n] / np.sqrt(len(v)))) if spread[n] else 0.0 for n, v in better.items()}
    return min(t.items(), key=lambda item: item[1])


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


@dataclass(frozen=True)
class Skill:
    """How significantly a model beats the rules of thumb.

    rule: the one that is hardest to beat. t: of the paired differences in deviance from it. results: tested rows.
    """

    rule: str
    t: float
    results: int


def measure_skill(backtest: Backtest) -> Skill:
    """The skill that a backtest shows."""
    rule, t = hardest_rule(backtest)
    return Skill(rule, t, len(backtest.rows))


def skill_sentence(skill: Skill) -> str:
    """One sentence: does the model tell deals apart better than every rule of thumb?"""
    rule, t, results = WORDS[skill.rule], skill.t, skill.results
    if not results:
        return "No skill can be claimed: there are too few results for a backtest."
    proof = f"(t = {t:.1f} on {results:,} results that the model had not seen)."
    proof += " So few prove little." if results < FEW_RESULTS else ""
    if t > LEAST_T:
        return f"The model tells deals apart better than every rule of thumb; the best of them is {rule} {proof}"
    return f"No skill beyond {rule}: on this data the model is not significantly better {proof}"
