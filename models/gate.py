"""When a new model takes the champion's place: if it is no worse on the newest fold, both judged on the same rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from models.backtest import OURS, Backtest
from models.observed import count_loss
from models.scorer import Scorer

LEAST_ROWS = 10


@dataclass(frozen=True)
class Verdict:
    """Whether the challenger is promoted, and why in words."""

    promoted: bool
    why: str


def judge(challenger: Backtest, champion: Scorer | None, matrix: pd.DataFrame) -> Verdict:
    """Compare out-of-sample predictions on the newest fold.

    matrix: all rows that the backtest's positions speak of. The champion is asked for the rows it never saw, and for
    those that it was trained on its own backtest speaks; rows for which neither does are left out.
    """
    if champion is None:
        return Verdict(True, "it is the first")
    rows = challenger.rows
    newest = rows[rows.fold == rows.fold.max()]
    try:
        champion.encoding.require(matrix)
    except ValueError as error:
        return Verdict(True, f"the champion cannot score today's features ({error})")
    theirs = champion_rates(champion, newest, matrix)
    both = np.isfinite(theirs)
    if both.sum() < LEAST_ROWS:
        return Verdict(False, f"only {both.sum()} results can be compared, {LEAST_ROWS} are needed")
    ours, exposure = newest[OURS].to_numpy()[both], newest.exposure.to_numpy()[both]
    counts, variance = newest.counts.to_numpy()[both], newest.variance.to_numpy()[both]
    mine = float(count_loss(counts, ours * exposure, variance).mean())
    old = float(count_loss(counts, theirs[both] * exposure, variance).mean())
    told = f"mean deviance {mine:.4f}, the champion's {old:.4f}, on the newest {both.sum()} results"
    return Verdict(mine <= old, told)


def champion_rates(champion: Scorer, rows: pd.DataFrame, matrix: pd.DataFrame) -> np.ndarray:
    """The champion's honest predictions, NaN where it was trained on a row that its backtest did not judge."""
    past = champion.past.set_index("collaboration_id").rate
    asked = rows.collaboration_id.to_numpy()
    seen = np.isin(asked, past.index.to_numpy())
    out = np.array(past.reindex(asked), float)
    if (~seen).any():
        unseen = matrix.iloc[rows.row.to_numpy(int)[~seen]].reset_index(drop=True)
        out[~seen] = champion.rates(unseen, rows.creator_id.to_numpy(object)[~seen])
    return out
