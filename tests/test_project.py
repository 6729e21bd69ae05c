"""The project's own order: locks, direction of imports, what is tracked, what the pages promise."""

import ast
import json
import re
import subprocess
import sys
import tomllib
import warnings
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ("requirements.lock", "requirements-dev.lock")
COMMANDS = {"train", "predict", "serve"}
# What a package must not know of: everything above it, and the demo, which nothing may fall back to.
FORBIDDEN = {
    "features": COMMANDS | {"models", "service", "demo", "tests", "benchmarks"},
    "models": COMMANDS | {"service", "demo", "tests", "benchmarks"},
    "service": COMMANDS | {"demo", "tests", "benchmarks"},
    "demo": COMMANDS | {"models", "service", "tests", "benchmarks"},
}


def tracked_files() -> list[Path]:
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        pytest.skip("not a git work tree")
    return [ROOT / name for name in done.stdout.split("\0") if name and (ROOT / name).exists()]


def parse_lock(text: str) -> dict[str, list[str]]:
    """Requirement lines of a lock, each with its hashes."""
    logical = re.sub(r"\\\n\s*", "", text).splitlines()
    return {
        line.split(" --hash=")[0].strip(): re.findall(r"--hash=(\S+)", line)
        for line in logical
        if line and not line.startswith("#")
    }


