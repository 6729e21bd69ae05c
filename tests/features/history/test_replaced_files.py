"""What is checked is what is read: a file that changes while it is used ends the command, and nothing is written."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import duckdb
import numpy as np
import pandas as pd
import pytest

import cli
import train
from features.faults import InputError
from features.history.freshness import Stamp
from features.history.mapping_reads import reads
from features.history.source import open_candidates, open_history
from features.settings import FeatureSettings
from models import pipeline
from models.batch.score_file import score_file
from models.monitoring import level_drift
from models.monitoring.findings import Intake
from models.registry import left_out, promotion, unchanged
from models.report import summary
from models.scorer import Scorer
from models.scoring import Scores
from tests.support.contract_tables import candidates, frames, write
from tests.support.small_world import StubClassifier

pytestmark = pytest.mark.slow  # each opens a history anew


def rename_over(file: Path) -> None:
    """Replace it as most exporters do: written beside it, then moved."""
    aside = file.with_name(".aside")
    aside.write_bytes(file.read_bytes())
    aside.replace(file)


def rewrite(file: Path) -> None:
    """Write within it, as long as before, and turn its time back."""
    before = file.stat()
    with file.open("r+b") as opened:
        opened.write(file.read_bytes()[:1])
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def plain(folder: Path) -> tuple[Path | str, Path]:
    return write(folder, frames()), folder / "creators.parquet"


def linked(folder: Path) -> tuple[Path | str, Path]:
    outside = write(folder / "outside", {"creators": frames()["creators"]}) / "creators.parquet"
    data = write(folder / "data", frames())
    (data / "creators.parquet").unlink()
    (data / "creators.parquet").symlink_to(outside)
    return data, outside


def mapped(folder: Path) -> tuple[Path | str, Path]:
    write(folder / "exports", {"creators": frames()["creators"]}, "csv")
    data = write(folder / "data", frames())
    (data / "creators.parquet").unlink()
    (data / "creators.sql").write_text("SELECT * FROM read_csv('../exports/*.csv', delim = ',')")
    return data, folder / "exports" / "creators.csv"


def database(folder: Path) -> tuple[Path | str, Path]:
    write(folder, frames())
    with duckdb.connect(folder / "history.db") as connection:
        for table in frames():
            connection.execute(f"CREATE TABLE {table} AS FROM '{folder / table}.parquet'")
    return f"duckdb://{folder}/history.db", folder / "history.db"


def view(folder: Path) -> tuple[Path | str, Path]:
    write(folder, frames())
    with duckdb.connect(folder / "history.db") as connection:
        for table in frames():
            connection.execute(f"CREATE VIEW {table} AS FROM '{folder / table}.parquet'")
    return f"duckdb://{folder}/history.db", folder / "posts.parquet"


def macro(folder: Path) -> tuple[Path | str, Path]:
    data, file = database(folder)
    with duckdb.connect(file) as connection:
        connection.execute(f"DROP TABLE posts; CREATE MACRO \"read AS is\"() AS TABLE FROM '{folder}/posts.parquet'")
        connection.execute('CREATE VIEW posts AS FROM "read AS is"()')
    return data, folder / "posts.parquet"


def view_of_a_view(folder: Path) -> tuple[Path | str, Path]:
    data, file = database(folder)
    with duckdb.connect(file) as connection:
        connection.execute(f"DROP TABLE posts; CREATE VIEW \"read AS is\" AS FROM '{folder}/posts.parquet'")
        connection.execute('CREATE VIEW posts AS FROM "read AS is"')
    return data, folder / "posts.parquet"


def commit(folder: Path) -> tuple[Path | str, Path]:
    data, _ = part(folder)
    log = folder / "creators" / "_committed_1"
    log.write_text('{"added": [], "removed": []}')
    return data, log


def part(folder: Path) -> tuple[Path | str, Path]:
    write(folder, frames(), "parts")
    return folder, folder / "creators" / "part-001.parquet"


@pytest.mark.parametrize("change", [rename_over, rewrite, Path.unlink])
@pytest.mark.parametrize("lay", [plain, linked, mapped, database, view, view_of_a_view, macro, part, commit])
def test_a_file_that_changes_is_named(
    lay: Callable[[Path], tuple[Path | str, Path]], change: Callable[[Path], None], tmp_path: Path
) -> None:
    data, file = lay(tmp_path)
    with open_history(data, threads=1) as history:
        assert history.stamp.changed() == []
        change(file)
        with pytest.raises(InputError, match=r"DATA: it changed while it was being read: received .*start again"):
            history.stamp.require_unchanged("DATA")
        named = Path(data) / "creators.parquet" if lay is linked else file
        assert list(map(os.path.normpath, history.stamp.changed())) == [str(named)]
        assert history.stamp.now().changed() == []


def test_the_log_beside_a_linked_database_shows(tmp_path: Path) -> None:
    _, file = database(tmp_path / "real")
    (tmp_path / "link.db").symlink_to(file)
    with open_history(f"duckdb://{tmp_path}/link.db", threads=1) as history:
        log = Path(f"{file}.wal")  # where a writer that was killed leaves what DuckDB reads through the link, too
        log.touch()
        assert history.stamp.changed() == [str(log)]


def test_a_new_part_another_form_and_a_link_set_anew_show(tmp_path: Path) -> None:
    data = write(tmp_path / "data", frames(), "parts")
    stamp = Stamp.of_data(data)
    (data / "notes.txt").write_text("no table")
    (data / "scores.csv").write_text("no table either")
    assert stamp.changed() == []
    frames()["posts"].to_parquet(data / "posts" / "part-9.parquet")
    frames()["creators"].to_csv(data / "creators.csv")
    assert stamp.changed() == [str(data / "creators.csv"), str(data / "posts" / "part-9.parquet")]
    (tmp_path / "current").symlink_to(data)
    stamp = Stamp.of_data(tmp_path / "current")
    write(tmp_path / "next", frames(), "parts")
    (tmp_path / "new").symlink_to(tmp_path / "next")
    (tmp_path / "new").replace(tmp_path / "current")
    assert len(stamp.changed()) > 10
    assert Stamp.of_data(tmp_path / "none").files == {}


def test_a_mapping_s_files_are_found_where_the_engine_finds_them() -> None:
    query = """WITH x AS (SELECT replace(a, '.', '*') FROM read_csv(['a.csv', 'b/*.csv'], delim = ';'))
               SELECT 'c.csv' FROM x JOIN "d.csv" USING (a), query('SELECT 1 FROM ''/e.csv''')"""
    found = reads(query, Path("/data [1]"))
    assert set(found) >= {"/data [[]1]/a.csv", "/data [[]1]/b/*.csv", "/data [[]1]/d.csv", "/e.csv"}
    assert not any("c.csv" in one or one.endswith((";", "*")) for one in found)
    assert reads("CREATE TABLE x (a INT)", Path("/")) == []


class FlatScoring:
    """Scores that are all alike."""

    coding = SimpleNamespace(transform=lambda matrix, creators: matrix)

    def score(self, coded: pd.DataFrame, *_: object, **__: object) -> Scores:
        ones = np.ones(len(coded))
        return Scores(ones, ones, ones, ones, ones, [()] * len(coded), ["[]"] * len(coded))


class FlatScorer:
    settings, classifier, facts = FeatureSettings(), StubClassifier(), SimpleNamespace(kept_out=())
    scoring = FlatScoring()
    rate = SimpleNamespace(prepare=lambda rows, reasons: ())


@pytest.mark.parametrize("replaced", ["creators.parquet", "candidates.csv"])
def test_no_scores_are_written_of_files_that_changed(replaced: str, tmp_path: Path) -> None:
    write(tmp_path, frames())
    candidates().to_csv(tmp_path / "candidates.csv", index=False)
    output, scorer = tmp_path / "scores.csv", FlatScorer()
    output.write_text("old")
    with open_history(tmp_path, threads=1) as history:
        listed = open_candidates(history, tmp_path / "candidates.csv")

        def late(stage: str, done: int, total: int) -> None:
            rename_over(tmp_path / replaced)

        with pytest.raises(InputError, match=replaced):
            score_file(history, listed, _as_scorer(scorer), "flat/1", output, progress=late)
        assert output.read_text() == "old"


def _as_scorer(flat: FlatScorer) -> Scorer:
    return flat  # type: ignore[return-value]


def test_no_model_is_recorded_of_files_that_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fit(*_: object, **__: object) -> None:
        rename_over(tmp_path / "conversions.parquet")

    write(tmp_path, frames())
    monkeypatch.setattr(pipeline, "fit", fit)
    door = SimpleNamespace(intake=Intake(0, {}), training=None, history=None, whole=None, champion=None, before=None)
    monkeypatch.setattr(pipeline, "screen", lambda *_: door)
    monkeypatch.setattr(pipeline, "log_intake", lambda *_: None)
    monkeypatch.setattr(level_drift, "examine", lambda *_: None)
    monkeypatch.setattr(unchanged, "earlier_training", lambda *_: None)
    monkeypatch.setattr(pipeline, "connect", lambda: None)
    monkeypatch.setattr(summary, "study", lambda _: SimpleNamespace())
    monkeypatch.setattr(left_out, "record", lambda *_: None)
    run = SimpleNamespace(client=None, id="run", notes=())
    monkeypatch.setattr(pipeline, "open_run", lambda *_: nullcontext(run))
    monkeypatch.setattr(promotion, "record", lambda *_: pytest.fail("it was recorded"))
    assert cli.run(lambda: train.train(train.arguments([str(tmp_path)]))) == 2
    assert "conversions.parquet. Nothing was written: start again" in capsys.readouterr().err


def test_what_a_change_broke_is_said_to_be_the_change(tmp_path: Path) -> None:
    write(tmp_path, frames())

    def use() -> None:
        with open_history(tmp_path, threads=1) as history:
            (tmp_path / "posts.parquet").write_bytes(b"PAR1, and no more")
            assert history.posts is not None
            history.posts.count().execute()

    with pytest.raises(InputError, match=r"it changed while it was being read: received .*posts\.parquet"):
        use()
