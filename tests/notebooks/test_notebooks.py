"""The notebooks run from beginning to end, define nothing, and show what their words say."""

from __future__ import annotations

import ast
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from tests.support.paths import ROOT

pytestmark = pytest.mark.slow

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
# What the words of a notebook rest on, read from its kernel after the last cell.
EVALUATED = {
    "01-features": "{'related': related.to_dict(), 'families': families['columns'].to_dict(), 'rows': len(matrix),"
    " 'gone': not market.exists()}",
    "02-backtest": "{'skill': figures['skill'].unstack().loc['all'].to_dict(),"
    " 'rank': figures['rank'].unstack().loc['all'].to_dict(), 'folds': len(backtest.cutoffs),"
    " 'coverage': figures['coverage'].unstack().loc['all', 'this model'], 'agreement': agreement.to_dict(),"
    " 'axes': [axes.get_xlabel() and axes.get_ylabel() for name in ('calibration.png', 'lift.png')"
    " for axes in plots[name].axes]}",
    "03-claims": "{'verdicts': table['verdict'].to_dict(), 'unadjusted': table['unadjusted'].to_dict(),"
    " 'adjusted': table['adjusted'].to_dict(), 'low': table['low'].to_dict(), 'high': table['high'].to_dict(),"
    " 'within_day': found.speed.set_index('tier')['share_1'].to_dict()}",
}


def execute(path: Path, folder: Path) -> tuple[list[Any], dict[str, Any]]:
    """Outputs of a notebook's cells, and the values read from its kernel."""
    notebook = nbformat.read(path, as_version=4)
    question = f"import json\nprint(json.dumps({EVALUATED[path.stem]}))"
    notebook.cells.append(nbformat.v4.new_code_cell(question))
    client = NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(folder)}})
    client.execute(env={**os.environ, "PYTHONPATH": str(ROOT), "IPYTHONDIR": str(folder)})
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return outputs[:-1], json.loads(outputs[-1].text)


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[list[Any], dict[str, Any]]]:
    folders = [tmp_path_factory.mktemp("notebook") for _ in NOTEBOOKS]
    with ThreadPoolExecutor(2) as pool:
        ended = list(pool.map(execute, NOTEBOOKS, folders))
    return {path.stem: end for path, end in zip(NOTEBOOKS, ended, strict=True)}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_short_says_that_it_is_made_up_and_defines_nothing(path: Path) -> None:
    cells = nbformat.read(path, as_version=4).cells
    code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    made = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
    assert not [node for node in ast.walk(ast.parse(code)) if isinstance(node, made)]
    assert len(code.splitlines()) < 100
    assert "made up" in cells[0].source
    imports = [cell for cell in cells if cell.cell_type == "code" and "import " in cell.source]
    assert len(imports) == 1, "all imports are in the first cell"


@pytest.mark.long
@pytest.mark.parametrize("name", EVALUATED)
def test_a_notebook_shows_tables_and_plots_and_no_warning(name: str, executed: dict[str, Any]) -> None:
    outputs, _ = executed[name]
    assert [output.text for output in outputs if output.output_type == "stream" and output.name == "stderr"] == []
    shown = [set(output.data) for output in outputs if "data" in output]
    plots, tables = (sum(kind in data for data in shown) for kind in ("image/png", "text/html"))
    assert plots >= 3
    assert tables >= 2


@pytest.mark.long
def test_engagement_tells_little_and_comments_more(executed: dict[str, Any]) -> None:
    outputs, values = executed["01-features"]
    assert "is made up" in outputs[0].text
    assert list(values["families"]) == [
        "audience", "engagement", "comments", "niche", "promotion", "partnership", "track_record",
    ]  # fmt: skip
    assert values["rows"] == 1000
    assert values["gone"]
    related = values["related"]
    comments = ("substance_share", "comment_words", "replies_per_comment", "saves_per_like_year")
    assert abs(related["engagement_rate_median"]) < 0.2
    assert all(related[name] > related["engagement_rate_median"] + 0.03 for name in comments)
    assert related["hollow_share"] < -0.1
    assert related["creator_record"] > related["engagement_rate_median"] + 0.1
    assert max(related.values()) < 0.7


@pytest.mark.long
def test_the_backtest_shows_what_its_words_conclude(executed: dict[str, Any]) -> None:
    _, values = executed["02-backtest"]
    ours = "this model"
    assert values["folds"] == 5
    others = [name for name in values["rank"] if name != ours]
    assert len(others) == 4
    assert all(values["rank"][ours] > values["rank"][name] for name in others)
    assert values["skill"][ours] > values["skill"]["one rate for all"]
    assert 0.7 < values["coverage"] < 0.93
    agreement = values["agreement"]
    assert agreement[ours] > agreement["creator's own record"] + 0.05
    assert agreement["creator's own record"] > agreement["engagement rate"] + 0.05
    assert all(values["axes"])


@pytest.mark.long
def test_the_claims_show_what_their_words_conclude(executed: dict[str, Any]) -> None:
    _, values = executed["03-claims"]
    assert values["verdicts"]["Comments of substance bring more"] == "holds here"
    assert values["verdicts"]["A creator of the product's niche brings more"] == "holds here"
    assert set(values["verdicts"].values()) == {"holds here", "too little data to tell"}
    longer = "A promotion of more than 24 hours returns more"
    assert values["unadjusted"][longer] > 2
    assert values["low"][longer] < 1 < values["high"][longer]
    assert values["adjusted"][longer] < 1.3
    day = values["within_day"]
    assert day["mega"] > day["macro"] > day["mid"] > day["nano"] + 0.05


def test_the_kernel_is_this_python() -> None:
    from jupyter_client.kernelspec import KernelSpecManager

    assert KernelSpecManager().get_kernel_spec("python3").argv[0] in (sys.executable, "python")
