"""When a new model takes the champion's place: if it is no worse on the newest fold, both on the same rows."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import numpy as np
import pandas as pd

from features.history.source import History
from features.matrix import FeatureBuilder
from models.estimators.count_data import count_loss
from models.evaluation.backtest import OURS, Backtest
from models.scorer import Scorer
from models.training import Trained

LEAST_ROWS = 10


@dataclass(frozen=True)
class Decision:
    """Whether the challenger is promoted, and why in words. alarm: whether a person should look."""

    promoted: bool
    why: str
    alarm: bool = False


def decide(trained: Trained, champion: Scorer | None, history: History) -> Decision:
    """Compare a challenger with the champion, each on the features that its own classifier and settings make.

    history: what the challenger was trained on. Where the champion's features cannot be made, it is scored on the
    challenger's, and the decision says so.
    """
    matrix, mine = trained.training.matrix, trained.scorer
    if champion is None:
        return judge(trained.backtest, None, matrix)
    alike = champion.settings == mine.settings and champion.classifier.fingerprint == mine.classifier.fingerprint
    rows = _newest(trained.backtest)
    seen = _seen(champion, rows)
    if alike or seen.all():
        return judge(trained.backtest, champion, matrix)
    at = rows.row.to_numpy(int)[~seen]
    features = "the champion's features made by its own classifier and settings"
    try:
        with FeatureBuilder(history, champion.settings, champion.classifier) as builder:
            matrix = builder.build(trained.training.spine.iloc[at]).set_axis(at)
    except duckdb.Error as error:
        features = f"the champion scored on the challenger's features, for its own cannot be made ({error})"
    decision = judge(trained.backtest, champion, matrix)
    return Decision(decision.promoted, f"{decision.why}; {features}")


def judge(challenger: Backtest, champion: Scorer | None, matrix: pd.DataFrame) -> Decision:
    """Compare out-of-sample predictions on the newest fold.

    matrix: the champion's features of the rows that it never saw, by the backtest's positions (index). For those that
    it was trained on its own backtest's predictions count; rows with neither are left out.
    """
    if champion is None:
        return Decision(True, "it is the first")
    newest = _newest(challenger)
    try:
        champion.encoding.require(matrix)
    except ValueError as error:
        return Decision(True, f"the champion cannot score today's features ({error})")
    theirs = champion_rates(champion, newest, matrix)
    both = np.isfinite(theirs)
    if both.sum() < LEAST_ROWS:
        return Decision(False, f"only {both.sum()} results can be compared, {LEAST_ROWS} are needed")
    ours, exposure = newest[OURS].to_numpy()[both], newest.exposure.to_numpy()[both]
    counts, variance = newest.counts.to_numpy()[both], newest.variance.to_numpy()[both]
    mine = float(count_loss(counts, ours * exposure, variance).mean())
    old = float(count_loss(counts, theirs[both] * exposure, variance).mean())
    figures = f"mean deviance {mine:.4f}, the champion's {old:.4f}, on the newest {both.sum()} results"
    return Decision(mine <= old, figures)


def _newest(backtest: Backtest) -> pd.DataFrame:
    return backtest.rows[backtest.rows.fold == backtest.rows.fold.max()]


def _seen(champion: Scorer, rows: pd.DataFrame) -> np.ndarray:
    """Which rows (bool) the champion was trained on."""
    return np.isin(rows.collaboration_id.to_numpy(), champion.past.collaboration_id.to_numpy())


def champion_rates(champion: Scorer, rows: pd.DataFrame, matrix: pd.DataFrame) -> np.ndarray:
    """The champion's honest predictions, NaN where it was trained on a row that its backtest did not test."""
    past = champion.past.set_index("collaboration_id").rate
    seen = _seen(champion, rows)
    out = np.array(past.reindex(rows.collaboration_id.to_numpy()), float)
    if (~seen).any():
        unseen = matrix.loc[rows.row.to_numpy(int)[~seen]].reset_index(drop=True)
        out[~seen] = champion.rates(unseen, rows.creator_id.to_numpy(object)[~seen])
    return out
