"""A deal as the service is sent it."""

from typing import Any

DEAL: dict[str, Any] = {
    "brand": "somebody", "product_niche": "beauty", "starts_at": "2026-06-01T12:00:00Z", "promotion_hours": 48,
    "spend": 300,
}  # fmt: skip
ITEM = DEAL | {"creator_id": "creator_000001"}
