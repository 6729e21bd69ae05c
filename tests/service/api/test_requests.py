"""What a request may say: the schema and the code agree, faults name their field, and nothing is passed over."""

from __future__ import annotations

import json
import re
from datetime import datetime
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.api import requests
from service.api.misspelt import closest
from service.api.openapi import document
from service.api.request_values import MOMENT, NO_MOMENT, micros, wrong_time
from service.api.requests import read_rank, read_score
from service.api.responses import Options, creator
from service.problems import FieldError, Problem
from tests.support.deals import DEAL, ITEM
from tests.support.workspace import Server

CREATOR = {"creator_id": "mine", "platform": "instagram", "niche": "beauty"}


def faults(request: dict[str, Any]) -> list[FieldError]:
    """What is said of a request that is refused."""
    with pytest.raises(Problem) as caught:
        (read_score if "items" in request else read_rank)(json.dumps(request).encode())
    assert caught.value.status == 422
    return caught.value.errors


def notices(request: dict[str, Any]) -> list[FieldError]:
    return (read_score if "items" in request else read_rank)(json.dumps(request).encode())[-1]


MOMENTS = [
    "2026-03-01", "2026-03-01 10:30", "2026-03-01T10:30", "2026-03-01T10:30:05Z", "2026-03-01T10:30:05.5",
    "2026-03-01T10:30:05.123456+05:30", "2026-03-01 10:30-14:59", "2024-02-29", "2000-01-01", "2099-12-31T23:59:59",
    "2000-01-01T00:00+14:00", "2099-12-31T23:59-14:00",
]  # fmt: skip
NO_MOMENTS = [
    "20260301", "2026-W10-1", "2026-060", "2026-03-01T10", "2026-03-01T1030", "2026-03-01T10:30:05,5",
    "2026-03-01T10:30:05.1234567", "2026-03-01x10:30", "2026-03-01T10:30z", "2026-03-01T10:30+0530", "2026-03-01\n",
    "2026-03-01T10:30+05", "2026-03-01T10:30:05+01:00:30", "2026-02-29", "2026-03-01T24:00", " 2026-03-01",
    "２０26-03-01", "",
]  # fmt: skip


@pytest.mark.parametrize(("text", "allowed"), [("\r", False), (" \t\n\v\f", False), ("\u2003", True), ("\x1f", True),
                                               (" a", True)])  # fmt: skip
def test_texts_of_blanks_alone_are_those_that_the_schema_forbids(text: str, allowed: bool) -> None:
    (pattern,) = {one["pattern"] for one in document()["components"]["schemas"]["Item"]["properties"]["brand"]["anyOf"]
                  if "pattern" in one}  # fmt: skip
    assert bool(re.search(pattern, text)) == allowed
    for request, field in (
        ({"items": [ITEM, ITEM | {"brand": text}]}, "brand"), ({"deal": DEAL, "creator_ids": [text]}, "creator_ids"),
    ):  # fmt: skip
        if allowed:
            notices(request)
        else:
            assert [one.field for one in faults(request)] == [field]
    others = {"items": [ITEM | {"brand": text, "spend": -1}]}
    assert ("brand" in [one.field for one in faults(others)]) != allowed


def test_moments_are_those_of_the_schema() -> None:
    for text in MOMENTS:
        assert re.search(MOMENT, text)
        (starts,) = read_score(json.dumps({"items": [ITEM | {"starts_at": text}]}).encode())[0].starts_at
        assert np.datetime64(int(starts), "us").astype(datetime).year in (1999, 2000, 2024, 2026, 2099, 2100)
    for text in NO_MOMENTS:
        (fault,) = faults({"items": [ITEM | {"starts_at": text}]})
        assert (fault.field, fault.pointer) == ("starts_at", "/items/0/starts_at")
        assert faults({"deal": DEAL | {"starts_at": text}})[0].pointer == "/deal/starts_at"
    assert wrong_time("1999-12-31") == wrong_time("2100-01-01T00:00Z") == "it is outside 2000-01-01 to 2100-01-01"
    assert wrong_time("20260301") == NO_MOMENT


@pytest.mark.slow
@given(st.from_regex(MOMENT, fullmatch=True))
def test_every_moment_of_the_schema_is_read(text: str) -> None:
    if text.isascii():
        assert abs(micros(text)) > 9e14
        assert wrong_time(text) is None


