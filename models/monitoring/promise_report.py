"""The ledger in a training's report: what came of promises, as a page and a plot, and what a person should look at."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from mlflow import MlflowClient
from mlflow.entities import Metric

from models.alarms import Alarm
from models.estimators.maturity import Maturity
from models.estimators.outcomes import Outcomes
from models.monitoring.chain import Head
from models.monitoring.e_process import ALPHA, BOUND, SLACK, Fortune, advantage_fortune, coverage_fortune
from models.monitoring.ledger import STRANGE, Checked, Note, verify
from models.monitoring.promise_figures import ALL, SHARE, figures, metrics
from models.monitoring.promises import OTHER_PRICE, REASONS, Settled, seal_results, settle
from models.registry.store_faults import guarded
from models.report import plots
from models.report.model_card import markdown_table

PLOT, PAGE = "promises.png", "promises.md"
MEANING = (
    "Deals by month of their start. *Coverage*: share of realised rates within the promised interval. *Bias*: "
    "predicted over realised total, with its 95 % interval over creators. *Regret*: conversions per 1,000 dollars that "
    f"another order would have bought beyond the promised one with {SHARE:.0%} of the money; below 0 the promised one "
    "was better."
)
BROKEN = (
    "the forecast ledger {path} is not what was written: {found}. Nothing was judged by it. Keep the file, find out "
    "who changed it, and seal into another: predict.py --ledger FILE"
)
UNKNOWN = (
    "the forecast ledger {path} holds in itself, but {strange}. Find out whether it is the one that you expect; its "
    "head is kept from this training on"
)
COVERAGE_GONE = (
    "promised intervals no longer hold, as results of deals up to the week of {week} show: of the newest {deals} "
    "results {share} lie within theirs. Most likely the level of all rates has moved, or deals are of a kind that was "
    "not learnt from: train anew, and do not rely on the intervals until the backtest shows that they hold"
)
ADVANTAGE_GONE = (
    "promised rates are no longer closer than the creator's own record, as results of deals up to the week of {week} "
    "show. Most likely the market or the data have changed since the training: train anew, and choose by the own "
    "record until a model is better in its backtest"
)


@dataclass(frozen=True)
class Watched:
    """A ledger that was checked, and what came of its promises; settled is None where the ledger does not hold."""

    path: Path
    checked: Checked
    settled: Settled | None

    @cached_property
    def table(self) -> pd.DataFrame:
        """`models.monitoring.promise_figures.figures` of what was settled."""
        assert self.settled
        return figures(self.settled.deals)

    @property
    def metrics(self) -> list[tuple[str, float, int]]:
        """Name, value and step for MLflow."""
        return metrics(self.settled, self.table) if self.settled else []

    @property
    def plots(self) -> dict[str, Figure]:
        """By file name; none before the first promise is judged."""
        return {PLOT: plots.promises(self._by("month"))} if self.settled and len(self.settled.deals) else {}

    @property
    def alarms(self) -> tuple[Alarm, ...]:
        """What a person should look at: a ledger that does not hold, or of which no head was kept although others' are,
        or what the newest weeks showed to be gone.

        An alarm of weeks that an earlier training has sealed is not raised again.
        """
        if self.checked.broken:
            return (Alarm("ledger", BROKEN.format(path=self.path, found=self.checked.broken)),)
        if not self.settled:
            return ()
        weeks, before = self.settled.weeks, self.settled.sealed
        out = [Alarm("ledger", UNKNOWN.format(path=self.path, strange=STRANGE))] if self.checked.strange else []
        if ends := coverage_fortune(weeks).raised_after(before):
            newest = self._by("month").tail(3)
            share = float(np.average(newest.coverage, weights=newest.deals)) if len(newest) else float("nan")
            words = COVERAGE_GONE.format(week=ends[-1], share=f"{share:.0%}", deals=f"{int(newest.deals.sum()):,}")
            out.append(Alarm("ledger", words))
        if ends := advantage_fortune(weeks).raised_after(before):
            out.append(Alarm("ledger", ADVANTAGE_GONE.format(week=ends[-1])))
        return tuple(out)

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values: whether the ledger holds, promises by what became of them, figures by version and
        month.
        """
        found = self.settled
        return {
            "ledger": str(self.path),
            "holds": self.checked.broken is None,
            "promises": dict(found.reasons) if found else {},
            "figures": self.table.to_dict("records") if found and len(found.deals) else [],
        }

    def seal(self, when: datetime, note: Note = lambda notes: None) -> Head | None:
        """Put what the alarm has seen of newly closed weeks into the ledger, if anything; its head, to be kept
        elsewhere, None for a ledger that is empty or does not hold. note: takes what killed runs had left in it.
        """
        if not self.settled:
            return None
        position = seal_results(self.path, self.settled, when, note)
        return position.head if position else self.checked.head

    def page(self) -> str:
        """A section in Markdown."""
        lines = ["## What came of the promises", "", *(f"**Alarm**: {alarm.sentence}.\n" for alarm in self.alarms)]
        if not self.settled:
            return "\n".join(lines)
        found, checked = self.settled, self.checked
        lines += [f"{self.path}: {checked.promises:,} promises in {checked.lists:,} lists. Of these:", ""]
        lines += [f"- {number:,} {REASONS[name]}" for name, number in found.reasons.items() if number]
        if found.other_price:
            lines += ["", f"{found.other_price:,} of the judged deals were made at a price that differs by more than "
                          f"{OTHER_PRICE:.0%} from the promised one."]  # fmt: skip
        if len(found.deals):
            lines += ["", MEANING, "", *self._cells("model"), "", *self._cells("month")]
        return "\n".join([*lines, "", *self._fortunes(found), ""])

    def _fortunes(self, found: Settled) -> Iterable[str]:
        yield (
            f"The alarm may be looked at every week: that it is ever false has a chance of at most {ALPHA:.0%}. It "
            f"comes where a value reaches {BOUND:g}; each begins at 1."
        )
        yield ""
        for name, fortune in (
            (f"coverage is below what was promised, less {100 * SLACK:g} points", coverage_fortune(found.weeks)),
            ("the advantage over the creator's own record is gone", advantage_fortune(found.weeks)),
        ):
            yield f"- Evidence that {name}: {fortune.now:.2g} after {len(fortune.values):,} blocks{_earlier(fortune)}."

    def _by(self, name: str) -> pd.DataFrame:
        other = "model" if name == "month" else "month"
        return self.table[(self.table[other] == ALL) & (self.table[name] != ALL)]

    def _cells(self, name: str) -> list[str]:
        header = [name, "deals", "creators", "promised", "coverage", "bias (95 %)", "regret to hindsight",
                  "regret to own record"]  # fmt: skip
        whole = self.table[(self.table.model == ALL) & (self.table.month == ALL)]
        rows = pd.concat([whole, self._by(name)]).to_dict("records")
        return markdown_table([header, *([str(row[name]), *_shown(row)] for row in rows)])


