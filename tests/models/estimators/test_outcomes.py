"""What was known of results at a moment."""

from __future__ import annotations

import ibis
import numpy as np
import pandas as pd

from features.families.track_record import checkpoints
from features.settings import FeatureSettings
from models.estimators.outcomes import Outcomes
from tests.support.past_market import COUNTED, arriving, spine


def test_what_was_known_at_a_moment() -> None:
    frame, daily = arriving(200, tau=6.0)
    results = Outcomes.from_tables(frame, daily, 30.0)
    moment = np.datetime64(COUNTED - pd.Timedelta("40D"), "us")
    rows, then = results.as_of(moment)
    assert (then.starts < moment).all()
    assert (then.until <= moment).all()
    assert (then.counts <= results.counts[rows]).all()
    early = daily[daily.date + pd.Timedelta("1D") <= pd.Timestamp(moment)].groupby("collaboration_id").conversions.sum()
    expected = early.reindex(frame.collaboration_id.to_numpy()[rows]).fillna(0).to_numpy()
    later = frame.assign(conversions=np.where(frame.starts_at > pd.Timestamp(moment), 999, frame.conversions))
    np.testing.assert_array_equal(Outcomes.from_tables(later, daily, 30.0).as_of(moment)[1].counts, then.counts)
    np.testing.assert_array_equal(then.counts, expected)
    unlisted = Outcomes.from_tables(frame, None, 30.0)
    rows, then = unlisted.as_of(moment)
    assert ((unlisted.known[rows] <= moment) | (then.counts == 0)).all()
    np.testing.assert_array_equal(then.counts, unlisted.counts[rows])


def test_a_promotion_without_end_is_counted_when_it_was_last_watched() -> None:
    frame = spine(3).assign(promotion_hours=[24.0, 1e12, 1e300], clicks=1.0)
    found = checkpoints(ibis.memtable(frame), None, FeatureSettings()).order_by("collaboration_id").to_pandas()
    window = (frame.starts_at + pd.Timedelta("31D")).tolist()
    assert found["at"].tolist() == [window[0], COUNTED, COUNTED]
    results = Outcomes.from_tables(frame, None, 30.0)
    assert results.known.tolist() == found["at"].to_numpy("datetime64[us]").tolist()
    assert (results.final[1:] > np.datetime64("2200-01-01")).all()


def test_what_comes_later_never_changes_what_was_known() -> None:
    frame, daily = arriving(200, tau=20.0)
    frame.loc[::7, "conversions"] = 0  # some never bring any
    daily = daily[~daily.collaboration_id.isin(frame.collaboration_id[::7])]
    moment = np.datetime64(COUNTED - pd.Timedelta("60D"), "us")
    ended = daily[daily.date + pd.Timedelta("1D") <= pd.Timestamp(moment)]
    rows, then = Outcomes.from_tables(frame, daily, 30.0).as_of(moment)
    assert then.daily is not None
    late = frame.collaboration_id[frame.starts_at > pd.Timestamp(moment)]
    assert len(late) > 20
    cut = daily[~daily.collaboration_id.isin(late[:5])]  # deals that are not listed by day at all
    for later in (ended, cut):
        outcomes = Outcomes.from_tables(frame, later, 30.0)
        again, so_far = outcomes.as_of(moment)
        np.testing.assert_array_equal(again, rows)
        np.testing.assert_array_equal(so_far.counts, then.counts)
        np.testing.assert_array_equal(so_far.until, then.until)
