"""A refusal holds for a while, longer each time, and for the same state alone."""

from __future__ import annotations

import pytest

from service.publish import refusals
from service.publish.refusals import FIRST_WAIT, LONGEST_WAIT, SPARED, Refusal


def test_the_wait_doubles_for_the_same_state_up_to_a_limit_and_begins_anew_for_another() -> None:
    refusal, waits = None, []
    for _ in range(10):
        refusal = Refusal.of("state", "why", 0.1, refusal)
        waits.append(refusal.wait)
    assert waits[:3] == [FIRST_WAIT, 2 * FIRST_WAIT, 4 * FIRST_WAIT]
    assert waits[-1] == LONGEST_WAIT
    assert Refusal.of("another", "why", 0.1, refusal).wait == FIRST_WAIT


def test_a_trial_that_took_long_is_not_repeated_soon() -> None:
    assert Refusal.of("state", "why", 100.0, None).wait == SPARED * 100


def test_it_holds_until_its_time_has_come(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [50.0]
    monkeypatch.setattr(refusals.time, "monotonic", lambda: now[0])
    refusal = Refusal.of("state", "why", 0.0, None)
    assert refusal.holds("state")
    assert not refusal.holds("another")
    now[0] += FIRST_WAIT
    assert not refusal.holds("state")
