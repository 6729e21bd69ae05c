"""The client as a distribution of its own: its types are the service's, and it needs msgspec and nothing else."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import pytest

from service.api.client_types import source
from tests.support.paths import ROOT
from tests.support.workspace import KEY, Server

CLIENT = ROOT / "client"
PACKAGE = CLIENT / "creator_yield_client"


def test_the_types_are_those_of_the_service() -> None:
    assert (PACKAGE / "types.py").read_text(encoding="utf-8") == source(), "make client-types"


def test_it_imports_msgspec_and_nothing_else() -> None:
    found = set()
    for path in PACKAGE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
            names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            found |= {name.split(".")[0] for name in names}
    assert found - sys.stdlib_module_names == {"msgspec", "creator_yield_client"}


def _run(*call: str | Path, **more: str) -> str:
    done = subprocess.run([str(one) for one in call], capture_output=True, text=True)
    assert done.returncode == 0, f"{call}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.long
def test_it_installs_into_a_bare_environment_and_the_readme_s_example_runs(http_server: Server, tmp_path: Path) -> None:
    """Nothing is fetched: the wheel is built from a copy, and msgspec is the one that runs this test."""
    shutil.copytree(CLIENT, tmp_path / "client", ignore=shutil.ignore_patterns("build", "*.egg-info", "__pycache__"))
    pip = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
    _run(*pip, "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", tmp_path, tmp_path / "client")
    (wheel,) = tmp_path.glob("*.whl")
    _run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare")
    python = tmp_path / "bare" / "bin" / "python"
    (site,) = (tmp_path / "bare" / "lib").glob("python*/site-packages")
    msgspec = distribution("msgspec")
    for name in sorted({str(file).split("/")[0] for file in msgspec.files or ()}):
        shutil.copytree(str(msgspec.locate_file(name)), site / name)
    _run(*pip, "--python", python, "install", "--no-index", wheel)
    _run(*pip, "--python", python, "check")
    assert (site / "creator_yield_client" / "py.typed").exists()
    (example,) = re.findall(r"```python\n(.*?)```", (CLIENT / "README.md").read_text(encoding="utf-8"), re.S)
    example = example.replace("http://127.0.0.1:8000", f"http://127.0.0.1:{http_server.port}").replace("…", KEY)
    (tmp_path / "example.py").write_text(example, encoding="utf-8")
    printed = _run(python, "-I", tmp_path / "example.py").splitlines()
    assert [line.split()[0] for line in printed] == [str(rank) for rank in range(1, 11)]
