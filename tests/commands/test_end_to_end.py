"""The commands as a user runs them, on a made-up market: from tables to a champion to a file of scores, and again."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.models import Model

from features.catalogue import BY_NAME
from models.scorer import Scorer
from models.scoring import FAR_AHEAD, NEEDED, UNLIKE
from tests.support import prestarted
from tests.support.paths import ROOT

pytestmark = pytest.mark.slow

NAME = "conversions-per-dollar"
SCORES = [
    "conversions_per_dollar", "conversions_per_dollar_low", "conversions_per_dollar_high", "conversions",
    "cost_per_conversion", "rank", "reasons", "warnings", "model_version",
]  # fmt: skip
WARNINGS = {*NEEDED, "unknown_category", "outside_training_range", UNLIKE, FAR_AHEAD}
HELP_SECONDS = 1.5  # importing mlflow alone takes more
ONE_TRY, MIXED = ("--search", "1", "--seed", "0"), ("--search", "0", "--force")  # past the door


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    status: int
    out: str
    err: str


def run(folder: Path, *command: str, **environment: str) -> Done:
    """Run a command of the project in a folder, with MLflow's default store unless set otherwise."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_")}
    if command[0] in ("train.py", "predict.py") and not environment and "--help" not in command:
        ended = prestarted.run(folder, [ROOT / command[0], *command[1:]], kept | {"PYTHONPATH": str(ROOT)})
        return Done(ended.returncode, ended.stdout, ended.stderr)
    script = ["-m", "demo"] if command[0] == "demo" else [str(ROOT / command[0])]
    done = subprocess.run(
        [sys.executable, *script, *command[1:]],
        cwd=folder,
        env=kept | {"PYTHONPATH": str(ROOT)} | environment,
        capture_output=True,
        text=True,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def both(*calls: tuple[Path | str, ...], statuses: tuple[int, ...] = (0,)) -> list[Done]:
    """Run commands two at a time; each must end with one of the statuses."""
    with ThreadPoolExecutor(2) as pool:
        ended = list(pool.map(lambda call: run(Path(call[0]), *map(str, call[1:])), calls))
    assert [(done.status, done.err) for done in ended if done.status not in statuses] == []
    return ended


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A market in four exports: `older` results as Parquet and as CSV, these with `mixed` creators, and all the `data`.

    Candidates have two columns of their own, and one is of an unknown creator.
    """
    folder = tmp_path_factory.mktemp("end") / "market"
    sizes = ("--creators", "200", "--results", "500", "--candidates", "120")
    assert run(ROOT, "demo", str(folder), *sizes).status == 0
    tables = {path.stem: pd.read_parquet(path) for path in (folder / "data").glob("*.parquet")}
    deals = tables["collaborations"].sort_values("starts_at")
    older = tables | {"collaborations": deals.head(400)}
    older["conversions"] = _of(tables["conversions"], older["collaborations"])
    deals = older["collaborations"]
    mixed = older | {"collaborations": deals.assign(creator_id=np.roll(deals.creator_id, 201))}
    for name, export in {"older": older, "mixed": mixed}.items():
        (folder / name).mkdir()
        for table, frame in export.items():
            frame.to_parquet(folder / name / f"{table}.parquet", index=False)
    (folder / "older_csv").mkdir()
    for table, frame in older.items():
        ending = ".csv.gz" if table == "comments" else ".csv"
        frame.to_csv(folder / "older_csv" / f"{table}{ending}", index=False)
    candidates = pd.read_parquet(folder / "candidates.parquet")
    candidates.insert(2, "note", [f'said "{i}, maybe"' if i % 3 else f"zwölf\n{i}" for i in range(len(candidates))])
    candidates["contact"] = np.arange(len(candidates)) * 7
    candidates.loc[4, "creator_id"] = "nobody we know"
    candidates.to_parquet(folder / "candidates.parquet", index=False)
    candidates.to_csv(folder / "candidates.csv", index=False)
    return folder


def _of(daily: pd.DataFrame, deals: pd.DataFrame) -> pd.DataFrame:
    return daily[daily.collaboration_id.isin(deals.collaboration_id)]


@pytest.fixture(scope="module")
def workspaces(market: Path, empty_store: Path) -> tuple[Path, Path]:
    """Two folders with a store each: one trained on Parquet and scored into Parquet, the other on and into CSV."""
    one, two = market.parent / "one", market.parent / "two"
    for folder in (one, two):
        folder.mkdir()
        shutil.copy(empty_store, folder / "mlflow.db")
    with ThreadPoolExecutor(2) as pool:  # the second one started for real, with other hashes of texts
        first = pool.submit(run, one, "train.py", str(market / "older"), *ONE_TRY)
        second = pool.submit(run, two, "train.py", str(market / "older_csv"), *ONE_TRY, PYTHONHASHSEED="7")
        said = [first.result(), second.result()]
    for done in said:
        assert done.status == 0, done.err
        assert f"models:/{NAME}/1 is now the champion: it is the first" in done.out
        assert "400 results" in done.out
    both(
        (one, "predict.py", market / "candidates.parquet", "--data", market / "older", "--output", "scores.parquet"),
        (two, "predict.py", market / "candidates.csv", "--data", market / "older_csv", "--output", "scores.csv"),
    )
    return one, two


@pytest.fixture(scope="module")
def candidates(market: Path) -> pd.DataFrame:
    return pd.read_parquet(market / "candidates.parquet")


@pytest.fixture(scope="module")
def scores(workspaces: tuple[Path, Path]) -> pd.DataFrame:
    return pd.read_parquet(workspaces[0] / "scores.parquet")


def client(workspace: Path) -> MlflowClient:
    return MlflowClient(f"sqlite:///{workspace / 'mlflow.db'}")


def champion(workspace: Path) -> ModelVersion:
    return client(workspace).get_model_version_by_alias(NAME, "champion")


def run_id(version: ModelVersion) -> str:
    assert version.run_id is not None
    return version.run_id


def model_folder(version: ModelVersion) -> Path:
    assert version.source is not None
    return Path(version.source.removeprefix("file://"))


@pytest.mark.long
def test_the_run_holds_what_a_reader_asks_for(workspaces: tuple[Path, Path]) -> None:
    workspace = workspaces[0]
    version = champion(workspace)
    assert str(version.version) == "1"
    found = client(workspace).get_run(run_id(version))
    assert found.info.status == "FINISHED"
    assert found.data.params["seed"] == "0"
    assert found.data.params["results"] == "400"
    assert {"recipes", "maturity", "tier_bounds", "attribution_days"} <= set(found.data.params)
    assert {"skill", "rank", "one_rate/skill", "own_record/rank", "coverage"} <= set(found.data.metrics)
    assert len(client(workspace).get_metric_history(run_id(version), "folds/ours.skill")) >= 3
    below = f"tags.`mlflow.parentRunId` = '{run_id(version)}'"
    folds = client(workspace).search_runs([found.info.experiment_id], below)
    assert all({"recipe.poisson.skill", "recipe.poisson-1.skill"} <= set(fold.data.metrics) for fold in folds)
    assert len(folds) >= 3
    plots = client(workspace).list_artifacts(run_id(version), "plots")
    assert {Path(p.path).name for p in plots} >= {"calibration.png", "lift.png", "importance.png"}
    assert all((p.file_size or 0) > 1000 for p in plots)
    card = Path(client(workspace).download_artifacts(run_id(version), "model_card.md")).read_text()
    assert "400 results" in card
    assert "`" not in card.split("## Features")[1].split("## Limits")[0]
    assert "creator_record" in card
    signature = Model.load(model_folder(version)).signature
    assert signature.inputs.input_dict()["spend"].type.name == "double"
    assert set(signature.outputs.input_names()) == set(SCORES) - {"rank", "model_version"}


@pytest.mark.long
def test_scores_have_the_contract_s_columns_in_the_order_of_the_candidates(
    candidates: pd.DataFrame, scores: pd.DataFrame
) -> None:
    assert scores.columns[-len(SCORES) :].tolist() == SCORES
    assert set(scores.columns[: -len(SCORES)]) == set(candidates.columns)
    for column in candidates.columns:
        pd.testing.assert_series_equal(scores[column], candidates[column], check_dtype=False)
    assert scores[SCORES].notna().all(axis=None)
    assert (scores.model_version == f"{NAME}/1").all()


@pytest.mark.long
def test_scores_hold_together(scores: pd.DataFrame) -> None:
    rate = scores.conversions_per_dollar
    assert np.isfinite(scores[SCORES[:5]].to_numpy()).all()
    assert (rate > 0).all()
    assert (scores.conversions_per_dollar_low <= scores.conversions_per_dollar_high).all()
    assert (scores.conversions_per_dollar_low >= 0).all()
    np.testing.assert_allclose(scores.cost_per_conversion * rate, 1, rtol=1e-12)
    np.testing.assert_allclose(scores.conversions, rate * scores.spend, rtol=1e-12)
    assert sorted(scores["rank"]) == list(range(1, len(scores) + 1))
    assert scores.sort_values("rank").conversions_per_dollar.is_monotonic_decreasing
    assert rate.nunique() > len(scores) / 2


@pytest.mark.long
def test_reasons_and_warnings_speak_of_what_is_known(scores: pd.DataFrame) -> None:
    for reasons in scores.reasons.map(json.loads):
        assert all(set(reason) == {"feature", "value", "factor"} for reason in reasons)
        assert all(reason["feature"] in BY_NAME and reason["factor"] > 0 for reason in reasons)
    assert scores.reasons.map(json.loads).map(len).median() >= 3
    codes = scores.warnings.map(json.loads)
    assert {code for row in codes for code in row} <= WARNINGS
    assert ["unknown_creator" in row for row in codes] == [i == 4 for i in range(len(codes))]


@pytest.mark.long
def test_csv_and_parquet_train_and_score_to_the_bit_alike(
    workspaces: tuple[Path, Path], scores: pd.DataFrame, candidates: pd.DataFrame
) -> None:
    one, two = (
        model_folder(champion(workspace)) / "artifacts" / "scorer" / "checksums.json" for workspace in workspaces
    )
    assert one.read_text() == two.read_text()
    text = pd.read_csv(workspaces[1] / "scores.csv")
    assert set(text.columns) == set(scores.columns)
    for column in SCORES:
        assert text[column].tolist() == scores[column].tolist(), column
    assert text.note.tolist() == candidates.note.tolist()
    assert text.contact.tolist() == candidates.contact.tolist()


@pytest.fixture(scope="module")
def retrained(workspaces: tuple[Path, Path], market: Path) -> list[Done]:
    """The first workspace trains again, with new results too; the second on an export whose creators were mixed up."""
    one = (workspaces[0], "train.py", market / "data", "--search", "0", "--report", "training.html")
    two = (workspaces[1], "train.py", market / "mixed", *MIXED, "--report", "training.json")
    return both(one, two, statuses=(0, 3))


@pytest.mark.long
def test_new_results_make_a_version_that_must_pass_the_gate(
    workspaces: tuple[Path, Path], retrained: list[Done]
) -> None:
    for workspace, done in zip(workspaces, retrained, strict=True):
        second = client(workspace).get_model_version(NAME, "2")
        promoted = client(workspace).get_run(run_id(second)).data.tags["promoted"].startswith("yes")
        assert str(champion(workspace).version) == ("2" if promoted else "1")
        said = "is now the champion" if promoted else "is not promoted"
        assert f"models:/{NAME}/2 {said}: it " in done.out
        assert "results that neither had seen" in done.out
        assert client(workspace).get_metric_history(run_id(second), "folds/ours.skill"), (
            "without folds nothing is proven"
        )
    assert [done.status for done in retrained] == [0, 3]
    assert "alarm: gate: the new model has no skill" in retrained[1].err
    assert "500 results" in retrained[0].out
    assert str(champion(workspaces[1]).version) == "1", "creators mixed up at random must not make a champion"
    assert str(client(workspaces[1]).get_model_version_by_alias(NAME, "challenger").version) == "2"


@pytest.mark.long
def test_the_outcome_is_a_page_and_json(
    workspaces: tuple[Path, Path], retrained: list[Done], market: Path, tmp_path: Path
) -> None:
    page = (workspaces[0] / "training.html").read_text(encoding="utf-8")
    assert "500 results" in page
    assert page.count("data:image/png;base64,") >= 3
    assert 'src="http' not in page
    outcome = json.loads((workspaces[1] / "training.json").read_text(encoding="utf-8"))
    assert (outcome["status"], outcome["action"], outcome["version"]) == (3, "kept", "2")
    assert [alarm["source"] for alarm in outcome["alarms"]] == ["gate"]
    assert outcome["sentence"] in retrained[1].out
    assert {row["model"] for row in outcome["details"]["figures"]} >= {"ours", "one_rate"}
    report = tmp_path / "fault.json"
    failed = run(tmp_path, "train.py", str(market / "nowhere"), "--report", str(report))
    outcome = json.loads(report.read_text(encoding="utf-8"))
    assert (failed.status, outcome["status"], outcome["action"]) == (2, 2, "failed")
    assert outcome["faults"] == failed.err.splitlines()


@pytest.mark.long
def test_nothing_new_is_not_trained_again(workspaces: tuple[Path, Path], retrained: list[Done], market: Path) -> None:
    before = len(client(workspaces[1]).search_model_versions(f"name = '{NAME}'"))
    done = run(workspaces[1], "train.py", str(market / "mixed"), "--search", "0", "--report", "again.json")
    assert done.status == 3, "the alarm of that training stands"
    assert "nothing new: data, code and settings are those of models:/" in done.out
    assert "--force trains all the same" in done.out
    outcome = json.loads((workspaces[1] / "again.json").read_text(encoding="utf-8"))
    assert (outcome["action"], outcome["version"]) == ("nothing new", "2")
    assert len(client(workspaces[1]).search_model_versions(f"name = '{NAME}'")) == before


@pytest.mark.long
def test_an_older_version_can_be_asked_for_and_scores_as_it_did(
    workspaces: tuple[Path, Path], retrained: list[Done], market: Path, scores: pd.DataFrame
) -> None:
    call = ("predict.py", market / "candidates.parquet", "--data", market / "older")
    one, two = workspaces
    both(
        (one, *call, "--output", "again.parquet", "--model", f"models:/{NAME}/1"),
        (two, *call, "--output", "narrow.csv", "--level", "0.5", "--model", f"models:/{NAME}@champion"),
    )
    pd.testing.assert_frame_equal(pd.read_parquet(one / "again.parquet"), scores, check_exact=True)
    narrow = pd.read_csv(two / "narrow.csv")
    same = ["conversions_per_dollar", "rank", "reasons", "warnings", "model_version"]
    assert narrow[same].to_dict("list") == scores[same].to_dict("list")
    widths = [t.conversions_per_dollar_high - t.conversions_per_dollar_low for t in (narrow, scores)]
    assert (widths[0] <= widths[1]).all()
    assert widths[0].sum() < 0.8 * widths[1].sum()


def files(folder: Path) -> dict[str, int]:
    return {str(p.relative_to(folder)): p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file()}


@pytest.mark.long
def test_a_call_at_fault_ends_with_2_tells_why_and_writes_nothing(
    workspaces: tuple[Path, Path], market: Path, tmp_path: Path
) -> None:
    known = pd.read_csv(market / "candidates.csv").assign(revenue=5)
    known.to_csv(market / "revenue.csv", index=False)
    bare = tmp_path / "bare"
    bare.mkdir()
    good, data = str(market / "candidates.parquet"), ("--data", str(market / "older"))
    faults: list[tuple[Path, tuple[str, ...], str]] = [
        (bare, ("predict.py", good, *data, "--output", "x.csv"), "Train first: python train.py DATA"),
        (
            workspaces[0],
            ("predict.py", good, *data, "--output", "x.csv", "--level", "80"),
            "--level: it is no probability",
        ),
        (workspaces[0], ("predict.py", "nowhere.csv", *data, "--output", "x.csv"), "there is no such file"),
        (workspaces[0], ("predict.py", good, *data, "--output", "new/x.csv"), "--output: its folder is not there"),
        (
            workspaces[0],
            ("predict.py", str(market / "revenue.csv"), *data, "--output", "x.csv"),
            "candidates.revenue: ",
        ),
        (bare, ("train.py", "nowhere"), "nowhere: there is no such folder"),
        (bare, ("train.py",), "the following arguments are required: DATA"),
    ]
    before = [files(folder) for folder in (tmp_path, workspaces[0], market)]
    with ThreadPoolExecutor(2) as pool:
        ended = list(pool.map(lambda fault: run(fault[0], *fault[1]), faults))
    for done, (_, call, said) in zip(ended, faults, strict=True):
        assert (done.status, done.out) == (2, ""), (call, done)
        assert said in done.err, call
        assert "Traceback" not in done.err, call
    assert [files(folder) for folder in (tmp_path, workspaces[0], market)] == before


@pytest.mark.long
def test_a_damaged_store_ends_with_2_and_is_left_as_it_is(tiny_market: Path, tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("this is no database\n" * 100)
    call = (
        "predict.py",
        str(tiny_market / "candidates.parquet"),
        "--data",
        str(tiny_market / "data"),
        "--output",
        "x.csv",
    )
    done = run(tmp_path, *call)
    assert done.status == 2
    assert "file is not a database" in done.err
    assert "Traceback" not in done.err
    assert [p.name for p in tmp_path.iterdir()] == ["mlflow.db"]


@pytest.mark.parametrize("command", ["train.py", "predict.py", "demo"])
def test_help_is_quick_and_shows_examples(command: str, tmp_path: Path) -> None:
    before = os.times()
    done = run(tmp_path, command, "--help")
    after = os.times()
    assert done.status == 0
    assert "examples:\n  python " in done.out
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    assert spent < HELP_SECONDS, "of processor time"


@pytest.mark.long
def test_the_saved_model_loads_without_the_registry(workspaces: tuple[Path, Path]) -> None:
    scorer = Scorer.load(model_folder(client(workspaces[0]).get_model_version(NAME, "1")) / "artifacts" / "scorer")
    assert scorer.facts.results == 400
    assert len(scorer.facts.data["collaborations"]) == 64
