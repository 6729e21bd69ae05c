"""The level of all rates over time."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from models.estimators import mixed
from models.estimators.count_data import CountData
from models.estimators.encoding import Encoding
from models.estimators.level_trend import at_newest_level, fit_level_trend
from models.estimators.maturity import fit_maturity
from models.estimators.rate import RECIPES, fit_component
from models.evaluation.backtest import observe
from tests.support.past_market import spine, training


def _observed(rows: int, level: float) -> tuple[CountData, np.ndarray, np.ndarray]:
    """Results of a made-up market whose level rises by `level` (log) halfway, with the true log level of each row."""
    frame = spine(rows, dispersion=0.2)
    late = np.arange(rows) >= rows // 2
    rng = np.random.default_rng(5)
    conversions = rng.poisson(frame.rate * frame.spend * np.exp(level * late) * rng.gamma(5, 0.2, rows))
    made = training(frame.assign(conversions=conversions))
    encoding = Encoding.fit(made.matrix, made.creators)
    count_data = observe(made.matrix, made.creators, encoding, made.results, fit_maturity(made.results))
    return count_data, made.results.starts, level * late


@pytest.mark.parametrize("level", [-0.7, 0.0, 0.7])
def test_the_walk_follows_the_level_and_stays_where_there_is_none(level: float) -> None:
    count_data, starts, true = _observed(1500, level)
    found, _ = fit_level_trend(count_data, starts)
    away = found - (true - true[-1])
    assert found[-1] == 0
    settled = np.abs(np.arange(1500) - 750) > 150
    assert np.abs(away[settled]).max() < 0.25
    assert np.sqrt((away**2).mean()) < 0.15


def test_results_on_the_newest_level_teach_the_newest_rate() -> None:
    count_data, starts, _ = _observed(1500, 0.7)
    adjusted = at_newest_level(count_data, starts)
    assert adjusted.counts is count_data.counts
    for recipe in (RECIPES[0], RECIPES[-1]):
        late = count_data.take(slice(900, None))
        shift = [
            np.log(
                late.counts.sum() / (late.exposure * np.exp(fit_component(o, recipe, 0).log_rate(late.features))).sum()
            )
            for o in (count_data, adjusted)
        ]
        assert abs(shift[1]) < 0.15
        assert shift[0] > shift[1] + 0.1


def test_too_few_results_or_no_time_tell_no_drift() -> None:
    count_data, starts, _ = _observed(1500, 0.7)
    assert not fit_level_trend(count_data.take(slice(0, 30)), starts[:30])[0].any()
    assert not fit_level_trend(count_data, np.full(1500, starts[0]))[0].any()
    whole = at_newest_level(count_data, np.full(1500, starts[0]))
    assert whole.exposure.tolist() == count_data.exposure.tolist()


def test_fits_to_many_rows_begin_where_the_trend_ended_and_end_when_they_settle(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    count_data, starts, _ = _observed(1500, 0.7)
    solve, solved = mixed.solve, []

    def counted(*given: Any) -> tuple[np.ndarray, np.ndarray]:
        solved.append(len(given[0]))
        return solve(*given)

    monkeypatch.setattr(mixed, "solve", counted)

    def fitted() -> tuple[np.ndarray, np.ndarray, int]:
        adjusted = at_newest_level(count_data, starts)
        of_trend = len(solved)
        log_rate = mixed.fit_mixed(adjusted).log_rate(count_data.features)
        return adjusted.exposure / count_data.exposure, log_rate, len(solved) - of_trend

    level, log_rate, steps = fitted()
    assert steps == mixed.ITERATIONS + 1
    monkeypatch.setattr(mixed, "SETTLING_ROWS", 1499)
    settled_level, settled_rate, fewer = fitted()
    assert fewer <= 3
    for found, full in ((np.log(settled_level), np.log(level)), (settled_rate, log_rate)):
        assert 0 < np.sqrt(np.mean((found - full) ** 2)) < 3 * mixed.SETTLED


def test_lines_are_learnt_once_for_the_trend_and_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    count_data, starts, _ = _observed(200, 0.0)
    adjusted = at_newest_level(count_data, starts)
    alone = mixed.fit_mixed(replace(adjusted, earlier=None))
    monkeypatch.delattr(mixed, "fit_lines")
    assert mixed.fit_mixed(adjusted).to_dict() == alone.to_dict()
