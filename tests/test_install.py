"""Setting up: the locks are complete and nothing else is installed, whatever is released; make finds its Python."""

import base64
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.support.workspace import environment

ROOT = Path(__file__).resolve().parent.parent
LOCKS: dict[str, list[str]] = {"requirements.lock": [], "requirements-dev.lock": ["postgres", "fast", "service", "dev"]}
PLATFORMS = {"linux": ("Linux", "posix"), "darwin": ("Darwin", "posix"), "win32": ("Windows", "nt")}
PYTHONS = ("3.11", "3.12", "3.13")


def locked(lock: str) -> list[Requirement]:
    text = re.sub(r"\\\n\s*", "", (ROOT / lock).read_text())
    return [Requirement(line.split(" --hash=")[0]) for line in text.splitlines() if line and not line.startswith("#")]


def pins(lock: str, variables: dict[str, str] | None = None) -> dict[str, str]:
    """Canonical name and version of what the lock installs on an environment: by default, the one that runs this."""
    return {
        canonicalize_name(one.name): next(iter(one.specifier)).version
        for one in locked(lock)
        if one.marker is None or one.marker.evaluate(variables)
    }


def closure(wanted: list[str], versions: dict[str, str], variables: dict[str, str]) -> tuple[list[str], set[str]]:
    """Requirements that the versions do not satisfy, extras included, and the names of those that are required.

    What is not installed here (it is for another platform) is taken to require nothing.
    """
    faults: list[str] = []
    seen: set[tuple[str, str]] = set()
    waiting = [("the project", Requirement(one)) for one in wanted]
    while waiting:
        who, requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if not requirement.specifier.contains(versions.get(name, "0"), prereleases=True):
            faults.append(f"{who} requires {requirement}, the lock has {versions.get(name)}")
        for extra in {"", *requirement.extras} - {one for other, one in seen if other == name}:
            seen.add((name, extra))
            try:
                further = [Requirement(one) for one in metadata.requires(name) or ()]
            except metadata.PackageNotFoundError:
                continue
            environment = variables | {"extra": extra}
            waiting += [(name, one) for one in further if one.marker is None or one.marker.evaluate(environment)]
    return faults, {name for name, _ in seen}


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_all_that_its_packages_require_and_nothing_else(lock: str, python: str, platform: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *(w for one in LOCKS[lock] for w in project["optional-dependencies"][one])]
    system, family = PLATFORMS[platform]
    variables = {str(name): str(value) for name, value in default_environment().items()} | {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "implementation_version": f"{python}.0",
        "sys_platform": platform,
        "platform_system": system,
        "os_name": family,
    }
    versions = pins(lock, variables)
    faults, required = closure(wanted, versions, variables)
    assert not faults
    assert versions.keys() - required == set()


