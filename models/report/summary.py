"""A training's figures in words and plots; `models.report.model_card` puts them on a page."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from models.evaluation.backtest import Backtest
from models.evaluation.skill import WORDS
from models.report import plots as draw
from models.studies.budget_study import CHOICES, SHARES, Bought, compare, compared_rows
from models.studies.claim_tests import ClaimTests, examine
from models.studies.effects import Effect
from models.training import Trained

SAMPLE = 2_000


@dataclass(frozen=True)
class Report:
    """What a training found, worked out once: `compared_rows`, what a budget would have bought, the claims."""

    trained: Trained
    rows: pd.DataFrame
    bought: list[Bought]
    claims: ClaimTests


def study(trained: Trained) -> Report:
    """Work out the report of a training; the same training gives the same report."""
    rows = compared_rows(trained)
    bought = compare(rows, trained.scorer.facts.seed)
    return Report(trained, rows, bought, examine(trained.training, trained.scorer.maturity))


def unlike(backtest: Backtest) -> str:
    """One sentence: how many tested results were unlike those known before, and what intervals covered there."""
    rows = len(backtest.rows)
    if not rows:
        return "Whether candidates are unlike the results was not measured: there are too few results for a backtest."
    found, with_interval, coverage = backtest.coverage_unlike()
    covered = (
        f"; the 80 % interval, widened there, covered {coverage:.2f} of the {with_interval:,} that had one"
        if with_interval
        else ""
    )
    return f"{found:,} of {rows:,} tested results ({found / rows:.1%}) were unlike those known before{covered}."


def importance(trained: Trained) -> pd.Series:
    """Mean factor by which a feature moves a score, up or down, over the newest SAMPLE rows; largest first."""
    scorer = trained.scorer
    training = trained.training
    features = scorer.encoding.transform(training.matrix.tail(SAMPLE), training.creators[-SAMPLE:])
    moved = np.abs(scorer.rate.contributions(features)).mean(axis=0)
    return pd.Series(np.exp(moved), index=list(scorer.encoding.columns)).sort_values(ascending=False, kind="stable")


def plots(report: Report) -> dict[str, Figure]:
    """Figures by file name, those that the data suffice for."""
    out = {"importance.png": draw.importance(importance(report.trained).head(20))}
    if len(report.rows) >= 10:
        out["calibration.png"] = draw.calibration(report.rows)
    if report.bought and len(report.rows) >= 10:
        out["lift.png"] = draw.lift(report.rows)
    if report.bought:
        out["budget.png"] = draw.budget(report.bought)
    if report.claims.tested:
        out["claims.png"] = draw.claims(report.claims)
    if len(report.claims.speed):
        out["speed.png"] = draw.speed(report.claims)
    return out


def figures_table(table: pd.DataFrame, first: str = "fold") -> list[list[str]]:
    """Figures of a backtest as cells, a header first; `first` is the header of what parts them."""
    header = [first, "model", "results", "skill", "rank", "value", "total", "coverage", "width"]
    cells = [
        [str(r.fold), WORDS[str(r.model)], str(r.rows)] + [_number(v) for v in r[3:]]
        for r in table.itertuples(index=False)
    ]
    return [header, *cells]


def _number(value: float) -> str:
    return "–" if not np.isfinite(value) else f"{value:.3f}"


def budget_line(bought: list[Bought]) -> str:
    """One line: what the smallest of SHARES would have bought, against each other choice."""
    if not bought:
        return "What a budget would have bought is not known: there are too few results for a backtest."
    factors = [f"{CHOICES[b.choice]} {factor(b)}" for b in bought if b.share == SHARES[0]]
    little = "" if np.isfinite(bought[0].low) else f"; {bought[0].creators} creators are too few for intervals"
    return f"Conversions for {SHARES[0] * 100:g} % of the money, against {', '.join(factors)}{little}."


def factor(found: Bought | Effect | None) -> str:
    """A factor with its interval."""
    if found is None:
        return "–"
    ends = f" ({found.low:.2f} to {found.high:.2f})" if np.isfinite(found.low) else ""
    return f"×{found.factor:.2f}{ends}"
