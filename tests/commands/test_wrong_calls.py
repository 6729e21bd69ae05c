"""Calls of the commands that are at fault: exit status and messages, before anything is read or written."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from tests.support.commands import run_predict, run_score
from tests.support.paths import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("in_world")]


def test_an_output_is_never_a_table_of_data(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = Path("data/creators.parquet").read_bytes()
    assert run_score("data/creators.parquet") == 2
    assert run_score("data/comments.csv") == 2
    assert capsys.readouterr().err.count("--output: it is a file that is read as input: received data/") == 2
    assert Path("data/creators.parquet").read_bytes() == before
    assert not Path("data/comments.csv").exists()


def test_an_output_is_never_a_part_of_the_store(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = Path("mlflow.db").read_bytes()
    Path("link.csv").symlink_to("mlflow.db")
    assert run_score("link.csv") == 2
    assert run_score("mlartifacts/scores.csv") == 2
    assert capsys.readouterr().err.count("--output: models are kept there: received") == 2
    assert Path("mlflow.db").read_bytes() == before


def test_columns_that_csv_cannot_hold_are_reported_before_scoring(
    world: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from models.batch import score_file

    candidates = pd.read_parquet("candidates.parquet")
    candidates.assign(tags=pd.Series([["a", "b"]] * 40), photo=b"x", walk_away_price=1.0).to_parquet(
        "rich.parquet", index=False
    )
    before = sorted(world.rglob("*"))
    with monkeypatch.context() as patch:
        patch.setattr(score_file, "score_file", None)
        call = ("rich.parquet", "--data", "data", "--output")
        assert run_predict(*call, "rich.csv", "--target-cost", "9") == 2
        said = capsys.readouterr().err
        assert len(said.splitlines()) == 3
        assert "candidates.tags: CSV cannot hold list<" in said
        assert "candidates.photo: CSV cannot hold " in said
        assert "candidates.walk_away_price: it is the name of a score" in said
        assert sorted(world.rglob("*")) == before
    assert run_predict(*call, "rich_scores.parquet") == 0
    kept = pd.read_parquet("rich_scores.parquet")
    assert kept.tags.map(list).tolist() == [["a", "b"]] * 40
    assert (kept.walk_away_price == 1).all()


def test_a_wrong_call_is_reported_before_anything_slow_is_imported(world: Path) -> None:
    calls = [
        ["--output", "no/x.csv"],
        ["--output", "candidates.parquet"],
        ["--level", "2"],
        ["--target-cost", "0"],
        ["--ledger", "no/x"],
        ["--columns", "note"],
        ["--output", "no/x/"],
    ]
    code = (
        "import sys, predict; import cli\n"
        f"for options in {calls!r}:\n"
        "    argv = ['candidates.parquet', '--data', 'data', '--output', 'x.csv', *options]\n"
        "    assert cli.run(lambda: predict.predict(predict.arguments(argv))) == 2\n"
        "print(sorted({'mlflow', 'pandas', 'duckdb', 'lightgbm', 'scipy', 'pyarrow'} & set(sys.modules)))"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout == "[]\n"
    assert len(done.stderr.splitlines()) == len(calls)


FAULTS = [
    (["--level", "1"], "--level: it is no probability: received 1.0. Give a number between 0 and 1"),
    (["--level", "nan"], "--level: it is no probability"),
    (["--reasons", "0"], "--reasons: it is neither all nor none nor a number above 0: received 0. Give the number of"),
    (["--reasons", "some"], "--reasons: it is neither all nor none nor a number above 0"),
    (
        ["--output", "scores.xlsx"],
        "--output: its ending is unknown: received scores.xlsx. Let it end in .parquet",
    ),
    (["--output", "nowhere/scores.csv"], "--output: its folder is not there"),
    (["--output", "data"], "--output: its ending is unknown"),
    (["--output", "data/"], "--output: it is a folder that is not empty: received data"),
    (["--columns", "rank,,note"], "--columns: a name is empty: received rank,,note. Give names between commas"),
    (
        ["--columns", "rank,notes"],
        "--columns: it is neither a column of the candidates nor a score: received notes. Known",
    ),
    (["--columns", "rank", "--ledger"], "--columns: the ledger seals conversions_per_dollar, conversions_per_dollar_"),
    (["--columns", "rank", "--reasons", "9"], "--reasons: the column reasons is not among --columns. Name it, or"),
    (["--output", "candidates.parquet"], "--output: it is the file of candidates, which would be lost"),
    (["--target-cost", "0"], "--target-cost: it is no price: received 0.0. Give dollars above 0, such as 25."),
    (["--target-cost", "nan"], "--target-cost: it is no price"),
    (["--target-cost", "inf"], "--target-cost: it is no price"),
    (["--target-cost", "5", "--confidence", "1"], "--confidence: it is no probability: received 1.0. Give a number"),
    (["--confidence", "0.5"], "--confidence: it means nothing without a target cost"),
    (["--model", "runs:/1/model"], "--model: it is not the URI of a registered model"),
    (["--model", "models:/conversions-per-dollar/99"], "--model: conversions-per-dollar has no version 99 in"),
    (["--model", "models:/other@champion"], "Train first: python train.py DATA."),
    (["--data", "no-data"], "no-data"),
]


@pytest.mark.parametrize(("argv", "said"), FAULTS)
def test_a_call_at_fault_is_reported(
    world: Path, capsys: pytest.CaptureFixture[str], argv: list[str], said: str
) -> None:
    before = sorted(world.rglob("*"))
    assert run_score("fault.csv", *argv) == 2
    printed = capsys.readouterr()
    assert said in printed.err
    assert not printed.out
    assert sorted(world.rglob("*")) == before


@pytest.mark.parametrize("command", ["train.py", "predict.py"])
def test_help_is_quick_and_shows_examples(command: str) -> None:
    code = (
        f"import runpy, sys; sys.argv = ['{command}', '--help']\n"
        f"try: runpy.run_path('{command}', run_name='__main__')\n"
        "except SystemExit: print(sorted({'mlflow', 'pandas', 'duckdb', 'lightgbm'} & set(sys.modules)))"
    )
    began = time.process_time()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert "examples:" in done.stdout
    assert done.stdout.rstrip().endswith("[]")
    assert time.process_time() - began < 0.3
