"""What changed since the last training: corrections are set apart from young results that were counted further."""

from __future__ import annotations

import numpy as np
import pandas as pd

from models.monitoring.changes import compare, twins, vanished_under_other_ids
from models.monitoring.training_rows import training_rows
from tests.support.batches import changed, market, training_of

FRAME = market(60)
YOUNG = np.arange(60) >= 50
THEN = FRAME.assign(observed_until=FRAME.starts_at.where(YOUNG, FRAME.observed_until) + pd.Timedelta("2D"))


def rows(frame: pd.DataFrame) -> pd.DataFrame:
    return training_rows(training_of(frame))


def test_young_results_may_grow_and_settled_ones_may_not() -> None:
    grown = changed(THEN, YOUNG, {"conversions": THEN.conversions * 3 + 5, "observed_until": FRAME.observed_until})
    found = compare(rows(grown), rows(THEN))
    assert found.grown.tolist() == YOUNG.tolist()
    assert not (found.changed | found.resettled | found.new).any()
    assert (found.kinds() == np.where(YOUNG, "counted further", "as it was")).all()
    settled = compare(rows(changed(THEN, ~YOUNG, {"conversions": THEN.conversions * 3 + 5})), rows(THEN))
    assert settled.resettled.tolist() == (~YOUNG).tolist()
    assert not settled.grown.any()
    late = compare(rows(changed(THEN, ~YOUNG, {"conversions": THEN.conversions + 1})), rows(THEN))
    assert late.unchanged.all()


def test_only_a_later_count_is_no_change() -> None:
    found = compare(rows(THEN.assign(observed_until=THEN.observed_until + pd.Timedelta("1D"))), rows(THEN))
    assert found.unchanged.tolist() == (~YOUNG).tolist()
    # whatever has grown: to look at those alone would be to look at the better ones
    assert found.grown.tolist() == YOUNG.tolist()


def test_fewer_conversions_and_other_terms_are_changes() -> None:
    fewer = THEN.conversions.where(THEN.conversions == 0, THEN.conversions - 1)
    found = compare(rows(changed(THEN, YOUNG, {"conversions": fewer})), rows(THEN))
    assert found.changed.tolist() == (YOUNG & (THEN.conversions > 0)).tolist()
    other = compare(rows(changed(THEN, YOUNG, {"spend": THEN.spend * 2})), rows(THEN))
    assert other.changed.tolist() == YOUNG.tolist()
    assert other.counts()["changed"] == 10


def test_new_and_vanished_rows() -> None:
    found = compare(rows(THEN[5:]), rows(THEN[:50]))
    assert found.new.sum() == 10
    assert found.vanished == tuple(THEN.collaboration_id[:5])
    assert found.before == 50
    assert found.known["posts"] == (1.0, 1.0)
    renamed = rows(THEN.assign(collaboration_id="x" + THEN.collaboration_id))
    assert vanished_under_other_ids(renamed, compare(renamed, rows(THEN)), rows(THEN)) == 60


def test_rows_kept_out_before_are_back_once_they_are_corrected() -> None:
    ids = THEN.collaboration_id[YOUNG]
    before = training_rows(training_of(THEN), kept_out=set(ids))
    further = changed(THEN, YOUNG, {"conversions": THEN.conversions * 3, "observed_until": FRAME.observed_until})
    still = compare(rows(further), before)
    assert still.kept_out.tolist() == YOUNG.tolist()
    assert not still.batch.any()
    assert still.vanished == ()
    corrected = compare(rows(changed(THEN, YOUNG, {"spend": THEN.spend / 100})), before)
    assert corrected.back.tolist() == YOUNG.tolist()
    assert not (corrected.kept_out | corrected.changed | corrected.new).any()
    upwards = compare(rows(changed(THEN, YOUNG, {"conversions": THEN.conversions * 24 + 1})), before)
    assert upwards.back.tolist() == YOUNG.tolist()
    assert (upwards.kinds()[YOUNG] == "back after they were kept out").all()
    assert upwards.counts()["back after they were kept out"] == 10
    assert upwards.as_they_are == 0
    assert compare(rows(THEN[:50]), before).vanished == ()


def test_a_batch_whose_counts_were_corrected_comes_back_as_a_whole() -> None:
    before = training_rows(training_of(THEN), kept_out=set(THEN.collaboration_id[YOUNG]))
    first = np.arange(60) == 50
    corrected = changed(THEN, first, {"conversions": THEN.conversions + 7})
    found = compare(rows(corrected), before)
    assert found.back.tolist() == YOUNG.tolist()
    assert found.as_they_are == 9
    assert not found.kept_out.any()
    # one in more than ten is somebody's correction of a row, and other terms say nothing of the others' counts
    wide = np.arange(60) >= 49
    known = training_rows(training_of(THEN), kept_out=set(THEN.collaboration_id[wide]))
    assert compare(rows(corrected), known).back.tolist() == first.tolist()
    terms = compare(rows(changed(THEN, first, {"spend": THEN.spend / 100})), before)
    assert terms.back.tolist() == first.tolist()
    assert terms.kept_out.sum() == 9


def test_a_copy_is_known_by_its_terms_where_the_original_was_there() -> None:
    copies = THEN[10:20].assign(collaboration_id="a" + THEN.collaboration_id[10:20], conversions=7)
    both = rows(pd.concat([THEN, copies]).sort_values("starts_at", kind="stable", ignore_index=True))
    late = both.collaboration_id.str.startswith("a").to_numpy()
    found, first = twins(both, late)
    assert found.tolist() == late.tolist()
    assert (both.collaboration_id[first[late]].to_numpy() == both.collaboration_id[late].str[1:].to_numpy()).all()
    # where neither is known to be the older one, the results must be the same, too
    assert not twins(both, np.zeros(len(both), bool))[0].any()
    same = rows(pd.concat([THEN, copies.assign(conversions=THEN.conversions)]).reset_index(drop=True))
    assert twins(same, np.zeros(len(same), bool))[0].sum() == 10
