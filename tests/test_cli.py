"""What the commands share: tables on standard output."""

from __future__ import annotations

import pytest

from cli import show_table


def test_a_table_shows_every_cell_whole_whatever_the_width(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    name = "candidate " + "x" * 100
    show_table([["model", "results", "rank"], [name, "1,200", "0.5"], ["[b]own[/b] :smile:", "7", "–"], ["", "", "-1"]])
    wide = len(name)
    assert capsys.readouterr().out.splitlines() == [
        f"{'model':{wide}}  results  rank",
        f"{name}    1,200   0.5",
        f"{'[b]own[/b] :smile:':{wide}}        7     –",
        f"{'':{wide}}             -1",
    ]
