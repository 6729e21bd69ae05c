"""The door: before a training the newest batch is held against what the champion expects of it and against older rows.

A batch is what is new or changed since the last training; where that is not known, the newest rows by their start.
Only the smallest set of rows that chance does not explain is kept out, each listed with what it most likely is. An
ordinary batch passes: a level that drifts by 20 to 40 %, a new brand with its own prices, young results that are
counted further.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from models.monitoring.batch import Batch
from models.monitoring.changes import LEAST_TWINS, Changes, compare, twins, vanished_under_other_ids
from models.monitoring.findings import Finding, Intake, kept_out
from models.monitoring.level_slips import level_slips
from models.monitoring.links import LEAST_FALL, LEAST_SHARE, unlinked
from models.monitoring.order import shuffled, unrelated
from models.monitoring.residuals import LEAST_OLDER
from models.monitoring.training_rows import training_rows
from models.scorer import Scorer
from models.training import TrainingSet

# With more than a tenth of the rows gone it is another export than the last one. Of changed rows it takes a fifth: a
# slip in a tenth of them is kept out, and the rest trains. From 1 % on somebody should know.
MOST_VANISHED, MOST_CHANGED, WORTH_A_LOOK = 0.1, 0.2, 0.01
LEAST_CLOSING, LEAST_LOOK = 10, 5
MOST_KEPT_OUT = 0.5  # of all rows: what is left would be another market
FORCED = "nothing is trained; train with --force if it is meant"
LINKED = {
    "posts": "posts of their creator",
    "comments": "comments on their creator's posts",
    "record": "earlier deals of their creator",
    "daily": "their conversions by day",
}


def examine(
    training: TrainingSet, before: pd.DataFrame | None, champion: Scorer | None = None, *, seed: int = 0
) -> Intake:
    """Hold the newest batch against what is expected of it; same training, before, champion and seed, same result.

    before: `training_rows` of the last training, None where it is not known.
    """
    rows = training_rows(training)
    changes = None if before is None else compare(rows, before)
    batch = Batch(training, rows, changes, champion, np.random.default_rng(seed))
    findings = [*_still_out(batch)]
    if changes is not None and before is not None:
        findings += [*_gone(rows, changes, before), *_changed(batch, changes), *_unlinked_since(changes)]
    findings += [*_copies(batch), *level_slips(batch), *unlinked(batch), *shuffled(batch), *unrelated(training)]
    kept = kept_out(findings)
    reason = _reason_to_close(len(rows), changes, len(kept))
    counts = {} if changes is None else changes.counts()
    notes = (*_back_as_they_are(changes), *batch.notes)
    return Intake(len(rows), counts, tuple(findings), kept, bool(reason), reason, notes)


def _still_out(batch: Batch) -> Iterator[Finding]:
    """Rows that were kept out of the last training and were not corrected since."""
    if rows := batch.ids(batch.out):
        count, likely = f"{len(rows):,} results", "not corrected since"
        sentence = (
            f"{count} were kept out of the last training and were not corrected since, or only counted up to a later "
            "moment, which corrects nothing; correct them, or use --force once if they are right"
        )
        yield Finding(count, "kept out before", likely, sentence, rows)


def _back_as_they_are(changes: Changes | None) -> Iterator[str]:
    """That rows which were kept out are judged again although nothing shows that they were corrected."""
    if changes is not None and (count := changes.as_they_are):
        others = int(changes.back.sum()) - count
        yield (
            f"{count:,} results that had been kept out are judged again beside {others:,} that were corrected since: "
            "they were most likely delivered again as one"
        )


def _copies(batch: Batch) -> Iterator[Finding]:
    """Rows that are there under another id."""
    new = np.zeros(len(batch.rows), bool) if batch.changes is None else batch.changes.new | batch.changes.back
    copied, first = twins(batch.rows, new)
    copied &= ~batch.out if batch.changes is None else new & ~batch.out
    if copied.sum() < LEAST_TWINS:
        return
    at = int(np.flatnonzero(copied)[0])
    ids, count, likely = batch.rows.collaboration_id, f"{copied.sum():,} results", "a batch that was delivered twice"
    sentence = (
        f"{count} are others under another id ({ids[at]!r} is {ids[first[at]]!r}); most likely {likely}, under new ids"
    )
    yield Finding(count, "duplicates", likely, sentence, batch.ids(copied))
    batch.out |= copied


def _gone(rows: pd.DataFrame, changes: Changes, before: pd.DataFrame) -> Iterator[Finding]:
    """Rows of the last training that are not there any more."""
    gone = len(changes.vanished)
    if gone < LEAST_LOOK or gone <= WORTH_A_LOOK * changes.before:
        return
    renamed = vanished_under_other_ids(rows, changes, before)
    likely = "ids of another form" if renamed > gone / 2 else "an export that was cut short"
    extra = f", {renamed:,} of them are there under other ids" if renamed else ""
    sentence = f"{gone:,} of the {changes.before:,} results of the last training are gone{extra}; most likely {likely}"
    yield Finding(f"{gone:,} results", "vanished", likely, sentence, changes.vanished, False, 1 - gone / changes.before)


def _changed(batch: Batch, changes: Changes) -> Iterator[Finding]:
    """Rows that are others than at the last training, but for young results that were counted further."""
    for rows, what, likely in (
        (changes.resettled, "results had settled and have other conversions now", "another way of counting"),
        (changes.changed, "results have other terms, or fewer conversions, than before", "corrections"),
    ):
        count = int(rows.sum())
        if count >= LEAST_LOOK and count > WORTH_A_LOOK * changes.before:
            sentence = f"{count:,} {what}; most likely {likely}, or a slip in the export"
            yield Finding(f"{count:,} results", "changed", likely, sentence, batch.ids(rows), False)


def _unlinked_since(changes: Changes) -> Iterator[Finding]:
    """Tables that say less of the rows that were there before."""
    for name in _tables_cut_short(changes):
        then, now = changes.known[name]
        likely = "a table that was cut short, or ids of another form"
        sentence = (
            f"{now:.0%} of the results of the last training find {LINKED[name]}, where {then:.0%} did then; "
            f"most likely {likely}"
        )
        yield Finding("results of the last training", "joins", likely, sentence, (), False, now / then)


def _tables_cut_short(changes: Changes) -> list[str]:
    if changes.before < LEAST_OLDER:
        return []
    return [name for name, (then, now) in changes.known.items() if then >= LEAST_SHARE and now <= LEAST_FALL * then]


def _reason_to_close(total: int, changes: Changes | None, out: int) -> str:
    """Why there should be no training; empty where there may be one."""
    if out > MOST_KEPT_OUT * total:
        return f"{out:,} of {total:,} results would be kept out, and the rest is another market; {FORCED}"
    if changes is None:
        return ""
    gone, other = len(changes.vanished), int((changes.changed | changes.resettled).sum())
    if gone >= LEAST_CLOSING and gone > MOST_VANISHED * changes.before:
        return f"{gone:,} of the {changes.before:,} results of the last training are gone; {FORCED}"
    if other >= LEAST_CLOSING and other > MOST_CHANGED * changes.before:
        return f"{other:,} of the {changes.before:,} results of the last training are others now; {FORCED}"
    if tables := _tables_cut_short(changes):
        found = " and ".join(LINKED[name] for name in tables)
        return f"results of the last training do not find {found} any more; {FORCED}"
    return ""
