"""The typed client against a real service."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from service.client import Client, Deal, Item, ServiceError
from tests.support.workspace import KEY, copy_workspace, running

TERMS: dict[str, Any] = {
    "brand": "somebody", "product_niche": "beauty", "starts_at": "2026-06-01T12:00:00Z", "promotion_hours": 48.0,
    "spend": 300.0,
}  # fmt: skip


def test_the_client_gives_what_the_service_answers(
    tmp_path_factory: pytest.TempPathFactory, trained_workspace: Path
) -> None:
    workspace = copy_workspace(
        tmp_path_factory.mktemp("client"), trained_workspace
    )  # a short path, as its sockets need
    item = Item(**TERMS, creator_id="creator_000001")
    with running(workspace, CREATOR_YIELD_API_KEYS=f"@{workspace / 'keys'}") as server:
        url = f"http://127.0.0.1:{server.port}"
        with Client(url, key=KEY) as client:
            scored = client.score([item], interval=True, reasons=True, creator=True, level=0.9, target_cost=5)
            asked = {"items": [TERMS | {"creator_id": "creator_000001"}]}
            query = "include=reasons,interval,creator&level=0.9&target_cost=5"
            theirs = server.ask("POST", f"/v1/score?{query}", asked).json["scores"][0]
            mine = msgspec.to_builtins(scored.scores[0])
            shared = mine.keys() & theirs.keys()
            assert {"reasons", "conversions_per_dollar_low", "walk_away_price", "tier", "warnings"} <= shared
            assert {k: mine[k] for k in shared} == {k: theirs[k] for k in shared}
            likely = client.rank(Deal(**TERMS), ["creator_000001"], target_cost=5, confidence=0.9).scores[0]
            assert likely.probability_within_target == scored.scores[0].probability_within_target
            assert likely.walk_away_price is not None
            assert likely.walk_away_price < mine["walk_away_price"]
            ranked = client.rank(Deal(**TERMS), filters={"tier": ["micro", "nano"]}, limit=3)
            assert [score.rank for score in ranked.scores] == [1, 2, 3]
            assert ranked.considered > 3
            assert client.creator("creator_000001").features
            assert client.model().model_version == scored.model_version == ranked.model_version
            with pytest.raises(ServiceError, match="422") as refused:
                client.score([Item(**(TERMS | {"spend": -1.0}), creator_id="creator_000001")])
            assert refused.value.problem["errors"][0]["field"] == "spend"
        with Client(url) as stranger, pytest.raises(ServiceError, match="401"):
            stranger.model()
