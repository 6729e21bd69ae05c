"""What columns of PostgreSQL's types keep as it is, and what they would round, cut off or pad."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import pytest

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
