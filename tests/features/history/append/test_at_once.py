"""Additions at once to one folder and to one DuckDB file: one after the other, nothing lost and nothing mixed."""

from __future__ import annotations

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from features.history.append.log import read_log
from tests.support.additions import contents, results
from tests.support.contract_tables import write
from tests.support.workspace import command

pytestmark = pytest.mark.slow
AT_ONCE, FEW_AT_ONCE = 8, 3  # in full, and in `make test`


def new(folder: Path, number: int) -> Path:
    """NEW with a collaboration of a new creator, and with another spend of one that may be there."""
    deals = results()["collaborations"].iloc[[4, 5]].assign(collaboration_id=[f"n{number}", "r5"])
    deals = deals.assign(creator_id=f"d{number}", spend=[10.0 + number, 1_000.0 + number])
    creators = results()["creators"].head(1).assign(creator_id=f"d{number}")
    return write(folder / f"new{number}", {"collaborations": deals, "creators": creators})


@pytest.mark.parametrize(
    "form",
    [
        "csv",
        pytest.param("parts", marks=pytest.mark.long),
        "duckdb",
        pytest.param("duckdb that is not there", marks=pytest.mark.long),
    ],
)
def test_additions_at_once_go_in_one_after_the_other(form: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    at_once = AT_ONCE if request.config.getoption("--soak") else FEW_AT_ONCE
    is_folder = not form.startswith("duckdb")
    base = write(tmp_path / "base", results(), form if is_folder else "csv")
    data = "base" if is_folder else "duckdb://history.db"

    def add(source: Path) -> subprocess.CompletedProcess[str]:
        return command(tmp_path, "train.py", data, "--add", source.name, "--no-train")

    batches = [new(tmp_path, number) for number in range(at_once)]
    if form == "duckdb":
        assert add(base).returncode == 0
    elif not is_folder:
        batches = [base, *batches]
    with ThreadPoolExecutor(len(batches)) as pool:
        ended = list(pool.map(add, batches))
    assert [one.stderr for one in ended if one.returncode] == []

    place = str(base) if is_folder else f"duckdb://{tmp_path / 'history.db'}"
    rows, log = contents(place), read_log(place)
    spends = {row["collaboration_id"]: row["spend"] for row in rows["collaborations"]}
    assert {f"n{number}": 10.0 + number for number in range(at_once)}.items() <= spends.items()
    assert {*spends} == {*(f"r{i}" for i in range(6)), *(f"n{number}" for number in range(at_once))}
    assert {row["creator_id"] for row in rows["creators"]} == {
        *(f"c{i}" for i in range(4)), *(f"d{number}" for number in range(at_once))
    }  # fmt: skip
    assert sorted(set(log.batch)) == list(range(1, len(batches) + 1 + (form == "duckdb")))
    # each one found what the one before it had left
    entries = log[log.key == "r5"].sort_values("batch")
    before = [json.loads(text)["spend"] if isinstance(text, str) else None for text in entries.before]
    given = [60.0 if source == "base" else 1_000.0 + int(source.removeprefix("new")) for source in entries.source]
    assert [*before, spends["r5"]] == [60.0 if is_folder else None, *given]
    assert [path.name for path in [*tmp_path.glob(".*"), *base.glob(".a*")]] == []
