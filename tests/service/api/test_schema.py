"""One schema: whatever names a column of the contract takes it from the contract's declaration."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from features.history.column_types import kind_of
from features.history.contract import CANDIDATES, COLLABORATIONS, OUTCOMES, TABLES
from features.history.score_columns import SCORE_COLUMNS, SCORES, TARGET_SCORES
from models.scorer import SCORES as OF_A_ROW
from service.api import openapi
from service.api.answers import Score
from service.api.request_types import REFUSED, Deal, Item
from service.api.requests import read_score
from service.problems import Problem

ITEM: dict[str, Any] = {
    "creator_id": "a", "brand": "b", "product_niche": "c", "starts_at": "2026-06-01", "promotion_hours": 48,
    "spend": 300,
}  # fmt: skip
NAMES = [one.name for one in SCORE_COLUMNS]
NUMBERS = ("number", "hours", "count")


def test_requests_have_the_columns_of_candidates_and_refuse_what_comes_afterwards() -> None:
    fields = {name for name in Item.__struct_fields__ if name not in REFUSED}
    assert fields == set(CANDIDATES.columns)
    assert set(Deal.__struct_fields__) == set(Item.__struct_fields__) - {"creator_id", "candidate_id"}
    assert set(REFUSED) == {*OUTCOMES, *SCORES}
    assert set(OUTCOMES) < set(COLLABORATIONS.columns) - set(CANDIDATES.columns)
    for name in REFUSED:
        with pytest.raises(Problem, match="cannot be known beforehand"):
            read_score(json.dumps({"items": [ITEM | {name: None}]}).encode())


def test_answers_have_the_columns_of_scores() -> None:
    keys = {"candidate_id", "creator_id", "platform", "niche", "tier"}
    assert set(Score.__struct_fields__) == {*NAMES, *keys}
    assert [name for name in openapi.SCORE if name not in keys] == NAMES
    msgspec.convert(openapi.ANSWER, openapi.Scores)
    assert set(OF_A_ROW) | set(TARGET_SCORES) | {"rank", "model_version"} == set(NAMES)


def _out_of_bounds() -> list[tuple[str, str, float]]:
    found = []
    for table in (CANDIDATES, *TABLES.values()):
        for name, column in table.columns.items():
            low, above, most = (column.metadata[bound] for bound in ("low", "above", "most"))
            if kind_of(column) in NUMBERS:
                found += [(table.name, name, low - 1)] if low is not None else []
                found += [(table.name, name, above)] if above is not None else []
                found += [(table.name, name, most + 1)] if most is not None else []
    return found


@pytest.mark.parametrize(("table", "name", "value"), _out_of_bounds())
def test_bounds_of_the_tables_hold_on_the_wire(table: str, name: str, value: float) -> None:
    history: dict[str, Any] = {"creators": [{"creator_id": "a", "platform": "x", "niche": "y"}]}
    request: dict[str, Any] = {"items": [ITEM | ({name: value} if table == "candidates" else {})]}
    if table != "candidates":
        request["history"] = history | {table: [*history.get(table, []), {name: value}]}
    with pytest.raises(Problem) as caught:
        read_score(json.dumps(request).encode())
    said = {one.detail for one in caught.value.errors if one.field == name}
    assert any("it is below" in one or "it is not above" in one or "it is above" in one for one in said), said


def test_the_longest_promotion_is_the_tables() -> None:
    read_score(json.dumps({"items": [ITEM | {"promotion_hours": 2_400_000}]}).encode())
    with pytest.raises(Problem, match=r"it is above 2,400,000, received 2400000\.5"):
        read_score(json.dumps({"items": [ITEM | {"promotion_hours": 2_400_000.5}]}).encode())
    for schema in ("Deal", "Item", "CollaborationRow"):
        properties = openapi.document()["components"]["schemas"][schema]["properties"]
        assert properties["promotion_hours"]["maximum"] == 2_400_000
