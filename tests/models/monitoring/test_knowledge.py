"""What DATA knew, kept as a text to the bit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from features.history.source import fingerprint, open_history
from models.evaluation.baselines import OwnRecords
from models.monitoring.knowledge import Knowledge
from models.training import Trained
from tests.support.past_market import write_tables


def test_it_is_the_own_record_of_mature_results_and_reads_back(tmp_path: Path, trained: Trained) -> None:
    write_tables(tmp_path, rows=80)
    with open_history(tmp_path / "data") as history:
        known = Knowledge.of(history, trained.scorer)
        deals = history.collaborations.to_pandas()
        assert known.data == fingerprint(history)
    again = Knowledge.from_json(known.to_json())
    creators = [*deals.creator_id.unique()[:5], "nobody", "17"]
    assert again.data == known.data
    assert again.own_records(creators) == known.own_records(creators)
    # every result's window has passed, so the record is that of the counts as they are
    whole = OwnRecords.of(deals.conversions.to_numpy(float), deals.spend.to_numpy(), deals.creator_id.to_numpy(object))
    np.testing.assert_allclose(known.own_records(creators), whole.rates(np.array(creators, object)), rtol=1e-12)


def test_results_that_the_model_leaves_out_are_not_known(tmp_path: Path, trained: Trained) -> None:
    write_tables(tmp_path, rows=80)
    with open_history(tmp_path / "data") as history:
        deals = history.collaborations.to_pandas()
        first = deals.creator_id.iloc[0]
        out = tuple(deals.collaboration_id[deals.creator_id == first])
        facts = replace(trained.scorer.facts, kept_out=out)
        known = Knowledge.of(history, replace(trained.scorer, facts=facts))
        assert known.data == fingerprint(history.without(out)) != fingerprint(history)
    assert known.own_records([first]) == known.own_records(["nobody"])
    rest = deals[~deals.collaboration_id.isin(out)]
    whole = OwnRecords.of(rest.conversions.to_numpy(float), rest.spend.to_numpy(), rest.creator_id.to_numpy(object))
    creators = rest.creator_id.unique()[:5]
    np.testing.assert_allclose(known.own_records(list(creators)), whole.rates(creators), rtol=1e-12)


def test_without_a_result_nothing_is_known() -> None:
    none = OwnRecords.of(np.zeros(0), np.zeros(0), np.zeros(0, object))
    again = Knowledge.from_json(Knowledge({"creators": "a"}, none).to_json())
    assert np.isnan(again.own_records(["a", "b"])).all()
