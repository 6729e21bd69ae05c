"""Names of processes: the living are not said to be dead, the dead are, and what cannot be known is not."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from models.registry.processes import is_dead, name_process

pytestmark = pytest.mark.skipif(name_process(os.getpid()) is None, reason="this system tells nothing of processes")


def test_this_process_lives() -> None:
    name = name_process(os.getpid())
    assert name
    assert name.split()[-2] == str(os.getpid())
    assert not is_dead(name)


def test_a_process_that_has_ended_is_dead_though_its_parent_has_not_asked() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        name = name_process(child.pid)
        assert name
        assert not is_dead(name)
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert is_dead(name), "a zombie"
    assert is_dead(name)


def test_another_process_of_the_same_number_is_not_it() -> None:
    name = name_process(os.getpid())
    assert name
    rest, _, began = name.rpartition(" ")
    assert is_dead(f"{rest} {int(began) - 1}")


@pytest.mark.parametrize("name", ["", "nonsense", "another-boot pid:[1] 1 1"])
def test_what_cannot_be_known_is_not_said_to_be_dead(name: str) -> None:
    assert not is_dead(name)
