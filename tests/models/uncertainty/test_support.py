"""Deals unlike any result: who is flagged, who is not, and what that does to intervals."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.estimators import blocks
from models.uncertainty import support as uncertainty_support
from models.uncertainty.interval import PRIOR_UNLIKE, fit_intervals
from models.uncertainty.support import ORDINARY, PRIOR_RESULTS, Support, fit_support

BOUNDS, TIERS = [0, 1e4, 1e5, 1e6, np.inf], ["nano", "micro", "mid", "mega"]
PLATFORMS = np.array(["instagram", "tiktok", "youtube"], object)


def _deals(rows: int, seed: int, creators: int = 300) -> pd.DataFrame:
    """Deals of creators whose size, platform and niche stay theirs, with creator_id; views are often unknown."""
    rng = np.random.default_rng(seed)
    who = rng.integers(0, creators, rows)
    size, view, niche = rng.normal(10.5, 1.8, creators), rng.normal(-2, 0.7, creators), rng.integers(0, 6, creators)
    followers = np.round(np.exp(size[who]))
    frame = pd.DataFrame({
        "creator_id": [f"c{seed}_{i}" for i in who],
        "followers": followers,
        "views_per_follower": np.where(rng.random(rows) < 0.2, np.nan, np.exp(view[who])),
        "tier": pd.cut(followers, BOUNDS, labels=TIERS, right=False).astype(object),
        "platform": PLATFORMS[who % 3],
        "creator_niche": np.array([f"niche {i}" for i in niche], object)[who],
        "product_niche": np.array([f"niche {i}" for i in rng.integers(0, 6, rows)], object),
        "spend": followers * np.exp(rng.normal(-4, 0.6, rows)),
        "promotion_hours": rng.choice([24.0, 72.0, 168.0], rows),
        "deliverables": rng.integers(1, 4, rows).astype(float),
    })  # fmt: skip
    return frame.assign(spend_per_follower=frame.spend / frame.followers)


def _fit(frame: pd.DataFrame) -> Support:
    return fit_support(frame.drop(columns="creator_id"), frame.creator_id.to_numpy(object))


def _flagged(support: Support, frame: pd.DataFrame) -> float:
    return float((support.excess(frame) > 0).mean())


@pytest.fixture(scope="module")
def support() -> Support:
    return _fit(_deals(2000, seed=0))


def test_ordinary_newcomers_are_rarely_flagged(support: Support) -> None:
    assert _flagged(support, _deals(2000, seed=1)) < 0.05
    assert _flagged(support, _deals(2000, seed=0)) < 1 - ORDINARY + 0.02


@pytest.mark.parametrize("left_out", ["mega", "platform", "niche", "met apart", "dear"])
def test_a_kind_that_was_never_hired_is_flagged(left_out: str) -> None:
    def chosen(frame: pd.DataFrame) -> pd.Series:
        return {
            "mega": frame.tier == "mega",
            "platform": frame.platform == "tiktok",
            "niche": frame.creator_niche == "niche 3",
            # both were hired, each with others: no range of a single column shows it
            "met apart": (frame.platform == "tiktok") & frame.tier.isin(["mid", "mega"]),
            "dear": frame.spend_per_follower > 0.05,
        }[left_out]

    hired, candidates = _deals(3000, seed=0), _deals(3000, seed=1)
    support = _fit(hired[~chosen(hired)])
    assert chosen(candidates).sum() > 30
    assert _flagged(support, candidates[chosen(candidates)]) > (0.6 if left_out == "dear" else 0.95)
    assert _flagged(support, candidates[~chosen(candidates)]) < 0.05


def test_a_creator_s_own_results_do_not_set_the_threshold() -> None:
    """Each row's h, from a fit without its creator's rows: the threshold is their quantile."""
    frame = _deals(260, seed=3, creators=25)
    frame.loc[:120, "creator_id"] = "busy"  # with more results than there are terms
    hired = _fit(frame)
    blocks = hired.terms.describe(*hired.terms.read(frame))
    assert (frame.creator_id == "busy").sum() > blocks.shape[1]
    h = np.empty(len(frame))
    for creator in frame.creator_id.unique():
        own = (frame.creator_id == creator).to_numpy()
        within = blocks[~own].T @ blocks[~own] + PRIOR_RESULTS * np.eye(blocks.shape[1])
        h[own] = PRIOR_RESULTS * np.diag(blocks[own] @ np.linalg.solve(within, blocks[own].T))
    assert hired.threshold == pytest.approx(np.quantile(h, ORDINARY), rel=1e-9)
    left_open = PRIOR_RESULTS * np.linalg.inv(blocks.T @ blocks + PRIOR_RESULTS * np.eye(blocks.shape[1]))
    np.testing.assert_allclose(hired.left_open / 2**30, left_open, atol=1e-9)


def test_what_is_unknown_of_a_deal_is_not_unlike(support: Support) -> None:
    candidates = _deals(300, seed=1)
    unknown = candidates.assign(followers=np.nan, views_per_follower=np.nan, spend_per_follower=np.nan)
    unknown = unknown.assign(tier=None, platform=None, creator_niche=None)
    assert _flagged(support, unknown) < 0.05
    assert _flagged(support, unknown.assign(spend=1e9)) == 1


def test_a_row_is_judged_the_same_in_any_company_and_after_loading(support: Support) -> None:
    candidates = pd.concat([_deals(5000, seed=1), _deals(50, seed=1).assign(spend=1e8, platform="radio")])
    whole = support.excess(candidates)
    assert (whole[-50:] > 0).all()
    loaded = Support.from_dict(json.loads(json.dumps(support.to_dict(), sort_keys=True)))
    np.testing.assert_array_equal(loaded.excess(candidates), whole)
    for part in (slice(0, 1), slice(4090, 4103), slice(5049, 5050)):
        np.testing.assert_array_equal(support.excess(candidates.iloc[part]), whole[part])


@pytest.mark.parametrize("rows", [1, 2, 30])
def test_few_and_odd_rows_are_survived(rows: int) -> None:
    frame = _deals(rows, seed=2)
    assert np.isfinite(_fit(frame).excess(_deals(40, seed=1))).all()
    bare = pd.DataFrame({"spend": np.full(rows, 5.0), "tier": pd.Series([None] * rows, dtype=object)})
    support = fit_support(bare, np.array(["a"] * rows, object))
    assert (support.excess(bare) == 0).all()


def _outcomes(rows: int, seed: int, unlike: float, added: float) -> tuple[np.ndarray, ...]:
    """Predictions, counts, groups and excess; a log rate beyond the support is more uncertain, by its variance."""
    rng = np.random.default_rng(seed)
    expected = 200 * np.exp(rng.normal(0, 1, rows))
    excess = np.where(rng.random(rows) < unlike, 2.0, 0.0)
    rate = np.exp(rng.normal(0, np.sqrt(added * excess)))
    return expected, rng.poisson(expected * rate * rng.gamma(4.0, 0.25, rows)), np.full(rows, "nano"), excess


def test_the_widening_is_learnt_and_makes_intervals_hold() -> None:
    intervals = fit_intervals(*_outcomes(2000, 1, unlike=0.15, added=0.4))
    assert 0.2 < intervals.unlike_variance < 0.8
    expected, counts, group, excess = _outcomes(4000, 2, unlike=0.5, added=0.4)
    far = excess > 0
    covered = {}
    for name, beyond in (("before", 0.0), ("widened", excess)):
        low, high = intervals.bounds(expected, group, 0.8, beyond)
        inside = (counts >= low) & (counts <= high)
        covered[name] = inside[far].mean()
        assert inside[~far].mean() == pytest.approx(0.8, abs=0.04)
    assert covered["before"] < 0.6
    assert covered["widened"] == pytest.approx(0.8, abs=0.06)


def test_without_a_row_that_tells_the_prior_stands() -> None:
    assert fit_intervals(*_outcomes(300, 1, unlike=0.0, added=0.0)).unlike_variance == pytest.approx(PRIOR_UNLIKE)
    few = fit_intervals(*_outcomes(300, 1, unlike=0.02, added=0.0)).unlike_variance
    assert PRIOR_UNLIKE / 5 < few <= PRIOR_UNLIKE * 1.1


@given(st.floats(0.01, 1e5), st.floats(0, 50), st.floats(0, 50), st.floats(0.1, 0.99))
def test_an_interval_is_never_narrowed(expected: float, excess: float, more: float, level: float) -> None:
    intervals = fit_intervals(*_outcomes(60, 1, unlike=0.1, added=5.0))
    one, group = np.array([expected]), np.array(["nano"])
    usual = intervals.bounds(one, group, level)
    wide = intervals.bounds(one, group, level, np.array([excess + more]))
    assert wide[0] <= usual[0]
    assert wide[1] >= usual[1]


def test_support_does_not_depend_on_the_size_of_a_block(support: Support, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (blocks, uncertainty_support):
        monkeypatch.setattr(module, "BLOCK_VALUES", 20_000)
    found = _fit(_deals(2000, seed=0))
    np.testing.assert_array_equal(found.left_open, support.left_open)
    assert found.threshold == pytest.approx(support.threshold, rel=1e-9)


def test_rows_of_a_creator_stay_in_one_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uncertainty_support, "BLOCK_VALUES", 15)
    creators = np.array([*"abcabcabc", *"d" * 20], object)
    found = uncertainty_support._whole_creators(creators, 3)
    assert len(found) > 2
    assert sorted(np.concatenate(found)) == list(range(29))
    assert sum(len(set(creators[rows])) for rows in found) == 4