def pack(folder: Path, name: str, version: str, requires: list[str], files: dict[str, bytes]) -> Path:
    """Write a wheel of these files; its path."""
    stem = f"{canonicalize_name(name).replace('-', '_')}-{version}"
    extras = sorted(set(re.findall(r"""extra\s*==\s*["']([^"']+)["']""", "\n".join(requires))))
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    lines += [f"Provides-Extra: {one}" for one in extras] + [f"Requires-Dist: {one}" for one in requires]
    info = f"{stem}.dist-info"
    files = files | {
        f"{info}/METADATA": ("\n".join(lines) + "\n").encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = [f"{path},{_digest(data)},{len(data)}" for path, data in files.items()] + [f"{info}/RECORD,,"]
    wheel = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, data in (files | {f"{info}/RECORD": "\n".join(record).encode()}).items():
            archive.writestr(path, data)
    return wheel


def _digest(data: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def installed_files(name: str) -> dict[str, bytes]:
    """A pure package as it is installed here, without what its wheel's own metadata are."""
    found = metadata.distribution(name)
    kept = [one for one in found.files or () if one.suffix != ".pyc" and not str(one).startswith("..")]
    skipped = {"METADATA", "WHEEL", "RECORD", "INSTALLER", "REQUESTED"}
    return {str(one): one.read_binary() for one in kept if one.name not in skipped or one.parent.suffix != ".dist-info"}


def make_index(folder: Path, lock: str) -> str:
    """An index of empty wheels: what the lock names for this environment, requirements as they are, and a newer one.

    Only setuptools, which builds the project, is whole, and LightGBM can be imported. Returns the lock of these wheels.
    """
    lines = []
    for name, version in pins(lock).items():
        page = folder / name
        page.mkdir(parents=True)
        files = {"lightgbm/__init__.py": b""} if name == "lightgbm" else {}
        if name == "setuptools":
            files = installed_files(name)
        requires = metadata.requires(name) or []
        wheel = pack(page, name, version, requires, files)
        *first, last = Version(version).release
        newer = pack(page, name, ".".join(map(str, [*first, last + 1])), requires, {})
        (page / "index.html").write_text("".join(f'<a href="{one.name}">{one.name}</a>\n' for one in (wheel, newer)))
        lines.append(f"{name}=={version} --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n")
    return "".join(lines)


def project_copy(folder: Path) -> Path:
    """What `make install` needs of the project, but for its packages and its lock; the client whole."""
    for name in ("Makefile", "pyproject.toml", "README.md", "LICENSE", ".ci/find-python"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    shutil.copytree(ROOT / "client", folder / "client", ignore=shutil.ignore_patterns("build", "*.egg-info"))
    return folder


def run_make(folder: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "MAKE", "MFLAGS", "PYTHON"))
    }
    return subprocess.run(["make", *words], cwd=folder, env=kept | more, capture_output=True, text=True)


@pytest.mark.long
def test_make_installs_the_lock_and_no_newer_release_in_a_folder_of_any_name(tmp_path: Path) -> None:
    folder = project_copy(tmp_path / "50 %20 of #1? ümlaut")
    (folder / "requirements-dev.lock").write_text(make_index(tmp_path / "index", "requirements-dev.lock"))
    index = {"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": (tmp_path / "index").as_uri()}
    done = run_make(folder, "install", f"PYTHON={sys.executable}", **index)
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-3000:]

    pip = [str(folder / ".venv" / "bin" / "python"), "-m", "pip"]
    listed = subprocess.run([*pip, "list", "--format=freeze"], capture_output=True, text=True, check=True).stdout
    found = {canonicalize_name(name): version for name, version in (line.split("==") for line in listed.split())}
    assert found.items() >= pins("requirements-dev.lock").items()
    assert found.keys() - pins("requirements-dev.lock").keys() == {"creator-yield", "creator-yield-client", "pip"}
    checked = subprocess.run([*pip, "check"], capture_output=True, text=True)
    assert (checked.returncode, checked.stdout) == (0, "No broken requirements found.\n")

    assert "Nothing to be done" in run_make(folder, "install").stdout
    moved = folder.rename(tmp_path / "moved")
    assert "venv --clear" in run_make(moved, "--dry-run", "install").stdout


def stand_in(folder: Path, name: str, first: str) -> None:
    """An interpreter of this name that runs `first` before the requested command."""
    script = (
        f"#!/bin/sh\n[ \"$1\" = -c ] || exit 9\nexec '{sys.executable}' -c \"$(printf '%s\\n%s' '{first}' \"$2\")\"\n"
    )
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(script)
    (folder / name).chmod(0o755)


OLD = "import sys; sys.version_info = (3, 9, 2)"
BARE = 'import sys; sys.modules["ensurepip"] = None'
NEWER = "import sys; sys.version_info = (3, 14, 0)"


