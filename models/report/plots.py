"""The pictures of a training: one message each, their units on the axes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from features.catalogue import BY_NAME
from features.settings import TIERS
from models.evaluation.backtest import OURS
from models.studies.budget_study import AVERAGE, CHOICES, SHARES, Bought, over_folds
from models.studies.claim_tests import FAILS, HOLDS, WITHIN_DAYS, ClaimTest, ClaimTests
from models.studies.effects import ratio

INK, GREY, BLUE, RED, AMBER = "#222222", "#8a8f98", "#1f5fa8", "#b5372f", "#c98a1b"
OTHERS = ("#6a9fd4", "#4f9d69", "#8e6bb0", "#c98a1b", "#b5372f")
TIER_INK = dict(zip(TIERS, ("#9ecae1", "#6baed6", "#3f8fc5", "#1f5fa8", "#08306b"), strict=True))
GRID = np.linspace(0, 1, 51)
AXIS = (1 / 16, 16.0)
FACTORS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.33, 0.5, 0.8, 1.0, 1.25, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0, 100.0)


def _figure(title: str, across: str, up: str, size: tuple[float, float] = (7.5, 4.8)) -> tuple[Figure, Axes]:
    figure = Figure(figsize=size, layout="constrained", dpi=120)
    axes = figure.add_subplot()
    figure.suptitle(title, x=0.01, ha="left", fontweight="bold", color=INK)
    axes.set(xlabel=across, ylabel=up)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#e6e8eb", linewidth=0.8)
    axes.set_axisbelow(True)
    return figure, axes


def calibration(rows: pd.DataFrame) -> Figure:
    """Predicted and realised rates by tenths of the prediction (larger parts of few), with intervals by creator."""
    figure, axes = _figure("Did it come as predicted?", "predicted conversions per dollar",
                           "realised conversions per dollar")  # fmt: skip
    parts = np.array_split(np.argsort(rows[OURS].to_numpy(), kind="stable"), min(10, max(len(rows) // 10, 1)))
    points = []
    for part in (rows.iloc[part] for part in parts):
        counts, exposure = part.counts.to_numpy(float), part.exposure.to_numpy(float)
        predicted = float((part[OURS] * part.exposure).sum() / exposure.sum())
        found = ratio(counts, exposure, part.creator_id.to_numpy(object))
        least = 0.5 / exposure.sum()
        realised = max(counts.sum() / exposure.sum(), least)
        ends = (max(found.low, least), max(found.high, least)) if found else (realised, realised)
        points.append((predicted, realised, *ends))
    predicted, realised, low, high = np.array(points).T
    axes.errorbar(predicted, realised, yerr=[realised - low, high - realised], fmt="o", color=BLUE, capsize=3,
                  label=f"one of {len(points)} equal parts of the deals, 95 % interval")  # fmt: skip
    both = (min(predicted.min(), realised.min()), max(predicted.max(), realised.max()))
    axes.plot(both, both, "--", color=GREY, label="as predicted")
    axes.set(xscale="log", yscale="log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter(NullFormatter())
    axes.legend(frameon=False)
    return figure


def lift(rows: pd.DataFrame) -> Figure:
    """Share of the conversions against share of the money, by several choices, fold by fold and added up."""
    figure, axes = _figure("What a share of the money would have bought", "share of the money", "share of conversions")
    once = np.ones((1, len(rows)))
    total = rows.came.sum()
    names = {"hindsight": "with hindsight", OURS: "this model", "poisson_regression": "Poisson regression", **CHOICES}
    colours = iter(OTHERS)
    for name, label in names.items():
        rank_by = rows.came / rows.spend if name == "hindsight" else rows.get(name)
        if name == AVERAGE:
            axes.plot(GRID, GRID, ":", color=INK, label=label)
        elif rank_by is not None and rank_by.notna().any():
            curve = over_folds(rows, rank_by.to_numpy(float), once, GRID.tolist())[0] / total
            style = {"hindsight": ("--", GREY, 1.2), OURS: ("-", BLUE, 2.8)}.get(name) or ("-", next(colours), 1.2)
            axes.plot(GRID, curve, style[0], color=style[1], linewidth=style[2], label=label)
    axes.set(xlim=(0, 1), ylim=(0, 1.01))
    axes.legend(frameon=False, loc="lower right")
    return figure


def budget(bought: Sequence[Bought]) -> Figure:
    """Our conversions over those of other choices for the same money."""
    figure, axes = _figure("The same money, spent by this model instead of by …", "times as many conversions", "",
                           (7.5, 3.6))  # fmt: skip
    names = [name for name in CHOICES if any(b.choice == name for b in bought)]
    for k, (share, colour) in enumerate(zip(SHARES, (BLUE, AMBER), strict=True)):
        mine = [next(b for b in bought if b.choice == name and b.share == share) for name in names]
        at = np.arange(len(names)) + (k - 0.5) * 0.25
        factor = np.array([b.factor for b in mine])
        ends = np.array([(b.low, b.high) if np.isfinite(b.low) else (b.factor, b.factor) for b in mine])
        axes.errorbar(factor, at, xerr=np.abs(ends.T - factor), fmt="o", color=colour, capsize=3,
                      label=f"{share * 100:g} % of the money, 95 % interval")  # fmt: skip
    _factors(axes)
    axes.set_yticks(range(len(names)), [CHOICES[name] for name in names])
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    figure.legend(*axes.get_legend_handles_labels(), frameon=False, loc="outside lower center", ncols=2)
    return figure


def claims(found: ClaimTests) -> Figure:
    """Factors on conversions per dollar, unadjusted and adjusted, of the claims that could be compared."""
    shown = [test for test in found.tests if test.adjusted]
    figure, axes = _figure("What the articles claim, and what these results say", "factor, and its 95 % interval", "",
                           (9.0, 1.6 + 0.36 * len(shown)))  # fmt: skip
    for at, test in enumerate(shown):
        _effect(axes, at, test)
    _factors(axes)
    axes.set_yticks(range(len(shown)), [test.claim.words for test in shown])
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.grid(axis="y", visible=False)
    marks = [(HOLDS, BLUE, "o"), (FAILS, RED, "o"), ("too little data to tell", AMBER, "o"), ("unadjusted", GREY, "|")]
    for label, colour, mark in marks:
        axes.plot([], [], mark, color=colour, markersize=8 if mark == "|" else 6, label=label)
    figure.legend(*axes.get_legend_handles_labels(), frameon=False, loc="outside lower center", ncols=4)
    return figure


def _effect(axes: Axes, at: int, test: ClaimTest) -> None:
    unadjusted, adjusted = test.unadjusted, test.adjusted
    assert unadjusted
    assert adjusted
    colour = {HOLDS: BLUE, FAILS: RED}.get(test.verdict, AMBER)
    low, factor, high = np.clip([adjusted.low, adjusted.factor, adjusted.high], *AXIS)
    axes.plot(np.clip(unadjusted.factor, *AXIS), at, "|", color=GREY, markersize=14)
    axes.errorbar(factor, at, xerr=[[factor - low], [high - factor]], fmt="o", color=colour, capsize=3)


def _factors(axes: Axes) -> None:
    """A logarithmic axis across on which 1 is the middle line and ticks are plain numbers."""
    axes.set_xscale("log")
    axes.axvline(1, color=INK, linewidth=1)
    low, high = axes.get_xlim()
    low, high = min(low, 0.8), max(high, 1.25)
    fine, coarse = (0.33, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9), (0.01, 0.02, 0.05, 0.1, 0.2, 0.33, 0.5, 0.7)
    above = (1.1, 1.25, 1.5, 2, 2.5, 3) if high / low < 4 else (1.5, 2, 3, 5, 10, 20, 50, 100)
    ticks = [t for t in (*(fine if high / low < 4 else coarse), 1, *above) if low <= t <= high]
    axes.set_xlim(low, high)
    axes.set_xticks(ticks, [f"×{t:g}" for t in ticks])
    axes.set_xticks([], minor=True)


def speed(found: ClaimTests) -> Figure:
    """How soon conversions came, by tier."""
    figure, axes = _figure("How soon conversions come", "days since the start", "share of all conversions (95 %)",
                           (7.5, 4.2))  # fmt: skip
    for k, line in enumerate(found.speed.itertuples(index=False)):
        shares, low, high = (
            np.array([getattr(line, f"{n}_{d}") for d in WITHIN_DAYS]) for n in ("share", "low", "high")
        )
        at = np.array(WITHIN_DAYS) * 1.06 ** (k - 2)
        axes.errorbar(at, shares, yerr=[shares - low, np.minimum(high, 1) - shares], fmt="o-", capsize=3,
                      color=TIER_INK[str(line.tier)], label=f"{line.tier} ({line.results:,} deals)")  # fmt: skip
    axes.set_xscale("log")
    axes.set_xticks(WITHIN_DAYS, [str(day) for day in WITHIN_DAYS])
    axes.set_xticks([], minor=True)
    axes.set_ylim(0, 1.03)
    axes.legend(frameon=False, loc="lower right")
    return figure


def importance(moved: pd.Series) -> Figure:
    """Mean factor by which features move a score, in a person's words."""
    figure, axes = _figure("What moves scores most", "mean factor by which it moves a score, up or down", "",
                           (8.5, 1.2 + 0.27 * len(moved)))  # fmt: skip
    labels = [BY_NAME[name].label if name in BY_NAME else str(name) for name in moved.index]
    axes.barh(range(len(moved)), moved.to_numpy() - 1, left=1.0, color=BLUE)
    axes.set_yticks(range(len(moved)), labels)
    axes.set_ylim(len(moved) - 0.4, -0.6)
    axes.grid(axis="y", visible=False)
    return figure


