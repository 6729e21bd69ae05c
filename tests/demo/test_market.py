"""The made-up market: the same from the same seed, true to the contract, written whole and marked as made up."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from demo import MarketSettings, World, make_market
from demo.__main__ import main
from tests.support.paths import ROOT

SMALL = ["--creators", "60", "--results", "80", "--candidates", "30"]
NOW = pd.Timestamp(MarketSettings().now)
KEYS = {
    "collaborations": "collaboration_id",
    "creators": "creator_id",
    "posts": "post_id",
    "comments": "comment_id",
    "candidates": "candidate_id",
    "truth": "candidate_id",
}


@pytest.fixture(scope="module")
def world() -> World:
    return make_market(MarketSettings(), seed=1)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_same_seed_writes_the_same_bytes_and_another_seed_does_not(tmp_path: Path) -> None:
    for name, seed in {"a": "4", "b": "4", "c": "5"}.items():
        assert main([str(tmp_path / name), *SMALL, "--seed", seed]) == 0
    a, b, c = (contents(tmp_path / name) for name in "abc")
    assert len(a) == 8
    assert a == b
    assert all(a[name] != c[name] for name in a)


def test_number_of_comments_changes_neither_deals_nor_posts() -> None:
    few, many = (
        make_market(MarketSettings(creators=50, results=60, candidates=20, comments_per_creator=n), 2)
        for n in (1.0, 50.0)
    )
    assert len(few.comments) < len(many.comments)
    for name in ("collaborations", "posts", "candidates", "truth", "conversions"):
        pd.testing.assert_frame_equal(getattr(few, name), getattr(many, name))


def test_the_clock_is_the_settings_now() -> None:
    early = datetime(2020, 2, 3, 4, 5, 6, tzinfo=UTC)
    made = make_market(MarketSettings(creators=50, results=200, candidates=20, now=early))
    assert made.collaborations["observed_until"].max() == pd.Timestamp(early)
    assert made.candidates["starts_at"].min() > pd.Timestamp(early)
    daily = made.conversions.groupby("collaboration_id")["conversions"].sum()
    counted = made.collaborations.set_index("collaboration_id")["conversions"]
    assert (daily == counted.reindex(daily.index)).all()


def test_keys_are_unique_and_nothing_required_is_missing(world: World) -> None:
    for name, key in KEYS.items():
        assert getattr(world, name)[key].is_unique, name
    optional = {"views", "brand"}
    for name in (*KEYS, "conversions"):
        table = getattr(world, name)
        gaps = set(table.columns[table.isna().any()])
        assert gaps <= (optional if name == "posts" else set()), name


def test_references_hold(world: World) -> None:
    creators, posts = set(world.creators["creator_id"]), world.posts.set_index("post_id")
    for name in ("collaborations", "posts", "comments", "candidates"):
        assert set(getattr(world, name)["creator_id"]) <= creators, name
    owner = posts["creator_id"].reindex(world.comments["post_id"])
    assert (owner.to_numpy() == world.comments["creator_id"].to_numpy()).all()
    assert set(world.conversions["collaboration_id"]) <= set(world.collaborations["collaboration_id"])
    assert (world.truth["candidate_id"] == world.candidates["candidate_id"]).all()


@pytest.mark.slow
def test_times_are_utc_in_microseconds_and_on_their_side_of_the_cut_off(world: World) -> None:
    times = {"collaborations": ["starts_at", "observed_until"], "posts": ["posted_at"], "comments": ["commented_at"]}
    for name, columns in {**times, "candidates": ["starts_at"]}.items():
        assert {str(getattr(world, name)[c].dtype) for c in columns} == {"datetime64[us, UTC]"}
    assert (world.collaborations["starts_at"] < NOW).all()
    assert (world.collaborations["observed_until"] <= NOW).all()
    assert (world.collaborations["observed_until"] > world.collaborations["starts_at"]).all()
    assert (world.posts["posted_at"] < NOW).all()
    assert (world.comments["commented_at"] < NOW).all()
    assert (world.candidates["starts_at"] > NOW).all()
    posted = world.posts.set_index("post_id")["posted_at"].reindex(world.comments["post_id"])
    assert (world.comments["commented_at"].to_numpy() >= posted.to_numpy()).all()


def test_amounts_are_in_range(world: World) -> None:
    past = world.collaborations
    assert (past["spend"] > 0).all()
    assert (past["promotion_hours"] > 0).all()
    assert (past["deliverables"] >= 1).all()
    assert (past["clicks"] >= past["conversions"]).all()
    counts = world.posts[["followers", "views", "likes", "comments", "shares", "saves"]]
    assert (counts.min() >= 0).all()
    assert set(past["objective"]) == {"sales", "awareness", "launch", "content", "community"}


def test_daily_conversions_add_up_within_start_and_observed_until(world: World) -> None:
    daily = world.conversions.merge(world.collaborations, on="collaboration_id", suffixes=("", "_counted"))
    sums = daily.groupby("collaboration_id").agg(
        days=("conversions", "sum"), counted=("conversions_counted", "first"), repeated=("date", lambda d: d.is_unique)
    )
    assert (sums["days"] == sums["counted"]).all()
    assert sums["repeated"].all()
    assert (daily["date"] >= daily["starts_at"].dt.date).all()
    assert (daily["date"] <= daily["observed_until"].dt.date).all()
    assert len(sums) / len(world.collaborations) == pytest.approx(MarketSettings().by_day_share, abs=0.03)


@pytest.mark.slow
def test_truth_is_consistent_and_holds_the_unseen_and_the_silent(world: World) -> None:
    truth = world.truth
    np.testing.assert_allclose(truth["rate"], truth["mean"] / world.candidates["spend"])
    np.testing.assert_array_equal(truth["spend"], world.candidates["spend"])
    bounds = {0: (0, 1e4), 1: (1e4, 1e5), 2: (1e5, 1e6), 3: (1e6, np.inf)}
    for band, (low, high) in bounds.items():
        size = truth.loc[truth["band"] == band, "followers"]
        assert len(size)
        assert ((size >= low) & (size < high)).all()
    hired = world.candidates["creator_id"].isin(world.collaborations["creator_id"])
    assert (truth["seen"].to_numpy() == hired.to_numpy()).all()
    assert 0.05 < (~truth["seen"]).mean() < 0.4
    assert (~world.candidates["creator_id"].isin(world.posts["creator_id"])).any()
    assert truth["conversions"].sum() == pytest.approx(truth["mean"].sum(), rel=0.15)
    for drawn in (truth, world.finals):
        large = drawn[drawn["mean"] > 50]
        relative = large["conversions"] / large["mean"] - 1
        assert relative.mean() == pytest.approx(0, abs=0.15)
        assert relative.var() == pytest.approx(1 / MarketSettings().dispersion, rel=0.5)


def test_existing_folder_is_refused_and_left_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "market"
    assert main([str(out), *SMALL]) == 0
    before = contents(out)
    assert main([str(out), *SMALL, "--seed", "9"]) == 2
    assert f"{out} exists already" in capsys.readouterr().err
    assert contents(out) == before
    assert main([str(out), *SMALL, "--seed", "9", "--force"]) == 0
    assert contents(out) != before
    assert [p.name for p in tmp_path.iterdir()] == ["market"]


def test_force_never_replaces_what_is_no_made_up_market(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "collaborations.parquet").write_bytes(b"real")
    assert main([str(tmp_path / "data"), *SMALL, "--force"]) == 2
    assert "no MADE_UP.md" in capsys.readouterr().err
    assert contents(tmp_path) == {"data/collaborations.parquet": b"real"}


def test_marker_tells_seed_and_settings(tmp_path: Path) -> None:
    assert main([str(tmp_path / "w"), *SMALL, "--seed", "7"]) == 0
    text = (tmp_path / "w" / "MADE_UP.md").read_text()
    assert "is made up" in text
    assert re.search(r"^\| seed \| 7 \|$", text, re.M)
    assert re.search(r"^\| creators \| 60 \|$", text, re.M)
    assert re.search(r"^\| now \| 2026-04-01 00:00:00\+00:00 \|$", text, re.M)


def test_a_failed_write_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    written: list[str] = []
    whole = pd.DataFrame.to_parquet

    def failing(table: pd.DataFrame, path: Path, index: bool) -> None:
        if len(written) == 4:
            raise OSError(errno.ENOSPC, "Error writing bytes to file. Detail: …")
        written.append(str(path))
        whole(table, path, index=index)

    monkeypatch.setattr(pd.DataFrame, "to_parquet", failing)
    assert main([str(tmp_path / "w"), *SMALL]) == 1
    assert list(tmp_path.iterdir()) == []
    expected = f"error: {tmp_path}/w cannot be written: No space left on device; nothing was left there\n"
    assert capsys.readouterr().err == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--creators", "0"], "creators must be at least 1, got 0"),
        (["--results", "-3"], "results must be at least 1, got -3"),
        (["--seed", "-1"], "seed must be at least 0, got -1"),
    ],
)
def test_wrong_sizes_are_refused(
    options: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path / "w"), *options]) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_help_shows_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["--help"])
    assert left.value.code == 0
    assert "python -m demo build/market --seed 7 --force" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "status", "errors"),
    [
        ("demo ß >&-", 0, b""),
        ("demo ß | true", 0, b""),
        ("PYTHONIOENCODING=ascii demo ß", 0, b""),
        ("demo --help | true", 0, b""),
        ("PYTHONIOENCODING=ascii demo --help", 0, b""),
        ("demo ß > /dev/full", 1, b"error: standard output cannot be written: No space left on device\n"),
        ("demo ß --seed -1 2>&-", 2, b""),
    ],
)
def test_any_reader_may_leave(line: str, status: int, errors: bytes, tmp_path: Path) -> None:
    sizes = "--creators 3 --results 3 --candidates 3"
    script = f'set -o pipefail; demo() {{ "{sys.executable}" -m demo "$@" {sizes}; }}; {line}'
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)},
                          capture_output=True, timeout=120)  # fmt: skip
    assert (done.returncode, done.stderr) == (status, errors)
    assert (tmp_path / "ß" / "candidates.parquet").exists() == (status < 2 and "help" not in line)


@pytest.mark.parametrize(
    "sizes",
    [
        {"creators": 1, "results": 1, "candidates": 1, "brands": 1},
        {"creators": 30, "posts_per_creator": 0.0},
        {"creators": 30, "silent_share": 1.0},
        {"creators": 20, "history_days": 28, "by_day_share": 0.0},
    ],
)
def test_odd_sizes_work(sizes: dict[str, float]) -> None:
    settings = MarketSettings(**{"results": 20, "candidates": 5} | sizes)  # type: ignore[arg-type]
    made = make_market(settings, 3)
    assert len(made.collaborations) == settings.results
    assert len(made.truth) == len(made.candidates) == settings.candidates


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(ValueError, match=r"by_day_share must be between 0 and 1, got 1\.5"):
        MarketSettings(by_day_share=1.5)
    with pytest.raises(ValueError, match="now must be in UTC, got 2026-01-01"):
        MarketSettings(now=datetime(2026, 1, 1))
