"""A long list's scores: features from flat arrays, in threads, are those of the table expressions to the bit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from features.history.source import open_candidates, open_history
from features.matrix import FeatureBuilder
from models import tracking
from models.batch import list_scorer
from models.batch.file_columns import chosen_columns
from models.batch.score_file import score_file
from models.batch.scored_parts import ScoredParts
from models.batch.tally import Summary
from models.estimators import fast_trees, rate
from models.estimators.rate import RateModel
from models.newest.snapshot import Snapshot
from models.uncertainty.interval import Intervals
from models.uncertainty.support import Support
from models.uncertainty.target import Target

pytestmark = pytest.mark.slow
ROWS, CHUNK = 240, 48
NEVER = 10**9  # rows that no list has: table expressions alone


@pytest.fixture(scope="module")
def long_list(tiny_market: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """More rows than the market has creators: strangers among them. Of five chunks one begins in the past, one with
    the exception of a row; in two a few rows do."""
    rng = np.random.default_rng(3)
    offered = pd.read_parquet(tiny_market / "candidates.parquet").sample(ROWS, replace=True, random_state=1)
    offered = offered.reset_index(drop=True).assign(candidate_id=[f"k{i}" for i in range(ROWS)])
    offered["spend"] = (offered.spend * np.exp(rng.normal(0, 0.4, ROWS))).round(2)
    offered.loc[::9, "creator_id"] = "nobody"
    offered.loc[::7, ["product_country", "objective"]] = np.nan
    days = np.where(np.arange(ROWS) // CHUNK % 3 == 1, -200, 0)
    days[[3, 100, 101]] = -200
    days[5], days[200] = 500, 0
    offered["starts_at"] += pd.to_timedelta(days, "D")
    path = tmp_path_factory.mktemp("long") / "candidates.parquet"
    offered.to_parquet(path, index=False)
    return path


class Seen:
    """Looks at all rows. chunks: their features, candidates and conversions."""

    def __init__(self) -> None:
        self.chunks: list[tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]] = []

    def due(self, rows: int) -> np.ndarray:
        return np.arange(rows)

    def add(self, matrix: pd.DataFrame, spine: pd.DataFrame, scores: pd.DataFrame) -> None:
        self.chunks.append((matrix, spine, scores))

    def candidates(self) -> list[str]:
        """In the order in which they were looked at."""
        return [one for _, spine, _ in self.chunks for one in spine.candidate_id]


def scored(
    workspace: Path, listed: Path, output: Path, monkeypatch: pytest.MonkeyPatch, least: int, **options: Any
) -> tuple[Summary, list[Snapshot], Seen]:
    """What came of a run, the arrays that it made, and what was looked at. least: LEAST_ROWS. options: of the run."""
    made, seen = list[Snapshot](), Seen()

    def probe(builder: FeatureBuilder, progress: Callable[[int, int], None]) -> Snapshot:
        made.append(original(builder, progress=progress))
        return made[-1]

    original = list_scorer.probe
    monkeypatch.chdir(workspace)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with monkeypatch.context() as patch, open_history("data") as history:
        patch.setattr(list_scorer, "LEAST_ROWS", least)
        patch.setattr(list_scorer, "probe", probe)
        model = tracking.load(tracking.connect(create=False), "models:/conversions-per-dollar@champion")
        candidates = open_candidates(history, listed)
        if names := options.pop("names", None):
            options["columns"] = chosen_columns(names, candidates.columns, target=True)
        summary = score_file(
            history, candidates, model.scorer, model.label, output, target=Target(20.0, 0.8),
            chunk=CHUNK if least < NEVER else ROWS, look=seen, **options,
        )  # fmt: skip
    return summary, made, seen


@pytest.fixture(scope="module")
def expected(
    trained_workspace: Path, long_list: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Summary, pd.DataFrame]:
    """What table expressions alone give, in one chunk."""
    output = tmp_path_factory.mktemp("expressions") / "scores.parquet"
    with pytest.MonkeyPatch.context() as patch:
        summary, none, _ = scored(trained_workspace, long_list, output, patch, NEVER)
    assert none == []
    return summary, pd.read_parquet(output)


def test_arrays_and_table_expressions_give_the_same_bits(
    trained_workspace: Path,
    long_list: Path,
    expected: tuple[Summary, pd.DataFrame],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    arrays = tmp_path / "arrays.parquet"
    received, made, seen = scored(trained_workspace, long_list, arrays, monkeypatch, least=ROWS)
    assert len(made) == 1
    begun = pd.read_parquet(long_list).starts_at.dt.tz_localize(None).to_numpy("datetime64[us]").astype(np.int64)
    assert 0.5 < (begun >= made[0].horizon).mean() < 0.8, "both ways are taken"
    assert received == expected[0]
    pd.testing.assert_frame_equal(pd.read_parquet(arrays), expected[1], check_exact=True)
    assert seen.candidates() == [f"k{i}" for i in range(ROWS)]
    assert received.warnings
    assert received.warnings["far_ahead"] == 1


@pytest.mark.long
def test_compiled_trees_give_the_same_bits(
    trained_workspace: Path,
    long_list: Path,
    expected: tuple[Summary, pd.DataFrame],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = list[int]()
    by_kernel = fast_trees.FastTrees.raw_scores

    def raw_scores(trees: fast_trees.FastTrees, features: np.ndarray) -> np.ndarray:
        calls.append(len(features))
        return by_kernel(trees, features)

    monkeypatch.setattr(fast_trees.FastTrees, "raw_scores", raw_scores)
    output = tmp_path / "scores.parquet"
    for least, chunks in ((ROWS, ROWS // CHUNK), (ROWS + 1, 0)):
        monkeypatch.setattr(rate, "WORTH_COMPILED", least)
        calls.clear()
        received, _, _ = scored(trained_workspace, long_list, output, monkeypatch, least=ROWS)
        assert calls == [CHUNK] * chunks
        assert received == expected[0]
        pd.testing.assert_frame_equal(pd.read_parquet(output), expected[1], check_exact=True)


def test_only_rows_that_start_early_go_to_the_table_expressions(
    trained_workspace: Path, long_list: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = list[pd.DataFrame]()

    def build(builder: FeatureBuilder, spine: pd.DataFrame, *columns: Sequence[str]) -> pd.DataFrame:
        built.append(spine)
        return original(builder, spine, *columns)

    original = FeatureBuilder.build
    monkeypatch.setattr(FeatureBuilder, "build", build)
    _, (made,), seen = scored(trained_workspace, long_list, tmp_path / "scores.parquet", monkeypatch, least=ROWS)
    slow = pd.concat([spine for spine in built if "candidate_id" in spine])  # the others are of the arrays
    starts = pd.read_parquet(long_list).starts_at.dt.tz_localize(None).to_numpy("datetime64[us]").astype(np.int64)
    assert slow.candidate_id.tolist() == [f"k{i}" for i in np.flatnonzero(starts < made.horizon)]
    assert len(slow) == 3 + 48 + 47
    assert len({tuple(matrix) for matrix, _, _ in seen.chunks}) == 1, "the same columns, whichever way they came"


def test_progress_names_the_creators_before_any_score(
    trained_workspace: Path, long_list: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reported = list[tuple[str, int, int]]()
    scored(
        trained_workspace, long_list, tmp_path / "scores.parquet", monkeypatch, least=ROWS,
        progress=lambda *words: reported.append(words),
    )  # fmt: skip
    assert reported[:2] == [("creators", 0, 60), ("creators", 60, 60)]
    assert reported[2:] == [("scores", done, ROWS) for done in range(CHUNK, ROWS + 1, CHUNK)]


@pytest.mark.long
def test_columns_that_are_left_out_are_not_computed_and_the_others_stay(
    trained_workspace: Path,
    long_list: Path,
    expected: tuple[Summary, pd.DataFrame],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = list[str]()

    def note(owner: type, name: str) -> None:
        original = getattr(owner, name)

        def called(*words: Any, **options: Any) -> Any:
            calls.append(name)
            return original(*words, **options)

        monkeypatch.setattr(owner, name, called)

    for owner, name in (
        (Intervals, "between"), (Target, "worth"), (Support, "excess_of"), (RateModel, "contributions"),
        (RateModel, "explained"), (ScoredParts, "add"), (ScoredParts, "ranks"),
    ):  # fmt: skip
        note(owner, name)
    low, parts = "conversions_per_dollar_low", {"add", "ranks"}
    for names, needed in {
        ("model_version", "conversions_per_dollar"): set[str](),
        ("conversions", "spend"): set[str](),
        ("rank",): parts,
        ("warnings",): {"excess_of"},
        (low,): {"excess_of", "between"},
        ("walk_away_price",): {"excess_of", "worth"},
        ("reasons", "brand"): {"contributions"},
    }.items():
        calls.clear()
        output = tmp_path / f"{names[0]}.parquet"
        summary, _, _ = scored(trained_workspace, long_list, output, monkeypatch, least=ROWS, names=names)
        found = pd.read_parquet(output)
        assert found.columns.tolist() == [c for c in expected[1].columns if c == "candidate_id" or c in names]
        pd.testing.assert_frame_equal(found, expected[1][found.columns], check_exact=True)
        assert set(calls) == needed, names
        assert summary.warnings == (expected[0].warnings if "warnings" in names else None)
    calls.clear()
    scored(trained_workspace, long_list, tmp_path / "all.parquet", monkeypatch, least=ROWS)
    assert set(calls) == {"excess_of", "between", "worth", "explained", *parts}


def test_no_arrays_are_made_for_fewer_rows_than_there_are_creators(
    trained_workspace: Path, long_list: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = tmp_path / "few.parquet"
    pd.read_parquet(long_list).head(59).to_parquet(few, index=False)
    assert scored(trained_workspace, few, tmp_path / "scores.csv", monkeypatch, least=1)[1] == []


@pytest.mark.parametrize(
    ("least", "most"),
    [pytest.param(ROWS, 0, marks=pytest.mark.long), (ROWS, 12), pytest.param(NEVER, 12, marks=pytest.mark.long)],
)
def test_reasons_of_the_best_alone_are_those_of_all(
    trained_workspace: Path,
    long_list: Path,
    expected: tuple[Summary, pd.DataFrame],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    least: int,
    most: int,
) -> None:
    few, _, _ = scored(trained_workspace, long_list, tmp_path / "best.parquet", monkeypatch, least, reasons=most)
    due = expected[1]["rank"] <= most
    assert due.sum() >= most
    alike = expected[1].assign(reasons=expected[1].reasons.where(due, "[]"))
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "best.parquet"), alike, check_exact=True)
    assert few.best == [row | ({} if most else {"reasons": "[]"}) for row in expected[0].best]