def normalise(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(lock: str) -> dict[str, set[str]]:
    """Normalised package names of a lock, each with its versions (one per range of Pythons)."""
    found: dict[str, set[str]] = {}
    for line in parse_lock((ROOT / lock).read_text()):
        name, version = line.split(" ;")[0].split("==")
        found.setdefault(normalise(name), set()).add(version.strip())
    return found


def imported(source: str) -> set[str]:
    """Top-level names of the absolute imports in a module."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names


def makefile_targets() -> set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):(?!=)", (ROOT / "Makefile").read_text(), re.M))


def test_soak_runs_whatever_has_a_full_number() -> None:
    recipe = (ROOT / "Makefile").read_text().partition("\nsoak: ")[2].partition("\n\n")[0]
    counted = {path for path in (ROOT / "tests").rglob("test_*.py") if 'getoption("--soak")' in path.read_text()}
    counted -= {Path(__file__)}
    assert {ROOT / path for path in re.findall(r"tests/\S+\.py", recipe)} == counted
    assert '-m "slow or long"' in recipe  # a run without it leaves out what is long


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_holds_exact_versions_with_hashes_and_no_address(lock: str) -> None:
    text = (ROOT / lock).read_text()
    requirements = parse_lock(text)
    assert requirements
    for requirement, hashes in requirements.items():
        assert re.match(r"[A-Za-z0-9._-]+==[^ ,*]+( ; .+)?$", requirement)
        assert hashes, f"{requirement} has no hash"
        assert all(re.fullmatch("sha256:[0-9a-f]{64}", one) for one in hashes), requirement
    assert "://" not in text
    assert not re.findall(r"^\s*(?:-i|-f|--(?!hash)\S+)", text, re.M)


def test_locks_agree_and_hold_every_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    core, dev = pins("requirements.lock"), pins("requirements-dev.lock")

    def names(requirements: list[str]) -> set[str]:
        return {normalise(re.split(r"[\[<>=! ;]", one)[0]) for one in requirements}

    assert names(project["dependencies"]) <= core.keys()
    assert names(extras["postgres"] + extras["fast"] + extras["service"] + extras["dev"]) <= dev.keys()
    assert {name: dev.get(name) for name in core} == core


@pytest.mark.parametrize("package", FORBIDDEN)
def test_imports_run_one_way(package: str) -> None:
    faults = {
        str(path.relative_to(ROOT)): sorted(bad)
        for path in (ROOT / package).rglob("*.py")
        if (bad := imported(path.read_text()) & FORBIDDEN[package])
    }
    assert not faults


def test_no_data_registry_or_pickle_is_tracked() -> None:
    suffixes = {".pkl", ".pickle", ".joblib", ".db", ".sqlite", ".duckdb", ".parquet", ".ipynb_checkpoints"}
    saved_model = ROOT / "tests" / "models" / "golden" / "model_format_4"
    found = [path for path in tracked_files() if path.suffix in suffixes and saved_model not in path.parents]
    assert found == []


def test_notebooks_carry_no_output() -> None:
    faults = [
        f"{path.name}, cell {number}"
        for path in sorted((ROOT / "notebooks").glob("*.ipynb"))
        for number, cell in enumerate(json.loads(path.read_text())["cells"])
        if cell.get("outputs") or cell.get("execution_count")
    ]
    assert faults == []


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_make_targets_on_the_pages_exist(page: str) -> None:
    text = (ROOT / page).read_text()
    code = "\n".join(re.findall(r"```.*?```|`[^`\n]+`|^    .+?$", text, re.S | re.M))
    assert set(re.findall(r"\bmake ([a-z][a-z-]*)", code)) <= makefile_targets()


def too_long(page: str) -> list[int]:
    """Numbers of the lines of prose of 120 characters and more; tables and code may be as wide as they are."""
    code = re.compile(r"^(```.*?^```|    [^\n]*$)", re.S | re.M)
    prose = code.sub(lambda match: "\n" * match[0].count("\n"), page)
    lines = prose.split("\n")
    return [at for at, line in enumerate(lines, 1) if len(line) >= 120 and not line.startswith(("|", "!["))]


def test_lines_of_the_pages_wrap() -> None:
    pages = [path for path in tracked_files() if path.suffix == ".md"]
    assert pages
    found = {str(path.relative_to(ROOT)): too_long(path.read_text(encoding="utf-8")) for path in pages}
    assert {page: lines for page, lines in found.items() if lines} == {}


def test_every_target_is_in_the_help() -> None:
    done = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert set(re.findall(r"^make ([a-z-]+)", done.stdout, re.M)) == makefile_targets()


def test_the_api_reference_documents_every_package() -> None:
    include = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]["find"]["include"]
    commands = {path.stem for path in ROOT.glob("*.py")}
    documented = re.search(r"^DOCUMENTED := (.*)$", (ROOT / "Makefile").read_text(), re.M)
    assert documented
    packages = {name.rstrip("*") for name in include} | {"creator_yield_client"}
    assert set(documented[1].split()) == packages | commands


@pytest.mark.parametrize("module", ["features", "features.text", "models.x.y", "service.x", "demo", "cli", "train"])
def test_warnings_of_our_own_code_are_errors(module: str) -> None:
    with pytest.raises(FutureWarning, match="old"):
        warnings.warn_explicit("old", FutureWarning, "ours.py", 1, module)


@pytest.mark.slow
@pytest.mark.parametrize(("count", "status"), [(20, 0), (21, 1)])
def test_a_run_that_prints_many_warnings_fails(tmp_path: Path, count: int, status: int) -> None:
    other = f"[warnings.warn_explicit('old', FutureWarning, 'other.py', n) for n in range({count})]"
    (tmp_path / "test_other.py").write_text(f"import warnings\n\ndef test_other():\n    {other}\n")
    call = [sys.executable, "-m", "pytest", "-c", "pyproject.toml", "-p", "tests.conftest", "-p", "no:cacheprovider"]
    done = subprocess.run([*call, str(tmp_path)], cwd=ROOT, capture_output=True, text=True)
    assert "1 passed" in done.stdout
    assert (done.returncode, f"{count} warnings: mend" in done.stdout) == (status, status == 1)


def test_the_longest_tests_are_shown() -> None:
    recipes = re.findall(r"^(test(?:-long)?):.*\n\t(.*)$", (ROOT / "Makefile").read_text(), re.M)
    assert [target for target, recipe in recipes if "--durations=10" in recipe] == ["test", "test-long"]
