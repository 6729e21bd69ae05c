"""The service as others use it: started for real, asked over HTTP, compared with `predict.py`."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from features.history.source import open_history
from service.online.snapshot import Snapshot
from service.publish.parity import random_spine
from tests.support.service_fuzz import fuzz
from tests.support.workspace import KEY, LIMITED, Reply, Server, command, digest

ROWS, EARLY = 2000, 40
NUMBERS = [
    "conversions_per_dollar", "conversions_per_dollar_low", "conversions_per_dollar_high", "conversions",
    "cost_per_conversion", "probability_within_target", "walk_away_price", "rank",
]  # fmt: skip
EVERYTHING = "include=reasons,interval,creator&target_cost=25.5&confidence=0.7"
ALL = f"/v1/score?{EVERYTHING}"
TARGET = ("--target-cost", "25.5", "--confidence", "0.7")
DEAL: dict[str, Any] = {
    "brand": "somebody", "product_niche": "beauty", "starts_at": "2026-06-01T12:00:00Z", "promotion_hours": 48,
    "spend": 300,
}  # fmt: skip
ITEM = DEAL | {"creator_id": "creator_000001"}


@pytest.fixture(scope="module")
def workspace(http_workspace: Path) -> Path:
    return http_workspace


@pytest.fixture(scope="module")
def server(http_server: Server) -> Server:
    return http_server


@pytest.fixture(scope="module")
def spine(workspace: Path, server: Server) -> pd.DataFrame:
    """Random deals from the horizon on, with gaps and unknowns; the last EARLY start long before it."""
    folder = next(workspace.glob("creator-yield-*/features-*"))
    with open_history(workspace / "data") as history:
        snapshot = Snapshot.load(folder)
        found = random_spine(snapshot, history, ROWS, seed=11)
    found.loc[ROWS - EARLY :, "starts_at"] -= pd.Timedelta("400D")
    found.insert(0, "candidate_id", [f"x{i}" for i in range(ROWS)])
    return found


@pytest.fixture(scope="module")
def predicted(workspace: Path, spine: pd.DataFrame) -> pd.DataFrame:
    """What predict.py says of the same deals."""
    spine.to_parquet(workspace / "asked.parquet", index=False)
    done = command(workspace, "predict.py", "asked.parquet", "--data", "data", "--output", "scores.parquet", *TARGET)
    assert done.returncode == 0, done.stderr
    return pd.read_parquet(workspace / "scores.parquet")


def items_of(spine: pd.DataFrame) -> list[dict[str, Any]]:
    """As a client sends them: what is missing is left out, or null."""
    told = spine.assign(starts_at=[f"{at.isoformat()}Z" for at in spine.starts_at]).to_dict("records")
    gaps = [{str(k): None if v is None or v != v else v for k, v in row.items()} for row in told]
    return [{k: v for k, v in row.items() if v is not None} if i % 2 else row for i, row in enumerate(gaps)]


def scores_of(reply: Reply) -> list[dict[str, Any]]:
    assert reply.status == 200, reply.body[:500]
    return reply.json["scores"]


def assert_alike(found: list[dict[str, Any]], expected: pd.DataFrame) -> None:
    """Every field of the contract, to the bit; ranks are those among the rows that were asked for together."""
    rank = expected.conversions_per_dollar.rank(method="min", ascending=False).astype(int)
    expected = expected.assign(rank=rank).reset_index(drop=True)
    assert [row["candidate_id"] for row in found] == expected.candidate_id.tolist()
    for name in NUMBERS:
        assert [row[name] for row in found] == expected[name].tolist(), name
    for name in ("reasons", "warnings"):
        assert [row[name] for row in found] == [json.loads(told) for told in expected[name]], name
    assert [row["model_version"] for row in found] == expected.model_version.tolist()


def test_answers_are_those_of_predict_to_the_bit(server: Server, spine: pd.DataFrame, predicted: pd.DataFrame) -> None:
    items = items_of(spine)
    late = slice(0, ROWS - EARLY)
    reply = server.request("POST", ALL, {"items": items[late]})
    assert_alike(scores_of(reply), predicted[late])
    assert reply.json["model_version"] == "conversions-per-dollar/1"
    assert predicted.conversions_per_dollar.nunique() > ROWS / 2
    assert predicted.probability_within_target.between(0.01, 0.99).sum() > ROWS / 10
    assert 0.1 < (predicted.walk_away_price >= predicted.spend).mean() < 0.9
    whole = predicted.conversions_per_dollar.rank(method="min", ascending=False).astype(int)
    assert predicted["rank"].tolist() == whole.tolist()
    assert {"unknown_creator", "unknown_category", "outside_training_range"} <= {
        code for told in predicted.warnings for code in json.loads(told)
    }


def test_deals_before_the_horizon_are_answered_too(
    server: Server, spine: pd.DataFrame, predicted: pd.DataFrame
) -> None:
    early = slice(ROWS - EARLY, ROWS)
    reply = server.request("POST", ALL, {"items": items_of(spine)[early]})
    assert_alike(scores_of(reply), predicted[early])
    lately = server.request(
        "POST", ALL, {"items": [item | {"starts_at": DEAL["starts_at"]} for item in items_of(spine)[early]]}
    )
    for now, then in zip(scores_of(lately), scores_of(reply), strict=True):
        for name in ("platform", "niche", "tier"):  # what a creator is hangs on no deal
            assert now.get(name) == then.get(name), name


def test_a_row_is_scored_alike_in_any_company(server: Server, spine: pd.DataFrame, predicted: pd.DataFrame) -> None:
    items = items_of(spine)
    for size in (1, 7, 100):
        for start in range(0, 3 * size, size):
            found = scores_of(server.request("POST", ALL, {"items": items[start : start + size]}))
            assert_alike(found, predicted[start : start + size])


def _rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """As JSON has them: times as text, what is missing as null."""
    return json.loads(frame.to_json(orient="records", date_format="iso", date_unit="us"))


def test_unknown_creators_with_their_history_are_scored_as_if_the_data_had_them(
    server: Server, workspace: Path, tmp_path: Path
) -> None:
    tables = {file.stem: pd.read_parquet(file) for file in (workspace / "data").glob("*.parquet")}
    deals = tables["collaborations"]
    busy = deals.creator_id.value_counts().index[:2].tolist()
    told: dict[str, pd.DataFrame] = {}
    for name, key in {"creators": None, "posts": "post_id", "comments": "comment_id"}.items():
        table = tables[name]
        told[name] = table[table.creator_id.isin(busy)].copy()
        told[name]["creator_id"] = "new " + told[name].creator_id
        for column in (key, "post_id" if name == "comments" else None):
            if column:
                told[name][column] = "p" + told[name][column].astype(str)
    told["collaborations"] = deals[deals.creator_id.isin(busy)].copy()
    told["collaborations"]["creator_id"] = "new " + told["collaborations"].creator_id
    told["collaborations"]["collaboration_id"] = "p" + told["collaborations"].collaboration_id
    folder = tmp_path / "data"
    folder.mkdir()
    for name, table in tables.items():
        more = [told[name].astype(table.dtypes.to_dict())] if name in told else []
        pd.concat([table, *more], ignore_index=True).to_parquet(folder / f"{name}.parquet", index=False)
    items = [DEAL | {"candidate_id": c, "creator_id": c} for c in [f"new {busy[0]}", f"new {busy[1]}", busy[0]]]
    asked = pd.DataFrame(items).assign(starts_at=pd.Timestamp(DEAL["starts_at"]))
    asked.to_parquet(tmp_path / "asked.parquet", index=False)
    output = tmp_path / "scores.parquet"
    words = (str(tmp_path / "asked.parquet"), "--data", str(folder), "--output", str(output), *TARGET)
    done = command(workspace, "predict.py", *words)
    assert done.returncode == 0, done.stderr
    history = {name: _rows(frame) for name, frame in told.items()}
    reply = server.request("POST", ALL, {"items": items, "history": history})
    assert_alike(scores_of(reply), pd.read_parquet(output))
    assert server.request("GET", f"/v1/creators/new%20{busy[0]}").status == 404, "nothing of it stays"


CREATOR: dict[str, Any] = {"creator_id": "mine", "platform": "instagram", "niche": "beauty"}
POST: dict[str, Any] = {"post_id": "p", "creator_id": "mine", "posted_at": "2026-03-01T10:00:00Z", "likes": 5}


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


def test_all_that_is_wrong_in_a_history_is_told_at_once(server: Server) -> None:
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


def test_only_what_is_asked_for_is_told(server: Server) -> None:
    reply = server.request("POST", "/v1/score", {"items": [ITEM | {"note": ["extra", {}]}]})
    (row,) = scores_of(reply)
    assert set(row) == {
        "conversions_per_dollar", "conversions", "cost_per_conversion", "rank", "warnings", "model_version"
    }  # fmt: skip
    (wide,), (narrow,) = (
        scores_of(server.request("POST", f"/v1/score?include=interval&level={level}", {"items": [ITEM]}))
        for level in (0.99, 0.1)
    )
    width = [r["conversions_per_dollar_high"] - r["conversions_per_dollar_low"] for r in (wide, narrow)]
    assert width[0] > width[1] >= 0
    assert scores_of(server.request("POST", "/v1/score", {"items": []})) == []
    (sure, unsure) = (
        scores_of(server.request("POST", f"/v1/score?target_cost=25{more}", {"items": [ITEM]}))[0]
        for more in ("&confidence=0.9", "")
    )
    assert set(unsure) == set(row) | {"probability_within_target", "walk_away_price"}
    assert sure["walk_away_price"] < unsure["walk_away_price"]
    assert sure["probability_within_target"] == unsure["probability_within_target"]


def test_keys_may_be_numbers_and_times_have_many_forms(server: Server) -> None:
    forms = ["2026-06-01T12:00:00Z", "2026-06-01 12:00", "2026-06-01T14:00:00+02:00", "2026-06-01T12:00:00.000000"]
    found = scores_of(server.request("POST", "/v1/score", {"items": [ITEM | {"starts_at": form} for form in forms]}))
    assert len({row["conversions_per_dollar"] for row in found}) == 1
    keys: list[Any] = ["7", 7, 7.0]
    items = [ITEM | {"creator_id": key, "candidate_id": key, "product_country": key} for key in keys]
    found = [one for item in items for one in scores_of(server.request("POST", "/v1/score", {"items": [item]}))]
    assert found[0]["candidate_id"] == "7"
    assert found == [found[0]] * 3
    (ranked,) = scores_of(server.request("POST", "/v1/rank", {"deal": DEAL, "creator_ids": keys}))
    assert ranked["creator_id"] == "7"
    for change in ({"brand": 7.5}, {"objective": 7.5}, {"creator_id": 7.5}):
        told = server.request("POST", "/v1/score", {"items": [ITEM | change]}).json
        assert ["a text or a whole number is needed, received 7.5", *change] == [
            told["errors"][0]["detail"], told["errors"][0]["field"]
        ]  # fmt: skip
    uneven = server.request("POST", "/v1/rank", {"deal": DEAL, "creator_ids": [7.5]})
    assert uneven.status == 422


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
    told = reply.json
    assert {"type", "title", "status", "detail", "request_id", "errors", "error_count"} <= set(told)
    assert told["error_count"] == len(FAULTS) + 1
    for row, ((_, field, words), error) in enumerate(zip(FAULTS, told["errors"], strict=False), 1):
        assert (error["row"], error["field"], error["pointer"]) == (row, field, f"/items/{row}/{field}")
        assert words in error["detail"]
    assert told["errors"][-1]["row"] == len(FAULTS) + 1


BODIES: list[tuple[bytes, int, str]] = [
    (b"", 400, "no JSON"),
    (b'{"items": [{"spend": NaN}]}', 400, "no JSON"),
    (b"[" * 200_000, 400, "nested too deeply"),
    (b'{"items": ' + b"[" * 3000 + b"]" * 3000 + b"}", 400, "nested too deeply"),
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


def test_what_is_not_there_is_told(server: Server) -> None:
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


def test_requests_that_wait_together_each_keep_to_their_own_target(server: Server) -> None:
    paths = [f"/v1/score?target_cost={cost}&confidence={sure}" for cost in (2, 4, 8) for sure in (0.5, 0.9)]
    alone = {path: scores_of(server.request("POST", path, {"items": [ITEM]})) for path in paths}
    assert len({json.dumps(told) for told in alone.values()}) == len(paths)
    with ThreadPoolExecutor(6) as pool:
        together = pool.map(lambda path: (path, server.request("POST", path, {"items": [ITEM]})), paths * 50)
        assert [path for path, reply in together if scores_of(reply) != alone[path]] == []


def test_ten_thousand_items_are_answered(server: Server) -> None:
    items = [ITEM | {"spend": 100 + i} for i in range(10_000)]
    found = scores_of(server.request("POST", "/v1/score", {"items": items}))
    assert sorted(row["rank"] for row in found)[0] == 1
    rates = [row["conversions_per_dollar"] for row in found]
    assert [row["rank"] for row in found] == pd.Series(rates).rank(method="min", ascending=False).tolist()
    few = scores_of(server.request("POST", "/v1/score", {"items": items[4000:4003]}))
    assert [row["conversions_per_dollar"] for row in few] == rates[4000:4003]


def test_a_ranking_is_the_scores_in_order(server: Server, workspace: Path) -> None:
    creators = pd.read_parquet(workspace / "data" / "creators.parquet").creator_id.tolist()
    asked = [*creators, "nobody"]
    scored = scores_of(server.request("POST", ALL, {"items": [DEAL | {"creator_id": c} for c in asked]}))
    by_creator = dict(zip(asked, scored, strict=True))
    reply = server.request(
        "POST", f"/v1/rank?{EVERYTHING}", {"deal": DEAL, "creator_ids": [*asked, "nobody"], "limit": 10}
    )
    assert reply.json["considered"] == len(asked)
    found = scores_of(reply)
    assert [row["rank"] for row in found] == sorted(row["rank"] for row in scored)[:10]
    for row in found:
        creator = row.pop("creator_id")
        assert row == by_creator[creator]
    everybody = scores_of(server.request("POST", "/v1/rank", {"deal": DEAL, "limit": 100}))
    assert {row["creator_id"] for row in everybody} == set(creators)


def test_filters_leave_the_creators_meant(server: Server, workspace: Path) -> None:
    told = pd.read_parquet(workspace / "data" / "creators.parquet")
    platform, niche = told.platform[0], told.niche[0]
    reply = server.request("POST", "/v1/rank", {"deal": DEAL, "filters": {"platform": [platform], "niche": [niche]}})
    meant = told[(told.platform == platform) & (told.niche == niche)]
    assert {row["creator_id"] for row in scores_of(reply)} == set(meant.creator_id)
    everybody = pd.DataFrame(scores_of(server.request("POST", "/v1/rank?include=creator", {"deal": DEAL}))).set_index(
        "creator_id"
    )
    assert everybody.platform.to_dict() == told.set_index("creator_id").platform.to_dict()
    assert everybody.niche.to_dict() == told.set_index("creator_id").niche.to_dict()
    assert everybody.tier.nunique() > 1
    for tier, those in everybody.groupby("tier"):
        reply = server.request("POST", "/v1/rank", {"deal": DEAL, "filters": {"tier": [tier]}})
        assert {row["creator_id"] for row in scores_of(reply)} == set(those.index)
    none = server.request("POST", "/v1/rank", {"deal": DEAL, "filters": {"followers_min": 1e12}})
    assert (scores_of(none), none.json["considered"]) == ([], 0)
    large = scores_of(server.request("POST", "/v1/rank", {"deal": DEAL, "filters": {"followers_min": 50_000}}))
    assert 0 < len(large) < len(told)
    for body, field in [({"deal": DEAL, "filters": {"colour": 1}}, "colour"), ({"deal": DEAL | {"spend": 0}}, "spend")]:
        reply = server.request("POST", "/v1/rank", body)
        assert (reply.status, reply.json["errors"][0].get("field")) == (422, field)
    early = server.request("POST", "/v1/rank", {"deal": DEAL | {"starts_at": "2020-01-01"}})
    assert (early.status, early.json["errors"][0]["pointer"]) == (409, "/deal/starts_at")


def test_a_creator_is_told_with_the_catalogue_s_words(server: Server, workspace: Path) -> None:
    told = server.request("GET", "/v1/creators/creator_000001").json
    known = pd.read_parquet(workspace / "data" / "creators.parquet").set_index("creator_id").loc["creator_000001"]
    features = {one["feature"]: one for one in told["features"]}
    assert features["platform"]["value"] == known.platform
    assert features["creator_niche"]["value"] == known.niche
    assert features["followers"]["label"] == "number of followers"
    assert "brand_deals" not in features
    assert server.request("GET", "/v1/creators/nobody").status == 404


def test_the_model_tells_its_figures(server: Server) -> None:
    told = server.request("GET", "/v1/model").json
    assert told["model_version"] == "conversions-per-dollar/1"
    assert told["skill"]
    assert {"ours.rank", "one_rate.skill"} <= set(told["figures"])
    assert told["trained_on"]["results"] == 150
    assert told["creators"] == 60


def test_without_a_key_nobody_enters(server: Server, workspace: Path) -> None:
    for key in (None, "", "wrong", digest(KEY)):
        for method, path in [
            ("POST", "/v1/score"),
            ("GET", "/v1/model"),
            ("GET", "/metrics"),
            ("GET", "/v1/creators/x"),
        ]:
            reply = server.request(method, path, {"items": [ITEM]} if method == "POST" else None, key=key)
            assert reply.status == 401, (key, path)
    for path in ("/healthz", "/readyz", "/openapi.json", "/"):
        assert server.request("GET", path, key=None).status == 200


def test_a_key_may_ask_as_often_as_it_may(server: Server) -> None:
    statuses = [server.request("GET", "/v1/model", key=LIMITED).status for _ in range(12)]
    assert statuses[0] == 200
    assert 429 in statuses
    time.sleep(1.1)
    assert server.request("GET", "/v1/model", key=LIMITED).status == 200


def test_keys_come_and_go_without_a_restart(server: Server, workspace: Path) -> None:
    before = (workspace / "keys").read_text()
    (workspace / "keys").write_text(f"{before}new:{digest('a new key')}\n")
    try:
        until = time.monotonic() + 20
        # every worker has read it once ten requests in a row were let in
        while time.monotonic() < until:
            if all(server.request("GET", "/v1/model", key="a new key").status == 200 for _ in range(10)):
                break
        else:
            raise AssertionError("the new key was never let in")
    finally:
        (workspace / "keys").write_text(before)
    until = time.monotonic() + 20
    while not all(server.request("GET", "/v1/model", key="a new key").status == 401 for _ in range(10)):
        assert time.monotonic() < until, "the key that was removed is still let in"
        time.sleep(0.1)
    assert server.request("GET", "/v1/model").status == 200


def test_headers_and_logs_are_sober(server: Server, workspace: Path) -> None:
    reply = server.request("GET", "/v1/model", X_Request_Id="trace-77")
    assert reply.headers["x-request-id"] == "trace-77"
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["cache-control"] == "no-store"
    assert reply.headers["x-frame-options"] == "DENY"
    assert reply.headers["referrer-policy"] == "no-referrer"
    assert "default-src 'none'" in reply.headers["content-security-policy"]
    assert server.request("GET", "/v1/model", X_Request_Id="a b\t<script>").headers["x-request-id"] != "a b\t<script>"
    told = server.logged(request_id="trace-77")
    assert [(one["route"], one["status"], one["key"]) for one in told] == [("model", 200, "tool")]
    text = server.log.read_text()
    assert KEY not in text
    assert "Traceback" not in text


def test_metrics_count_what_was_asked(server: Server) -> None:
    def counted() -> dict[str, float]:
        page = server.request("GET", "/metrics").body.decode()
        pairs = (line.rsplit(" ", 1) for line in page.splitlines() if not line.startswith("#"))
        return {name: float(value) for name, value in pairs}

    before = counted()
    for _ in range(20):
        server.request("POST", "/v1/score", {"items": [ITEM] * 3})
    after = counted()
    name = 'creator_yield_requests_total{route="score",status="200"}'
    assert after[name] - before[name] == 20
    assert after["creator_yield_items_total"] - before["creator_yield_items_total"] == 60
    assert after['creator_yield_request_seconds_count{route="score"}'] >= 20


def test_cases_made_from_the_openapi_document_find_no_fault(server: Server, tmp_path: Path) -> None:
    """A sample of what `make fuzz-serve` asks: of the scores a few only, for those with a history take seconds."""
    few = ["--phases", "fuzzing", "--max-examples", "8", "--include-path", "/v1/score"]
    many = ["--exclude-path", "/v1/score", "--max-examples", "30"]
    for words, least in ((few, 8), (many, 200)):
        found = fuzz(server, tmp_path, *words)
        assert found.status == 0, found.output
        assert found.total >= least


def test_calls_at_fault_end_with_2(workspace: Path, tmp_path: Path) -> None:
    keys = {"CREATOR_YIELD_API_KEYS": f"a:{digest('k')}"}
    calls: list[tuple[tuple[str, ...], dict[str, str], str]] = [
        (("--no-auth", "--host", "0.0.0.0"), {}, "--no-auth: without keys only this machine may send requests"),
        ((), {}, "CREATOR_YIELD_API_KEYS: there is no API key"),
        ((), {"CREATOR_YIELD_API_KEYS": "my plain key"}, "entry 1 is not NAME:SHA256"),
        (("--port", "0"), keys, "--port: it is not a port"),
    ]
    for words, environment, said in calls:
        done = command(workspace, "serve.py", "--data", "data", *words, **environment)
        assert done.returncode == 2, (words, done.stderr)
        assert said in done.stderr
        assert "my plain key" not in done.stderr
        assert "Traceback" not in done.stderr
    done = command(tmp_path, "serve.py", "--data", str(workspace / "data"), "--no-auth")
    assert done.returncode == 2
    assert "Train first" in done.stderr
    assert list(tmp_path.iterdir()) == []
