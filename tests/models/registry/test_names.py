"""Names for an experiment, a model and a folder at once."""

from __future__ import annotations

import pytest

from features.faults import InputError
from models.registry.names import LONGEST, check_name


@pytest.mark.parametrize("name", ["conversions-per-dollar", "été 2026", "50 %", "a" * LONGEST, ".hidden"])
def test_a_usual_name_is_taken(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("", "it cannot name a model"),
        ("  ", "it cannot name a model"),
        ("a/b", "it cannot name a model"),
        ("a:b", "it cannot name a model"),
        ("a@b", "it cannot name a model"),
        ("a\\b", "it cannot name a model"),
        ("a\nb", "it cannot name a model"),
        (".", "it would name another folder"),
        ("..", "it would name another folder"),
        ("é" * LONGEST, f"it is longer than {LONGEST} bytes"),
    ],
)
def test_another_is_refused_with_the_cure(name: str, problem: str) -> None:
    with pytest.raises(InputError, match=f"--experiment: {problem}.*Use letters, digits and dashes"):
        check_name(name)
