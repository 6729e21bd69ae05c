"""Shares of creators that find posts or earlier deals, and ids of another form."""

from __future__ import annotations

import numpy as np
import pytest

from models.monitoring.links import fallen_share, form, other_form

ROWS = 500
OLDER = np.arange(ROWS) < 440


def fall(now: float, before: float = 0.7, batch: int = 60) -> bool:
    rng = np.random.default_rng(0)
    newest = (np.arange(ROWS) >= 440) & (np.arange(ROWS) < 440 + batch)
    finds = rng.random(ROWS) < np.where(OLDER, before, now)
    found = fallen_share(finds, newest, OLDER, rng)
    assert found is None or (found.rows == newest & ~finds).all()
    return found is not None


@pytest.mark.parametrize(
    ("now", "before", "batch", "fell"),
    [(0.0, 0.7, 60, True), (0.05, 0.95, 30, True), (0.5, 0.7, 60, False), (0.0, 0.7, 5, False), (0.0, 0.05, 60, False)],
)
def test_a_share_that_fell_beyond_chance(now: float, before: float, batch: int, fell: bool) -> None:
    assert fall(now, before, batch) == fell


def test_shares_that_move_in_the_older_rows_may_move_again() -> None:
    blocks = np.repeat(np.arange(ROWS // 20) % 2 == 0, 20)
    newest = np.arange(ROWS) >= 480
    blocks[480:] = False
    assert fallen_share(blocks, newest, np.arange(ROWS) < 480, np.random.default_rng(0)) is None


def test_the_form_of_ids() -> None:
    older = np.array(["c001", "c17", "c204"], object)
    assert form("IG_c001") == "a_a9"
    assert "'IG_c5'" in other_form(np.array(["IG_c5", "IG_c6"], object), older)
    assert other_form(np.array(["c5", "c6", "IG_7"], object), older) == ""
    assert other_form(np.array([], object), older) == ""
