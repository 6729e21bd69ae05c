"""predict.py --resume: a run goes on where a killed one stopped, and its scores are those of one that was not."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from features.faults import InputError, OutputError
from features.history.source import open_candidates, open_history
from models import tracking
from models.batch.file_columns import chosen_columns
from models.batch.list_scorer import ListScorer
from models.batch.score_file import score_file
from models.batch.scored_parts import ScoredParts
from models.batch.tally import Summary
from models.monitoring.drift import Listed
from tests.support import prestarted
from tests.support.paths import ROOT
from tests.support.workspace import environment

pytestmark = pytest.mark.slow
CHUNK, CHUNKS = 9, 4


@pytest.fixture(autouse=True)
def _here(trained_workspace: Path, tiny_market: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offered = pd.read_parquet(tiny_market / "candidates.parquet").sample(
        CHUNK * CHUNKS - 2, replace=True, random_state=1
    )
    offered.assign(candidate_id=[f"k{i}" for i in range(len(offered))]).to_parquet(tmp_path / "list.parquet")
    monkeypatch.chdir(trained_workspace)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


class Run:
    """A run in this process. notes: what it said. worked: rows that were scored. looked: what was looked at."""

    def __init__(self, folder: Path, output: str = "scores.csv", **options: Any) -> None:
        self.folder, self.output, self.options = folder, folder / output, options
        self.notes, self.worked = list[str](), 0
        self.looked = Listed(CHUNK * CHUNKS - 2)

    def start(
        self, monkeypatch: pytest.MonkeyPatch, stop_after: int = CHUNKS, error: type[BaseException] = OSError
    ) -> Summary:
        """Stop after so many chunks were added, by an error."""

        def work(scorer: ListScorer, batch: pa.RecordBatch, early: Any) -> Any:
            self.worked += len(batch)
            return score(scorer, batch, early)

        def adds(parts: ScoredParts, table: pa.Table) -> None:
            if parts.count == stop_after:
                raise error("stopped")
            add(parts, table)

        score, add = ListScorer._work, ScoredParts.add
        with monkeypatch.context() as patch, open_history("data") as history:
            patch.setattr(ListScorer, "_work", work)
            patch.setattr(ScoredParts, "add", adds)
            model = tracking.load(tracking.connect(create=False), "models:/conversions-per-dollar@champion")
            listed = open_candidates(history, self.folder / "list.parquet")
            if names := self.options.pop("names", None):
                self.options["columns"] = chosen_columns(names, listed.columns, target=False)
            options = {"chunk": CHUNK, "resume": True} | self.options
            summary = score_file(
                history,
                listed,
                model.scorer,
                model.label,
                self.output,
                look=self.looked,
                note=self.notes.extend,
                **options,
            )
            self.judged = self.looked.judge(model.scorer)
        return summary

    def left(self) -> list[Path]:
        """What lies aside for the output."""
        return list(self.folder.glob(f".{self.output.name}-*"))


@pytest.mark.long
@pytest.mark.parametrize("output", ["scores.parquet", "scores.csv", "scores"])
def test_a_run_that_goes_on_writes_what_a_whole_one_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str
) -> None:
    whole = Run(tmp_path, output, resume=False)
    expected = whole.start(monkeypatch)
    rows = whole.worked
    assert rows == CHUNK * CHUNKS - 2
    assert whole.notes == []
    contents = read(whole.output)
    shutil.rmtree(whole.output) if whole.output.is_dir() else whole.output.unlink()
    with pytest.raises(OSError, match="stopped"):
        Run(tmp_path, output).start(monkeypatch, stop_after=2)
    with pytest.raises(KeyboardInterrupt):
        Run(tmp_path, output).start(monkeypatch, stop_after=3, error=KeyboardInterrupt)
    assert not whole.output.exists()
    later = Run(tmp_path, output)
    assert len(later.left()) == 1
    assert later.start(monkeypatch) == expected
    assert later.notes == [f"27 of {rows} candidates had been scored by a run that was killed; it goes on from there"]
    assert later.worked == rows - 3 * CHUNK
    assert read(later.output) == contents
    assert later.judged == whole.judged
    assert later.left() == []


def read(output: Path) -> dict[str, bytes]:
    """The bytes of a file, or of a folder's files."""
    return {path.name: path.read_bytes() for path in (output.iterdir() if output.is_dir() else [output])}