def promises(months: pd.DataFrame) -> Figure:
    """Coverage and bias of judged promises by month of start.

    months: month, deals, level, coverage, bias, bias_low, bias_high (logs; NaN where not known), a row a month.
    """
    figure = Figure(figsize=(7.5, 5.4), layout="constrained", dpi=120)
    upper, lower = figure.subplots(2, sharex=True)
    figure.suptitle("Did promises hold?", x=0.01, ha="left", fontweight="bold", color=INK)
    at, deals = np.arange(len(months)), months.deals.to_numpy(float)
    upper.step(at, months.level, where="mid", color=GREY, linestyle="--", label="promised")
    upper.scatter(at, months.coverage, s=20 + 80 * deals / deals.max(), color=BLUE, label="came (larger: more deals)")
    upper.set(ylabel="share within the interval", ylim=(0, 1.03))
    upper.legend(frameon=False, loc="lower left")
    factor, low, high = (np.exp(months[name].to_numpy(float)) for name in ("bias", "bias_low", "bias_high"))
    ends = [np.where(np.isfinite(end), np.abs(end - factor), 0.0) for end in (low, high)]
    lower.errorbar(at, factor, yerr=ends, fmt="o", color=BLUE, capsize=3)
    lower.axhline(1, color=INK, linewidth=1)
    lower.set(ylabel="predicted over realised (95 %)", xlabel="month of the deals' start", yscale="log")
    least, most = min(lower.get_ylim()[0], 0.8), max(lower.get_ylim()[1], 1.25)
    ticks = [tick for tick in FACTORS if least <= tick <= most]
    lower.set_ylim(least, most)
    lower.set_yticks(ticks, [f"×{tick:g}" for tick in ticks])
    lower.set_yticks([], minor=True)
    lower.set_xticks(at, months.month.tolist(), rotation=45 if len(months) > 8 else 0)
    for axes in (upper, lower):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color="#e6e8eb", linewidth=0.8)
        axes.set_axisbelow(True)
    return figure
