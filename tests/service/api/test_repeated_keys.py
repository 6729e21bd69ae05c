"""A key that stands twice in an object of a request is refused, and what only looks alike is not."""

from __future__ import annotations

import json

import pytest

from service.api.requests import read_rank, read_score
from service.problems import Problem
from tests.support.deals import ITEM

TEXT = json.dumps(ITEM)[1:-1]

TWICE = [
    ('{"items": [{%s, "spend": 400}]}', "/items/0/spend"),
    ('{"items": [{%s, "objective": null, "objective": "sales"}]}', "/items/0/objective"),
    ('{"items": [{%s}, {%s, "sp\\u0065nd"\n: 400}]}', "/items/1/spend"),
    ('{"items": [{%s, "brand": "a: b", "objective": "c: d"}]}', "/items/0/brand"),
    ('{"items": [{%s, "note": 1, "note": 2}]}', "/items/0/note"),
    ('{"items": [], "items": [{%s}]}', "/items"),
    ('{"items": [{%s}], "history": null, "history": {"creators": []}}', "/history"),
    ('{"items": [{%s}], "history": {"creators": [{"creator_id": "m", "platform": "x", "niche": "y", "niche": "z"}]}}',
     "/history/creators/0/niche"),
    ('{"items": [{%s, "spend": -1}]}', "/items/0/spend"),
    ('{"deal": {%s, "brand": "b"}}', "/deal/brand"),
    ('{"deal": {%s}, "limit": 3, "limit": 4}', "/limit"),
    ('{"deal": {%s}, "filters": {"tier": ["nano"], "tier": ["micro"]}}', "/filters/tier"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "pointer"), TWICE, ids=range(len(TWICE)))
def test_a_key_that_stands_twice_is_refused_by_name(body: str, pointer: str) -> None:
    with pytest.raises(Problem) as caught:
        (read_score if '"items"' in body else read_rank)(body.replace("%s", TEXT).encode())
    fault = caught.value.errors[0]
    assert (fault.field, fault.pointer) == (pointer.rpartition("/")[2], pointer)
    assert fault.detail == "it is there more than once in the same object: leave one"


def test_keys_that_only_look_alike_are_not_refused() -> None:
    full = ITEM | {
        "candidate_id": "a:b",
        "objective": 'x": "y',
        "brand": "br\u00e0nd: \\u003a",
        "product_country": None,
    }
    for item in (ITEM, full, ITEM | {"note": {"a": 1}, "product_country": None}, ITEM | {"starts_at": "2026-06-01"}):
        for indent in (None, 1):
            read_score(json.dumps({"items": [item, item | {"candidate_id": "c"}]}, indent=indent).encode())
    read_score(f'{{"items": [{{{TEXT}, "note": {{"a": 1, "a": 2}}}}]}}'.encode())  # nobody reads what is in it
