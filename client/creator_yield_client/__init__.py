"""A typed client of the creator-yield service."""

from creator_yield_client.client import Client, ServiceError
from creator_yield_client.types import (
    CollaborationRow,
    CommentRow,
    ConversionRow,
    Creator,
    CreatorRow,
    Deal,
    Filters,
    History,
    Item,
    Known,
    ModelCard,
    Notice,
    PostRow,
    Ranking,
    Reason,
    Score,
    Scores,
)

__all__ = [
    "Client",
    "CollaborationRow",
    "CommentRow",
    "ConversionRow",
    "Creator",
    "CreatorRow",
    "Deal",
    "Filters",
    "History",
    "Item",
    "Known",
    "ModelCard",
    "Notice",
    "PostRow",
    "Ranking",
    "Reason",
    "Score",
    "Scores",
    "ServiceError",
]
