"""Promises and what came: which belongs to which, which counts, and that every one is accounted for."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from features.faults import InputError
from models.estimators.maturity import Maturity, taken_as_final
from models.estimators.outcomes import Outcomes
from models.monitoring.ledger import COLUMNS, ListFacts, read, seal, verify
from models.monitoring.promises import REASONS, Settled, seal_results, settle

NOW = datetime(2026, 6, 1)
SPAN = {"collaboration_id": "d", "creator_id": "c", "brand": "b", "product_niche": "n", "spend": 100.0}


def spine(*deals: dict[str, Any]) -> pd.DataFrame:
    made = [
        {**SPAN, "starts_at": "2026-03-02T10:00", "promotion_hours": 24.0, "conversions": 5,
         "observed_until": "2026-05-20", **deal}
        for deal in deals
    ]  # fmt: skip
    frame = pd.DataFrame(made)
    for name in ("starts_at", "observed_until"):
        frame[name] = pd.to_datetime(frame[name], format="ISO8601").astype("datetime64[us]")
    return frame.sort_values("starts_at", kind="stable", ignore_index=True)


def promise(path: Path, when: str, *promises: dict[str, Any], model: str = "m/1", level: float = 0.8) -> None:
    rows = []
    for one in promises:
        values = {
            "candidate_id": None, **{k: v for k, v in SPAN.items() if k != "collaboration_id"},
            "starts_at": "2026-03-02T15:00:00", "promotion_hours": 24.0, "rate": 0.05, "low": 0.01, "high": 0.06,
            "own_record": 0.04, **one,
        }  # fmt: skip
        rows.append([values[name] for name in COLUMNS])
    seal(path, ListFacts(datetime.fromisoformat(when), model, {}, level, len(rows)), rows)


def judge(path: Path, frame: pd.DataFrame, maturity: Maturity | None = None, now: datetime = NOW) -> Settled:
    found = settle(path, frame, Outcomes.from_tables(frame, None, 30.0), maturity or taken_as_final(), now)
    assert sum(found.reasons.values()) == len(read(path).promises)
    assert found.reasons["judged"] == len(found.deals)
    assert list(found.reasons) == list(REASONS)
    return found


def given(found: Settled) -> dict[str, int]:
    return {name: number for name, number in found.reasons.items() if number}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.jsonl"


def test_a_promise_is_matched_by_its_key_before_its_terms(path: Path) -> None:
    promise(path, "2026-02-01", {"candidate_id": "d1", "brand": "renamed", "spend": 300.0, "rate": 0.5})
    frame = spine({"collaboration_id": "d0", "spend": 300.0}, {"collaboration_id": "d1", "spend": 120.0})
    found = judge(path, frame)
    assert found.deals.collaboration_id.tolist() == ["d1"]
    row = found.deals.iloc[0]
    assert (row.spend, row.promised_spend, row.rate, row.counts, row.exposure) == (120.0, 300.0, 0.5, 5.0, 120.0)
    assert found.other_price == 1


def test_a_key_that_another_creator_has_is_none(path: Path) -> None:
    promise(path, "2026-02-01", {"candidate_id": "d1", "creator_id": "x"}, {"candidate_id": "d1"})
    found = judge(path, spine({"collaboration_id": "d1"}))
    assert given(found) == {"judged": 1, "unmatched": 1}


def test_without_a_key_the_terms_and_the_day_decide_and_the_nearest_price(path: Path) -> None:
    frame = spine(
        {"collaboration_id": "d0", "spend": 100.0}, {"collaboration_id": "d1", "spend": 210.0},
        {"collaboration_id": "d2", "spend": 199.0, "starts_at": "2026-03-03"},
        {"collaboration_id": "d3", "spend": 200.0, "brand": "other"},
    )  # fmt: skip
    promise(path, "2026-02-01", {"spend": 200.0}, {"spend": 99.0, "creator_id": "none"})
    found = judge(path, frame)
    assert found.deals.collaboration_id.tolist() == ["d1"]
    assert given(found) == {"judged": 1, "unmatched": 1}
    assert found.other_price == 0


def test_a_promise_that_fits_two_deals_alike_is_not_used(path: Path) -> None:
    frame = spine({"collaboration_id": "d0", "spend": 100.0}, {"collaboration_id": "d1", "spend": 400.0})
    promise(path, "2026-02-01", {"spend": 200.0})
    assert given(judge(path, frame)) == {"ambiguous": 1}


def test_of_a_list_s_prices_for_a_deal_the_nearest_counts_and_twins_are_not_used(path: Path) -> None:
    promise(path, "2026-02-01", {"spend": 100.0, "rate": 0.1}, {"spend": 150.0, "rate": 0.2}, {"spend": 900.0})
    found = judge(path, spine({"spend": 140.0}))
    assert given(found) == {"judged": 1, "alternative": 2}
    assert found.deals.rate.tolist() == [0.2]
    promise(path, "2026-02-02", {"spend": 140.0, "rate": 0.3}, {"spend": 140.0, "rate": 0.4})
    assert given(judge(path, spine({"spend": 140.0}))) == {"judged": 1, "alternative": 2, "ambiguous": 2}


def test_the_newest_promise_before_the_start_counts_and_later_ones_are_too_late(path: Path) -> None:
    for day, rate in (("2026-01-01", 0.1), ("2026-03-01", 0.2), ("2026-02-01", 0.3), ("2026-03-02T10:00", 0.4)):
        promise(path, day, {"rate": rate}, model=f"m/{rate}")
    found = judge(path, spine({}))
    assert given(found) == {"judged": 1, "superseded": 2, "late": 1}
    assert found.deals[["rate", "model"]].to_numpy().tolist() == [[0.2, "m/0.2"]]


def test_results_that_are_still_arriving_and_deals_to_come_are_waited_for(path: Path) -> None:
    half = Maturity(np.array([0.0, 100.0]), np.array([]), ("",), np.array([[[0.0, 1.0]]]), np.zeros(2), "test")
    promise(path, "2026-02-01", {}, {"creator_id": "y"}, {"creator_id": "z", "starts_at": "2026-07-01T00:00:00"})
    deals = ({"collaboration_id": "a", "observed_until": "2026-03-30"}, {"collaboration_id": "b", "creator_id": "y"})
    found = judge(path, spine(*deals), half, datetime(2026, 6, 1))
    assert given(found) == {"judged": 1, "young": 1, "ahead": 1}
    assert found.deals.collaboration_id.tolist() == ["b"]
    assert found.deals.exposure.tolist() == [100.0]  # its window has passed, so it is whole
    # 95.6 of 100 days of a long promotion: ripe, and what is still to come is allowed for
    later = spine({"observed_until": "2026-06-06", "promotion_hours": 2000.0})
    share = (pd.Timestamp("2026-06-06") - pd.Timestamp("2026-03-02T10:00")) / pd.Timedelta("100D")
    assert judge(path, later, half).deals.exposure.tolist() == pytest.approx([100 * share])


def test_an_empty_ledger_and_data_without_deals_settle_nothing(path: Path) -> None:
    promise(path, "2026-02-01")
    assert judge(path, spine({})).deals.empty
    promise(path, "2026-02-01", {})
    frame = spine({"creator_id": "other"})
    found = judge(path, frame)
    assert (found.deals.empty, found.weeks, given(found)) == (True, (), {"unmatched": 1})
    assert seal_results(path, found, NOW) is None


def test_a_changed_ledger_is_a_fault(path: Path) -> None:
    promise(path, "2026-02-01", {})
    path.write_bytes(path.read_bytes().replace(b"0.05", b"0.06"))
    with pytest.raises(InputError, match="line 3: changed"):
        judge(path, spine({}))


def test_weeks_close_once_their_results_are_ripe_and_stay_as_they_were_sealed(path: Path) -> None:
    promise(path, "2026-02-01", {"creator_id": "a"}, {"creator_id": "b", "high": 0.02}, {"creator_id": "e"},
            {"creator_id": "f", "starts_at": "2026-03-12T00:00:00"})  # fmt: skip
    deals = [
        {"collaboration_id": "A", "creator_id": "a"}, {"collaboration_id": "B", "creator_id": "b"},
        {"collaboration_id": "F", "creator_id": "f", "starts_at": "2026-03-12"},
    ]  # fmt: skip
    half = Maturity(np.array([0.0, 100.0]), np.array([]), ("",), np.array([[[0.0, 1.0]]]), np.zeros(2), "test")
    young = spine(deals[0], {**deals[1], "observed_until": "2026-03-20"}, deals[2])
    found = judge(path, young, half)
    assert [week.monday for week in found.weeks] == ["2026-03-09"]  # the week before waits for B
    seal_results(path, found, NOW)
    found = judge(path, spine(*deals), half)
    assert found.sealed == 1
    first, second = found.weeks
    assert (second.monday, second.deals, second.level, second.covered) == ("2026-03-02", 2, 0.8, 0.5)
    assert second.advantage > 0
    assert found.members == {"2026-03-02": [["A", 2, 5.0, 100.0], ["B", 2, 5.0, 100.0]]}
    seal_results(path, found, NOW)
    assert verify(path).broken is None
    # whatever comes later, what the alarm has seen stays
    more = spine(*[{**deal, "conversions": 70} for deal in deals], {"collaboration_id": "E", "creator_id": "e"})
    again = judge(path, more, half)
    assert again.weeks == (first, second)
    assert again.sealed == 2
    assert len(again.deals) == 4
    assert again.deals.counts.tolist() == [70.0, 70.0, 5.0, 70.0]


def test_a_week_closes_at_last_without_results_that_never_come(path: Path) -> None:
    promise(path, "2026-02-01", {"creator_id": "a"}, {"creator_id": "b"})
    deals = ({"collaboration_id": "A", "creator_id": "a"},
             {"collaboration_id": "B", "creator_id": "b", "observed_until": "2026-03-20"})  # fmt: skip
    half = Maturity(np.array([0.0, 100.0]), np.array([]), ("",), np.array([[[0.0, 1.0]]]), np.zeros(2), "test")
    assert judge(path, spine(*deals), half, datetime(2026, 7, 1)).weeks == ()
    (week,) = judge(path, spine(*deals), half, datetime(2026, 7, 7)).weeks
    assert (week.monday, week.deals) == ("2026-03-02", 1)
