"""Whether the counts of a batch follow what is expected of their rows, as those of older rows do; and all counts what
they must follow.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from models.monitoring.batch import Batch
from models.monitoring.findings import Finding
from models.monitoring.residuals import LEAST_OLDER
from models.training import TrainingSet

# The rank correlation must be below a third of the older one, and 4 standard deviations below it: it is looked at once
# or twice a batch, by the kind of its rows, and not by brand or platform.
LEAST_ORDER, SURE_OF_ORDER, LEAST_ROWS = 1 / 3, 4.0, 15
DRAWS = 200
# All counts: of this many settled results, prices that differ by this standard deviation in logs. Rank correlations are
# all below FLAT and, with two standard deviations, below SOME_ORDER, where ordinary markets have 0.4 to 0.8.
LEAST_RESULTS, LEAST_SPREAD, FLAT, SOME_ORDER = 200, 0.5, 0.1, 0.2
MOST_BY_CHANCE = 1.64  # standard deviations of a rank correlation: of counts in any order, 95 % are below
# At least so many deals, and half of all, have earlier ones of their creator: spend alone proves nothing, as prices may
# say little. Markets drawn from prices, and from creators who differ by this standard deviation in logs, show both by
# a rank correlation of SHOWN.
LEAST_REPEATED, MOSTLY, CREATORS_DIFFER, SHOWN, MARKETS = 100, 0.5, 0.7, 0.3, 20


@dataclass(frozen=True)
class LostOrder:
    """A rank correlation that fell: before, now, its standard deviation by chance on Fisher's scale; rows (bool)."""

    before: float
    now: float
    spread: float
    rows: np.ndarray

    @property
    def sureness(self) -> float:
        """Standard deviations by which it fell."""
        return float((np.arctanh(self.before) - np.arctanh(self.now)) / self.spread)


