"""What a training tells about itself: its figures in words, plots, and the model card."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from features.catalogue import BY_NAME
from models.backtest import OURS, Backtest
from models.baselines import NAMES, RULES_OF_THUMB
from models.observed import count_loss, level_shift
from models.training import Trained

SAMPLE = 2_000
FIGURES = (
    "A fold is judged with choices from earlier folds alone. skill: share of the Poisson deviance explained against "
    "one rate known in hindsight; rank: Spearman with the realised rate; value: conversions bought with a tenth of the "
    "money, over those of hindsight; total: predicted over realised."
)
MOVES = (
    "Mean factor by which a feature moves a score, up or down. It tells how the model works, not what causes "
    "conversions."
)
LIMITS = (
    "Results come from creators that were hired, so little is known of those unlike them. Scores beyond the training "
    "range carry a warning, and so do those unlike all results, whose intervals are wider."
)
WORDS = {
    OURS: "this model",
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
        return RULES_OF_THUMB[0], 0.0
    ours = _losses(rows, OURS)
    better = {name: _losses(rows, name) - ours for name in RULES_OF_THUMB}
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


def verdict(backtest: Backtest) -> str:
    """One sentence: does the model tell deals apart better than every rule of thumb?"""
    if not len(backtest.rows):
        return "No skill can be claimed: there are too few results for a backtest."
    rule, surely = evidence(backtest)
    told = f"(t = {surely:.1f} on {len(backtest.rows):,} results that the model had not seen)"
    if surely > 2:
        return f"The model tells deals apart better than every rule of thumb; the best of them is {WORDS[rule]} {told}."
    return f"No skill beyond {WORDS[rule]}: on this data the model is not surely better {told}."


def unlike(backtest: Backtest) -> str:
    """One sentence: how many judged results were unlike those known before, and how intervals covered there."""
    rows = len(backtest.rows)
    if not rows:
        return "Whether candidates are unlike the results was not measured: there are too few for a backtest."
    found, told, coverage = backtest.coverage_unlike()
    covered = f"; the 80 % interval, widened there, covered {coverage:.2f} of the {told:,} that had one" if told else ""
    return f"{found:,} of {rows:,} judged results ({found / rows:.1%}) were unlike those known before{covered}."


def importance(trained: Trained) -> pd.Series:
    """Mean factor by which a feature moves a score, up or down, over the newest SAMPLE rows; largest first."""
    scorer = trained.scorer
    training = trained.training
    features = scorer.encoding.transform(training.matrix.tail(SAMPLE), training.creators[-SAMPLE:])
    moved = np.abs(scorer.rate.contributions(features)).mean(axis=0)
    return pd.Series(np.exp(moved), index=list(scorer.encoding.columns)).sort_values(ascending=False, kind="stable")


def plots(trained: Trained) -> dict[str, Figure]:
    """Figures by file name: calibration, lift, importance."""
    rows = trained.backtest.rows
    out = {"importance.png": _importance(importance(trained).head(20))}
    if len(rows) >= 10:
        out |= {"calibration.png": _calibration(rows), "lift.png": _lift(rows)}
    return out


def _figure(title: str, across: str, up: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    axes.set(title=title, xlabel=across, ylabel=up)
    return figure, axes


def _calibration(rows: pd.DataFrame) -> Figure:
    figure, axes = _figure("Predicted and realised, by tenths of the prediction", "predicted conversions per dollar",
                           "realised conversions per dollar")  # fmt: skip
    parts = np.array_split(np.argsort(rows[OURS].to_numpy(), kind="stable"), min(10, len(rows)))
    counts, exposure, rate = rows.counts.to_numpy(), rows.exposure.to_numpy(), rows[OURS].to_numpy()
    predicted = [float((rate[p] * exposure[p]).sum() / exposure[p].sum()) for p in parts]
    realised = [float(max(counts[p].sum(), 0.5) / exposure[p].sum()) for p in parts]
    axes.loglog(predicted, realised, "o-")
    axes.loglog(predicted, predicted, "--", color="grey")
    return figure


def _lift(rows: pd.DataFrame) -> Figure:
    figure, axes = _figure(
        "What a share of the money would have bought", "share of the spend", "share of the conversions"
    )
    counts, exposure = rows.counts.to_numpy(), rows.exposure.to_numpy()
    for name in (OURS, *NAMES):
        order = np.argsort(-rows[name].to_numpy(), kind="stable")
        axes.plot(
            np.r_[0, np.cumsum(exposure[order]) / exposure.sum()],
            np.r_[0, np.cumsum(counts[order]) / counts.sum()],
            label=WORDS[name],
        )
    axes.legend()
    return figure


def _importance(moved: pd.Series) -> Figure:
    figure, axes = _figure("What moves scores most", "mean factor, up or down", "")
    axes.barh(moved.index[::-1].tolist(), moved.to_numpy()[::-1] - 1, left=1.0)
    return figure


def figures_table(backtest: Backtest, folds: bool = False) -> list[list[str]]:
    """The backtest's figures as cells, a header first; all folds together, or each."""
    table = backtest.figures()
    table = table if folds else table[table.fold == "all"]
    header = ["fold", "model", "results", "skill", "rank", "value", "total", "coverage", "width"]
    cells = [
        [str(r.fold), WORDS[str(r.model)], str(r.rows)] + [_number(v) for v in r[3:]]
        for r in table.itertuples(index=False)
    ]
    return [header, *cells]


def _number(value: float) -> str:
    return "–" if not np.isfinite(value) else f"{value:.3f}"


def _markdown(cells: list[list[str]]) -> list[str]:
    lines = ["| " + " | ".join(row) + " |" for row in cells]
    return [lines[0], "|" + "---|" * len(cells[0]), *lines[1:]]


def model_card(trained: Trained) -> str:
    """The model card in Markdown: what it is worth, what it was made from, what it uses."""
    told, backtest = trained.scorer.told, trained.backtest
    tiers = [["tier", "results", "coverage of 80 %"]]
    tiers += [[k, str(n), f"{c:.3f}"] for k, (c, n) in backtest.coverage_by_group().items()]
    moved = importance(trained)
    used = [["feature", "family", "what it is", "unit", "mean factor"]]
    for name, factor in moved.items():
        f = BY_NAME.get(str(name))
        used.append([str(name), *([f.family, f.label, f.unit] if f else ["", "", ""]), f"{factor:.3f}"])
    recipes = ", ".join(f"{k} {w:.2f}" for k, w in told["recipes"].items()) or "none: one rate for all"
    made = (
        f"Predicts conversions per dollar of a creator's collaboration. Trained on {told['results']:,} results "
        f"({told['conversions']:,.0f} conversions for {told['spend']:,.0f} dollars) that started from "
        f"{told['first_start'][:10]} to {told['last_start'][:10]}; seed {told['seed']}."
    )
    choices = [
        f"- Blend of recipes, weights on the log scale: {recipes}.",
        f"- Late conversions: {told['maturity']}.",
        f"- Level set by recent results: × {np.exp(trained.scorer.rate.level):.3f}.",
    ]
    proof = f"Cut-offs: {', '.join(backtest.cutoffs) or 'none'}. {FIGURES}"
    sections = {
        "Backtest in time": [proof, "", *_markdown(figures_table(backtest, folds=True))],
        "Coverage by tier": _markdown(tiers),
        "Features": [MOVES, "", *_markdown(used)],
        "Limits": [LIMITS, "", unlike(backtest)],
    }
    lines = [verdict(backtest), "", "# Model card", "", made, "", *choices, ""]
    for title, content in sections.items():
        lines += [f"## {title}", "", *content, ""]
    return "\n".join(lines)