def test_misspelt_fields_are_said_and_lawful_extras_are_not() -> None:
    extras = {"note": [1, {}], "objectives_met": True, "hours": 3, "creator": "x", "brand_id": 7}
    assert notices({"items": [ITEM, ITEM | extras]}) == []
    assert notices({"deal": DEAL | extras}) == []
    full = {"objective": "sales", "product_country": "US", "deliverables": 1, "candidate_id": "a"}
    assert notices({"items": [ITEM | full | {"objectiv": "x", "deliverable": 2}]}) == []
    for name, meant in {"objectiv": "objective", "productCountry": "product_country", "Deliverables": "deliverables",
                        "candidate-id": "candidate_id", "product_contry": "product_country"}.items():  # fmt: skip
        (one,) = notices({"items": [ITEM, ITEM | {name: "x"}, ITEM | {name: "y"}]})
        assert (one.field, one.row, one.pointer) == (name, 1, f"/items/1/{name}")
        assert f"2 rows): did you mean {meant!r}?" in one.detail
    (one,) = notices({"deal": DEAL | {"objectiv": "x"}})
    assert (one.row, one.pointer) == (None, "/deal/objectiv")
    history = {"creators": [CREATOR | {"folowers": 5}], "posts": []}
    (one,) = notices({"items": [ITEM], "history": history})
    assert (one.table, one.pointer) == ("creators", "/history/creators/0/folowers")


@pytest.mark.parametrize(
    ("missing", "given"),
    [("promotion_hours", "promotion_hour"), ("spend", "spends"), ("starts_at", "startsAt"), ("brand", "Brand")],
)
def test_a_missing_field_is_named_with_the_one_that_looks_like_it(missing: str, given: str) -> None:
    for one in (ITEM, DEAL):
        row = {given if name == missing else name: value for name, value in one.items()}
        (fault,) = faults({"items": [row]} if one is ITEM else {"deal": row})
        assert fault.field == missing
        assert f"{given!r} is not read: did you mean {missing!r}?" in fault.detail
    (fault,) = faults({"items": [{name: value for name, value in ITEM.items() if name != missing}]})
    assert "did you mean" not in fault.detail


REQUESTS: list[tuple[dict[str, Any], str, str]] = [
    ({"items": [ITEM], "histroy": {}}, "/histroy", "did you mean 'history'?"),
    ({"items": [ITEM], "level": 0.9}, "/level", "there are items, history"),
    ({"deal": DEAL, "filter": {}}, "/filter", "did you mean 'filters'?"),
    ({"deal": DEAL, "filters": {"tiers": []}}, "/filters/tiers", "did you mean 'tier'?"),
    ({"deal": DEAL, "filters": {"tier": "micro"}}, "/filters/tier", "a list is needed, received 'micro'"),
    ({"deal": DEAL, "filters": {"niche": ["a", 5]}}, "/filters/niche/1", "a text is needed, received 5"),
    ({"deal": DEAL, "filters": {"followers_min": "5"}}, "/filters/followers_min", "a number is needed"),
    ({"deal": DEAL, "filters": {"followers_max": True}}, "/filters/followers_max", "a number is needed"),
    ({"deal": DEAL, "filters": []}, "/filters", "an object is needed"),
    ({"deal": DEAL, "limit": 0}, "/limit", "it is below 1, received 0"),
    ({"deal": DEAL, "limit": 2.5}, "/limit", "a whole number is needed, received 2.5"),
    ({"deal": DEAL, "limit": 10_001}, "/limit", "it is above 10,000"),
    ({"deal": DEAL, "limit": "ten"}, "/limit", "a whole number is needed"),
    ({"deal": DEAL, "creator_ids": ["a", ""]}, "/creator_ids/1", "a text or a whole number is needed"),
    ({"deal": DEAL, "creator_ids": ["a", 7.5]}, "/creator_ids/1", "a text or a whole number is needed"),
    ({"deal": DEAL, "creator_ids": "a"}, "/creator_ids", "a list is needed"),
]


@pytest.mark.parametrize(("request_", "pointer", "words"), REQUESTS, ids=range(len(REQUESTS)))
def test_faults_beside_the_deal_name_their_field(request_: dict[str, Any], pointer: str, words: str) -> None:
    (fault,) = faults(request_)
    assert fault.pointer == pointer
    assert fault.field in pointer.split("/")
    assert words in fault.detail


