"""What came of each result by day of its age, kept sparse: sums over results without a table of results × days."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from models.estimators.blocks import added, small_blocks
from models.estimators.outcomes import DAY, Outcomes

MOST_DAYS = 730


@dataclass(frozen=True)
class Arrivals:
    """Conversions by day of age, of the results that list any on a day that was counted whole.

    listed: positions of those results (rows,), ascending. whole: days that were counted whole (rows,). row, day, came:
    one a day with conversions (entries,), row a place in `listed`, sorted by row and day. days: how many there are;
    what came later counts for the last one.
    """

    listed: np.ndarray
    whole: np.ndarray
    row: np.ndarray
    day: np.ndarray
    came: np.ndarray
    days: int

    @classmethod
    def of(cls, results: Outcomes) -> Arrivals:
        """From results that list conversions by day; days are counted from the midnight before the start."""
        daily = results.daily
        assert daily is not None
        midnight = results.starts.astype("datetime64[D]").astype("datetime64[us]")
        whole = ((results.until - midnight) / DAY).astype(int)
        row = daily.row.to_numpy()
        age = ((daily.date.to_numpy() - midnight[row]) / DAY).astype(int)
        keep = (age >= 0) & (age < whole[row])
        row, age, came = row[keep], age[keep], daily.conversions.to_numpy()[keep]
        listed, place = np.unique(row, return_inverse=True)
        days = int(min(age.max(initial=0) + 1, MOST_DAYS))
        cells, entry = np.unique(place * days + np.minimum(age, days - 1), return_inverse=True)
        return cls(listed, whole[listed], cells // days, cells % days, np.bincount(entry, came, len(cells)), days)

    @property
    def totals(self) -> np.ndarray:
        """All that came of each row on whole days (rows,)."""
        return np.bincount(self.row, self.came, len(self.listed))

    def blocks(self, chosen: np.ndarray | None = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Rows in order, a block at a time, and what came of them by day (rows, days); `chosen` rows alone or all."""
        rows = np.arange(len(self.listed)) if chosen is None else chosen
        first = np.searchsorted(self.row, np.arange(len(self.listed) + 1))
        for block in small_blocks(len(rows), self.days):
            now = rows[block]
            entries = first[now + 1] - first[now]
            place = np.repeat(np.arange(len(now)), entries)
            at = np.repeat(first[now] - np.cumsum(entries) + entries, entries) + np.arange(len(place))
            table = np.zeros((len(now), self.days))
            table[place, self.day[at]] = self.came[at]
            yield now, table

    def sums(self, weight: np.ndarray, parts: Sequence[tuple[np.ndarray, int]]) -> list[tuple[np.ndarray, np.ndarray]]:
        """For each way to part the rows, what came on each day and what came up to it, where that day was counted.

        weight: of the rows (rows,). parts: the part of each row (rows,), below 0 for none, and the number of parts.
        Sums are (parts, days) each.
        """
        out = [(np.zeros((size, self.days)), np.zeros((size, self.days))) for _, size in parts]
        for rows, table in self.blocks():
            weights = weight[rows][:, None] * (self.whole[rows][:, None] > np.arange(self.days))
            so_far = weights * np.cumsum(table, axis=1)
            came = weights * table
            for (part, _), (on_day, up_to) in zip(parts, out, strict=True):
                labels = part[rows]
                for label in np.unique(labels[labels >= 0]):
                    mine = labels == label
                    on_day[label] = added(on_day[label], came[mine])
                    up_to[label] = added(up_to[label], so_far[mine])
        return out
