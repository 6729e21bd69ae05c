"""The ledger's file: sealed whole or not at all, read back to the bit, checked from its first line to its last."""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import signal
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from features.faults import InputError, OutputError
from models.monitoring import ledger
from models.monitoring.chain import START, Position, Writer
from models.monitoring.ledger import COLUMNS, ListFacts, main, read, seal, verify

WHEN = datetime(2026, 1, 5, 12, 30)


def facts(rows: int, when: datetime = WHEN, model: str = "m/1") -> ListFacts:
    return ListFacts(when, model, {"creators": "b" * 64, "collaborations": "a" * 64}, 0.8, rows)


def row(i: int, **values: Any) -> tuple[Any, ...]:
    made = {
        "candidate_id": f"k{i}", "creator_id": f"c{i % 3}", "brand": "bränd", "product_niche": "sport",
        "starts_at": f"2026-02-{1 + i % 28:02}T10:00:00", "promotion_hours": 48.0, "spend": 100.1 + i,
        "rate": 0.1 + 0.2, "low": 1e-300, "high": 1 / 3 + i, "own_record": 0.07,
    }  # fmt: skip
    return tuple((made | values)[name] for name in COLUMNS)


def sealed(path: Path, rows: int = 5, said: list[str] | None = None, **values: Any) -> Position:
    """Seal rows; what is said of killed runs goes into `said`."""
    notes: list[str] = [] if said is None else said
    return seal(path, facts(rows), [row(i, **values) for i in range(rows)], note=notes.extend)


def test_a_list_names_the_run_whose_kept_out_results_it_was_scored_without(path: Path) -> None:
    sealed(path)
    first = path.read_bytes()
    seal(path, replace(facts(1), kept_out_by="run 7"), [row(9)])
    assert path.read_bytes().startswith(first), "older lines stay as they were"
    lists = [line for line in map(json.loads, path.read_text().splitlines()) if line["kind"] == "list"]
    assert [line.get("kept_out_by") for line in lists] == [None, "run 7"]
    assert "kept_out_by" not in lists[0]
    assert (verify(path).broken, verify(path).lists, len(read(path).promises)) == (None, 2, 6)
    path.write_bytes(path.read_bytes().replace(b"run 7", b"run 8"))
    assert "line 5: changed" in str(verify(path).broken)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.jsonl"


def test_what_is_sealed_reads_back_to_the_bit(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "ROWS_A_LINE", 2)
    rows = [row(i, high=float("inf") if i == 1 else 0.1 * i, candidate_id=None if i == 2 else str(i)) for i in range(5)]
    seal(path, facts(5), iter(rows))
    seal(path, facts(1, datetime(2026, 3, 1, 0, 0, 0, 7), "m/2"), [row(9)])
    found = read(path).promises
    assert [tuple(one) for one in found[list(COLUMNS[5:])].to_numpy()] == [one[5:] for one in [*rows, row(9)]]
    assert found.starts_at.tolist() == [pd.Timestamp(one[4]) for one in [*rows, row(9)]]
    assert found.candidate_id.fillna("").tolist() == ["0", "1", "", "3", "4", "k9"]
    assert found.brand.unique().tolist() == ["bränd"]
    assert found[["list", "when", "model", "level"]].drop_duplicates().to_numpy().tolist() == [
        [2, pd.Timestamp(WHEN), "m/1", 0.8],
        [7, pd.Timestamp("2026-03-01T00:00:00.000007"), "m/2", 0.8],
    ]
    checked = verify(path)
    assert (checked.lines, checked.lists, checked.promises, checked.broken, checked.notes) == (9, 2, 6, None, ())
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["kind"] for line in lines] == [
        "ledger", "list", "rows", "rows", "rows", "sealed", "list", "rows", "sealed",
    ]  # fmt: skip
    assert lines[1]["data"] == {"collaborations": "a" * 64, "creators": "b" * 64}


def test_an_empty_list_can_be_sealed(path: Path) -> None:
    seal(path, facts(0), [])
    assert read(path).promises.empty
    assert verify(path).lists == 1


