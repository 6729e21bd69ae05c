"""What `predict.py` says and writes, and that nothing is half written."""

import dataclasses
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from models.explanations.reason_words import reason_words
from tests.support.commands import run_predict, run_score
from tests.support.paths import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("in_world")]


@pytest.fixture(scope="module")
def plain(world: Path) -> Path:
    """The scores of the candidates without any option, as Parquet (which this gives) and as CSV, beside it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(world)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        assert run_score("plain.parquet") == 0
        assert run_score("plain.csv") == 0
    return world / "plain.parquet"


def test_scores_are_the_contract_s(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_score("scores.parquet") == 0
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert re.match(r"(No skill|The model tells deals apart better than every rule of thumb)\b.* \(t = ", lines[0])
    assert "40 candidates scored by conversions-per-dollar/1" in said.out
    assert "unknown_creator 1" in said.out
    assert "scores: 40 of 40" in said.err
    assert "a result is expected to be off by a factor of " in said.out
    candidates, scores = pd.read_parquet("candidates.parquet"), pd.read_parquet("scores.parquet")
    assert scores.candidate_id.tolist() == candidates.candidate_id.tolist()
    assert scores.note.tolist() == candidates.note.tolist()
    made = [
        "conversions_per_dollar", "conversions_per_dollar_low", "conversions_per_dollar_high", "conversions",
        "cost_per_conversion", "rank", "reasons", "warnings", "model_version",
    ]  # fmt: skip
    assert scores.columns.tolist()[-9:] == made
    assert sorted(scores.columns[:-9]) == sorted(candidates.columns)
    best_first = scores.conversions_per_dollar.rank(ascending=False, method="min")
    assert scores["rank"].tolist() == best_first.astype(int).tolist()
    assert "unknown_creator" in json.loads(scores.warnings[0])
    assert all(isinstance(json.loads(reasons), list) for reasons in scores.reasons)
    best = scores.sort_values("rank", kind="stable").head(10)
    why = lines.index("what moved these scores most, against the average score:")
    for line, (candidate, reasons) in zip(
        lines[why + 1 :], best[["candidate_id", "reasons"]].astype(str).to_numpy(), strict=False
    ):
        assert line == f"  {candidate}: {'; '.join(reason_words(reasons)[:2]) or 'nothing much'}"
    assert [line.split()[1] for line in lines[3:13]] == best.candidate_id.tolist()
    assert not [p for p in world.iterdir() if p.name.startswith(".")]


@pytest.mark.long
def test_csv_and_parquet_hold_the_same(world: Path, plain: Path) -> None:
    pd.read_parquet("candidates.parquet").to_csv("candidates.csv", index=False)
    assert run_predict("candidates.csv", "--data", "data", "--output", "b.parquet") == 0
    a, c, b = pd.read_parquet(plain), pd.read_csv(plain.with_suffix(".csv")), pd.read_parquet("b.parquet")
    numbers = a.columns[-9:-3]
    np.testing.assert_array_equal(a[numbers].to_numpy(), c[numbers].to_numpy())
    pd.testing.assert_frame_equal(a[a.columns[-9:]], b[b.columns[-9:]])


def test_columns_that_are_gone_since_the_training_are_named_before_and_after(
    world: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pd.read_parquet("candidates.parquet").drop(columns="objective").to_parquet("less.parquet")
    assert run_predict("less.parquet", "--data", "data", "--output", "less.csv") == 0
    said = capsys.readouterr()
    line = "the model was trained on other columns: gone since then: candidates.objective. Give"
    assert said.out.splitlines()[-1].startswith(line)
    assert f"note: {line}" in said.err
    assert run_score("scores.csv") == 0
    assert "other columns" not in "".join(capsys.readouterr())


def test_what_is_odd_about_data_and_list_is_said(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree("data", tmp_path / "data")
    deals = pd.read_parquet("data/collaborations.parquet")
    deals.loc[0, "brand"] = deals.brand[0].upper()
    deals.to_parquet(tmp_path / "data" / "collaborations.parquet", index=False)
    listed = pd.read_parquet("candidates.parquet")
    listed.assign(creator_id="@" + listed.creator_id).to_csv(tmp_path / "list.csv", index=False)
    words = [str(tmp_path / "list.csv"), "--data", str(tmp_path / "data"), "--output", str(tmp_path / "scores.csv")]
    assert run_predict(*words) == 0
    said = capsys.readouterr()
    unknown = "candidates.creator_id: 40 of 40 rows (100 %) name none of DATA's creators: '@c"
    assert "note: brand: 1 name is written in several ways" in said.err
    assert f"note: {unknown}" in said.err
    assert sum(line.startswith(unknown) for line in said.out.splitlines()) == 1, "once more beside the scores"


def test_a_list_unlike_what_was_learnt_from_is_named_and_scored_as_ever(
    world: Path, plain: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    usual = pd.concat([pd.read_parquet("candidates.parquet")] * 4, ignore_index=True)
    usual["candidate_id"] = [f"k{i}" for i in range(len(usual))]
    usual.to_parquet("usual.parquet", index=False)
    usual.assign(spend=usual.spend * 40).to_parquet("dear.parquet", index=False)
    capsys.readouterr()
    assert run_predict("usual.parquet", "--data", "data", "--output", "usual_scores.parquet") == 0
    assert "differs from" not in capsys.readouterr().out
    assert run_predict("dear.parquet", "--data", "data", "--output", "dear_scores.parquet") == 0
    said = capsys.readouterr().out
    assert "the list (160 rows) differs from the 200 newest results that the model learnt from in " in said
    assert "price of the deal: the middle is $" in said
    scored = pd.read_parquet("usual_scores.parquet").conversions_per_dollar[:40]
    assert scored.tolist() == pd.read_parquet(plain).conversions_per_dollar.tolist()


def test_a_disk_that_fills_leaves_the_old_scores(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (world / "kept").mkdir()
    Path("kept/link.csv").symlink_to("scores.csv")
    Path("kept/scores.csv").write_text("old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))  # as a full disk, but for a file's size alone
    try:
        assert run_score("kept/link.csv") == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("--output: it cannot be written (File too large): received ")
    assert [path.name for path in (world / "kept").iterdir() if not path.is_symlink()] == ["scores.csv"]
    assert Path("kept/scores.csv").read_text() == "old"
    assert run_score("kept/link.csv") == 0
    assert len(pd.read_csv("kept/scores.csv")) == 40
    assert Path("kept/link.csv").is_symlink()


@pytest.mark.parametrize("chunk", [17])
def test_the_chunk_changes_no_byte(world: Path, plain: Path, chunk: int) -> None:
    from features.history.source import open_candidates, open_history
    from models import tracking
    from models.batch.score_file import score_file

    model = tracking.load(tracking.connect(), "models:/conversions-per-dollar@champion")
    with open_history("data") as history:
        candidates = open_candidates(history, Path("candidates.parquet"))
        score_file(history, candidates, model.scorer, model.label, Path("parts.csv"), chunk=chunk)
    assert Path("parts.csv").read_bytes() == plain.with_suffix(".csv").read_bytes()


def test_reasons_for_the_best_alone(world: Path, plain: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_score("few.parquet", "--reasons", "3") == 0
    said = capsys.readouterr().out.partition("what moved these scores most, against the average score:\n")[2]
    usual, few = pd.read_parquet(plain), pd.read_parquet("few.parquet")
    assert said.partition("warnings: ")[0].count("\n") == (few.reasons != "[]").sum() > 0
    assert few.reasons.tolist() == usual.reasons.where(usual["rank"] <= 3, "[]").tolist()
    assert few.drop(columns="reasons").equals(usual.drop(columns="reasons"))
    assert run_score("none.parquet", "--reasons", "none") == 0
    assert set(pd.read_parquet("none.parquet").reasons) == {"[]"}
    assert "what moved these scores" not in capsys.readouterr().out


def test_a_folder_of_parts_is_scored_into_one(world: Path, plain: Path, capsys: pytest.CaptureFixture[str]) -> None:
    listed = pd.read_parquet("candidates.parquet")
    Path("parts").mkdir()
    listed[:25].to_parquet("parts/a.parquet", index=False)
    listed[25:].to_parquet("parts/b.parquet", index=False)
    call = ("parts", "--data", "data", "--output")
    assert run_predict(*call, "from_parts.csv") == 0
    assert Path("from_parts.csv").read_bytes() == plain.with_suffix(".csv").read_bytes()
    assert run_predict(*call, "scored/") == 0
    assert "40 candidates scored by conversions-per-dollar/1 into scored/\n" in capsys.readouterr().out
    assert [path.name for path in Path("scored").iterdir()] == ["part-00000.parquet"]
    pd.testing.assert_frame_equal(pd.read_parquet("scored/part-00000.parquet"), pd.read_parquet(plain))
    before = sorted(world.rglob("*"))
    faults = {
        "scored/": "--output: it is a folder that is not empty: received scored.",
        "parts/": "--output: it is a folder that is not empty: received parts.",
        "parts/new/": "--output: it is a file that is read as input: received parts/new.",
        "parts/new.csv": "--output: it is a file that is read as input: received parts/new.csv.",
        "new.csv/": "--output: it ends in /, as a folder of parts, but has the ending of a file: received new.csv.",
        "parts": "--output: its ending is unknown: received parts. Let it end in .parquet or .csv, or in / for",
    }
    for output, said in faults.items():
        assert run_predict(*call, output) == 2
        assert said in capsys.readouterr().err
    assert sorted(world.rglob("*")) == before


def test_fewer_columns_and_a_run_that_may_be_resumed(
    world: Path, plain: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = ("--columns", "rank,note, conversions_per_dollar", "--resume")
    assert run_score("few.csv", *few) == 0
    said = capsys.readouterr()
    kept, usual = pd.read_csv("few.csv"), pd.read_csv(plain.with_suffix(".csv"))
    assert kept.columns.tolist() == [
        name for name in usual.columns if name in ("candidate_id", "note", "conversions_per_dollar", "rank")
    ]
    pd.testing.assert_frame_equal(kept, usual[kept.columns])
    assert "80 %" not in said.out
    assert "warnings: " not in said.out
    assert "what moved these scores" not in said.out
    best = usual.sort_values("rank", kind="stable").candidate_id.head(10).tolist()
    assert [line.split()[1] for line in said.out.splitlines()[3:13]] == best
    promised = "conversions_per_dollar,conversions_per_dollar_low,conversions_per_dollar_high"
    assert run_score("sealed.csv", "--columns", promised, "--ledger", "few.jsonl") == 0
    assert Path("few.jsonl").exists()
    assert len(pd.read_csv("sealed.csv").columns) == 4


@pytest.mark.long
def test_results_that_a_training_was_kept_from_shape_no_score(world: Path, plain: Path, tmp_path: Path) -> None:
    from features.history.source import open_candidates, open_history
    from models import tracking
    from models.batch.score_file import score_file

    model = tracking.load(tracking.connect(), "models:/conversions-per-dollar@champion")
    deals = pd.read_parquet("data/collaborations.parquet")
    gone = tuple(deals.collaboration_id[::2])
    facts = dataclasses.replace(model.scorer.facts, kept_out=gone)
    shutil.copytree("data", tmp_path / "smaller")
    deals[~deals.collaboration_id.isin(gone)].to_parquet(tmp_path / "smaller" / "collaborations.parquet")
    for name, data, scorer in (
        ("left_out.csv", "data", dataclasses.replace(model.scorer, facts=facts)),
        ("smaller.csv", tmp_path / "smaller", model.scorer),
    ):
        with open_history(data) as history:
            score_file(
                history, open_candidates(history, Path("candidates.parquet")), scorer, model.label, tmp_path / name
            )
    assert (tmp_path / "left_out.csv").read_bytes() == (tmp_path / "smaller.csv").read_bytes()
    assert (tmp_path / "left_out.csv").read_bytes() != plain.with_suffix(".csv").read_bytes()


def test_a_target_cost_adds_two_columns(world: Path, plain: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from models import tracking
    from models.uncertainty.target import Target

    usual = pd.read_parquet(plain)
    cost = round(2 * usual.cost_per_conversion.median())
    capsys.readouterr()
    assert run_score("half.parquet", "--target-cost", str(cost)) == 0
    half = pd.read_parquet("half.parquet")
    middle = round(float(half.probability_within_target.median()), 3)
    assert 0.5 < middle < 1
    assert run_score("sure.csv", "--target-cost", str(cost), "--confidence", str(middle)) == 0
    said = capsys.readouterr().out
    assert f"P(≤ {cost} $)" in said
    assert f"walk away $ ({100 * middle:g} %)" in said
    assert "unlike all past results: " in said
    sure = pd.read_csv("sure.csv")
    added = ["probability_within_target", "walk_away_price"]
    at = usual.columns.tolist().index("cost_per_conversion") + 1
    assert half.columns.tolist() == [*usual.columns[:at], *added, *usual.columns[at:]] == sure.columns.tolist()
    pd.testing.assert_frame_equal(half.drop(columns=added), usual)
    assert half.probability_within_target.between(0, 1).all()
    assert half.probability_within_target.nunique() > 10
    for scores, confidence in ((half, 0.5), (sure, middle)):
        enough = scores.probability_within_target >= confidence
        assert (enough == (scores.spend <= scores.walk_away_price)).all()
    assert 0 < enough.sum() < len(enough)
    assert (sure.walk_away_price <= half.walk_away_price).all()
    intervals = tracking.load(tracking.connect(), "models:/conversions-per-dollar/1").scorer.intervals
    codes = [code for text in half.warnings for code in json.loads(text)]
    assert "unlike_results" not in codes  # so that no row's distribution is a wider one
    size = np.full(len(half), "micro")  # followers lie from 1,000 to 60,000
    size[half.creator_id.str[1:].replace("obody", "99").astype(int) < 9] = "nano"
    known = (half.creator_id != "nobody").to_numpy()
    within, price = Target(cost).worth(
        intervals, half.conversions.to_numpy(), size, np.zeros(len(half)), half.spend.to_numpy()
    )
    np.testing.assert_allclose(half.probability_within_target[known], within[known])
    np.testing.assert_allclose(half.walk_away_price[known], price[known])


def test_an_output_is_replaced_at_the_end_or_not_at_all(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from models.batch import tally

    Path("kept.csv").write_text("old")

    def interrupted(*_: object) -> None:
        assert Path("kept.csv").read_text() == "old"
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(tally, "_best", interrupted)
        assert run_score("kept.csv") == 130
    assert Path("kept.csv").read_text() == "old"
    assert not [p for p in world.iterdir() if p.name.startswith(".")]
    assert run_score("kept.csv") == 0
    assert Path("kept.csv").stat().st_mode & 0o777 == 0o666 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@pytest.mark.long
def test_a_terminated_prediction_clears_up(world: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, str(ROOT / "predict.py"), "candidates.parquet", "--data", "data", "--output", "cut.csv"],
        stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, cwd=world,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not list(world.glob(".cut.csv-*")) and child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    child.send_signal(signal.SIGTERM)
    child.communicate(timeout=60)
    assert child.returncode in (143, 0)
    assert not list(world.glob(".cut.csv-*"))
    assert child.returncode == 0 or not (world / "cut.csv").exists()


def test_own_columns_neither_rank_nor_move(world: Path) -> None:
    candidates = pd.read_parquet("candidates.parquet").drop(columns=["objective"])
    candidates.insert(0, "Conversions_Per_Dollar", np.arange(len(candidates), dtype=float)[::-1])
    candidates["file_row_number"] = 7
    candidates.to_parquet("odd.parquet", index=False)
    assert run_predict("odd.parquet", "--data", "data", "--output", "odd_scores.parquet") == 0
    scores = pd.read_parquet("odd_scores.parquet")
    assert scores.columns[: len(candidates.columns)].tolist() == candidates.columns.tolist()
    assert "objective" not in scores
    expected = scores.conversions_per_dollar.rank(ascending=False, method="min").astype(int)
    assert scores["rank"].tolist() == expected.tolist()
