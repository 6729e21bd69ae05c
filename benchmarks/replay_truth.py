"""What is true of a replayed year's decisions: what lists bought, which model was better, whether the level had moved.

The market knows what it expects of every offer, so none of this depends on the luck of single results, but for the
deviance, which is averaged over DRAWS of what could have come.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from models.estimators.count_data import count_loss
from models.evaluation.backtest import OURS
from models.evaluation.metrics import conversions_bought
from models.evaluation.paired import SHARES
from models.monitoring.level_drift import LEAST_DEALS, LEAST_EFFECT, REFERENCE_WEEKS, WEEKS
from models.registry.gate import CALIBRATION_MARGIN, DEVIANCE_MARGIN, LEAST_ROWS, VALUE_MARGIN
from models.registry.window import newest
from models.training import Trained

BUDGET = 0.25  # of the money that a whole list would take
DRAWS = 50
LUCK = 2.0  # shape of the gamma noise of a count, as in the demo market
LEAST_COVERAGE, MOST_COVERAGE = 0.75, 0.85


def bought(rank_by: np.ndarray, offers: pd.DataFrame) -> float:
    """Conversions that can be expected of the best offers that BUDGET of the list's money pays for."""
    spend, mean = offers.spend.to_numpy(float), offers["mean"].to_numpy(float)
    return float(conversions_bought(rank_by, spend, mean, (BUDGET,))[0, 0])


@dataclass(frozen=True)
class Judged:
    """What a challenger truly is against a champion, on offers whose results neither can know.

    deviance: difference of the mean negative-binomial deviance, as a share of the champion's; less is better. value:
    difference of the expected conversions for a share of the money, over those of who knows all, averaged over the
    gate's SHARES; more is better. total: expected conversions that the challenger predicts, over the true ones.
    off: how much further its |log total| is from 0 than the champion's.
    """

    deviance: float
    value: float
    total: float
    off: float

    @property
    def truth(self) -> int:
        """Whether the challenger is worse (−1), as good (0) or better (1), by more than the gate's margins."""
        if self.deviance > DEVIANCE_MARGIN or self.value < -VALUE_MARGIN or self.off > CALIBRATION_MARGIN:
            return -1
        better = self.deviance < -DEVIANCE_MARGIN or self.value > VALUE_MARGIN or self.off < -CALIBRATION_MARGIN
        return int(better)


def judge(challenger: np.ndarray, champion: np.ndarray, offers: pd.DataFrame, seed: int) -> Judged:
    """Compare rates in conversions per dollar (rows,) by what is true of the offers."""
    spend, mean = offers.spend.to_numpy(float), offers["mean"].to_numpy(float)
    rng = np.random.default_rng(seed)
    drawn = rng.poisson(mean * rng.gamma(LUCK, 1 / LUCK, (DRAWS, len(mean))))
    rates = (challenger, champion)
    ours, theirs = (float(count_loss(drawn, rate * spend).mean()) for rate in rates)
    best = conversions_bought(mean / spend, spend, mean, SHARES)
    values = [float((conversions_bought(rate, spend, mean, SHARES) / best).mean()) for rate in rates]
    totals = [float((rate * spend).sum() / mean.sum()) for rate in rates]
    off = abs(np.log(totals[0])) - abs(np.log(totals[1]))
    return Judged((ours - theirs) / theirs, values[0] - values[1], totals[0], float(off))


def newest_total(trained: Trained, mean: pd.Series) -> float:
    """Conversions that a challenger's backtest predicted of its newest tested results, as the gate takes them, over
    those that could be expected; mean: these, by collaboration_id."""
    rows = newest(trained.backtest, LEAST_ROWS)
    rows = rows[rows.collaboration_id.isin(mean.index)]
    share = rows.exposure.to_numpy() / trained.training.results.spend[rows.row.to_numpy(int)]
    expected = (mean.reindex(rows.collaboration_id).to_numpy() * share).sum()
    return float((rows[OURS] * rows.exposure).sum() / expected) if len(rows) else 1.0


def level_moves(rows: pd.DataFrame, mean: pd.Series) -> dict[int, float]:
    """By length of the window in weeks, the log of what is true of its deals over what was promised of them, against
    that of the half year before; a window with fewer promises on either side than the alarm takes is left out.

    rows: `models.monitoring.training_rows` of a training. mean: expected conversions by collaboration_id.
    """
    known = rows[rows.promised.notna() & ~rows.kept_out & rows.collaboration_id.isin(mean.index)]
    if known.empty:
        return {}
    off = np.log(mean.reindex(known.collaboration_id).to_numpy() / (known.promised * known.spend).to_numpy())
    starts = known.starts_at.to_numpy("datetime64[us]")
    ages = (starts.max() - starts) / np.timedelta64(7, "D")
    moves = {}
    for weeks in WEEKS:
        now, then = ages < weeks, (ages >= weeks) & (ages < weeks + REFERENCE_WEEKS)
        if min(now.sum(), then.sum()) >= LEAST_DEALS:
            moves[weeks] = float(off[now].mean() - off[then].mean())
    return moves


def drift_is_true(shift: Mapping[str, float], moves: Mapping[int, float]) -> bool:
    """Whether the level had moved in the direction, and by the least effect, of which an alarm spoke."""
    moved = moves.get(int(shift["weeks"]), 0.0)
    return abs(moved) >= LEAST_EFFECT and moved * shift["effect"] > 0
