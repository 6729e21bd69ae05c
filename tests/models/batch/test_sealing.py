"""predict.py --ledger: a list is sealed before its scores appear, to the bit, or neither is there."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import cli
import predict
from features.history.source import fingerprint, open_history
from models import tracking
from models.batch import sealing
from models.evaluation.baselines import RECORD_PRIOR
from models.monitoring import ledger
from models.monitoring.anchors import known_heads
from models.monitoring.ledger import read, verify
from models.registry.store_faults import StoreError
from tests.support.workspace import copy_workspace

LEDGER = Path("ledger.jsonl")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, trained_workspace: Path, tiny_market: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy_workspace(tmp_path, trained_workspace)
    (tmp_path / "list.parquet").write_bytes((tiny_market / "candidates.parquet").read_bytes())
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def score(*argv: str) -> int:
    return cli.run(lambda: predict.predict(predict.arguments(argv)))


def test_what_is_sealed_is_what_is_in_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    call = ("list.parquet", "--data", "data", "--output", "scores.parquet")
    assert score(*call) == 0
    assert not LEDGER.exists()
    plain = Path("scores.parquet").read_bytes()
    capsys.readouterr()
    assert score(*call, "--ledger") == 0
    assert Path("scores.parquet").read_bytes() == plain
    assert score("list.parquet", "--ledger", "--data", "data", "--level", "0.9", "--output", "scores.csv") == 0
    promised, scores = read(LEDGER).promises, pd.read_parquet("scores.parquet")
    names = {
        "rate": "conversions_per_dollar",
        "low": "conversions_per_dollar_low",
        "high": "conversions_per_dollar_high",
    }
    first = promised[promised.list == 2]
    for column in ("candidate_id", "creator_id", "brand", "product_niche", "promotion_hours", "spend", *names):
        assert first[column].tolist() == scores[names.get(column, column)].tolist(), column
    assert first.starts_at.tolist() == scores.starts_at.dt.tz_localize(None).tolist()
    assert (first.model == "conversions-per-dollar/1").all()
    assert promised.groupby("list")["level"].first().tolist() == [0.8, 0.9]
    assert first.when.max() < promised.when.max() <= pd.Timestamp(predict.now())
    with open_history("data") as history:
        found = fingerprint(history)
        deals = history.collaborations.to_pandas()
    lines = [json.loads(line) for line in LEDGER.read_text().splitlines()]
    assert lines[1]["data"] == found
    scorer = tracking.load(tracking.connect(), "models:/conversions-per-dollar/1").scorer
    final = deals.starts_at + pd.to_timedelta(deals.promotion_hours, unit="h") + pd.Timedelta("30D")
    ages = ((deals.observed_until - deals.starts_at) / pd.Timedelta("1D")).to_numpy()
    share = np.where(deals.observed_until >= final, 1, scorer.maturity.share(ages, deals.promotion_hours.to_numpy()))
    exposure = deals.spend * share
    rate, prior = deals.conversions.sum() / exposure.sum(), RECORD_PRIOR * exposure.median()
    for creator, own in first.drop_duplicates("creator_id").set_index("creator_id").own_record.items():
        mine = (deals.creator_id == creator).to_numpy()
        expected = (deals.conversions[mine].sum() + rate * prior) / (exposure[mine].sum() + prior)
        assert own == pytest.approx(expected, rel=1e-12)


@pytest.mark.long
def test_results_that_a_newer_training_kept_out_are_not_known_and_the_list_names_it() -> None:
    from models.registry import left_out, runs
    from models.registry.run_log import log_intake

    client, name = tracking.connect(), "conversions-per-dollar"
    with open_history("data") as history:
        deals = history.collaborations.to_pandas()
        creator = pd.read_parquet("list.parquet").creator_id[lambda ids: ids.isin(deals.creator_id)].iloc[0]
        out = deals.collaboration_id[deals.creator_id == creator].tolist()
        rest = fingerprint(history.without(out))
    run = runs.start(client, name, 0)
    log_intake(client, run, {"kept_out": [{"collaboration_id": one} for one in out]})
    left_out.record(client, run, out)
    call = ("list.parquet", "--data", "data", "--output", "scores.csv", "--ledger")
    assert score(*call) == 0
    left_out.announce(client, name, run)
    assert score(*call) == 0
    before, after = (line for line in map(json.loads, LEDGER.read_text().splitlines()) if line["kind"] == "list")
    assert "kept_out_by" not in before
    assert (after["kept_out_by"], after["data"]) == (run, rest)
    promised = read(LEDGER).promises
    own = promised[promised.creator_id == creator].groupby("list").own_record.first()
    unknown = promised[~promised.creator_id.isin(deals.creator_id)].groupby("list").own_record.first()
    assert own[before["n"]] != unknown[before["n"]]
    assert own[after["n"]] == unknown[after["n"]], "nothing is known of the creator"


@pytest.mark.long
def test_the_head_is_kept_with_the_version_and_finds_lines_that_are_gone(capsys: pytest.CaptureFixture[str]) -> None:
    call = ("list.parquet", "--data", "data", "--output", "scores.csv", "--ledger")
    assert score(*call) == 0
    before = LEDGER.read_bytes()
    assert score(*call) == 0
    checked = verify(LEDGER)
    assert f"Sealed in ledger.jsonl, whose head is now {checked.head}." in capsys.readouterr().out
    assert known_heads(tracking.connect()) == (checked.head,)
    assert ledger.main([]) == 0
    assert "with 1 heads that are kept elsewhere" in capsys.readouterr().out
    LEDGER.write_bytes(before)
    assert ledger.main([]) == 3
    assert "line 5: removed" in capsys.readouterr().out
    assert ledger.main(["--offline"]) == 0
    Path("scores.csv").unlink()
    assert score(*call) == 2
    assert "line 5: removed: the ledger ends before it, but had 7 lines once" in capsys.readouterr().err
    assert not Path("scores.csv").exists()
    assert LEDGER.read_bytes() == before


def test_a_store_that_takes_no_tag_is_a_note(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise StoreError([])

    monkeypatch.setattr(sealing, "anchor", refused)
    assert score("list.parquet", "--data", "data", "--output", "scores.csv", "--ledger", "other.jsonl") == 0
    assert "MLflow could not keep it, so keep it yourself" in capsys.readouterr().out
    assert verify(Path("other.jsonl")).lists == 1


@pytest.mark.long
def test_a_ledger_at_fault_is_one_message_and_nothing_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    call = ("list.parquet", "--data", "data", "--output", "scores.csv", "--ledger")
    assert score(*call, "changed.jsonl") == 0
    Path("scores.csv").unlink()
    Path("changed.jsonl").write_bytes(Path("changed.jsonl").read_bytes().replace(b'"level":0.8', b'"level":0.9'))
    Path("scores").write_text("")
    faults = {
        "changed.jsonl": "--ledger: it is not what was written: line 2: changed: its bytes do not agree with its own",
        "scores.csv": "--ledger: it is the file of scores, too",
        "list.parquet": "--ledger: it is a file that is read as input",
        "data/creators.parquet": "--ledger: it is a file that is read as input",
        "mlflow.db": "--ledger: models are kept there",
        "none/ledger.jsonl": "--ledger: its folder is not there",
        "data": "--ledger: it is a folder",
    }
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    capsys.readouterr()
    for file, fault in faults.items():
        assert score(*call, file) == 2
        said = [line for line in capsys.readouterr().err.splitlines() if not line.startswith(("note: ", "scores: "))]
        assert len(said) == 1, said
        assert said[0].startswith(fault)
    assert {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()} == before


def test_scores_that_cannot_appear_leave_a_sealed_list_and_no_file(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from models.batch import score_file

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(score_file, "replace", full)
    assert score("list.parquet", "--data", "data", "--output", "scores.csv", "--ledger") == 1
    assert "--output: it cannot be written (No space left on device)" in capsys.readouterr().err
    assert not Path("scores.csv").exists()
    assert verify(LEDGER).lists == 1


def test_candidates_after_the_option_are_taken_for_its_file(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        predict.arguments(["--data", "data", "--output", "scores.csv", "--ledger", "list.parquet"])
    assert left.value.code == 2
    assert "required: CANDIDATES" in capsys.readouterr().err
