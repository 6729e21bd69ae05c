"""The rows that a training saw: known again by content, kept with its run, read back or given up with a sentence."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from models.monitoring import training_rows
from models.monitoring.training_rows import COLUMNS, FILE
from models.registry import runs
from models.registry.artifacts import local_path
from models.scorer import Scorer
from tests.support.batches import changed, market, training_of
from tests.support.past_market import spine, training
from tests.support.small_store import NAME, enter

FRAME = market(60)


def test_content_decides_a_fingerprint() -> None:
    rows = training_rows.training_rows(training_of(FRAME))
    assert tuple(rows) == COLUMNS
    assert rows.settled.all()
    assert not rows.kept_out.any()
    assert rows.expected.isna().all()
    assert rows.promised.isna().all()
    promised = training_rows.training_rows(training_of(FRAME), promised=pd.Series({"r00007": 0.25})).promised
    assert promised.tolist()[7] == 0.25
    assert promised.notna().sum() == 1
    text = FRAME.assign(creator_id=FRAME.creator_id.astype(object), conversions=FRAME.conversions.astype(float))
    again = training_rows.training_rows(training_of(text.assign(objective="other")))
    assert (again.terms == rows.terms).all()
    assert (again.outcome == rows.outcome).all()
    one = np.arange(60) == 7
    for column, value in {"spend": 1.0, "brand": "x", "promotion_hours": 5.0, "creator_id": "c900"}.items():
        other = training_rows.training_rows(training_of(changed(FRAME, one, {column: value})))
        assert ((other.terms != rows.terms) == one).all()
        assert (other.outcome == rows.outcome).all()
    other = training_rows.training_rows(training_of(changed(FRAME, one, {"conversions": 10_000})))
    assert ((other.outcome != rows.outcome) == one).all()
    assert (other.terms == rows.terms).all()


def test_a_model_expects_only_what_it_did_not_know(small_scorer: Scorer) -> None:
    frame = pd.concat([spine(60), spine(20, 1).assign(collaboration_id=lambda t: "n" + t.collaboration_id)])
    frame = frame.sort_values("starts_at", kind="stable", ignore_index=True)
    seen, made = frame.collaboration_id.str.startswith("r").to_numpy(), training(frame)
    expected = training_rows.expected(small_scorer, made)
    past = small_scorer.past.set_index("collaboration_id").rate.reindex(frame.collaboration_id[seen])
    known = past.to_numpy(float) * frame.spend[seen].to_numpy()
    np.testing.assert_allclose(expected[seen], known)
    assert np.isnan(known).any()
    assert np.isfinite(expected[~seen]).all()
    anyway = training_rows.expected(small_scorer, made, seen)
    assert np.isfinite(anyway).all()
    assert (anyway[seen][~np.isnan(known)] == expected[seen][~np.isnan(known)]).all()


def test_a_run_keeps_them_for_the_next_training(
    tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    client, notes = enter(tmp_path, monkeypatch), list[str]()
    assert training_rows.newest(client, NAME, notes.extend) is None
    assert notes == []
    rows = training_rows.training_rows(training_of(FRAME), kept_out=["r00003"])
    run, cut_off = runs.start(client, NAME, 1), runs.start(client, NAME, 2)
    training_rows.log(client, run, rows)
    training_rows.log(client, cut_off, rows[:10])
    assert training_rows.newest(client, NAME, notes.extend) is None
    assert notes == []
    client.set_terminated(run, "FINISHED")
    fold = client.create_run(client.get_run(run).info.experiment_id, 3, {"mlflow.parentRunId": run}).info.run_id
    client.set_terminated(fold, "FINISHED")
    found = training_rows.newest(client, NAME, notes.extend)
    assert notes == []
    assert found is not None
    pd.testing.assert_frame_equal(found, rows)
    folder = local_path(client.get_run(run).info.artifact_uri)
    assert folder is not None
    rows.drop(columns="promised").to_parquet(folder / FILE, index=False)  # as an earlier version wrote it
    older = training_rows.newest(client, NAME, notes.extend)
    assert older is not None
    pd.testing.assert_frame_equal(older, rows)
    for content, why in ((b"PAR1 no more", "damaged"), (None, "not there")):
        (folder / FILE).unlink()
        if content:
            (folder / FILE).write_bytes(content)
        assert training_rows.newest(client, NAME, notes.extend) is None
        assert run in notes[-1]
        assert why in notes[-1]
