"""Faults in words: place, rows, value received, cure."""

from __future__ import annotations

from pathlib import Path

import pytest

from features.faults import Fault, InputError, fail, refuse, refuse_unreachable, shorten


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (Fault("posts", problem="the table is missing", remedy="Add it."), "posts: the table is missing. Add it."),
        (
            Fault("posts", "likes", 1, "row 7", "-3", "below 0", "Correct it."),
            "posts.likes: 1 row is below 0, first row 7: received -3. Correct it.",
        ),
        (Fault("posts", "likes", 1200, problem="below 0", remedy="…"), "posts.likes: 1,200 rows are below 0. …"),
        (Fault("x", problem="broken\n  over lines", remedy=""), "x: broken over lines."),
    ],
)
def test_a_fault_is_one_line(fault: Fault, text: str) -> None:
    assert str(fault).strip() == text


def test_all_faults_are_reported_a_line_each() -> None:
    assert str(InputError([Fault("a", problem="p", remedy="r"), Fault("b", problem="q", remedy="s")])) == (
        "a: p. r\nb: q. s"
    )


def test_one_fault_is_raised_or_made() -> None:
    with pytest.raises(InputError, match=r"--seed: it is out of range: received -1\. Give more\."):
        refuse("--seed", -1, "it is out of range", "Give more.")
    assert fail("posts", "p", "r", "v", "likes").faults == (Fault("posts", "likes", None, None, "v", "p", "r"),)


def test_a_value_is_cut_to_its_limit() -> None:
    assert shorten("x" * 10, 12) == repr("x" * 10)
    assert shorten("x" * 11, 12) == "'xxxxxxxxxx…"
    assert "\n" not in shorten("two\nlines")


def test_what_the_system_will_not_look_at_is_refused(tmp_path: Path) -> None:
    for absent in (tmp_path / "none", tmp_path / "file" / "below"):
        (tmp_path / "file").touch()
        refuse_unreachable("DATA", absent)
    (tmp_path / "circle").symlink_to("circle")
    for path, reason in {
        tmp_path / "circle": "Too many levels of symbolic links",
        tmp_path / ("x" * 300): "too long",
    }.items():
        with pytest.raises(InputError, match=rf"DATA: it cannot be reached \(.*{reason}\): received '/"):
            refuse_unreachable("DATA", path)