def test_what_would_choose_creators_is_said_where_it_is_not_read() -> None:
    for name, value in {"creator_ids": ["a"], "filters": {"tier": ["micro"]}, "limit": 3, "creator_id": "a"}.items():
        (one,) = notices({"deal": DEAL | {name: value}})
        assert one.pointer == f"/deal/{name}"
        right = "creator_ids" if name == "creator_id" else name
        assert f"did you mean {right!r} beside the deal?" in one.detail


def test_creators_that_are_named_twice_are_said() -> None:
    (one,) = notices({"deal": DEAL, "creator_ids": ["a", 7, "b", "7", 7.0, "a"]})
    assert (one.field, one.pointer) == ("creator_ids", "/creator_ids/3")
    assert one.detail == "3 entries name creators named before, such as '7': each is ranked once"
    assert notices({"deal": DEAL, "creator_ids": ["a", "A", " a"]}) == []


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"\xef\xbb\xbf{}", "it begins with a byte-order mark; send UTF-8 without one"),
        ('{"items": []}'.encode("utf-16"), "it begins with a byte-order mark; send UTF-8 without one"),
        (b" \r\n", "it is empty"),
        (b'{"items": [null]}', "row 0: an object is needed, received None"),
    ],
)
def test_a_body_that_is_not_read_says_why_in_words(body: bytes, words: str) -> None:
    with pytest.raises(Problem) as caught:
        read_score(body)
    assert words in caught.value.detail
    assert "None:" not in caught.value.detail


def test_candidates_that_repeat_are_refused_by_row() -> None:
    ids: list[Any] = ["a", "b", "a", None, None, "", "", 7, "7", 7.0]
    found = faults({"items": [ITEM | {"candidate_id": one} for one in ids]})
    assert [(one.row, one.detail) for one in found] == [
        (2, "row 0 has it too, received 'a'"), (8, "row 7 has it too, received '7'"),
        (9, "row 7 has it too, received '7'"),
    ]  # fmt: skip
    assert len(faults({"items": [ITEM | {"candidate_id": "a"}, ITEM | {"candidate_id": "a", "spend": -1}]})) == 2


def test_texts_read_before_are_remembered_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    read = Mock(side_effect=str.upper)
    memory = requests._Memory[str](read)
    monkeypatch.setattr(memory, "MOST", 3)
    assert [memory[one] for one in ("a", "b", "a")] == ["A", "B", "A"]
    assert read.call_count == 2
    long = "x" * (memory.LONGEST + 1)
    assert memory[long] == long.upper()
    assert long not in memory
    assert [memory[one] for one in ("c", "d", "e")] == ["C", "D", "E"]
    assert len(memory) <= 3


def test_filters_that_leave_nobody_are_said() -> None:
    (one,) = notices({"deal": DEAL, "filters": {"tier": []}})
    assert (one.pointer, one.detail) == ("/filters/tier", "the list is empty, so no creator is left")
    (one,) = notices({"deal": DEAL, "filters": {"followers_min": 10, "followers_max": 9}})
    assert one.pointer == "/filters/followers_max"


def test_names_are_near_by_letters_case_and_signs() -> None:
    known = ("product_country", "objective", "deliverables", "spend")
    alike = {"PRODUCT COUNTRY": "product_country", "spends": "spend", "spnd": "spend", "deliverable": "deliverables"}
    assert {name: closest(name, known) for name in alike} == alike
    assert [closest(name, known) for name in ("country", "price", "object", "delivery", "", "x" * 10_000)] == [None] * 6


def test_filters_of_values_that_nobody_has_are_refused(http_server: Server) -> None:
    sent = {"tier": ("Micro", "micro"), "platform": ("instagramm", "instagram"), "niche": ("no such niche", None),
             "country": ("usa", None), "language": ("", None)}  # fmt: skip
    for name, (value, like) in sent.items():
        reply = http_server.request("POST", "/v1/rank", {"deal": DEAL, "filters": {name: [value]}})
        assert reply.status == 422
        (fault,) = reply.json["errors"]
        assert (fault["field"], fault["pointer"]) == (name, f"/filters/{name}/0")
        assert f"no creator has {value!r}" in fault["detail"]
        assert "; there are " in fault["detail"]
        if like:
            assert f"did you mean {like!r}" in fault["detail"]
    tiers = {"deal": DEAL, "filters": {"tier": ["nano", "micro", "mid", "macro", "mega"]}}
    assert http_server.request("POST", "/v1/rank", tiers).json["considered"] == 60