def lost_order(
    expected: np.ndarray, counts: np.ndarray, batch: np.ndarray, older: np.ndarray, rng: np.random.Generator
) -> LostOrder | None:
    """The fall of a batch's rank correlation between expected and counted; None where chance explains it.

    expected: conversions (rows,), NaN where unknown. batch, older: rows (bool), in the order of time.
    """
    known = np.isfinite(expected)
    rows, reference = np.flatnonzero(batch & known), np.flatnonzero(older & known)
    if len(rows) < LEAST_ROWS or len(reference) < LEAST_OLDER:
        return None
    before = float(rank_correlation(expected[reference], counts[reference]))
    now = float(rank_correlation(expected[rows], counts[rows]))
    size = min(len(rows), len(reference) // 2)
    runs = reference[rng.integers(0, len(reference) - size + 1, DRAWS)[:, None] + np.arange(size)]
    drawn = np.arctanh(rank_correlation(expected[runs], counts[runs]))
    # variance of a rank correlation: Bonett & Wright 2000, Psychometrika 65, 23-28
    spread = max(float(drawn.std()), float(np.sqrt((1 + before**2 / 2) / (len(rows) - 3))))
    found = LostOrder(before, now, spread, batch)
    return found if now < LEAST_ORDER * before and found.sureness > SURE_OF_ORDER else None


def rank_correlation(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Spearman's correlation over the last axis, short of ±1; 0 where one side is all the same."""
    x, y = (rank - rank.mean(-1, keepdims=True) for rank in (rankdata(one, axis=-1), rankdata(other, axis=-1)))
    size = np.sqrt((x**2).sum(-1) * (y**2).sum(-1))
    return np.asarray(np.clip((x * y).sum(-1) / np.where(size > 0, size, 1.0), -0.999, 0.999))


def shuffled(batch: Batch) -> Iterator[Finding]:
    """Counts that stand beside the wrong rows."""
    if not batch.judged:
        return
    parts = batch.parted()
    counts, expectations = batch.training.results.counts, batch.expectations
    found = {
        name: lost_order(expectations.counts, counts, rows, batch.older, batch.rng) for name, rows in parts.items()
    }
    lost = {name: order for name, order in found.items() if order}
    if not lost:
        return
    name, order = max(lost.items(), key=lambda item: item[1].sureness)
    likely = "counts beside the wrong rows"
    sentence = (
        f"{order.rows.sum():,} results ({name}): conversions do not follow what {expectations.source} leads one to "
        f"expect (rank correlation {order.now:.2f}, {order.before:.2f} in older results); most likely {likely}"
    )
    low, high = (float(np.tanh(np.arctanh(order.now) + side * order.spread)) / order.before for side in (-2, 2))
    effect = order.now / order.before
    yield Finding(name, "order of conversions", likely, sentence, batch.ids(order.rows), True, effect, low, high)
    batch.out |= order.rows


def unrelated(training: TrainingSet) -> Iterator[Finding]:
    """Counts that as a whole follow nothing that they must follow: of a first training no older row shows that.

    Says nothing where counts that follow them might not show it: few conversions, or few creators with several deals.
    """
    results = training.results
    rows = np.flatnonzero(results.until >= results.final)
    spend, counts = results.spend[rows], results.counts[rows]
    if len(rows) < LEAST_RESULTS or np.log(spend).std() < LEAST_SPREAD:
        return
    creators, brands = training.creators[rows], training.spine.brand.to_numpy(object)[rows]
    record = earlier_mean(counts, creators)
    if np.isfinite(record).sum() < max(LEAST_REPEATED, MOSTLY * len(rows)):
        return
    known = {"what the deals cost": spend, "what their creators had brought before": record}
    if len(set(brands)) > 1:  # of one brand it shows only how the level went
        known["what their brands had"] = earlier_mean(counts, brands)
    found = {name: _flat(values, counts) for name, values in known.items()}
    if any(correlation is None for correlation in found.values()) or not _would_show(spend, creators, counts.sum()):
        return
    segment, likely = f"all {len(rows):,} settled results", "counts beside the wrong rows"
    shown = ", ".join(f"{name} ({correlation:.2f})" for name, correlation in found.items())
    sentence = (
        f"conversions of {segment} follow nothing that they should, by rank correlation: {shown}; most likely "
        f"{likely}, or made-up ones: check how they were joined to the deals"
    )
    yield Finding(segment, "order of conversions", likely, sentence, (), False)


def earlier_mean(counts: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Mean of log(count + 1) over the earlier rows of each row's group (rows,), NaN where there are none."""
    logs = pd.Series(np.log1p(counts))
    grouped = logs.groupby(pd.factorize(groups)[0])
    number = grouped.cumcount().to_numpy(float)
    total = (grouped.cumsum() - logs).to_numpy(float)
    return np.where(number > 0, total / np.maximum(number, 1), np.nan)


def _would_show(spend: np.ndarray, creators: np.ndarray, total: float) -> bool:
    """Whether this many conversions would follow spend and creators by SHOWN: on average over Poisson markets in which
    they are proportional to spend and to a level of each creator.
    """
    rng, group = np.random.default_rng(0), pd.factorize(creators)[0]
    shown = np.zeros((MARKETS, 2))
    for market in shown:
        level = spend * np.exp(CREATORS_DIFFER * rng.normal(size=group.max() + 1))[group]
        drawn = rng.poisson(total * level / level.sum()).astype(float)
        record = earlier_mean(drawn, group)
        known = np.isfinite(record)
        market[:] = rank_correlation(spend, drawn), rank_correlation(record[known], drawn[known])
    return bool((shown.mean(0) > SHOWN).all())


def _flat(values: np.ndarray, counts: np.ndarray) -> float | None:
    """The rank correlation of known values with counts where it is as good as none; else None."""
    known = np.isfinite(values)
    found = float(rank_correlation(values[known], counts[known]))
    spread = float(np.sqrt((1 + found**2 / 2) / (known.sum() - 3)))
    sure = np.tanh(np.arctanh(found) + 2 * spread) < SOME_ORDER
    return found if found < FLAT and found < MOST_BY_CHANCE * spread and sure else None
