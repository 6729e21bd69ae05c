"""Whatever names DuckDB's own connection, or Ibis's of it, stands in features/engines/."""

from __future__ import annotations

import ast

import pytest

from tests.support.paths import ROOT

PACKAGES = ("features", "models", "service", "demo", "benchmarks")
ENGINES = ROOT / "features" / "engines"
# Reading files is DuckDB's part whatever engine the features are made in, and the errors of it are named where they
# are met: these may use DuckDB itself. Ibis's DuckDB is nobody's but the engines'.
READ_FILES = ("features/history/", "features/engines/")
ATTRIBUTES = {"con", "raw_sql", "get_backend"}
FAMILIES = ("features/families/", "features/matrix.py", "features/staging.py", "features/spine.py")


def of_ibis(source: str) -> list[str]:
    """The lines of a module that call Ibis's backends."""
    lines = source.split("\n")
    found: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Attribute(value=ast.Name("ibis"), attr="duckdb" | "postgres" | "backends"):
                found.add(node.lineno)
            case ast.Attribute(attr=attribute) if attribute in ATTRIBUTES:
                found.add(node.lineno)
            case ast.Import(names=names) if any(alias.name.startswith("ibis.backends") for alias in names):
                found.add(node.lineno)
            case ast.ImportFrom(module=str(module)) if module.startswith("ibis.backends"):
                found.add(node.lineno)
            case ast.ImportFrom(module="ibis", names=names) if {a.name for a in names} & {"duckdb", "backends"}:
                found.add(node.lineno)
    return [lines[number - 1].strip() for number in sorted(found)]


def imports(source: str) -> set[str]:
    """The top packages that a module imports."""
    nodes = [*ast.walk(ast.parse(source))]
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return {name.partition(".")[0] for name in plain} | {
        node.module.partition(".")[0] for node in nodes if isinstance(node, ast.ImportFrom) and node.module
    }


MODULES = [
    path.relative_to(ROOT).as_posix()
    for package in PACKAGES
    for path in sorted((ROOT / package).rglob("*.py"))
    if ENGINES not in path.parents
]


@pytest.mark.parametrize("module", MODULES)
def test_nothing_else_calls_a_backend_of_ibis(module: str) -> None:
    assert of_ibis((ROOT / module).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("module", [module for module in MODULES if module.startswith("features/")])
def test_features_are_made_without_naming_an_engine(module: str) -> None:
    source = (ROOT / module).read_text(encoding="utf-8")
    if not module.startswith(READ_FILES):
        assert "duckdb" not in imports(source)
    if module.startswith(FAMILIES):
        assert "features.engines.duckdb" not in source
        assert "features.engines.postgres" not in source


@pytest.mark.parametrize(
    "line",
    ["ibis.duckdb.connect()", "history.engine._backend.con", "backend.raw_sql('')", "table.get_backend()",
     "from ibis.backends.duckdb import Backend", "import ibis.backends.sql", "from ibis import duckdb"],
)  # fmt: skip
def test_a_call_is_found(line: str) -> None:
    assert of_ibis(f"import ibis\n{line}\n") == [line]
