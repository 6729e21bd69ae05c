"""Past results, and what was known of them at an earlier moment."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from features.families.track_record import LONGEST_DAYS

DAY = np.timedelta64(1, "D")
DAY_US = 86_400_000_000


@dataclass(frozen=True)
class Outcomes:
    """Collaborations in the order of their start, with their counts.

    starts, until, final: datetime64[us] (rows,): when they went live, up to when they were counted, and when the
    attribution window after the promotion's end has passed. hours, spend, counts: float (rows,). daily: columns row
    (position), date (datetime64[us], midnight), conversions; None where no conversions are listed by day. tier,
    platform: str (rows,), "" where they are not known; delays depend on them.
    """

    identifiers: np.ndarray
    starts: np.ndarray
    until: np.ndarray
    final: np.ndarray
    hours: np.ndarray
    spend: np.ndarray
    counts: np.ndarray
    tier: np.ndarray
    platform: np.ndarray
    daily: pd.DataFrame | None = None

    @classmethod
    def from_tables(cls, collaborations: pd.DataFrame, daily: pd.DataFrame | None, attribution_days: float) -> Outcomes:
        """From the contract's tables; collaborations must lie in the order in which they are wanted."""
        starts = collaborations.starts_at.to_numpy("datetime64[us]")
        hours = collaborations.promotion_hours.to_numpy(float)
        window = (np.minimum(hours / 24 + attribution_days, LONGEST_DAYS) * DAY_US).astype("timedelta64[us]")
        listed = None
        if daily is not None and len(daily):
            row = pd.Series(np.arange(len(starts)), index=collaborations.collaboration_id.to_numpy())
            listed = pd.DataFrame(
                {
                    "row": row.reindex(daily.collaboration_id.to_numpy()).to_numpy(),
                    "date": daily.date.to_numpy("datetime64[us]"),
                    "conversions": daily.conversions.to_numpy(float),
                }
            )
            listed = listed.dropna(subset="row").astype({"row": int}).sort_values(["row", "date"], ignore_index=True)
        return cls(
            collaborations.collaboration_id.to_numpy(object),
            starts,
            collaborations.observed_until.to_numpy("datetime64[us]"),
            starts + window,
            hours,
            collaborations.spend.to_numpy(float),
            collaborations.conversions.to_numpy(float),
            np.full(len(starts), ""),
            np.full(len(starts), ""),
            listed,
        )

    def with_kinds(self, matrix: pd.DataFrame) -> Outcomes:
        """The same results with the tier and platform of a matrix of the same rows."""
        tier, platform = (
            matrix[name].fillna("").to_numpy(object).astype(str) if name in matrix else now
            for name, now in (("tier", self.tier), ("platform", self.platform))
        )
        return replace(self, tier=tier, platform=platform)

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def known(self) -> np.ndarray:
        """When a whole count was there: at `until`, or once the window had passed, whichever is earlier."""
        return np.minimum(self.until, self.final)

    @property
    def ages(self) -> np.ndarray:
        """Days from the start to the counting, float (rows,)."""
        return (self.until - self.starts) / DAY

    def take(self, rows: np.ndarray) -> Outcomes:
        """The given rows (positions), in the given order."""
        daily = self.daily
        if daily is not None:
            place = np.full(len(self), -1)
            place[rows] = np.arange(len(rows))
            daily = daily.assign(row=place[daily.row.to_numpy()]).query("row >= 0")
            daily = daily.sort_values(["row", "date"], ignore_index=True)
        names = ("identifiers", "starts", "until", "final", "hours", "spend", "counts", "tier", "platform")
        return Outcomes(**{name: getattr(self, name)[rows] for name in names}, daily=daily)

    def as_of(self, moment: np.datetime64) -> tuple[np.ndarray, Outcomes]:
        """What was known at a moment: positions of the rows, and their results as they stood.

        Where `daily` lists a row by then, its count so far is known; any other row's whole count is known from `known`
        on and left out before. A row without a conversion so far counts as listed where every row is whose whole count,
        above 0, was known by then.
        """
        moment = moment.astype("datetime64[D]").astype("datetime64[us]")
        started, by_day = self.starts < moment, np.zeros(len(self), bool)
        so_far: np.ndarray = np.zeros(len(self))
        daily = self.daily
        if daily is not None:
            daily = daily[pd.Series(daily.date.to_numpy() + DAY <= moment, index=daily.index)]
            by_day[daily.row.to_numpy()] = True
            settled = by_day[(self.known <= moment) & (self.counts > 0)]
            if len(settled) and settled.all():
                by_day[:] = True
            so_far = np.bincount(daily.row, daily.conversions, len(self))
        whole = np.where(by_day, self.until, self.known) <= moment
        counts = np.where(whole, self.counts, so_far)
        rows = np.flatnonzero(started & (whole | by_day))
        until = np.where(whole, self.until, np.minimum(self.until, moment))
        then = replace(self, until=until, counts=counts, daily=daily)
        return rows, then.take(rows)
