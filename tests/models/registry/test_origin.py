"""Who and which code a training comes from."""

from __future__ import annotations

import getpass
import subprocess
from pathlib import Path

import pytest

from models.registry.origin import commit, user


def test_the_commit_is_that_of_the_folder_itself(tmp_path: Path) -> None:
    assert commit(tmp_path) is None, "no repository"
    git = ["git", "-C", str(tmp_path), "-c", "user.name=n", "-c", "user.email=e@x"]
    subprocess.run([*git, "init", "-q"], check=True)
    assert commit(tmp_path) is None, "nothing was committed"
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "first"], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    assert commit(tmp_path) == head
    (tmp_path / "inside").mkdir()
    assert commit(tmp_path / "inside") is None, "it belongs to another project's repository"


def test_without_git_there_is_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert commit() is None


@pytest.mark.parametrize("error", [OSError, KeyError])
def test_a_user_without_a_name_is_unknown(error: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    def nameless() -> str:
        raise error

    assert user() == getpass.getuser()
    monkeypatch.setattr(getpass, "getuser", nameless)
    assert user() == "unknown"