def test_a_list_that_is_not_sealed_does_not_count(path: Path) -> None:
    sealed(path, 3)
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.rindex(b'{"n":4')])
    assert read(path).promises.empty
    assert verify(path).notes == ("1 begun and never sealed, by runs that were killed; they do not count.",)
    said: list[str] = []
    sealed(path, 2, said)
    assert said == [f"line 2 of {path} begins a list that a killed run never sealed; it does not count"]
    sealed(path, 0, said)
    assert len(said) == 1  # it is the last line no more
    assert len(read(path).promises) == 2
    assert (verify(path).lists, verify(path).promises) == (2, 2)


@pytest.mark.parametrize("cut", [1, 30, 500])
def test_a_torn_tail_is_named_then_closed_by_the_next_list_and_never_hidden(path: Path, cut: int) -> None:
    sealed(path, 3)
    whole = path.read_bytes()
    path.write_bytes(whole[: -1 - cut])
    broken = verify(path).broken
    assert broken is not None
    assert broken.kind == "torn"
    before, said = path.read_bytes(), list[str]()
    position = sealed(path, 2, said)
    assert f"line {broken.line} of {path}, torn by a run that was killed, is closed; it does not count" in said
    assert path.read_bytes().startswith(before)
    checked = verify(path, [position.head])
    assert (checked.broken, checked.lists, checked.promises) == (None, 1, 2)
    assert checked.notes[0].endswith("was torn by a run that was killed, and closed by the next.")
    assert len(read(path).promises) == 2


def test_a_list_that_is_whole_but_for_its_line_end_is_sealed(path: Path) -> None:
    sealed(path, 3)
    path.write_bytes(path.read_bytes()[:-1])
    assert verify(path).broken is None
    sealed(path, 2)
    assert len(read(path).promises) == 5
    assert verify(path).notes == ()


def test_a_ledger_torn_in_its_first_line_goes_on(path: Path) -> None:
    path.write_bytes(b'{"n":1,"prev')
    sealed(path, 2)
    assert verify(path).broken is None
    assert len(read(path).promises) == 2


def test_a_changed_ledger_takes_no_list(path: Path) -> None:
    sealed(path)
    changed = path.read_bytes().replace(b"0.07", b"0.09", 1)
    path.write_bytes(changed)
    with pytest.raises(InputError, match=r"line 3: changed: .* Nothing was written\.") as error:
        sealed(path)
    assert str(error.value).count("\n") == 0
    with pytest.raises(InputError, match="line 3: changed"):
        read(path)
    assert path.read_bytes() == changed


def test_a_ledger_whose_newest_lines_are_gone_takes_no_list_where_its_head_is_known(path: Path) -> None:
    sealed(path)
    before = path.read_bytes()
    known = [sealed(path).head]
    path.write_bytes(before)
    assert verify(path).broken is None
    broken = verify(path, known).broken
    assert broken is not None
    assert (broken.line, broken.kind) == (5, "removed")
    with pytest.raises(InputError, match="line 5: removed"):
        seal(path, facts(1), [row(0)], known)
    assert path.read_bytes() == before


def test_a_ledger_made_anew_from_its_first_line_has_no_known_head(path: Path, tmp_path: Path) -> None:
    known = [sealed(path).head]
    other = tmp_path / "other.jsonl"
    seal(other, facts(1, datetime(2026, 1, 6)), [row(0)])
    assert verify(other, known).strange
    assert verify(other, known).broken is None
    assert not verify(other, [*known, sealed(other).head]).strange
    other.write_bytes(b"")
    assert verify(other, known).strange
    assert not verify(other).strange
    seal(path, facts(1), [row(0)], [Position(9, "a" * 64, "b" * 64).head])  # heads of other ledgers do not matter
    assert len(read(path).promises) == 6