def test_notices_stand_beside_the_scores(http_server: Server) -> None:
    odd = http_server.request("POST", "/v1/score", {"items": [ITEM | {"objectiv": "sales"}]}).json
    even = http_server.request("POST", "/v1/score", {"items": [ITEM]}).json
    assert [one["field"] for one in odd.pop("notices")] == ["objectiv"]
    assert odd == even
    ranked = http_server.request("POST", "/v1/rank", {"deal": DEAL | {"objectiv": "sales"}}).json
    assert ranked["notices"][0]["pointer"] == "/deal/objectiv"
    item = ITEM | {"objectiv": "x", "starts_at": "2000-01-01T00:00+14:00"}
    early = http_server.request("POST", "/v1/score", {"items": [item]})
    assert early.status == 200, early.body
    assert early.json["notices"]
    last = http_server.request("POST", "/v1/score", {"items": [ITEM | {"starts_at": "2099-12-31T23:59-14:00"}]})
    assert last.status == 200, last.body


def test_the_document_declares_no_default_that_a_client_would_send() -> None:
    answer = document()
    schemas = answer["components"]["schemas"]
    assert [name for name, schema in schemas.items() for one in schema["properties"].values() if "default" in one] == []
    parameters = [
        one for path in answer["paths"].values() for way in path.values() for one in way.get("parameters", ())
    ]
    assert [one["name"] for one in parameters if "default" in one["schema"]] == []
    assert set(schemas["Item"]["required"]) == {*ITEM}
    assert set(schemas["RankRequest"]["required"]) == {"deal"}


def test_a_creator_is_found_by_its_key_in_any_form() -> None:
    """As the tables are read: 17.0 is 17, and letters have one Unicode form."""
    sent: list[str] = []

    class Known:
        unknown = 0

        def row(self, identifier: str) -> int:
            sent.append(identifier)
            return 0

    for one in ("17.0", "17", "Caf\u0065\u0301"):
        with pytest.raises(Problem, match="The data has no creator"):
            creator(SimpleNamespace(snapshot=Known()), one)  # type: ignore[arg-type]
    assert sent == ["17", "17", "Caf\u00e9"]


TEXT = json.dumps(ITEM)[1:-1]


@pytest.mark.parametrize("number", ["1e400", "-1e400", "9" * 5000])
def test_a_number_that_no_float_holds_is_refused_by_field(number: str) -> None:
    for field in ("spend", "promotion_hours", "deliverables", "creator_id"):
        kept = json.dumps({name: value for name, value in ITEM.items() if name != field})[:-1]
        with pytest.raises(Problem) as caught:
            read_score(f'{{"items": [{kept}, "{field}": {number}}}]}}'.encode())
        (fault,) = caught.value.errors
        assert (caught.value.status, fault.field, fault.pointer) == (422, field, f"/items/0/{field}")
        assert f"received {number[:50]}" in fault.detail
    for body, pointer in ((f'"limit": {number}', "/limit"), (f'"filters": {{"followers_min": {number}}}', "/filters/")):
        with pytest.raises(Problem) as caught:
            read_rank(f'{{"deal": {{{TEXT}}}, {body}}}'.encode())
        assert str(caught.value.errors[0].pointer).startswith(pointer)
    read_score(f'{{"items": [{{{TEXT}, "note": {number}}}]}}'.encode())


def test_a_level_without_an_interval_is_refused() -> None:
    for query in ("level=0.9", "level=0.9&include=reasons"):
        with pytest.raises(Problem, match="level: it means nothing without include=interval") as caught:
            Options.read(query)
        assert caught.value.errors[0].field == "level"
    assert Options.read("level=0.9&include=interval").level == 0.9


def test_blanks_alone_are_no_key_in_a_history_either() -> None:
    post = {"post_id": "p", "creator_id": "mine", "posted_at": "2025-01-01"}
    comment = {"comment_id": "c", "post_id": "p", "commented_at": "2025-01-02", "text": " "}
    history = {"creators": [CREATOR], "posts": [post], "comments": [comment]}
    read_score(json.dumps({"items": [ITEM], "history": history}).encode())  # blanks are a comment, as in a table
    rows = {"creators": (CREATOR, "niche"), "posts": (post, "post_id"), "comments": (comment, "post_id")}
    for table, (row, name) in rows.items():
        (fault,) = faults({"items": [ITEM], "history": history | {table: [row | {name: " "}]}})
        assert (fault.table, fault.field) == (table, name)
        assert fault.detail.startswith("every row needs it: ")
    (fault,) = faults({"items": [ITEM], "history": history | {"comments": [comment | {"text": ""}]}})
    assert fault.field == "text"
