"""Folds in time, and what a backtest says of its intervals."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.estimators.outcomes import DAY, Outcomes
from models.evaluation.backtest import make_folds
from models.report.model_card import model_card
from models.report.summary import study, unlike
from models.training import Trained
from tests.support.past_market import spine


@pytest.mark.slow
@given(rows=st.integers(2, 200), folds=st.integers(1, 6), window=st.sampled_from([0.0, 30.0]))
def test_folds_have_a_gap_and_never_overlap(rows: int, folds: int, window: float) -> None:
    frame = spine(rows)
    results = Outcomes.from_tables(frame, None, window)
    made = make_folds(results, np.arange(rows), folds)
    tested = [row for fold in made for row in fold.test]
    assert len(set(tested)) == len(tested)
    for fold in made:
        assert (results.starts[fold.test] >= fold.cutoff).all()
        ends = results.starts[fold.train] + ((results.hours[fold.train] / 24 + window) * DAY.astype("timedelta64[s]")
                                             .astype(float)).astype("timedelta64[s]")  # fmt: skip
        # a nought is a nought at any moment; any other count is trained on only once its window has passed
        assert (ends[results.counts[fold.train] > 0] <= fold.cutoff).all()
    for earlier, later in itertools.pairwise(made):
        assert earlier.cutoff < later.cutoff
        assert earlier.test.max() < later.test.min()


@pytest.mark.slow
def test_coverage_in_the_backtest(trained: Trained) -> None:
    assert 0.7 < float(trained.backtest.figures().coverage.iloc[0]) < 0.9


def test_rows_unlike_the_results_are_reported(trained: Trained) -> None:
    backtest = trained.backtest
    rows = backtest.rows
    chosen = np.r_[:10, len(rows) - 30 : len(rows)]  # the first ten were tested before there was an interval
    rows = rows.assign(excess=np.isin(np.arange(len(rows)), chosen) * 0.5)
    odd = replace(backtest, rows=rows)
    unlike_rows = rows[-30:]
    rate = unlike_rows.counts / unlike_rows.exposure
    inside = ((rate >= unlike_rows.low - 1e-12) & (rate <= unlike_rows.high + 1e-12)).mean()
    assert odd.coverage_unlike() == (40, 30, pytest.approx(inside))
    assert np.isnan(replace(backtest, rows=rows[10:-30]).coverage_unlike()[2])
    assert f"40 of {len(rows)} tested results ({40 / len(rows):.1%}) were unlike those known before" in unlike(odd)
    assert 0 <= backtest.rows.excess.gt(0).mean() < 0.1
    assert unlike(backtest) in model_card(study(trained))
