"""What a request may hold: types that msgspec reads, made from the contract's columns.

Each has a strict twin without a field that is not read: it is tried first, and only where it refuses does anybody look
for misspelt fields.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from features.history.contract import CANDIDATES, OUTCOMES
from features.history.score_columns import SCORES
from service.api.request_history import History, StrictHistory
from service.api.request_values import WHOLE, Key, Text, values_of

MOST_ITEMS = 10_000
OF_ITEM = ("creator_id", "candidate_id")  # columns of a candidate that its deal does not have
DEAL_COLUMNS = {name: column for name, column in CANDIDATES.columns.items() if name not in OF_ITEM}
REFUSED = tuple(dict.fromkeys((*OUTCOMES, *SCORES)))  # what cannot be known beforehand


def _fields() -> list[Any]:
    """The fields of a deal, required ones first."""
    columns = sorted(DEAL_COLUMNS.items(), key=lambda one: not one[1].required)
    fields: list[Any] = []
    for name, column in columns:
        values = values_of(column)[0]
        fields.append((name, values) if column.required else (name, values | None, None))
    return fields + [(name, UnsetType, UNSET) for name in REFUSED]


def _struct(name: str, fields: list[Any], meaning: str, *bases: type, strict: bool = False) -> Any:
    namespace = {"__doc__": meaning, "__module__": __name__}
    return msgspec.defstruct(
        name, fields, bases=bases or None, namespace=namespace, kw_only=True, gc=False, forbid_unknown_fields=strict
    )


if TYPE_CHECKING:

    class Deal(msgspec.Struct):
        """The terms of a deal."""

        def __getattr__(self, name: str) -> Any: ...

    class Item(Deal):
        """A deal with a creator."""

    class StrictDeal(Deal): ...

    class StrictItem(Item): ...

else:
    Deal = _struct(
        "Deal", _fields(), "The terms of a deal, as the contract's candidates have them; other fields are ignored."
    )
    Item = _struct("Item", [("creator_id", Text), ("candidate_id", Key | None, None)], "A deal with a creator.", Deal)
    StrictDeal = _struct("StrictDeal", [], "A deal without a field that is not read.", Deal, strict=True)
    StrictItem = _struct("StrictItem", [], "An item without a field that is not read.", Item, strict=True)


class ScoreRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Deals to be scored; history: of creators among them that the data does not know."""

    items: Annotated[list[Item], Meta(max_length=MOST_ITEMS)]
    history: History | None = None


class Filters(msgspec.Struct, forbid_unknown_fields=True):
    """Which creators are meant; every filter that is given must hold."""

    platform: list[str] | None = None
    niche: list[str] | None = None
    tier: list[str] | None = None
    country: list[str] | None = None
    language: list[str] | None = None
    followers_min: float | None = None
    followers_max: float | None = None


BOUNDS = ("followers_min", "followers_max")
LISTS = tuple(name for name in Filters.__struct_fields__ if name not in BOUNDS)


class RankRequest(msgspec.Struct, forbid_unknown_fields=True):
    """One deal, and the creators to whom it might be offered: those named, else all that the filters leave.

    limit: how many of the best scores to return, 100 by default.
    """

    deal: Deal
    creator_ids: Annotated[list[Text], Meta(max_length=MOST_ITEMS)] | None = None
    filters: Filters = msgspec.field(default_factory=Filters)
    limit: Annotated[float, Meta(ge=1, le=MOST_ITEMS, extra_json_schema=WHOLE)] = 100


class StrictScoreRequest(ScoreRequest):
    items: Annotated[list[StrictItem], Meta(max_length=MOST_ITEMS)]  # type: ignore[assignment]
    history: StrictHistory | None = None


class StrictRankRequest(RankRequest):
    deal: StrictDeal
