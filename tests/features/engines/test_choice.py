"""A wrong --engine, or a DATA that it cannot read, is one fault of the call."""

from __future__ import annotations

import pytest

from features.engines.choice import check_engine
from features.faults import InputError
from tests.support.commands import run_predict, run_train

SERVER = "postgresql://me:hush@db/results"


@pytest.mark.parametrize(("engine", "data"), [("duckdb", "export/"), ("duckdb", SERVER), ("postgresql", SERVER)])
def test_what_fits_is_taken(engine: str, data: str) -> None:
    check_engine(engine, data)


@pytest.mark.parametrize(
    ("engine", "data", "problem"),
    [
        ("", SERVER, "--engine: there is no such engine"),
        ("postgres", SERVER, "--engine: there is no such engine: received postgres. Give duckdb, or postgresql"),
        ("postgresql", "export/", "--engine: the database of DATA would make the features, and DATA is none"),
        ("postgresql", "duckdb://file", "--engine: the database of DATA would make the features, and DATA is none"),
        ("spark://", SERVER, "--engine: there is no such engine"),
    ],
)
def test_what_does_not_fit_is_one_fault(engine: str, data: str, problem: str) -> None:
    with pytest.raises(InputError) as error:
        check_engine(engine, data)
    assert len(error.value.faults) == 1
    assert str(error.value).startswith(problem)
    assert "hush" not in str(error.value)


def test_the_commands_check_it_first(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_train("nowhere/", "--engine", "postgresql") == 2
    assert run_predict("nothing.csv", "--data", "nowhere/", "--output", "x.csv", "--engine", "oracle") == 2
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in lines] == ["--engine", "--engine"]
