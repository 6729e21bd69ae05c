"""The service as others use it: started for real, called over HTTP, compared with `predict.py`."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from features.history.source import open_history
from models.newest.snapshot import Snapshot
from service.publish.parity import random_spine
from tests.support.deals import DEAL, ITEM
from tests.support.service_fuzz import fuzz
from tests.support.workspace import KEY, Reply, Server, command

ROWS, EARLY = 2000, 40


NUMBERS = [
    "conversions_per_dollar", "conversions_per_dollar_low", "conversions_per_dollar_high", "conversions",
    "cost_per_conversion", "probability_within_target", "walk_away_price", "rank",
]  # fmt: skip


EVERYTHING = "include=reasons,interval,creator&target_cost=25.5&confidence=0.7"


ALL = f"/v1/score?{EVERYTHING}"


TARGET = ("--target-cost", "25.5", "--confidence", "0.7")


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
    spine.to_parquet(workspace / "candidates.parquet", index=False)
    done = command(
        workspace, "predict.py", "candidates.parquet", "--data", "data", "--output", "scores.parquet", *TARGET
    )
    assert done.returncode == 0, done.stderr
    return pd.read_parquet(workspace / "scores.parquet")


def items_of(spine: pd.DataFrame) -> list[dict[str, Any]]:
    """As a client sends them: what is missing is left out, or null."""
    answer = spine.assign(starts_at=[f"{at.isoformat()}Z" for at in spine.starts_at]).to_dict("records")
    gaps = [{str(k): None if v is None or v != v else v for k, v in row.items()} for row in answer]
    return [{k: v for k, v in row.items() if v is not None} if i % 2 else row for i, row in enumerate(gaps)]


def scores_of(reply: Reply) -> list[dict[str, Any]]:
    assert reply.status == 200, reply.body[:500]
    return reply.json["scores"]


def assert_alike(found: list[dict[str, Any]], expected: pd.DataFrame) -> None:
    """Every field of the contract, to the bit; ranks are those among the rows of one request."""
    rank = expected.conversions_per_dollar.rank(method="min", ascending=False).astype(int)
    expected = expected.assign(rank=rank).reset_index(drop=True)
    assert [row["candidate_id"] for row in found] == expected.candidate_id.tolist()
    for name in NUMBERS:
        assert [row[name] for row in found] == expected[name].tolist(), name
    for name in ("reasons", "warnings"):
        assert [row[name] for row in found] == [json.loads(answer) for answer in expected[name]], name
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
        code for answer in predicted.warnings for code in json.loads(answer)
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
    answer: dict[str, pd.DataFrame] = {}
    for name, key in {"creators": None, "posts": "post_id", "comments": "comment_id"}.items():
        table = tables[name]
        answer[name] = table[table.creator_id.isin(busy)].copy()
        answer[name]["creator_id"] = "new " + answer[name].creator_id
        for column in (key, "post_id" if name == "comments" else None):
            if column:
                answer[name][column] = "p" + answer[name][column].astype(str)
    answer["collaborations"] = deals[deals.creator_id.isin(busy)].copy()
    answer["collaborations"]["creator_id"] = "new " + answer["collaborations"].creator_id
    answer["collaborations"]["collaboration_id"] = "p" + answer["collaborations"].collaboration_id
    folder = tmp_path / "data"
    folder.mkdir()
    for name, table in tables.items():
        more = [answer[name].astype(table.dtypes.to_dict())] if name in answer else []
        pd.concat([table, *more], ignore_index=True).to_parquet(folder / f"{name}.parquet", index=False)
    items = [DEAL | {"candidate_id": c, "creator_id": c} for c in [f"new {busy[0]}", f"new {busy[1]}", busy[0]]]
    listed = pd.DataFrame(items).assign(starts_at=pd.Timestamp(DEAL["starts_at"]))
    listed.to_parquet(tmp_path / "candidates.parquet", index=False)
    output = tmp_path / "scores.parquet"
    words = (str(tmp_path / "candidates.parquet"), "--data", str(folder), "--output", str(output), *TARGET)
    done = command(workspace, "predict.py", *words)
    assert done.returncode == 0, done.stderr
    history = {name: _rows(frame) for name, frame in answer.items()}
    reply = server.request("POST", ALL, {"items": items, "history": history})
    assert_alike(scores_of(reply), pd.read_parquet(output))
    assert server.request("GET", f"/v1/creators/new%20{busy[0]}").status == 404, "nothing of it stays"


CREATOR: dict[str, Any] = {"creator_id": "mine", "platform": "instagram", "niche": "beauty"}


POST: dict[str, Any] = {"post_id": "p", "creator_id": "mine", "posted_at": "2026-03-01T10:00:00Z", "likes": 5}


def test_only_what_is_included_is_answered(server: Server) -> None:
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
        answer = server.request("POST", "/v1/score", {"items": [ITEM | change]}).json
        assert ["a text or a whole number is needed, received 7.5", *change] == [
            answer["errors"][0]["detail"], answer["errors"][0]["field"]
        ]  # fmt: skip
    uneven = server.request("POST", "/v1/rank", {"deal": DEAL, "creator_ids": [7.5]})
    assert uneven.status == 422


def test_requests_that_wait_together_each_keep_to_their_own_target(server: Server) -> None:
    paths = [f"/v1/score?target_cost={cost}&confidence={sure}" for cost in (2, 4, 8) for sure in (0.5, 0.9)]
    alone = {path: scores_of(server.request("POST", path, {"items": [ITEM]})) for path in paths}
    assert len({json.dumps(answer) for answer in alone.values()}) == len(paths)
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
    everybody = [*creators, "nobody"]
    scored = scores_of(server.request("POST", ALL, {"items": [DEAL | {"creator_id": c} for c in everybody]}))
    by_creator = dict(zip(everybody, scored, strict=True))
    reply = server.request(
        "POST", f"/v1/rank?{EVERYTHING}", {"deal": DEAL, "creator_ids": [*everybody, "nobody"], "limit": 10}
    )
    assert reply.json["considered"] == len(everybody)
    found = scores_of(reply)
    assert [row["rank"] for row in found] == sorted(row["rank"] for row in scored)[:10]
    for row in found:
        creator = row.pop("creator_id")
        assert row == by_creator[creator]
    everybody = scores_of(server.request("POST", "/v1/rank", {"deal": DEAL, "limit": 100}))
    assert {row["creator_id"] for row in everybody} == set(creators)


def test_filters_leave_the_creators_meant(server: Server, workspace: Path) -> None:
    answer = pd.read_parquet(workspace / "data" / "creators.parquet")
    platform, niche = answer.platform[0], answer.niche[0]
    reply = server.request("POST", "/v1/rank", {"deal": DEAL, "filters": {"platform": [platform], "niche": [niche]}})
    meant = answer[(answer.platform == platform) & (answer.niche == niche)]
    assert {row["creator_id"] for row in scores_of(reply)} == set(meant.creator_id)
    everybody = pd.DataFrame(scores_of(server.request("POST", "/v1/rank?include=creator", {"deal": DEAL}))).set_index(
        "creator_id"
    )
    assert everybody.platform.to_dict() == answer.set_index("creator_id").platform.to_dict()
    assert everybody.niche.to_dict() == answer.set_index("creator_id").niche.to_dict()
    assert everybody.tier.nunique() > 1
    for tier, those in everybody.groupby("tier"):
        reply = server.request("POST", "/v1/rank", {"deal": DEAL, "filters": {"tier": [tier]}})
        assert {row["creator_id"] for row in scores_of(reply)} == set(those.index)
    none = server.request("POST", "/v1/rank", {"deal": DEAL, "filters": {"followers_min": 1e12}})
    assert (scores_of(none), none.json["considered"]) == ([], 0)
    large = scores_of(server.request("POST", "/v1/rank", {"deal": DEAL, "filters": {"followers_min": 50_000}}))
    assert 0 < len(large) < len(answer)
    for body, field in [({"deal": DEAL, "filters": {"colour": 1}}, "colour"), ({"deal": DEAL | {"spend": 0}}, "spend")]:
        reply = server.request("POST", "/v1/rank", body)
        assert (reply.status, reply.json["errors"][0].get("field")) == (422, field)
    early = server.request("POST", "/v1/rank", {"deal": DEAL | {"starts_at": "2020-01-01"}})
    assert (early.status, early.json["errors"][0]["pointer"]) == (409, "/deal/starts_at")


def test_a_creator_comes_with_the_catalogue_s_words(server: Server, workspace: Path) -> None:
    answer = server.request("GET", "/v1/creators/creator_000001").json
    known = pd.read_parquet(workspace / "data" / "creators.parquet").set_index("creator_id").loc["creator_000001"]
    features = {one["feature"]: one for one in answer["features"]}
    assert features["platform"]["value"] == known.platform
    assert features["creator_niche"]["value"] == known.niche
    assert features["followers"]["label"] == "number of followers"
    assert "brand_deals" not in features
    assert server.request("GET", "/v1/creators/nobody").status == 404


def test_the_model_shows_its_figures(server: Server) -> None:
    answer = server.request("GET", "/v1/model").json
    assert answer["model_version"] == "conversions-per-dollar/1"
    assert answer["skill"]
    assert {"ours.rank", "one_rate.skill"} <= set(answer["figures"])
    assert answer["trained_on"]["results"] == 150
    assert answer["creators"] == 60
    assert answer["left_out"] is None


def test_headers_and_logs_are_sober(server: Server, workspace: Path) -> None:
    reply = server.request("GET", "/v1/model", X_Request_Id="trace-77")
    assert reply.headers["x-request-id"] == "trace-77"
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["cache-control"] == "no-store"
    assert reply.headers["x-frame-options"] == "DENY"
    assert reply.headers["referrer-policy"] == "no-referrer"
    assert "default-src 'none'" in reply.headers["content-security-policy"]
    assert server.request("GET", "/v1/model", X_Request_Id="a b\t<script>").headers["x-request-id"] != "a b\t<script>"
    answer = server.logged(request_id="trace-77")
    assert [(one["route"], one["status"], one["key"]) for one in answer] == [("model", 200, "tool")]
    text = server.log.read_text()
    assert KEY not in text
    assert "Traceback" not in text


@pytest.mark.long
def test_cases_made_from_the_openapi_document_find_no_fault(server: Server, tmp_path: Path) -> None:
    """A sample of what `make fuzz-serve` asks: of the scores a few only, for those with a history take seconds."""
    few = ["--phases", "fuzzing", "--max-examples", "8", "--include-path", "/v1/score"]
    many = ["--exclude-path", "/v1/score", "--max-examples", "30"]
    for words, least in ((few, 8), (many, 200)):
        found = fuzz(server, tmp_path, *words)
        assert found.status == 0, found.output
        assert found.total >= least
