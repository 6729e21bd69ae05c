"""Clients that common generators make from the OpenAPI document: made, compiled, and used on a running service."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.workspace import KEY, Server

pytestmark = pytest.mark.clients
HERE = Path(__file__).parent / "generated_clients"


@pytest.fixture(scope="module")
def document(http_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The document as the service gives it away."""
    file = tmp_path_factory.mktemp("clients") / "openapi.json"
    file.write_bytes(http_server.request("GET", "/openapi.json", key=None).body)
    return file


def run(folder: Path, *call: str, **more: str) -> str:
    """What a command prints, which must go well."""
    done = subprocess.run(call, cwd=folder, env=os.environ | more, capture_output=True, text=True)
    assert done.returncode == 0, f"{call}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_a_python_client_is_made_and_answered(http_server: Server, document: Path, tmp_path: Path) -> None:
    run(tmp_path, sys.executable, "-m", "venv", "own")
    python = str(tmp_path / "own" / "bin" / "python")
    run(tmp_path, python, "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:",
        "-r", str(HERE / "requirements.lock"))  # fmt: skip
    path = f"{tmp_path / 'own' / 'bin'}{os.pathsep}{os.environ['PATH']}"
    call = [python, "-m", "openapi_python_client", "generate", "--path", str(document), "--meta", "none"]
    printed = run(tmp_path, *call, "--output-path", "made", "--fail-on-warning", PATH=path)
    assert "WARNING" not in printed.upper()
    run(tmp_path, python, "-m", "compileall", "-q", "made")
    shutil.copy(HERE / "use.py", tmp_path)
    assert run(tmp_path, python, "use.py", str(http_server.port), KEY) == "all answered\n"


def test_a_typescript_client_is_made_and_answered(http_server: Server, document: Path, tmp_path: Path) -> None:
    if shutil.which("npm") is None or shutil.which("node") is None:
        pytest.skip("needs node and npm (apt-get install nodejs npm)")
    for name in ("package.json", "package-lock.json", "use.ts"):
        shutil.copy(HERE / name, tmp_path)
    run(tmp_path, "npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts")
    run(tmp_path, "npx", "--no-install", "openapi-typescript", str(document), "--output", "schema.d.ts")
    words = ["--strict", "--target", "es2022", "--module", "nodenext", "--lib", "es2022,dom", "--skipLibCheck", "false"]
    run(tmp_path, "npx", "--no-install", "tsc", *words, "use.ts")
    assert run(tmp_path, "node", "use.js", str(http_server.port), KEY) == "all answered\n"
