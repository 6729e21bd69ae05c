"""What a training leaves: its run and its model, the champion, and nothing where it cannot be done."""

import json
import os
from pathlib import Path

import pandas as pd
import pytest

import train
from features.faults import Fault, InputError
from tests.support.commands import run_score, run_train
from tests.support.past_market import write_tables

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("in_world")]


PICKLES = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")


def test_the_run_tells_all(world: Path) -> None:
    from models import tracking

    client = tracking.connect()
    version = client.get_model_version_by_alias("conversions-per-dollar", "champion")
    assert version.run_id
    run = client.get_run(version.run_id)
    assert run.info.status == "FINISHED"
    assert {"seed", "results", "recipes", "maturity", "tier_bounds"} <= set(run.data.params)
    assert {"rank", "coverage", "one_rate/skill", "poisson_regression/value"} <= set(run.data.metrics)
    steps = [m.step for m in client.get_metric_history(version.run_id, "folds/ours.rank")]
    assert steps == sorted(set(steps))
    assert len(steps) > 1
    assert len(run.data.tags["data.collaborations"]) == 64
    below = client.search_runs([run.info.experiment_id], f"tags.`mlflow.parentRunId` = '{version.run_id}'")
    assert sorted(fold.info.run_name for fold in below) == [f"fold {j}" for j in range(len(steps))]
    assert {fold.info.status for fold in below} == {"FINISHED"}
    assert all({"ours.rank", "recipe.mixed.skill", "recipe.poisson.skill"} <= set(f.data.metrics) for f in below)
    assert len({fold.data.params["cutoff"] for fold in below}) == len(steps)
    files = {f.path for f in client.list_artifacts(version.run_id)}
    assert {"model_card.md", "plots", "backtest.csv"} <= files
    assert (world / "mlartifacts").is_dir()


def test_no_pickle_is_in_the_model(world: Path) -> None:
    files = [p for p in (world / "mlartifacts").rglob("*") if p.is_file()]
    assert any(p.name == "checksums.json" for p in files)
    for path in files:
        assert path.suffix not in {".pkl", ".pickle", ".joblib", ".cloudpickle"}, path
        assert not path.read_bytes().startswith(PICKLES), path
        assert "__pycache__" not in path.parts


def test_pyfunc_and_scorer_agree(world: Path) -> None:
    import mlflow

    from features.history.source import open_candidates, open_history
    from features.matrix import FeatureBuilder
    from models import tracking

    client = tracking.connect()
    model = tracking.load(client, "models:/conversions-per-dollar/1")
    source = client.get_model_version("conversions-per-dollar", "1").source
    served = mlflow.pyfunc.load_model(source)
    with open_history("data") as history, FeatureBuilder(history) as builder:
        spine = next(open_candidates(history, Path("candidates.parquet")).batches(40)).to_pandas()
        matrix = builder.build(spine)
    ours = model.scorer.score(matrix, spine, 0.9)
    rows = matrix.assign(spend=spine.spend, creator_id=spine.creator_id)
    pd.testing.assert_frame_equal(
        served.predict(rows, params={"level": 0.9}), ours, check_dtype=False, check_exact=True
    )


@pytest.mark.long
def test_a_retrained_model_passes_the_gate_and_a_worse_one_does_not(
    world: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from models import tracking
    from models.evaluation import backtest

    assert run_train("data", "--experiment", "gate", "--search", "0") == 0
    assert "models:/gate/1 is now the champion: it is the first" in capsys.readouterr().out
    learn = backtest._learn
    monkeypatch.setattr(backtest, "_learn", lambda rows, recipes: (learn(rows, recipes)[0], 3.0))
    assert run_train("data", "--experiment", "gate", "--search", "0", "--force") == 3
    said = capsys.readouterr()
    assert "models:/gate/2 is not promoted: its total on the newest results is off" in said.out
    assert "alarm: gate: on the newest " in said.err
    client = tracking.connect()
    assert client.get_model_version_by_alias("gate", "champion").version == 1
    assert client.get_model_version_by_alias("gate", "challenger").version == 2


def test_a_training_that_fails_leaves_the_champion(
    world: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from models import tracking
    from models.report import summary

    def broken(*_: object) -> None:
        raise RuntimeError("the disk\nis full")

    monkeypatch.setattr(summary, "plots", broken)
    assert run_train("data", "--search", "0", "--force") == 1
    assert capsys.readouterr().err.splitlines()[-1] == "RuntimeError: the disk is full (--debug shows where)"
    client = tracking.connect()
    assert client.get_model_version_by_alias("conversions-per-dollar", "champion").version == 1
    experiment = client.get_experiment_by_name("conversions-per-dollar")
    assert experiment
    assert client.search_runs([experiment.experiment_id])[0].info.status == "FAILED"


@pytest.mark.parametrize("done", ["", "version 2 is the champion already"])
def test_the_report_of_a_failure_says_what_was_done_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, done: str
) -> None:
    def fail(*_: object) -> None:
        raise InputError([Fault("store", problem="it is gone")], done)

    monkeypatch.setattr(train, "_retrain", fail)
    report = tmp_path / "outcome.json"
    assert run_train("data", "--report", str(report)) == 2
    outcome = json.loads(report.read_text(encoding="utf-8"))
    nothing = "the data, the call or the store is at fault; no version was registered"
    assert (outcome["action"], outcome["sentence"]) == ("failed", done or nothing)
    assert outcome["faults"] == ["store: it is gone."]


def test_results_that_teach_nothing_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_tables(tmp_path, rows=30, candidates=2)
    file = tmp_path / "data" / "collaborations.parquet"
    pd.read_parquet(file).assign(conversions=0).to_parquet(file, index=False)
    assert run_train("data") == 2
    assert "no collaboration has any conversion" in capsys.readouterr().err
    assert not (tmp_path / "mlflow.db").exists()


def test_nothing_trained_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_tables(tmp_path, rows=60)
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    assert run_score("scores.csv") == 2
    said = capsys.readouterr().err
    assert "there is no mlflow.db, so nothing was trained here" in said
    assert "Train first: python train.py DATA" in said
    assert sorted(tmp_path.rglob("*")) == before
    assert run_train("nothing") == 2
    assert run_train("data", "--seed", "-1") == 2
    assert run_train("data", "--experiment", "a/b") == 2
    assert run_train("data", "--comment-classifier", "nothing") == 2
    assert "--comment-classifier: there is no such folder" in capsys.readouterr().err
    assert run_train("data", "--comment-classifier", "data") == 2
    assert "--comment-classifier: no comment classifier in data: model.json is missing" in capsys.readouterr().err
    assert sorted(tmp_path.rglob("*")) == before


def test_a_comment_classifier_that_cannot_be_reached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("circle").symlink_to("circle")
    Path("closed").mkdir(mode=0)
    Path("closed above").mkdir()
    Path("closed above/here").mkdir()
    Path("closed above").chmod(0)
    reasons = {"n" * 300: "too long", "circle": "symbolic links"}
    if os.geteuid() != 0:  # whom permissions do not bind
        reasons |= {"closed": "Permission denied", "closed above/here": "Permission denied"}
    for folder, reason in reasons.items():
        assert run_train("data", "--comment-classifier", folder) == 2
        said = capsys.readouterr().err
        assert "--comment-classifier: it cannot be reached (" in said
        assert reason in said
        assert said.count("\n") == 1
