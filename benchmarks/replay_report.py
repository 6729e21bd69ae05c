"""A replayed year as lines, a table by month, sentences and a picture."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.replay_market import Year
from benchmarks.replay_team import POLICIES, SOURCES
from benchmarks.replay_truth import LEAST_COVERAGE, MOST_COVERAGE
from features.faults import ATTENTION
from models.monitoring.level_drift import LEAST_EFFECT
from models.monitoring.promise_figures import ALL, figures
from models.monitoring.promises import Settled

TRUTHS = {-1: "worse", 0: "as good", 1: "better"}
SMOOTHED = 4  # lists, in the picture
SHOWN = {
    "gate": ("the champion", "black", 2.5), "always": ("always promoting", "#1f5fa8", 1.2),
    "no_door": ("always, no door", "#b5372f", 1.2), "never": ("never retraining", "#c98a1b", 1.2),
    "own_record": ("own record", "#8a8f98", 1.2),
}  # fmt: skip


def line(found: dict[str, Any]) -> str:
    """What came of a week, in a line."""
    door = "closed" if found["closed"] else f"{found['kept_out']:,} kept out"
    if found["kept_out"] or found["missed"]:
        door += f" ({found['rightly']:,} rightly, {found['wrongly']:,} wrongly), {found['missed']:,} missed"
    if found["refused"]:
        door += f", {found['refused']:,} refused"
    gate = found["action"]
    if found["truth"] is not None:
        gate += f" (truly {TRUTHS[found['truth']]}: deviance {found['deviance']:+.1%}, value {found['value']:+.3f})"
    alarms = [source + (" (false)" if found.get(f"{source}_false") else "") for source in SOURCES
              if found[f"{source}_alarm"]]  # fmt: skip
    alarmed = f"alarms {', '.join(alarms) or 'none'}"
    ended = f"status {found['status']} | {found['seconds']:.0f} s"
    return " | ".join([f"week {found['week']:2} {found['day']}", found["slip"] or "–", door, gate, alarmed, ended])


def by_month(weeks: pd.DataFrame, settled: Settled) -> pd.DataFrame:
    """A row a month of lists, and one of all: trainings, door, gate, alarms, coverage of promises for deals that
    started then, and the conversions that each policy buys."""
    table = weeks.assign(month=weeks.day.str[:7])
    coverage = figures(settled.deals)
    coverage = coverage[coverage.model == ALL].set_index("month")
    rows = []
    for month, part in [*table.groupby("month"), (ALL, table)]:
        row: dict[str, Any] = {
            "month": month, "trained": int(part.action.isin(["promoted", "kept"]).sum()),
            "promoted": int(part.promoted.sum()), "spoilt": int(part.spoilt.sum()),
            "kept out": int(part.kept_out.sum()), "status 3": int((part.status == ATTENTION).sum()),
            "judged": int(coverage.deals.get(month, 0)), "coverage": float(coverage.coverage.get(month, np.nan)),
        }  # fmt: skip
        rows.append(row | {name.replace("_", " "): round(float(part[name].sum())) for name in POLICIES})
    return pd.DataFrame(rows)


def sentences(weeks: pd.DataFrame, settled: Settled) -> list[str]:
    """The door's, the gate's and the alarms' errors, the coverage, and what the habits bought."""
    out = [_door(weeks), *_gate(weeks), *_alarms(weeks)]
    coverage = float(figures(settled.deals).coverage.iloc[0])
    held = "within" if LEAST_COVERAGE <= coverage <= MOST_COVERAGE else "not within"
    out.append(
        f"ledger: {len(settled.deals):,} promises judged, {coverage:.1%} of the realised rates within intervals that "
        f"promised 80 %, {held} {LEAST_COVERAGE:.0%} to {MOST_COVERAGE:.0%}"
    )
    total = {name: float(weeks[name].sum()) for name in POLICIES}
    shares = ", ".join(f"{name.replace('_', ' ')} {total[name]:,.0f} ({total[name] / total['gate'] - 1:+.1%})"
                       for name in POLICIES)  # fmt: skip
    return [*out, f"conversions for the same money, against the champion's: {shares}"]


def _door(weeks: pd.DataFrame) -> str:
    parts = []
    for row in weeks[weeks.slip != ""].itertuples():
        kept = "nothing was trained" if row.closed else f"{row.rightly:,} of {row.spoilt:,} rows kept out"
        parts.append(f"{row.slip} {kept}")
    clean = weeks[weeks.spoilt == 0]
    wrongly = f"{int(weeks.wrongly.sum()):,} rows kept out wrongly, in {int((weeks.wrongly > 0).sum())} of {len(weeks)}"
    closed = f"{int(clean.closed.sum())} of {len(clean)} weeks without a slip closed"
    return f"door: {'; '.join(parts)}; {wrongly} weeks; {closed}"


