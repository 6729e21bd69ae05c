"""Imports run down the house and never in a circle: packages, the rooms within them, benchmarks and demo."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# From the ground up: a room imports what stands before it, and itself.
ROOMS = (
    "features.secrets", "features.streams", "features.faults", "features.settings", "features.engines",
    "features.history", "features.comment_classifier", "features.spine", "features.families", "features.catalogue",
    "features.staging", "features.matrix", "features.usage",
    "models.alarms", "models.explanations", "models.estimators", "models.uncertainty", "models.evaluation",
    "models.training_facts", "models.learnt",
    "models.scoring", "models.scorer", "models.training", "models.studies", "models.report", "models.registry",
    "models.tracking", "models.monitoring", "models.newest", "models.batch", "models.pipeline",
    "service.variables", "service.problems", "service.logs", "service.publish", "service.api",
    "demo", "benchmarks",
)  # fmt: skip
PACKAGES = ("features", "models", "service", "demo", "benchmarks")
# The demo makes tables, so it may use what reads them, and nothing may fall back to it but benchmarks.
NEVER = {"demo": ("models", "service"), "models": ("demo",), "service": ("demo",), "features": ("demo",)}


def modules() -> dict[str, Path]:
    """By dotted name, every module of the packages; a package's own `__init__` bears the package's name."""
    paths = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    return {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in paths}


def arrows() -> dict[str, set[str]]:
    """By module, the project's modules that it imports, wherever the import stands."""
    known = modules()
    found: dict[str, set[str]] = {}
    for name, path in known.items():
        wanted: set[str] = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                wanted |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                parts = {f"{node.module}.{alias.name}" for alias in node.names}
                wanted |= (parts & known.keys()) or {node.module}
        found[name] = (wanted & known.keys()) - {name}
    return found


def room_of(module: str) -> str:
    """The room in which a module stands. Raises ValueError for one that stands in none."""
    rooms = [room for room in ROOMS if module == room or module.startswith(f"{room}.")]
    if not rooms:
        raise ValueError(f"{module} stands in no room: add it to ROOMS, in its place")
    return max(rooms, key=len)


ARROWS = arrows()
HOUSE = [name for name in ARROWS if name not in PACKAGES]


@pytest.mark.parametrize("module", HOUSE)
def test_no_import_runs_up(module: str) -> None:
    own = ROOMS.index(room_of(module))
    up = [other for other in ARROWS[module] if other not in PACKAGES and ROOMS.index(room_of(other)) > own]
    assert up == []


def test_no_imports_run_in_a_circle() -> None:
    try:
        list(TopologicalSorter(ARROWS).static_order())
    except CycleError as error:
        pytest.fail(f"a circle: {' -> '.join(error.args[1])}")


@pytest.mark.parametrize("package", NEVER)
def test_nothing_falls_back_to_the_demo(package: str) -> None:
    forbidden = tuple(f"{other}." for other in NEVER[package])
    own = [name for name in ARROWS if name.startswith(package)]
    assert [(a, b) for a in own for b in ARROWS[a] if f"{b}.".startswith(forbidden)] == []
