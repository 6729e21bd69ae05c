"""The newest results on which a challenger and a champion are judged, with predictions of both that never saw them.

The challenger's are its backtest's. Where enough results came in since the champion was trained, those alone are
judged, and the champion scores them as it stands. Where there are too few, older ones are judged as well, by the
champion's own backtest: its folds begin on other days than the challenger's, so where the level has moved the older
fold loses, whichever model it belongs to. Rows that neither has predicted honestly are left out, and counted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from models.evaluation.backtest import OURS, Backtest
from models.evaluation.paired import COVERAGE, Predictions
from models.scorer import Scorer

# Two trainings on nearly the same results differ by 0.2 to 0.3 in the log rate, so it takes so many to tell them apart.
ROWS = 2_000
# A deviance that is lower by `models.registry.gate.DEVIANCE_MARGIN` shows from about so many on.
LEAST_UNSEEN, LEAST_CREATORS = 200, 20


@dataclass(frozen=True)
class Window:
    """The newest tested rows of a challenger's backtest, and predictions of them.

    rows: as `Backtest.rows`. challenger, champion: (rows,) each. left_out: tested rows of the same time of which the
    champion has no prediction that it made without them. unseen: whether the champion was trained on none of the rows
    that could have been judged; those that it was trained on are no part of them then, and are not counted either.
    """

    rows: pd.DataFrame
    challenger: Predictions
    champion: Predictions
    left_out: int
    unseen: bool = False

    def take(self, rows: np.ndarray) -> Window:
        """The given rows (bool), as if there were no others."""
        return replace(
            self, rows=self.rows[rows], challenger=self.challenger.take(rows), champion=self.champion.take(rows)
        )


def newest(backtest: Backtest, least: int = ROWS) -> pd.DataFrame:
    """Rows of the newest folds that have `least` rows together, of all folds where there are fewer."""
    rows = backtest.rows
    sizes = rows.groupby("fold").size().iloc[::-1].cumsum()
    enough = sizes.index[sizes >= least]
    return rows[rows.fold >= enough[0]] if len(enough) else rows


def level_errors(backtest: Backtest, window: pd.DataFrame) -> np.ndarray:
    """Log of predicted over realised conversions of each fold before the window."""
    before = backtest.rows[backtest.rows.fold < window.fold.min()]
    sums = pd.DataFrame({"expected": before[OURS] * before.exposure, "came": before.counts}).groupby(before.fold).sum()
    return np.log((sums.expected.to_numpy(float) + 0.5) / (sums.came.to_numpy(float) + 0.5))


def own_predictions(rows: pd.DataFrame) -> Predictions:
    """A backtest's predictions of its own rows."""
    return Predictions(*(rows[name].to_numpy(float) for name in (OURS, "low", "high")))


def seen(champion: Scorer, rows: pd.DataFrame) -> np.ndarray:
    """Which rows (bool) the champion was trained on."""
    return np.isin(rows.collaboration_id.to_numpy(), champion.past.collaboration_id.to_numpy())


def pair(rows: pd.DataFrame, champion: Scorer, matrix: pd.DataFrame) -> Window:
    """The rows of a window that both models can be judged on.

    matrix: the champion's features of the rows that it never saw, by the backtest's positions (index).
    """
    since = rows[~seen(champion, rows)]
    if unseen := len(since) >= LEAST_UNSEEN and since.creator_id.nunique() >= LEAST_CREATORS:
        rows = since
    theirs = champion_predictions(champion, rows, matrix)
    both = np.isfinite(theirs.rate)
    return Window(rows[both], own_predictions(rows[both]), theirs.take(both), int((~both).sum()), unseen)


def champion_predictions(champion: Scorer, rows: pd.DataFrame, matrix: pd.DataFrame) -> Predictions:
    """The champion's honest predictions, NaN where it was trained on a row that its backtest did not test.

    A model saved before its backtest's intervals were kept has no intervals of the rows that it was trained on.
    """
    past = champion.past.set_index("collaboration_id").reindex(columns=["rate", "low", "high"])
    out = past.reindex(rows.collaboration_id.to_numpy()).to_numpy(float, copy=True)
    unseen = ~seen(champion, rows)
    if unseen.any():
        known = matrix.loc[rows.row.to_numpy(int)[unseen]].reset_index(drop=True)
        scoring = champion.scoring
        coded = scoring.coding.transform(known, rows.creator_id.to_numpy(object)[unseen])
        found = scoring.score(coded, rows.exposure.to_numpy(float)[unseen], level=COVERAGE)
        out[unseen] = np.column_stack([found.rate, found.low, found.high])  # type: ignore[list-item]
    return Predictions(*out.T)
