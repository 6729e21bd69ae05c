"""One schema: whatever names a column of the contract takes it from the contract's declaration."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec
import pytest

from features.history.column_types import kind_of
from features.history.contract import CANDIDATES, COLLABORATIONS, OUTCOMES, TABLES
from features.history.score_columns import SCORE_COLUMNS, SCORES, TARGET_SCORES
from models.scorer import SCORES as OF_A_ROW
from service.api import openapi
from service.api.answers import Score
from service.api.page import PARTS
from service.api.request_types import REFUSED, Deal, Filters, Item
from service.api.requests import read_rank, read_score
from service.problems import Problem
from tests.support.paths import ROOT

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


ADDED = """
import json
from creator_yield_client.types import Deal, Score
from service.api import answers, openapi, request_types
from service.api.page import PARTS
from service.api.requests import read_score

item = {"creator_id": "a", "brand": "b", "product_niche": "c", "starts_at": "2026-06-01", "promotion_hours": 48,
        "spend": 300, "commission": 2.5}
deal, score = (openapi.document()["components"]["schemas"][name]["properties"] for name in ("Deal", "Score"))
assert read_score(json.dumps({"items": [item]}).encode())[-1] == []
assert deal["commission"]["anyOf"][0] == {"type": "number", "minimum": 0.0, "maximum": 1e15}
assert score["surprise"]["anyOf"][0] == {"type": "number"}
assert "commission" in Deal.__struct_fields__ and "surprise" in Score.__struct_fields__
page = PARTS["/page_contract.js"][1].decode()
assert '"name": "commission", "kind": "number", "required": false' in page and '"surprise"' in page
"""


@pytest.mark.slow
def test_a_column_that_is_declared_is_in_requests_answers_document_client_and_page(tmp_path: Path) -> None:
    for name in ("features", "models", "service", "client"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    contract = tmp_path / "features/history/contract.py"
    column = '    "commission": column("number", "dollars for every conversion on top", unit="US dollars", low=0),\n'
    text = contract.read_text(encoding="utf-8")
    contract.write_text(text.replace("_DEAL = {\n", f"_DEAL = {{\n{column}", 1), encoding="utf-8")
    scores = tmp_path / "features/history/score_columns.py"
    text = scores.read_text(encoding="utf-8")
    more = '    ScoreColumn("surprise", "number", "how unusual the deal is", given="interval"),\n    ScoreColumn("rank"'
    scores.write_text(text.replace('    ScoreColumn("rank"', more, 1), encoding="utf-8")
    scorer = tmp_path / "models/scoring.py"  # who declares a column also says what holds it
    text = scorer.read_text(encoding="utf-8")
    scorer.write_text(text.replace('"walk_away", "reasons"', '"walk_away", "low", "reasons"', 1), encoding="utf-8")
    environment = {"PYTHONPATH": f"{tmp_path}:{tmp_path / 'client'}", "PATH": "/usr/bin:/bin", "PYTHONSAFEPATH": "1"}
    types = tmp_path / "client/creator_yield_client/types.py"
    for call in (["-m", "service.api.client_types", str(types)], ["-c", ADDED]):
        done = subprocess.run([sys.executable, *call], cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


def test_the_page_takes_its_columns_from_the_contract_alone() -> None:
    """Columns that the page's own files name stand in the contract; lists of them are made from it."""
    columns = {*CANDIDATES.columns, *NAMES, "tier", "niche", "platform"}
    html = PARTS["/"][1].decode()
    assert set(re.findall(r'data-key="(\w+)"', html)) <= columns
    form = html[html.index('id="deal"') : html.index('id="creators"')]
    assert set(re.findall(r'name="(\w+)"', form)) == set(CANDIDATES.columns) - {"candidate_id", "creator_id"}
    for path, (_, body) in PARTS.items():
        if path.endswith(".js") and path not in ("/page_contract.js", "/page_labels.js"):
            named = re.findall(r'"(\w+)"', body.decode())
            assert len({*named} & set(CANDIDATES.columns)) <= 4, path


VALUES: list[Any] = [
    "", " ", "x", "\u200b", "17.0", 0, 1, -1, 7.0, 1.5, 1e15, 1e16, 2**53 + 1, 2**64, 1e-9, 1e-10, 2_400_000,
    2_400_001, True, None, [], ["a"], {}, "2026-06-01", "2026-06-01T00:00Z", "1", -0.0, 1e300, "2026-06-01T24:00",
    "20260601", "2026-06-01T10",
]  # fmt: skip
HISTORY: dict[str, list[dict[str, Any]]] = {
    "creators": [{"creator_id": "a", "platform": "i", "niche": "n"}],
    "posts": [{"post_id": "p", "creator_id": "a", "posted_at": "2025-01-01"}],
    "comments": [{"comment_id": "c", "post_id": "p", "commented_at": "2025-01-02", "text": "hi"}],
    "collaborations": [ITEM | {"collaboration_id": "k", "conversions": 0, "observed_until": "2025-02-01"}],
    "conversions": [{"collaboration_id": "k", "date": "2025-01-03", "conversions": 0}],
}


def _requests() -> Iterator[dict[str, Any]]:
    """Requests with every value in every field."""
    deal = {name: value for name, value in ITEM.items() if name != "creator_id"}
    for value in VALUES:
        yield from ({"items": [ITEM | {name: value}]} for name in (*Item.__struct_fields__, "note"))
        yield from ({"deal": deal | {name: value}} for name in (*Deal.__struct_fields__, "note"))
        yield from ({"items": [ITEM], name: value} for name in ("items", "history", "more"))
        yield from ({"deal": deal, name: value} for name in ("deal", "creator_ids", "filters", "limit", "more"))
        yield {"deal": deal, "creator_ids": [value]}
        for name in (*Filters.__struct_fields__, "more"):
            yield from ({"deal": deal, "filters": {name: one}} for one in (value, [value]))
        for table, (row,) in HISTORY.items():
            yield {"items": [ITEM], "history": HISTORY | {table: value}}
            for name in TABLES[table].columns:
                yield {"items": [ITEM], "history": HISTORY | {table: [row | {name: value}]}}


def test_the_document_and_the_code_accept_the_same() -> None:
    components = openapi.document()["components"]
    found = {
        name: jsonschema_rs.validator_for({"$ref": f"#/components/schemas/{name}", "components": components})
        for name in ("ScoreRequest", "RankRequest")
    }
    differ = []
    for request in _requests():
        deals = "deal" in request
        try:
            (read_rank if deals else read_score)(json.dumps(request).encode())
            accepted = True
        except Problem:
            accepted = False
        if accepted != found["RankRequest" if deals else "ScoreRequest"].is_valid(request):
            differ.append(request)
    assert differ == []