def _gate(weeks: pd.DataFrame) -> list[str]:
    judged = weeks[weeks.truth.notna()].astype({"truth": int})
    worse, others, better = judged[judged.truth < 0], judged[judged.truth >= 0], judged[judged.truth > 0]
    wrong, missed, held = int(worse.promoted.sum()), int((~better.promoted).sum()), int((~others.promoted).sum())
    share = wrong / max(len(judged), 1)
    out = [
        f"gate: of {len(judged)} challengers {int(judged.promoted.sum())} promoted; {wrong} of {len(worse)} truly "
        f"worse ones wrongly ({share:.1%} of all), {missed} of {len(better)} truly better ones missed; {held} of "
        f"{len(others)} better, or as good and newer, not promoted"
    ]
    for name, part in (("promoted", judged[judged.promoted]), ("not promoted", judged[~judged.promoted])):
        if len(part):
            out.append(f"  {name}: on average deviance {part.deviance.mean():+.1%}, value {part.value.mean():+.4f}")
    return out


def _alarms(weeks: pd.DataFrame) -> list[str]:
    counts = [
        f"{source} in {int(weeks[f'{source}_alarm'].sum())} weeks"
        + (f" ({int(weeks[f'{source}_false'].sum())} of them false)" if f"{source}_false" in weeks else "")
        for source in SOURCES
    ]
    moved = [name for name in weeks if str(name).startswith("moved_")]
    apart = int((weeks[moved].abs() >= LEAST_EFFECT).any(axis=1).sum())
    return [
        f"alarms: {', '.join(counts)}",
        f"  the level had truly moved by {np.expm1(LEAST_EFFECT):.0%} or more in {apart} of {len(weeks)} weeks, in the "
        "newest 4 weeks or 13 of deals",
    ]


def picture(weeks: pd.DataFrame, settled: Settled, year: Year) -> bytes:
    """What a quarter of the money buys of each list, and the coverage by month, as PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 7.5), layout="constrained")
    FigureCanvasAgg(figure)
    above, below = figure.subplots(2, 1, height_ratios=(2, 1), sharex=True)
    lists = weeks[weeks.offers > 0]
    days = pd.to_datetime(lists.day)
    best = lists.all_knowing.rolling(SMOOTHED, min_periods=1).sum()
    for name, (label, colour, width) in SHOWN.items():
        share = lists[name].rolling(SMOOTHED, min_periods=1).sum() / best
        above.plot(days, share, label=label, color=colour, linewidth=width)
    low = above.get_ylim()[0]
    promoted = lists[lists.promoted]
    above.plot(pd.to_datetime(promoted.day), np.full(len(promoted), low), "|", color="black", label="promoted")
    for row in weeks[weeks.slip != ""].itertuples():
        for axes in (above, below):
            axes.axvline(pd.Timestamp(str(row.day)), color="#b5372f", linestyle=":", linewidth=1)
        above.annotate(str(row.slip), (pd.Timestamp(str(row.day)), 1), xycoords=("data", "axes fraction"), rotation=90,
                       va="top", ha="right", fontsize=8, color="#b5372f")  # fmt: skip
    for name, (first, last) in (("level falls", year.calendar.fall), ("followers bought", year.calendar.bought)):
        for axes in (above, below):
            axes.axvspan(year.moment(first), year.moment(last), color="#e6e8eb", zorder=0)
        above.annotate(name, (year.moment(first), 0.02), xycoords=("data", "axes fraction"), fontsize=8)
    above.set(ylabel=f"conversions, share of the best possible\n({SMOOTHED} lists together)")
    above.legend(fontsize=8, frameon=False, ncols=3)
    _coverage(below, settled)
    figure.suptitle("Demo market (made up): conversions that a quarter of each list's money buys, and promises kept")
    out = BytesIO()
    figure.savefig(out, format="png", dpi=120, metadata={"Software": None})
    return out.getvalue()


def _coverage(axes: Any, settled: Settled) -> None:
    table = figures(settled.deals)
    table = table[(table.model == ALL) & (table.month != ALL)]
    middle = pd.to_datetime(table.month) + pd.Timedelta(days=14)
    axes.axhspan(LEAST_COVERAGE, MOST_COVERAGE, color="#dcefe0", zorder=0)
    axes.errorbar(middle, table.coverage, 2 * np.sqrt(0.16 / table.deals), fmt="o-", color="black", capsize=2)
    axes.set(ylabel="coverage of the 80 % interval", xlabel="start of the deals", ylim=(0.5, 1))
    axes.grid(alpha=0.3)
