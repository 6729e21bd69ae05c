"""Whether the creators of a batch have posts, comments and earlier deals as often as those of older rows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from models.monitoring.batch import Batch
from models.monitoring.findings import Finding
from models.monitoring.residuals import LEAST_OLDER
from models.monitoring.segments import SURE

# A share of rows that find something may fall by half before it is more than another sort of campaign.
LEAST_FALL = 0.5
LEAST_SHARE = 0.1  # of older rows that must find something before its absence says anything
RECENT = 0.5  # share of older rows that shows what is ordinary: of the first ones no creator could be known
DRAWS = 200
WORDS = {"posts": "have posts", "record": "had earlier deals", "comments": "have comments"}
DECISIVE = ("posts", "record")  # comments may be a sample


@dataclass(frozen=True)
class Fall:
    """A share of rows that find something: before, now, its standard deviation by chance; rows (bool) that do not."""

    before: float
    now: float
    spread: float
    rows: np.ndarray


def fallen_share(finds: np.ndarray, batch: np.ndarray, older: np.ndarray, rng: np.random.Generator) -> Fall | None:
    """The fall of the share of a batch's rows that find something; None where chance explains it.

    finds, batch, older: rows (bool), in the order of time.
    """
    reference = np.flatnonzero(older)
    reference = reference[-max(int(len(reference) * RECENT), LEAST_OLDER) :]
    n = int(batch.sum())
    if len(reference) < LEAST_OLDER or not n:
        return None
    before, now = float(finds[reference].mean()), float(finds[batch].mean())
    # neighbours in time are alike: the spread among runs of as many rows, never less than that of independent rows
    size = min(n, len(reference) // 2)
    starts = rng.integers(0, len(reference) - size + 1, DRAWS)
    runs = finds[reference[starts[:, None] + np.arange(size)]].mean(axis=1)
    spread = float(max(runs.std(), np.sqrt(max(before * (1 - before), 0.02) / n)))
    if before < LEAST_SHARE or now > LEAST_FALL * before or before - now <= SURE * spread:
        return None
    return Fall(before, now, spread, batch & ~finds)


def unlinked(batch: Batch) -> Iterator[Finding]:
    """Rows of creators who are suddenly unknown, or without posts; new brands and platforms bring such creators."""
    if not batch.judged:
        return
    falls: dict[str, Fall] = {}
    usual = _usual(batch)
    for rows in batch.candidates().values():
        for name in WORDS:
            fall = fallen_share(batch.rows[name].to_numpy(bool), rows & usual, batch.older, batch.rng)
            if fall and (name not in falls or fall.now / fall.before < falls[name].now / falls[name].before):
                falls[name] = fall
    if not falls:
        return
    decisive = [falls[name].rows for name in DECISIVE if name in falls]
    missing = np.logical_or.reduce(decisive or [fall.rows for fall in falls.values()])
    ids = batch.training.creators
    written = other_form(ids[missing], ids[batch.older])
    likely = "ids of another form" if written or decisive else "comments that were not exported for them"
    shares = ", ".join(
        f"{fall.now:.0%} {WORDS[name]} where {fall.before:.0%} did before" for name, fall in falls.items()
    )
    segment = f"{missing.sum():,} results"
    sentence = f"{segment}: of the creators of the batch {shares}; most likely {likely}{written}"
    worst = min(falls.values(), key=lambda fall: fall.now / fall.before)
    low, high = (max(worst.now + side * worst.spread, 0.0) / worst.before for side in (-2, 2))
    effect = worst.now / worst.before
    yield Finding(segment, "joins", likely, sentence, batch.ids(missing), bool(decisive), effect, low, high)
    if decisive:
        batch.out |= missing


def _usual(batch: Batch) -> np.ndarray:
    """Rows (bool) of brands and platforms that older rows know."""
    spine, matrix, older = batch.training.spine, batch.training.matrix, batch.older
    known = spine.brand.isin(spine.brand[older]).to_numpy(bool)
    if "platform" in matrix:
        known = known & matrix.platform.fillna("").isin(matrix.platform[older].fillna("")).to_numpy()
    return known


def form(identifier: str) -> str:
    """How an id is made: 9 for a run of digits, a for one of letters, the rest as it is."""
    return re.sub(r"[^\W\d_]+", "a", re.sub(r"\d+", "9", identifier))


def other_form(identifiers: np.ndarray, older: np.ndarray) -> str:
    """How these ids are written, in words, where most of them are written as no older one is; else empty."""
    known = {form(str(one)) for one in pd.unique(older)}
    texts = [str(one) for one in identifiers.tolist()]
    strange = [text for text in texts if form(text) not in known]
    if len(strange) * 2 <= len(texts):
        return ""
    usual = Counter(form(str(one)) for one in older.tolist()).most_common(1)[0][0]
    like = next(str(one) for one in older.tolist() if form(str(one)) == usual)
    return f" ({strange[0]!r} where they were like {like!r})"