@pytest.mark.parametrize(
    ("interpreters", "taken", "said"),
    [
        ({"python3.13": "", "python3.12": "", "python3": OLD}, "python3.13", []),
        ({"python3.12": BARE, "python3.11": "", "python3": ""}, "python3.11", ["python3.12: lacks ensurepip"]),
        ({"python3": NEWER}, "python3", []),
        ({"python3.12": "broken =", "python3": ""}, "python3", ["python3.12: "]),
        ({"python3": OLD}, None, ["python3.13: not found", "python3: is Python 3.9, too old", "make PYTHON="]),
        ({"python3.11": BARE, "python3": BARE}, None, ["python3: lacks ensurepip", "apt-get install python3-venv"]),
    ],
)
def test_make_takes_the_first_python_that_fits(
    tmp_path: Path, interpreters: dict[str, str], taken: str | None, said: list[str]
) -> None:
    for name, first in interpreters.items():
        shown = f'import sys; sys._base_executable = "{tmp_path}/bin/{name}"; {first}'
        stand_in(tmp_path / "bin", name, shown)
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("sh", "head", "grep", "cat"):
        (tools / name).symlink_to(shutil.which(name) or name)
    search = {"PATH": f"{tmp_path / 'bin'}:{tools}"}
    done = subprocess.run(["sh", ROOT / ".ci" / "find-python"], env=search, capture_output=True, text=True)
    assert done.returncode == (0 if taken else 1)
    assert done.stdout == (f"{tmp_path}/bin/{taken}\n" if taken else "")
    for words in said:
        assert words in done.stderr
    if taken:
        assert f"Python: {tmp_path}/bin/{taken} (" in done.stderr


def test_python_given_to_make_is_the_only_one_tried(tmp_path: Path) -> None:
    folder = project_copy(tmp_path)
    (folder / "requirements-dev.lock").write_text("")
    stand_in(tmp_path / "my bin", "python", OLD)
    done = run_make(folder, "install", f"PYTHON={tmp_path}/my bin/python")
    assert done.returncode == 2
    assert f"{tmp_path}/my bin/python: is Python 3.9, too old" in done.stderr
    assert "python3.13" not in done.stderr
    assert not (folder / ".venv").exists()


def test_the_readme_installs_as_make_does_and_says_what_each_system_needs_first() -> None:
    readme, makefile = (ROOT / "README.md").read_text(), (ROOT / "Makefile").read_text()
    options = re.search(r"^PIP_LOCKED := (-m pip install --no-deps --require-hashes .+)$", makefile, re.M)
    assert options
    assert f"\n    python {options[1]} -r requirements.lock\n" in readme
    assert "`python -m pip install .`" in readme
    rows = dict(re.findall(r"^\| ([\w, ]+) \| (.+) \|$", readme, re.M))
    said = makefile + (ROOT / ".ci" / "find-python").read_text()  # what is named where something is missing
    needed = {
        "Debian, Ubuntu": {"make", *re.findall(r"apt-get install ([\w-]+)", said)},
        "macOS": {"make", *re.findall(r"brew install ([\w-]+)", said)},
        "Windows": {"WSL"},
    }
    assert needed["Debian, Ubuntu"] == {"make", "libgomp1", "python3-venv"}
    missing = {system: words - {*re.findall(r"[\w-]+", rows[system])} for system, words in needed.items()}
    assert missing == {system: set() for system in needed}


@pytest.mark.slow
def test_pip_installs_every_file_of_the_packages(tmp_path: Path) -> None:
    """`python -m pip install .`, as the README has it; nothing is fetched."""
    folder = project_copy(tmp_path / "project")
    for package in ("features", "models", "service", "demo"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    given = {str(path.relative_to(folder)) for path in folder.glob("[fmsd]*/**/*") if path.is_file()}
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(tmp_path)]
    subprocess.run([*pip, "wheel", *options, str(folder)], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    assert given == {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}


@pytest.mark.bare
@pytest.mark.parametrize("pip", ["pip==23.0", "pip"])
def test_the_core_lock_alone_trains_and_scores(tmp_path: Path, tiny_market: Path, pip: str) -> None:
    options = re.search(r"^PIP_LOCKED := (.+)$", (ROOT / "Makefile").read_text(), re.M)
    assert options
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "core"], check=True)
    python = str(tmp_path / "core" / "bin" / "python")
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--upgrade", pip], check=True)
    subprocess.run([python, *options[1].split(), "--quiet", "-r", str(ROOT / "requirements.lock")], check=True)
    subprocess.run([python, "-m", "pip", "check"], check=True)
    data, candidates = str(tiny_market / "data"), str(tiny_market / "candidates.parquet")
    for words in (
        ["train.py", data, "--search", "0"],
        ["predict.py", candidates, "--data", data, "--output", "scores.csv"],
    ):
        call = [python, str(ROOT / words[0]), *words[1:]]
        done = subprocess.run(call, cwd=tmp_path, env=environment(PYTHONPATH=""), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / "scores.csv").read_text().count("\n") == 31
