"""What columns of PostgreSQL's types keep as it is, and what they would round, cut off or pad."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest

from features.engines.duckdb import connect
from features.history.append.batch import open_batch
from features.history.append.merge import Present, merge
from features.history.append.postgres_types import Exact, held
from features.history.postgres import Column

NOON, LATER = datetime(2025, 1, 10, 12), datetime(2025, 1, 10, 12, 0, 0, 120_000)


def numeric(digits: int, scale: int) -> tuple[str, str, int]:
    return "numeric", f"numeric({digits},{scale})", (digits << 16 | scale & 0x7FF) + 4


# type, how it is declared and its modifier; what it keeps, and what it does not
RULES: list[tuple[tuple[str, str, int], list[Any], list[Any]]] = [
    (numeric(8, 2), [0, 1.25, 999_999.99, 0.1, True, "12.5"], [1.255, 1e6, 0.1 + 0.2, "12.50", "twelve", "1e3"]),
    (numeric(40, 20), [250.55, 1e-20, 1e19], [1e-21, 1e20]),
    (numeric(38, 0), ["1" * 38, "9" * 38, "1" * 29], ["1" * 39, "9" * 28 + ".5"]),
    (numeric(3, -2), [0, 1_200, 99_900.0], [1_250, 100_000, 1.0]),
    (numeric(2, 3), [0.012, 0.099], [0.1, 0.0125]),
    (("money", "money", -1), [0.01, 1_234.5, 5], [0.001, 19.999, 1e17, "x", "1." + "0" * 30 + "1"]),
    (("timestamp", "timestamp(0) without time zone", 0), [NOON, date(2025, 1, 10)], [LATER]),
    (("timestamptz", "timestamp(1) with time zone", 1), [NOON], [LATER]),
    (("timestamptz", "timestamp(2) with time zone", 2), [NOON, LATER], [LATER.replace(microsecond=1_000)]),
    (("interval", "interval", -1), [48.0, 0.1, 33.3333, 0], [1 / 3 + 1e-12]),
    (("interval", "interval(0)", 0x7FFFFFFF & ~0xFFFF), [0.5, 1 / 3], [0.0001]),
    (("interval", "interval hour to minute", 0x0C00FFFF), [0.25], [0.01]),
    (("interval", "interval day", 0x0008FFFF), [48.0], [12.0]),
    (("interval", "interval year to month", 0x0006FFFF), [0], [720.0]),
]  # fmt: skip


def column(kind: str, declared: str, modifier: int) -> Column:
    return Column("c", kind, "b", "", declared, modifier, [])


@pytest.mark.parametrize(("rule", "kept", "changed"), RULES, ids=[rule[1] for rule, *_ in RULES])
def test_what_a_type_keeps(rule: tuple[str, str, int], kept: list[Any], changed: list[Any]) -> None:
    found = held(column(*rule), 2)
    assert isinstance(found, Exact)
    assert str(found) == rule[1]
    assert [value for value in kept if not found.holds(value)] == []
    assert [value for value in changed if found.holds(value)] == []


def sure(rule: Exact, kind: str, values: list[Any]) -> list[bool]:
    """Whether the engine is sure that each value is kept."""
    with duckdb.connect() as engine:
        engine.execute(f"CREATE TABLE given (place BIGINT, own {kind})")
        engine.executemany("INSERT INTO given VALUES (?, ?)", [*enumerate(values)])
        query = f"SELECT coalesce({rule.surely('own', kind)}, false) FROM given ORDER BY place"
        return [found for (found,) in engine.execute(query).fetchall()]


KINDS = {float: "DOUBLE", int: "BIGINT", bool: "BOOLEAN", str: "VARCHAR", datetime: "TIMESTAMP", date: "DATE"}


@pytest.mark.parametrize(("rule", "kept", "changed"), RULES, ids=[rule[1] for rule, *_ in RULES])
def test_the_engine_is_sure_of_nothing_that_is_changed(
    rule: tuple[str, str, int], kept: list[Any], changed: list[Any]
) -> None:
    found = held(column(*rule), 2)
    assert isinstance(found, Exact)
    for kind in dict.fromkeys(map(type, [*kept, *changed])):
        values = [value for value in [*kept, *changed] if type(value) is kind]
        for value, certain in zip(values, sure(found, KINDS[kind], values), strict=True):
            assert not certain or found.holds(value), value


@pytest.mark.parametrize(
    ("rule", "kind", "values"),
    [
        (numeric(8, 2), "DOUBLE", [0.0, 0.1, 0.07, -1.15, 250.55, 999_999.99]),
        (numeric(8, 2), "BIGINT", [0, -999_999, 999_999]),
        (numeric(38, 0), "VARCHAR", ["0", "17", "1" * 38]),
        (numeric(40, 20), "DOUBLE", [0.0, 1.5e-19]),
        (("money", "money", -1), "DOUBLE", [0.01, 1_234.5, 1e9]),
        (("timestamptz", "timestamp(1) with time zone", 1), "TIMESTAMP", [NOON, NOON.replace(microsecond=300_000)]),
        (("timestamp", "timestamp(0) without time zone", 0), "DATE", [date(2025, 1, 10)]),
        (("interval", "interval", -1), "DOUBLE", [48.0, 0.1, 33.3333]),
        (("interval", "interval year to month", 0x0006FFFF), "DOUBLE", [0.0]),
    ],
    ids=lambda value: value[1] if isinstance(value, tuple) else None,
)
def test_the_engine_is_sure_of_ordinary_values(rule: tuple[str, str, int], kind: str, values: list[Any]) -> None:
    found = held(column(*rule), 2)
    assert isinstance(found, Exact)
    assert sure(found, kind, values) == [True] * len(values)


def test_the_engine_is_sure_of_as_many_decimals_as_are_kept_and_no_more() -> None:
    found, rng = held(column(*numeric(12, 4)), 2), np.random.default_rng(1)
    assert isinstance(found, Exact)
    values = [round(float(value), int(digits)) for value, digits in zip(rng.uniform(-1e5, 1e5, 600),
              rng.integers(0, 8, 600), strict=True)]  # fmt: skip
    near = [float(np.nextafter(value, np.inf)) for value in values[:200]]
    certain = sure(found, "DOUBLE", [*values, *near])
    assert certain == [found.holds(value) for value in [*values, *near]]


def test_only_what_is_not_sure_is_looked_at_one_by_one(tmp_path: Path) -> None:
    rows = pd.DataFrame({"creator_id": ["a", "b", "c"], "followers": [1, 2, 3], "platform": "x", "niche": "y"})
    rows.to_csv(tmp_path / "creators.csv", index=False)
    seen: list[Any] = []

    def holds(value: Any) -> bool:
        seen.append(value)
        return False

    few = Exact("numeric(1,0)", holds, {"BIGINT": "{v} < 3"})
    engine = connect(None, None, str(tmp_path))
    with open_batch(tmp_path) as batch:
        changes = merge(Present(engine, {}, {"creators": {"followers": few}}), batch, NOON)
    engine.close()
    assert seen == [3]
    assert list(changes.refused["creators"]) == [3]


def test_money_has_the_decimals_of_its_currency() -> None:
    yen = held(column("money", "money", -1), 0)
    assert isinstance(yen, Exact)
    assert (yen.holds(5), yen.holds(0.5)) == (True, False)


@pytest.mark.parametrize(
    ("rule", "engine"),
    [
        (("bpchar", "character(4)", 8), "CHAR(4)"),
        (("varchar", "character varying(4)", 8), "VARCHAR(4)"),
        (("varchar", "character varying", -1), None),
        (("numeric", "numeric", -1), None),
        (("timestamptz", "timestamp(6) with time zone", 6), "TIMESTAMP WITH TIME ZONE"),
        (("int2", "smallint", -1), "SMALLINT"),
        (("json", "json", -1), None),
    ],
)
def test_types_that_the_engine_has_too(rule: tuple[str, str, int], engine: str | None) -> None:
    assert held(column(*rule), 2) == engine
