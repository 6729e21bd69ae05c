"""A program that uses the client which openapi-python-client made, with as little as it can say. use.py PORT KEY"""

import sys

from made.api.default import creator, healthz, model, rank, score
from made.client import AuthenticatedClient
from made.models import (
    Creator,
    Deal,
    Filters,
    Item,
    ModelCard,
    Ranking,
    RankRequest,
    ScoreIncludeItem,
    ScoreRequest,
    Scores,
)

port, key = sys.argv[1:]
client = AuthenticatedClient(f"http://127.0.0.1:{port}", token=key, prefix="", auth_header_name="X-API-Key")
deal = {"brand": "somebody", "product_niche": "beauty", "starts_at": "2026-06-01", "promotion_hours": 48, "spend": 300}

plain = score.sync(client=client, body=ScoreRequest([Item(creator_id="creator_000001", **deal)]))
assert isinstance(plain, Scores), plain
assert plain.scores[0].conversions_per_dollar > 0

parts = [ScoreIncludeItem.REASONS, ScoreIncludeItem.INTERVAL]
full = score.sync(
    client=client,
    body=ScoreRequest([Item(creator_id=7, candidate_id="a", **deal)]),
    include=parts,
    level=0.9,
    target_cost=25,
    confidence=0.7,
)
assert isinstance(full, Scores), full
assert full.scores[0].reasons
assert full.scores[0].walk_away_price

ranked = rank.sync(client=client, body=RankRequest(Deal(**deal)))
assert isinstance(ranked, Ranking), ranked
few = rank.sync(client=client, body=RankRequest(Deal(**deal), filters=Filters(tier=["micro", "nano"]), limit=3))
assert isinstance(few, Ranking), few
assert len(few.scores) <= 3 <= len(ranked.scores)

known = creator.sync("creator_000001", client=client)
assert isinstance(known, Creator), known
assert isinstance(model.sync(client=client), ModelCard)
assert healthz.sync_detailed(client=client).status_code == 200
print("all answered")
