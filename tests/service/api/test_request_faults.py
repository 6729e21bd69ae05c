"""Faults name their field and row, and every one is reported at once."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.deals import DEAL, ITEM
from tests.support.workspace import Server

CREATOR: dict[str, Any] = {"creator_id": "mine", "platform": "instagram", "niche": "beauty"}


POST: dict[str, Any] = {"post_id": "p", "creator_id": "mine", "posted_at": "2026-03-01T10:00:00Z", "likes": 5}


CELLS: list[tuple[dict[str, Any], str]] = [
    ({"likes": -1}, "it is below 0, received -1"),
    ({"likes": "many"}, "a whole number is needed, received 'many'"),
    ({"likes": 5.5}, "a whole number is needed"),
    ({"likes": 1e13}, "it is above 1e+12"),
    ({"likes": True}, "a whole number is needed"),
    ({"posted_at": "yesterday"}, "a moment in ISO 8601 is needed"),
    ({"posted_at": "2026-03-01\n"}, "a moment in ISO 8601 is needed"),
    ({"posted_at": "20260301"}, "a moment in ISO 8601 is needed"),
    ({"posted_at": "1999-12-31T23:30+01:00"}, "it is outside 2000-01-01 to 2100-01-01"),
    ({"is_sponsored": 1}, "true or false is needed"),
    ({"caption": 5.5}, "a text or a whole number is needed"),
    ({"caption": []}, "a text or a whole number is needed"),
]


def test_a_history_that_cannot_be_right_is_refused(server: Server) -> None:
    faults: list[tuple[dict[str, Any], str, str]] = [
        ({"creators": [CREATOR | {"creator_id": "creator_000001"}]}, "creators", "DATA knows this creator already"),
        (
            {"creators": [CREATOR], "posts": [POST | {"creator_id": "creator_000001"}]},
            "posts",
            "not among the creators",
        ),
        ({"creators": [CREATOR], "posts": [POST, POST]}, "posts", "repeating the key"),
        ({"creators": [CREATOR, CREATOR | {"creator_id": ""}]}, "creators", "every row needs it"),
        ({"creators": [CREATOR | {"platform": None}]}, "creators", "every row needs it"),
        ({"creators": [CREATOR], "brands": []}, "brands", "there is no such table"),
        ({"posts": [POST]}, "creators", "a list of rows is needed"),
        ({"creators": [CREATOR], "posts": [POST] * 20_001}, "posts", "20,001 rows are too many"),
        ({"creators": [CREATOR], "posts": [5]}, "posts", "an object is needed, received 5"),
    ]
    for history, table, words in faults:
        reply = server.request("POST", "/v1/score", {"items": [ITEM], "history": history})
        assert reply.status == 422, (history, reply.body)
        assert reply.json["errors"][0]["table"] == table
        assert words in reply.json["errors"][0]["detail"], reply.json
    assert server.request("POST", "/v1/score", {"items": [ITEM], "history": []}).status == 422


def test_every_fault_of_a_history_is_reported_at_once(server: Server) -> None:
    posts = [POST | {"post_id": str(i)} | change for i, (change, _) in enumerate(CELLS)]
    good = POST | {"post_id": 7, "likes": 5.0, "caption": 2**70, "shares": None, "unheard of": [{}]}
    history = {"creators": [CREATOR], "posts": [*posts, good]}
    reply = server.request("POST", "/v1/score", {"items": [ITEM, ITEM | {"spend": 0}], "history": history})
    assert reply.status == 422
    (item, *errors) = reply.json["errors"]
    assert (item["row"], item["field"]) == (1, "spend")
    assert len(errors) == len(CELLS)
    for row, ((change, words), error) in enumerate(zip(CELLS, errors, strict=True)):
        (field,) = change
        assert (error["table"], error["row"], error["field"]) == ("posts", row, field)
        assert error["pointer"] == f"/history/posts/{row}/{field}"
        assert words in error["detail"]
    alone = [server.request("POST", "/v1/score", {"items": [ITEM], "history": history | {"posts": [p]}}) for p in posts]
    assert [one.json["error_count"] for one in alone] == [1] * len(posts), "each is refused by itself"
    fine = server.request("POST", "/v1/score", {"items": [ITEM], "history": history | {"posts": [good]}})
    assert fine.status == 200, fine.body


FAULTS: list[tuple[dict[str, Any], str, str]] = [
    ({"spend": 0}, "spend", "it is not above 0, received 0"),
    ({"spend": "300"}, "spend", "a number is needed, received '300'"),
    ({"spend": True}, "spend", "a number is needed"),
    ({"spend": None}, "spend", "every row needs it"),
    ({"promotion_hours": -1}, "promotion_hours", "it is not above 0"),
    ({"promotion_hours": 1e16}, "promotion_hours", "it is above 2,400,000"),
    ({"spend": 1e-300}, "spend", "it is below 1e-09"),
    ({"deliverables": 1.5}, "deliverables", "a whole number is needed"),
    ({"deliverables": 0}, "deliverables", "it is below 1"),
    ({"starts_at": "soon"}, "starts_at", "a moment in ISO 8601 is needed"),
    ({"starts_at": 1767225600}, "starts_at", "a moment in ISO 8601 is needed"),
    ({"starts_at": "2131-01-01"}, "starts_at", "it is outside 2000-01-01 to 2100-01-01"),
    ({"creator_id": ""}, "creator_id", "every row needs it"),
    ({"creator_id": ["c"]}, "creator_id", "a text or a whole number is needed"),
    ({"objective": {}}, "objective", "a text or a whole number is needed"),
    ({"conversions": 5}, "conversions", "it cannot be known beforehand"),
    ({"rank": 1}, "rank", "it cannot be known beforehand"),
]


def test_faults_name_field_and_row_all_at_once(server: Server) -> None:
    items = [ITEM, *(ITEM | change for change, _, _ in FAULTS), 5]
    reply = server.request("POST", "/v1/score", {"items": items})
    assert reply.status == 422
    assert reply.headers["content-type"] == "application/problem+json"
    answer = reply.json
    assert {"type", "title", "status", "detail", "request_id", "errors", "error_count"} <= set(answer)
    assert answer["error_count"] == len(FAULTS) + 1
    for row, ((_, field, words), error) in enumerate(zip(FAULTS, answer["errors"], strict=False), 1):
        assert (error["row"], error["field"], error["pointer"]) == (row, field, f"/items/{row}/{field}")
        assert words in error["detail"]
    assert answer["errors"][-1]["row"] == len(FAULTS) + 1


BODIES: list[tuple[bytes, int, str]] = [
    (b"", 400, "no JSON"),
    (b'{"items": [{"spend": NaN}]}', 400, "no JSON"),
    (b"[" * 200_000, 400, "nested too deeply"),
    (b'{"items": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", 400, "nested too deeply"),
    (b"\xff\xfe", 400, "no JSON"),
    (b"[]", 422, "the form"),
    (b'{"rows": []}', 422, "the form"),
    (json.dumps({"items": [ITEM] * 10_001}).encode(), 422, "10,001 rows are too many"),
    (b" " * (8 * 2**20 + 1), 413, "at most"),
]


@pytest.mark.parametrize(("body", "status", "words"), BODIES, ids=range(len(BODIES)))
def test_bodies_that_cannot_be_read_are_refused(server: Server, body: bytes, status: int, words: str) -> None:
    for path in ("/v1/score", "/v1/rank"):
        if path == "/v1/rank" and b"items" in body:
            continue
        reply = server.request("POST", path, body)
        assert reply.status == status, reply.body
        assert reply.headers["content-type"] == "application/problem+json"
        assert words in reply.body.decode()


def test_what_is_not_there_is_a_problem(server: Server) -> None:
    assert server.request("GET", "/nothing").status == 404
    wrong = server.request("GET", "/v1/score")
    assert (wrong.status, wrong.headers["allow"]) == (405, "POST")
    assert server.request("POST", "/v1/score", b"a=1", Content_Type="application/x-www-form-urlencoded").status == 415
    costs = ("0", "-1", "nan", "inf", "1e13", "ten", "")
    wrong_queries = [
        "include=everything",
        "level=80",
        "level=nan",
        "depth=3",
        *(f"target_cost={cost}" for cost in costs),
    ]
    wrong_queries += [
        "confidence=0.5",
        *(f"confidence={sure}&target_cost=25" for sure in ("0", "1", "80", "nan", "much")),
    ]
    for query in wrong_queries:
        for path, body in {"/v1/score": {"items": [ITEM]}, "/v1/rank": {"deal": DEAL}}.items():
            reply = server.request("POST", f"{path}?{query}", body)
            assert (reply.status, reply.json["errors"][0]["field"]) == (422, query.split("=")[0]), query