@pytest.mark.long
def test_another_call_is_refused_and_what_was_scored_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OSError, match="stopped"):
        Run(tmp_path).start(monkeypatch, stop_after=2)
    others: dict[str, dict[str, Any]] = {
        "--level": {"level": 0.9}, "--reasons": {"reasons": 3}, "--columns": {"names": ("rank",)},
        "the number of rows of a chunk": {"chunk": 5},
    }  # fmt: skip
    for name, options in others.items():
        run = Run(tmp_path, **options)
        with pytest.raises(InputError) as found:
            run.start(monkeypatch)
        assert str(found.value).startswith("--resume: what a killed run left is of another call, which differs in ")
        assert f"differs in {name}: received {tmp_path}/.scores.csv-" in str(found.value)
        assert str(found.value).endswith(". Call again as then, or leave --resume out once to remove it.")
        assert run.worked == 0
        assert len(run.left()) == 1
    listed = tmp_path / "list.parquet"
    content = listed.read_bytes()
    pd.read_parquet(listed).assign(spend=1.0).to_parquet(listed)
    with pytest.raises(InputError, match="which differs in CANDIDATES: "):
        Run(tmp_path).start(monkeypatch)
    listed.write_bytes(content)  # the same, but who knows
    with pytest.raises(InputError, match="which differs in CANDIDATES: "):
        Run(tmp_path).start(monkeypatch)
    plain = Run(tmp_path, resume=False)
    plain.start(monkeypatch)
    assert plain.notes == ["what a run that was killed had written aside for scores.csv was removed"]
    assert plain.left() == []


@pytest.mark.long
def test_what_cannot_be_gone_on_with_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OSError, match="stopped"):
        Run(tmp_path, resume=False).start(monkeypatch, stop_after=2)
    assert Run(tmp_path).left() == [], "a run without the option leaves nothing but where it is killed"
    with pytest.raises(OSError, match="stopped"):
        Run(tmp_path).start(monkeypatch, stop_after=1)
    (left,) = Run(tmp_path).left()
    (left / "call.json").write_text("{")
    run = Run(tmp_path)
    run.start(monkeypatch)
    assert run.worked == CHUNK * CHUNKS - 2
    assert run.notes == ["what a run that was killed had written aside for scores.csv was removed"]


def test_an_input_that_changes_meanwhile_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError):
        Run(tmp_path, seal=None, progress=lambda *_: (tmp_path / "list.parquet").touch()).start(monkeypatch)
    assert Run(tmp_path).left() == []


@pytest.mark.long
def test_a_full_disk_leaves_what_was_scored(
    trained_workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*words: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ScoredParts, "ranks", full)
    with pytest.raises(OutputError, match="No space left on device"):
        Run(tmp_path).start(monkeypatch)
    monkeypatch.undo()
    monkeypatch.chdir(trained_workspace)
    run = Run(tmp_path)
    run.start(monkeypatch)
    assert run.worked == 0
    assert run.output.exists()


@pytest.mark.long
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="steps are recognised by /proc")
def test_a_kill_at_any_step_leaves_no_output_or_the_whole_one(
    trained_workspace: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    every = 1 if request.config.getoption("--soak") else 6
    words: list[str | Path] = [ROOT / "tests" / "support" / "killed_predictions.py", tmp_path, str(CHUNK), str(every)]
    done = prestarted.run(trained_workspace, words, environment(), timeout=3_600)
    assert done.returncode == 0, done.stderr[-3000:]
    found = [json.loads(line) for line in (tmp_path / "found.jsonl").read_text().splitlines()]
    assert len(found) >= 4
    assert [one for one in found if one["faults"]] == []
    gone_on = {one["scored"] for one in found}
    assert len(gone_on) > 1
    assert np.all([scored % CHUNK == 0 or scored == CHUNK * CHUNKS - 2 for scored in gone_on])