def watch(
    path: Path, heads: Iterable[Head], spine: pd.DataFrame, results: Outcomes, maturity: Maturity, now: datetime
) -> Watched:
    """Check a ledger against known heads, and judge its promises by the results known now (`promises.settle`).

    Raises InputError where it cannot be read. A torn tail is no alarm: a run may be writing, or was killed.
    """
    checked = verify(path, heads)
    if checked.broken and checked.broken.kind != "torn":
        return Watched(path, checked, None)
    return Watched(path, replace(checked, broken=None), settle(path, spine, results, maturity, now))


@guarded
def log(client: MlflowClient, run: str, watched: Watched) -> None:
    """Log figures by month and version, the plot and the page to a run."""
    now = int(time.time() * 1000)
    client.log_batch(run, [Metric(name, value, now, step) for name, value, step in watched.metrics])
    client.log_text(run, watched.page(), PAGE)
    for file, figure in watched.plots.items():
        client.log_figure(run, figure, f"plots/{file}")


def _shown(row: dict[Any, Any]) -> list[str]:
    factor = f"×{np.exp(row['bias']):.2f}" if np.isfinite(row["bias"]) else "–"
    if np.isfinite(row["bias_low"]):
        factor += f" ({np.exp(row['bias_low']):.2f} to {np.exp(row['bias_high']):.2f})"
    regrets = [f"{row[name]:+.2f}" if np.isfinite(row[name]) else "–"
               for name in ("regret_hindsight", "regret_own_record")]  # fmt: skip
    shares = [f"{row['level']:.2f}", f"{row['coverage']:.2f}"]
    return [f"{row['deals']:,}", f"{row['creators']:,}", *shares, factor, *regrets]


def _earlier(fortune: Fortune) -> str:
    raised = ", ".join(fortune.ends[at] for at in fortune.alarms)
    return f"; alarms in the weeks of {raised}" if raised else ""
