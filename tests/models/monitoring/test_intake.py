"""The door: slips are found, named and kept out as the smallest set of rows; an ordinary batch passes."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from features.comment_classifier.classifier import CommentClassifier
from features.settings import FeatureSettings
from models.estimators.rate import RECIPES
from models.monitoring.findings import Intake
from models.monitoring.intake import examine
from models.scorer import Scorer
from models.training import fit
from tests.support.batches import changed, market, seen, training_of, with_links

OLD, ALL = 340, 400
FRAME = market(ALL)
NEW = np.arange(ALL) >= OLD
BEFORE = seen(FRAME, OLD)


def look(frame: pd.DataFrame, before: pd.DataFrame | None = BEFORE, champion: Scorer | None = None) -> Intake:
    return examine(training_of(frame), before, champion)


def ids(rows: np.ndarray) -> set[str]:
    return set(FRAME.collaboration_id[rows])


def test_an_ordinary_batch_passes() -> None:
    found = look(FRAME)
    assert found.findings == ()
    assert not found.closed
    assert found.alarms() == ()
    assert not len(found.kept_out)
    assert {kind: count for kind, count in found.counts.items() if count} == {"new": 60, "as they were": 340}
    assert found.in_words()[0] == "400 results; since the last training 60 new, 340 as they were"


@pytest.mark.parametrize(
    ("column", "factor", "quantity", "likely"),
    [
        ("spend", 100, "spend", "cents given as dollars"),
        ("spend", 1 / 100, "spend", "dollars that were divided by 100"),
        ("spend", 10, "spend", "a decimal point one place too far to the right, or another currency"),
        ("spend", 30, "spend", "another currency"),
        ("conversions", 100, "conversions", "counts multiplied by 100"),
        ("conversions", 10, "conversions", "counts multiplied by 10"),
        ("promotion_hours", 1 / 24, "hours", "days given as hours"),
        ("promotion_hours", 60, "hours", "minutes given as hours"),
    ],
)
@pytest.mark.parametrize("known", [True, False])
def test_a_slip_of_a_batch_is_named_and_its_rows_are_kept_out(
    column: str, factor: float, quantity: str, likely: str, known: bool
) -> None:
    slipped = changed(FRAME, NEW, {column: FRAME[column] * factor})
    found = look(slipped, BEFORE if known else None)
    (finding,) = found.findings
    assert finding.quantity == quantity
    assert finding.likely.startswith(likely)
    assert finding.low < finding.effect < finding.high
    assert finding.low < 1.5 * factor
    assert finding.high > factor / 1.5
    missed, wrong = ids(NEW) - set(found.kept_out.collaboration_id), set(found.kept_out.collaboration_id) - ids(NEW)
    assert len(missed) <= (0 if known else 2)
    assert len(wrong) <= (0 if known else 2)
    assert not found.closed
    (alarm,) = found.alarms()
    assert alarm.source == "intake"
    assert likely in alarm.sentence


@pytest.fixture(scope="module")
def champion() -> Scorer:
    """A quick model of the older rows."""
    return fit(training_of(FRAME[:OLD]), FeatureSettings(), CommentClassifier.load(), recipes=RECIPES[-1:]).scorer


@pytest.mark.slow
def test_the_champion_is_asked_what_it_expects(champion: Scorer) -> None:
    found = look(changed(FRAME, NEW, {"conversions": FRAME.conversions * 100}), BEFORE, champion)
    assert "the champion" in found.findings[0].sentence
    assert set(found.kept_out.collaboration_id) == ids(NEW)


def test_only_the_brand_that_slipped_is_kept_out() -> None:
    rows = NEW & (FRAME.brand == "north").to_numpy()
    found = look(changed(FRAME, rows, {"spend": FRAME.spend * 100}))
    assert [finding.segment for finding in found.findings] == ["brand north"]
    assert set(found.kept_out.collaboration_id) == ids(rows)


def test_larger_deals_that_bring_more_pass() -> None:
    larger = changed(FRAME, NEW, {"spend": FRAME.spend * 5, "conversions": FRAME.conversions * 5})
    assert look(larger).findings == ()


@pytest.mark.parametrize("factor", [0.6, 1.4])
def test_a_level_that_drifts_passes(factor: float) -> None:
    drifted = changed(FRAME, NEW, {"conversions": (FRAME.conversions * factor).round(), "spend": FRAME.spend * factor})
    assert look(drifted).findings == ()


@pytest.mark.slow
def test_shuffled_counts_are_found(champion: Scorer) -> None:
    assert look(FRAME, BEFORE, champion).findings == ()
    shuffled = FRAME.conversions.to_numpy().copy()
    shuffled[NEW] = np.random.default_rng(0).permutation(shuffled[NEW])
    found = look(FRAME.assign(conversions=shuffled), BEFORE, champion)
    assert [finding.quantity for finding in found.findings] == ["order of conversions"]
    assert set(found.kept_out.collaboration_id) == ids(NEW)


@pytest.mark.parametrize("known", [True, False])
def test_a_batch_under_new_ids_is_found(known: bool) -> None:
    twice = FRAME[200:250].assign(collaboration_id=lambda t: "x" + t.collaboration_id)
    frame = pd.concat([FRAME[:OLD], twice]).sort_values("starts_at", kind="stable", ignore_index=True)
    found = look(frame, BEFORE if known else None)
    (finding,) = found.findings
    assert finding.quantity == "duplicates"
    assert "'xr" in finding.sentence
    assert set(found.kept_out.collaboration_id) == set(twice.collaboration_id)


@pytest.mark.slow
def test_rows_that_vanish_close_the_door() -> None:
    found = look(FRAME[:100])
    assert found.closed
    assert "240 of the 340 results of the last training are gone" in found.reason
    assert next(alarm.sentence for alarm in found.alarms()) == found.reason
    (finding,) = found.findings
    assert finding.likely == "an export that was cut short"
    assert not finding.kept_out
    assert len(finding.rows) == 240


def test_ids_of_another_form_close_the_door() -> None:
    found = look(FRAME[:OLD].assign(collaboration_id=lambda t: "ID-" + t.collaboration_id))
    assert found.closed
    assert found.findings[0].likely == "ids of another form"


def test_settled_results_that_changed_close_the_door() -> None:
    shuffled = FRAME.assign(conversions=np.random.default_rng(0).permutation(FRAME.conversions))
    found = look(shuffled)
    assert found.closed
    assert "are others now" in found.reason


def test_unknown_creators_are_found() -> None:
    frame = changed(FRAME, NEW, {"creator_id": "IG_" + FRAME.creator_id})
    unknown = {"days_since_post": np.where(NEW, np.nan, 3.0), "creator_deals": np.where(NEW, 0.0, 5.0)}
    frame["creator_id"] = frame.creator_id.where(~NEW, "c999")
    training = with_links(training_of(frame), **unknown)
    frame_ids = training.spine.creator_id.where(~NEW, "IG_" + FRAME.creator_id)
    training = type(training)(training.matrix, training.spine.assign(creator_id=frame_ids), training.results)
    found = examine(training, BEFORE)
    joins = [finding for finding in found.findings if finding.quantity == "joins"]
    assert len(joins) == 1
    assert joins[0].likely == "ids of another form"
    assert "'IG_c" in joins[0].sentence
    assert set(joins[0].rows) == ids(NEW)


def test_posts_that_are_cut_short_close_the_door() -> None:
    found = examine(with_links(training_of(FRAME), days_since_post=np.where(np.arange(ALL) % 5, np.nan, 3.0)), BEFORE)
    assert found.closed
    assert "posts of their creator" in found.reason


def test_rows_once_kept_out_stay_out_until_they_are_corrected() -> None:
    before = seen(FRAME, ALL, kept_out=ids(NEW))
    found = look(FRAME, before)
    assert set(found.kept_out.collaboration_id) == ids(NEW)
    assert found.findings[0].quantity == "kept out before"
    later = {"conversions": FRAME.conversions + 1, "observed_until": FRAME.observed_until + pd.Timedelta(days=1)}
    further = look(changed(FRAME, NEW, later), seen(FRAME, ALL, kept_out=ids(NEW)))
    assert set(further.kept_out.collaboration_id) == ids(NEW), "nothing tells it from counting further"
    assert "or only counted up to a later moment, which corrects nothing" in str(further.findings[0])
    corrected = look(changed(FRAME, NEW, {"spend": FRAME.spend + 1}), before)
    assert not len(corrected.kept_out)
    assert corrected.counts["back after they were kept out"] == 60
    deleted = look(FRAME[:OLD], before)
    assert deleted.findings == ()
    assert deleted.counts["gone"] == 0


def in_another_order(rows: np.ndarray, seed: int) -> np.ndarray:
    """All conversions, those of some rows (bool) dealt out anew among them."""
    counts = FRAME.conversions.to_numpy(copy=True)
    counts[rows] = np.random.default_rng(seed).permutation(counts[rows])
    return counts


@pytest.mark.slow
def test_a_shuffled_batch_passes_once_it_is_delivered_again(champion: Scorer) -> None:
    wrong = in_another_order(NEW, 0)
    before = seen(FRAME.assign(conversions=wrong), ALL, kept_out=ids(NEW))
    right = changed(FRAME, NEW, {"observed_until": FRAME.observed_until + pd.Timedelta(days=7)})
    found = look(right, before, champion)
    assert found.findings == ()
    assert found.counts["back after they were kept out"] == 60
    (note,) = (note for note in found.notes if "judged again" in note)
    assert note == (
        "7 results that had been kept out are judged again beside 53 that were corrected since: they were most likely "
        "delivered again as one"
    )


@pytest.mark.slow
def test_a_batch_that_is_wrong_again_stays_out_beside_right_ones() -> None:
    again = (np.arange(ALL) >= OLD - 60) & ~NEW
    older = training_of(FRAME[: OLD - 60])
    champion = fit(older, FeatureSettings(), CommentClassifier.load(), recipes=RECIPES[-1:]).scorer
    before = seen(FRAME.assign(conversions=in_another_order(again, 1)), OLD, kept_out=ids(again))
    found = look(FRAME.assign(conversions=in_another_order(again, 2)), before, champion)
    assert found.counts["new"] == found.counts["back after they were kept out"] == 60
    assert set(found.kept_out.collaboration_id) == ids(again)
    assert "(results that are back after they were kept out)" in found.findings[0].sentence


def test_five_rows_pass_and_few_older_rows_judge_nothing() -> None:
    assert look(FRAME[: OLD + 5]).findings == ()
    found = look(changed(FRAME, NEW, {"spend": FRAME.spend * 100})[300:], seen(FRAME[300:], 30))
    assert found.findings == ()
    assert "are needed to judge their level" in found.notes[0]
    assert look(FRAME[:1], None).findings == ()


@pytest.mark.slow
def test_the_same_is_found_again_and_is_plain_json() -> None:
    slipped = changed(FRAME, NEW, {"spend": FRAME.spend * 100})
    first, again = look(slipped).to_dict(), look(slipped).to_dict()
    assert first == again
    assert json.loads(json.dumps(first, allow_nan=False)) == first


def test_a_first_training_on_counts_beside_the_wrong_rows_has_an_alarm() -> None:
    counts = np.random.default_rng(0).permutation(FRAME.conversions.to_numpy())
    found = look(FRAME.assign(conversions=counts), None)
    assert any("all 400 settled results follow nothing that they should" in str(alarm) for alarm in found.alarms())
    assert not found.closed
    assert not len(found.kept_out)
