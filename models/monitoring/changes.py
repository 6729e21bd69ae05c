"""What is new, changed or gone since the last training, and which rows stand there twice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from models.monitoring.training_rows import LINKS

# A result that had settled may still grow a little where counting goes on past the attribution window.
LATE_SHARE, LATE_COUNT = 0.2, 2.0
# Deals that are the same in every term happen (two posts of one campaign); three of one batch are a copy.
LEAST_TWINS = 3


@dataclass(frozen=True)
class Changes:
    """The rows of a training beside those of the one before, as masks (rows,) in the training's order.

    new: of an id that was not there, or kept out before and corrected since. changed: other terms, or a count that fell
    before it had settled. resettled: a result that had settled and is another now. grown: young, and counted up to a
    later moment, whether or not conversions came: those alone whose conversions grew would be the better ones.
    kept_out: left out of the last training, and not corrected. vanished: ids that are gone, of the rows that trained.
    before: how many those were. known: by name of LINKS, the share of the rows present in both that found something
    then, and now.
    """

    new: np.ndarray
    changed: np.ndarray
    resettled: np.ndarray
    grown: np.ndarray
    kept_out: np.ndarray
    vanished: tuple[str, ...]
    before: int
    known: dict[str, tuple[float, float]]

    @property
    def unchanged(self) -> np.ndarray:
        """Rows that are as they were."""
        return ~(self.new | self.changed | self.resettled | self.grown)

    @property
    def batch(self) -> np.ndarray:
        """Rows that the training before did not see as they are now."""
        return ~self.unchanged

    def counts(self) -> dict[str, int]:
        """How many rows of each kind there are."""
        return {
            "new": int(self.new.sum()),
            "changed": int(self.changed.sum()),
            "changed after they had settled": int(self.resettled.sum()),
            "counted further": int(self.grown.sum()),
            "gone": len(self.vanished),
            "as they were": int(self.unchanged.sum()),
        }

    def kinds(self) -> np.ndarray:
        """Why a row is part of the batch, in a word (rows,)."""
        names = ("new", "changed", "changed after it settled", "counted further")
        return np.select([self.new, self.changed, self.resettled, self.grown], names, "as it was")


def compare(rows: pd.DataFrame, before: pd.DataFrame) -> Changes:
    """The changes between two tables as `training_rows` gives them."""
    old = before.set_index("collaboration_id").reindex(rows.collaboration_id)
    there = old.terms.notna().to_numpy()
    left_out = old.kept_out.eq(True).to_numpy(bool)  # missing where the row is new
    settled = old.settled.eq(True).to_numpy(bool)
    other_terms = there & (old.terms.to_numpy() != rows.terms.to_numpy())
    then, now = old.conversions.to_numpy(float), rows.conversions.to_numpy(float)
    until, until_then = rows.observed_until.to_numpy(), old.observed_until.to_numpy("datetime64[us]")
    room = np.where(settled, LATE_SHARE * then + LATE_COUNT, np.inf)
    plain = (until >= until_then) & (now >= then) & (now <= then + room)
    same_outcome = old.outcome.to_numpy() == rows.outcome.to_numpy()
    # another count of the same moment is a correction, one of a later moment is none
    kept_out = left_out & ~other_terms & (same_outcome | (plain & (until > until_then)))
    new = ~there | (left_out & ~kept_out)
    other_outcome = ~new & ~other_terms & ~same_outcome
    both = rows[~new]
    return Changes(
        new=new,
        changed=(other_terms & ~new) | (other_outcome & ~plain & ~settled),
        resettled=other_outcome & ~plain & settled,
        grown=other_outcome & plain & ~settled & ~kept_out,
        kept_out=kept_out,
        vanished=tuple(sorted(set(before.collaboration_id[~before.kept_out]) - set(rows.collaboration_id))),
        before=int((~before.kept_out).sum()),
        known={
            name: (float(old[name][~new].astype(float).mean()), float(both[name].mean())) if len(both) else (0.0, 0.0)
            for name in LINKS
        },
    )


def twins(rows: pd.DataFrame, late: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows (bool) whose content an earlier row has under another id, and the position of that row.

    late: rows (bool) that count as the copies where a copy could be either. Same terms are enough for a copy of a row
    that had been there; among rows that are both new the results must be the same, too.
    """
    order = np.lexsort([rows.collaboration_id.to_numpy(str), late])
    place = pd.Series(order)
    copied, first = np.zeros(len(rows), bool), np.full(len(rows), -1)
    terms = rows.terms.iloc[order].reset_index(drop=True)
    outcome = rows.outcome.iloc[order].reset_index(drop=True)
    for keys in ([terms], [terms, outcome]):
        original = place.groupby(keys).transform("first").to_numpy()
        at = np.flatnonzero(original != order)
        if len(keys) == 1:
            at = at[late[order[at]] & ~late[original[at]]]
        copied[order[at]], first[order[at]] = True, original[at]
    return copied, first


def vanished_under_other_ids(rows: pd.DataFrame, changes: Changes, before: pd.DataFrame) -> int:
    """How many of the vanished rows are there under another id."""
    gone = before[before.collaboration_id.isin(changes.vanished)].terms
    return int(gone.isin(rows.terms[changes.new]).sum())
