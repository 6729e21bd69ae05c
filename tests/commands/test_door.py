"""What happens to bad batches of results: kept out or the door closed, status 3, the champion as it was."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from tests.support.commands import run_predict, run_train

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("in_world")]
NAME = "conversions-per-dollar"
NEW = 60


def champion() -> tuple[int, int]:
    """The champion's version, and how many versions there are."""
    from models import tracking

    client = tracking.connect()
    versions = client.search_model_versions(f"name = '{NAME}'")
    return int(client.get_model_version_by_alias(NAME, "champion").version), len(versions)


def write(folder: Path, change: Callable[[pd.DataFrame], pd.DataFrame]) -> str:
    """The world's data with changed collaborations."""
    shutil.copytree("data", folder)
    path = next(folder.glob("collaborations.*"))
    frame = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    frame = change(frame)
    frame.to_parquet(path, index=False) if path.suffix == ".parquet" else frame.to_csv(path, index=False)
    return str(folder)


def newer(frame: pd.DataFrame) -> pd.DataFrame:
    """NEW results like the newest ones, under new ids."""
    batch = frame.tail(NEW).copy()
    batch["collaboration_id"] = [f"new{i:03}" for i in range(len(batch))]
    for name in ("starts_at", "observed_until"):
        batch[name] = pd.to_datetime(batch[name]) + pd.Timedelta(days=9)
    batch["spend"] = (batch.spend * 1.1).round(2)
    return batch


