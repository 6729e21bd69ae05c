"""The ledger in a training: what the page says, and when a person is asked to look."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from models.estimators.maturity import taken_as_final
from models.estimators.outcomes import Outcomes
from models.monitoring.chain import Head
from models.monitoring.ledger import ListFacts, read, seal, verify
from models.monitoring.promise_report import PLOT, Watched, watch

BEGIN = datetime(2025, 1, 6)
NOW = datetime(2026, 6, 1)


def promised(path: Path, spine: pd.DataFrame, rate: np.ndarray, width: float, model: str = "m/1") -> None:
    """Seal promises for all deals of a spine, before any of them began."""
    starts = [start.isoformat() for start in spine.starts_at.dt.to_pydatetime()]
    columns = [spine[name].tolist() for name in ("collaboration_id", "creator_id", "brand", "product_niche")]
    numbers = [spine.spend.tolist(), rate.tolist(), (rate / width).tolist(), (rate * width).tolist()]
    rows = [(*keys, start, 24.0, *of, 0.05) for start, *both in zip(starts, *columns, *numbers, strict=True)
            for keys, of in [(both[:4], both[4:])]]  # fmt: skip
    seal(path, ListFacts(BEGIN - timedelta(days=1), model, {}, 0.8, len(rows)), rows)


def market(weeks: int = 40, a_week: int = 12, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    n = weeks * a_week
    spend = np.exp(rng.normal(6, 0.5, n))
    rate = 0.05 * np.exp(rng.normal(0, 0.7, n))
    starts = pd.Timestamp(BEGIN) + pd.to_timedelta(np.arange(n) * 7 / a_week, unit="D")
    return pd.DataFrame({
        "collaboration_id": [f"d{i:04}" for i in range(n)], "creator_id": [f"c{i % 30}" for i in range(n)],
        "brand": "b", "product_niche": "n", "promotion_hours": 24.0, "spend": spend, "true": rate,
        "starts_at": starts.astype("datetime64[us]"),
        "observed_until": pd.Timestamp(NOW).as_unit("us"), "conversions": rng.poisson(spend * rate),
    })  # fmt: skip


def watched(path: Path, spine: pd.DataFrame, heads: tuple[Head, ...] = ()) -> Watched:
    return watch(path, heads, spine, Outcomes.from_tables(spine, None, 30.0), taken_as_final(), NOW)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.jsonl"


def test_good_promises_raise_nothing_and_the_page_says_how_good(path: Path) -> None:
    spine = market()
    promised(path, spine, spine.true.to_numpy(), 1.5)
    found = watched(path, spine)
    assert found.alarms == ()
    page = found.page()
    assert "480 promises in 1 lists" in page
    assert "- 480 judged: their results are mature" in page
    assert "| 2025-03 | " in page
    assert "| m/1 | 480 | 30 | 0.80 | " in page
    assert "the advantage over the creator's own record is gone: " in page
    assert set(found.plots) == {PLOT}
    assert [axes.get_ylabel() for axes in found.plots[PLOT].axes] == [
        "share within the interval", "predicted over realised (95 %)",
    ]  # fmt: skip
    assert ("promises.judged", 480.0, 0) in found.metrics


@pytest.mark.slow
def test_coverage_that_is_gone_is_an_alarm_once(path: Path) -> None:
    spine = market()
    promised(path, spine, spine.true.to_numpy(), 1.1)
    found = watched(path, spine)
    (alarm,) = found.alarms
    assert alarm.source == "ledger"
    assert "promised intervals no longer hold" in alarm.sentence
    assert f"**Alarm**: {alarm.sentence}." in found.page()
    head = found.seal(NOW)
    assert head
    assert len(read(path).results) == 40
    again = watched(path, spine)
    assert again.alarms == ()
    assert "alarms in the weeks of 2025-" in again.page()
    assert again.seal(NOW) == head == verify(path).head
    assert verify(path).broken is None


def test_an_advantage_that_is_gone_is_an_alarm(path: Path) -> None:
    spine = market()
    rng = np.random.default_rng(1)
    promised(path, spine, 0.05 * np.exp(rng.normal(0, 1.5, len(spine))), 1e3)
    (alarm,) = watched(path, spine).alarms
    assert "no longer closer than the creator's own record" in alarm.sentence


def test_a_ledger_that_does_not_hold_is_an_alarm_and_judges_nothing(path: Path) -> None:
    spine = market(2)
    promised(path, spine, spine.true.to_numpy(), 1.5)
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"0.05]", b"0.06]", 1))
    found = watched(path, spine)
    (alarm,) = found.alarms
    assert "line 3: changed" in alarm.sentence
    assert "seal into another" in alarm.sentence
    assert (found.metrics, found.plots, found.seal(NOW)) == ([], {}, None)
    assert "line 3: changed" in found.page()
    path.write_bytes(whole)
    head = verify(path).head
    assert head
    path.write_bytes(b"".join(whole.splitlines(keepends=True)[:-1]))
    assert watched(path, spine).alarms == ()
    assert "removed" in watched(path, spine, (head,)).alarms[0].sentence
    path.write_bytes(whole[:-5])  # a run is writing, or was killed
    assert watched(path, spine).alarms == ()


def test_a_ledger_of_which_no_head_is_kept_beside_others_is_an_alarm_and_is_judged(path: Path) -> None:
    spine = market(2)
    promised(path, spine, spine.true.to_numpy(), 1.5)
    other = Head("b" * 64, 9, "a" * 64)
    found = watched(path, spine, (other,))
    (alarm,) = found.alarms
    assert "holds in itself, but heads of ledgers are known, and none of this one" in alarm.sentence
    assert found.settled is not None
    kept = found.seal(NOW)
    assert kept is not None
    assert kept == verify(path).head
    assert watched(path, spine, (other, kept)).alarms == ()
    assert watched(path, spine, (other, kept)).seal(NOW) == kept  # nothing new to seal, and still a head to keep


def test_a_ledger_without_any_result_has_a_page(path: Path) -> None:
    spine = market(2)
    promised(path, spine, spine.true.to_numpy(), 1.5)
    found = watched(path, spine.assign(creator_id="other"))
    assert found.plots == {}
    assert "- 24 of deals that were not made, or are not in DATA" in found.page()
    assert ("promises.unmatched", 24.0, 0) in found.metrics