def test_only_what_came_since_is_checked_where_a_position_is_given(path: Path) -> None:
    position = sealed(path)
    second = seal(path, facts(1), [row(0)], since=position)
    assert verify(path, [second.head]).broken is None
    assert second.offset == path.stat().st_size
    path.write_bytes(path.read_bytes().replace(b"0.07", b"0.09", 1))
    third = seal(path, facts(1), [row(0)], since=second)
    with pytest.raises(InputError, match="line 3: changed"):
        seal(path, facts(1), [row(0)])
    path.unlink()
    assert seal(path, facts(1), [row(0)], since=third).lines == 4  # begun anew


def test_a_newer_format_is_refused(path: Path) -> None:
    path.write_bytes(Writer(START).line("ledger", {"format": 2, "began": "2030"}))
    for act in (lambda: verify(path), lambda: sealed(path)):
        with pytest.raises(InputError, match="a newer version wrote it, in format 2"):
            act()


def test_rows_that_are_fewer_than_announced_seal_nothing(path: Path) -> None:
    with pytest.raises(ValueError, match="3 rows are not the 4"):
        seal(path, facts(4), [row(i) for i in range(3)])
    assert not path.exists()
    sealed(path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="3 rows are not the 4"):
        seal(path, facts(4), [row(i) for i in range(3)])
    assert path.read_bytes() == before


def _limited(path: Path, limit: int) -> int:
    """Seal where no file may grow beyond a limit, as on a full disk; 0 where that is refused."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    with pytest.raises(OutputError, match=r"--ledger: it cannot be written \(File too large\).* Nothing was sealed"):
        sealed(path, 50)
    return 0


def in_a_process(act: Callable[..., int], *arguments: Any) -> int:
    child = multiprocessing.get_context("fork").Process(target=lambda: os._exit(act(*arguments)))
    child.start()
    child.join()
    return child.exitcode or 0


def test_a_full_disk_leaves_the_ledger_as_it_was(path: Path) -> None:
    assert in_a_process(_limited, path, 3_000) == 0
    assert not path.exists()
    sealed(path)
    before = path.read_bytes()
    assert in_a_process(_limited, path, len(before) + 3_000) == 0
    assert path.read_bytes() == before


def _seal_many(path: Path, number: int) -> int:
    for i in range(20):
        seal(path, facts(3, model=f"m/{number}"), [row(i) for i in range(3)])
    return 0


@pytest.mark.slow
def test_writers_at_the_same_time_never_mix_their_lines(path: Path) -> None:
    children = [multiprocessing.get_context("fork").Process(target=_seal_many, args=(path, i)) for i in range(4)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    checked = verify(path)
    assert (checked.broken, checked.lists, checked.promises, checked.notes) == (None, 80, 240, ())
    assert read(path).promises.model.value_counts().to_dict() == {f"m/{i}": 60 for i in range(4)}


@pytest.mark.slow
def test_every_byte_that_is_changed_is_found(path: Path) -> None:
    sealed(path, 2)
    data = path.read_bytes()
    for place in range(len(data)):
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        assert verify(path).broken is not None, place


def test_the_check_says_what_it_found(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    position = sealed(path)
    assert main([str(path), "--offline"]) == 0
    printed = capsys.readouterr().out
    assert "1 lists, 5 promises, 4 lines" in printed
    assert "No head is known" in printed
    assert str(position.head) in printed
    assert main([str(path), "--offline", "--head", str(position.head)]) == 0
    assert "with 1 heads that are kept elsewhere" in capsys.readouterr().out
    other = Position(9, "a" * 64, "b" * 64).head
    assert main([str(path), "--offline", "--head", str(position.head), "--head", str(other)]) == 0
    assert verify(path, [other]).broken is None
    capsys.readouterr()
    assert main([str(path), "--offline", "--head", str(other)]) == 3
    assert "It holds in itself, but heads of ledgers are known, and none of this one" in capsys.readouterr().out
    path.write_bytes(path.read_bytes().replace(b"0.07", b"0.09", 1))
    assert main([str(path), "--offline"]) == 3
    assert "line 3: changed" in capsys.readouterr().out
    assert main([str(path.with_name("none")), "--offline"]) == 2
    assert "it cannot be read (No such file or directory)" in capsys.readouterr().err