def in_cents(frame: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([frame, newer(frame).assign(spend=lambda t: t.spend * 100)], ignore_index=True)


def counted_in_cents(frame: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([frame, newer(frame).assign(conversions=lambda t: t.conversions * 100)], ignore_index=True)


def shuffled(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(conversions=frame.conversions.sample(frac=1, random_state=1).to_numpy())


def stopped(data: str, named: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Train on a bad batch, which ends at the door; what standard output said."""
    before = champion()
    report = tmp_path / "outcome.json"
    assert run_train(data, "--search", "0", "--report", str(report)) == 3
    said = capsys.readouterr()
    assert named in said.err
    assert champion() == before
    outcome = json.loads(report.read_text(encoding="utf-8"))
    assert (outcome["status"], outcome["action"]) == (3, "stopped")
    assert any(named in alarm["sentence"] and alarm["source"] == "intake" for alarm in outcome["alarms"])
    return said.out


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (counted_in_cents, "counts multiplied by 100"),
        pytest.param(shuffled, "results had settled and have other conversions now", marks=pytest.mark.long),
        pytest.param(
            lambda frame: frame.head(len(frame) // 3), "results of the last training are gone", marks=pytest.mark.long
        ),
    ],
    ids=["conversions x 100", "shuffled", "cut short"],
)
def test_a_bad_batch_ends_with_3_and_leaves_the_champion(
    change: Callable[[pd.DataFrame], pd.DataFrame], named: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stopped(write(tmp_path / "data", change), named, tmp_path, capsys)


@pytest.mark.long
def test_the_champion_leaves_out_what_was_kept_out_since(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write(tmp_path / "data", in_cents)
    said = stopped(data, "cents given as dollars", tmp_path, capsys)
    assert f"kept out, {NEW} results (spend: cents given as dollars): new000, " in said
    assert run_predict("candidates.parquet", "--data", data, "--output", str(tmp_path / "scores.csv")) == 0
    without = f"collaborations: {NEW} results are left out of the features; a training kept them out"
    from models import tracking
    from models.registry.left_out import announced

    client = tracking.connect()
    named = f"because they looked wrong (run {announced(client, NAME)})"
    assert f"note: {without}, {named}" in capsys.readouterr().err
    assert run_train("data", "--search", "0") == 0
    assert "nothing new" in capsys.readouterr().out
    assert client.get_run(announced(client, NAME) or "").data.tags["kept_out"] == "0", "the data without them are back"


def test_what_was_not_looked_at_is_said() -> None:
    from models.monitoring.checked import NO_LEVEL, Checked
    from models.monitoring.findings import Intake
    from models.monitoring.level_drift import LevelDrift

    def said(intake: Intake) -> list[str]:
        return Checked(intake, LevelDrift(), (), (), (), {}, {}, 0, {}).lines()

    closed, opened = said(Intake(5, {}, closed=True, reason="another export")), said(Intake(5, {}))
    assert "not looked at: the door is closed" in closed
    assert NO_LEVEL not in closed
    assert NO_LEVEL in opened
    assert "too few deals to say what is usual" in opened
    assert not any("is plausible" in line for line in opened)


def fewer(frame: pd.DataFrame) -> pd.DataFrame:
    """160 results more, with fewer conversions than were promised."""
    batch = frame.sample(160, random_state=0).reset_index(drop=True)
    hours = pd.to_timedelta(3 * batch.index, unit="h")
    return pd.concat([frame, batch.assign(
        collaboration_id=[f"fewer{i:03}" for i in range(160)], conversions=batch.conversions // 2.7,
        starts_at=frame.starts_at.max() + hours, observed_until=frame.observed_until.max() + hours,
        spend=(batch.spend * 1.1).round(2),
    )], ignore_index=True)  # fmt: skip


def test_check_says_what_a_training_would(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write(
        tmp_path / "data", lambda t: fewer(t).assign(brand=lambda t: t.brand.where(t.index < 459, t.brand.str.upper()))
    )
    report, page = tmp_path / "outcome.json", tmp_path / "outcome.html"
    before = {path: path.stat().st_mtime_ns for path in Path.cwd().rglob("*") if path.name != "mlflow.db"}
    rows = Path("mlflow.db").read_bytes()
    assert run_train(data, "--check", "--report", str(report)) == 3
    said = capsys.readouterr()
    assert "note: brand: 1 name is written in several ways" in said.err
    assert "since the last training 160 new" in said.out
    assert "collaborations.creator_id: 460 of 460 rows find their creator; 60 of 60 creators have rows" in said.out
    assert "of 460 collaborations find earlier deals of their creator by their start (not '" in said.out
    assert "at ×0." in said.out, "the level"
    assert "drift: the " in said.err
    assert "spend of a deal" in said.out
    assert "every quantity that is known is plausible" in said.out
    assert "checked; nothing was trained" in said.out
    details = json.loads(report.read_text(encoding="utf-8"))["details"]
    assert [join["matched"] for join in details["joins"]] == [460]
    assert details["level_drift"][0]["drifted"]
    assert {unit["plausible"] for unit in details["units"]} == {True}
    assert {path: path.stat().st_mtime_ns for path in Path.cwd().rglob("*") if path.name != "mlflow.db"} == before
    assert Path("mlflow.db").read_bytes() == rows
    assert run_train("data", "--check", "--report", str(page)) == 0
    shown = page.read_text(encoding="utf-8")
    assert "300 of 300 rows find their creator" in shown
    assert "<td>spend of a deal</td>" in shown
    assert "no table posts: " in shown


@pytest.mark.long
def test_a_level_that_moved_is_trained_on_and_raises_an_alarm(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "outcome.json"
    assert run_train(write(tmp_path / "data", fewer), "--search", "0", "--report", str(report)) == 3
    said = capsys.readouterr()
    assert "drift: the " in said.err
    outcome = json.loads(report.read_text(encoding="utf-8"))
    assert outcome["action"] in ("promoted", "kept")
    assert "drift" in {alarm["source"] for alarm in outcome["alarms"]}
    assert outcome["details"]["level_drift"][0]["drifted"]
    from models import tracking

    client = tracking.connect()
    version = client.get_model_version(NAME, str(champion()[1]))
    run = client.get_run(version.run_id or "")
    assert run.data.metrics["drift.level_4_weeks.high"] < 1
    assert run.data.tags["alarm.drift"].startswith("the ")
