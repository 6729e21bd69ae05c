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
# Where the counts of so large a share of what was kept out were corrected, the batch was delivered again: the others of
# it may have been right all along, or be right now by a higher count, and all of it is judged anew.
DELIVERED_AGAIN = 0.1


@dataclass(frozen=True)
class Changes:
    """The rows of a training beside those of the one before, as masks (rows,) in the training's order.

    new: of an id that was not there. back: kept out before, and corrected since or delivered again with others that
    were; `as_they_are` of them were not corrected themselves. changed: other terms, or a count that fell before it had
    settled. resettled: a result that had settled and is another now. grown: young, and counted up to a later moment,
    whether or not conversions came: those alone whose conversions grew would be the better ones. kept_out: left out of
    the last training, and still out. vanished: ids that are gone, of the rows that trained. before: how many those
    were. known: by name of LINKS, the share of the rows present in both that found something then, and now.
    """

    new: np.ndarray
    back: np.ndarray
    as_they_are: int
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
        return ~(self.new | self.back | self.changed | self.resettled | self.grown)

    @property
    def batch(self) -> np.ndarray:
        """Rows that the training before did not see as they are now."""
        return ~self.unchanged

    def counts(self) -> dict[str, int]:
        """How many rows of each kind there are."""
        return {
            "new": int(self.new.sum()),
            "back after they were kept out": int(self.back.sum()),
            "changed": int(self.changed.sum()),
            "changed after they had settled": int(self.resettled.sum()),
            "counted further": int(self.grown.sum()),
            "gone": len(self.vanished),
            "as they were": int(self.unchanged.sum()),
        }

    def kinds(self) -> np.ndarray:
        """Why a row is part of the batch, in a word (rows,)."""
        names = ("new", "back after they were kept out", "changed", "changed after it settled", "counted further")
        masks = [self.new, self.back, self.changed, self.resettled, self.grown]
        return np.select(masks, names, "as it was")


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
    corrected = left_out & (other_terms | ~(same_outcome | (plain & (until > until_then))))
    recounted = int((corrected & ~other_terms).sum())
    delivered_again = recounted > 0 and recounted >= DELIVERED_AGAIN * left_out.sum()
    back = left_out if delivered_again else corrected
    seen = there & ~left_out
    other_outcome = seen & ~other_terms & ~same_outcome
    both = there & ~back
    return Changes(
        new=~there,
        back=back,
        as_they_are=int((back & ~corrected).sum()),
        changed=(other_terms & seen) | (other_outcome & ~plain & ~settled),
        resettled=other_outcome & ~plain & settled,
        grown=other_outcome & plain & ~settled,
        kept_out=left_out & ~back,
        vanished=tuple(sorted(set(before.collaboration_id[~before.kept_out]) - set(rows.collaboration_id))),
        before=int((~before.kept_out).sum()),
        known={
            name: (float(old[name][both].astype(float).mean()), float(rows[name][both].mean()))
            if both.any()
            else (0.0, 0.0)
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
