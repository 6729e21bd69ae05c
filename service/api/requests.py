"""What may be asked, read from JSON: at the speed of C where all is well, field by field where it is not."""

from __future__ import annotations

import codecs
import math
from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeVar

import msgspec
import numpy as np
from msgspec import UNSET, Meta, UnsetType

from service.api.near import meant, unread
from service.api.request_faults import (
    DEAL,
    ITEM,
    MOST_ITEMS,
    OUTCOMES,
    RANK,
    SCORE,
    misplaced,
    rank_faults,
    repeated,
    score_faults,
)
from service.api.request_history import StrictTold, Told, notices_of
from service.api.request_values import WHOLE, Above0, AtLeast1, Key, Moment, Text, as_text, micros, shown
from service.online.assembler import Terms
from service.problems import FieldError, Problem


class Deal(msgspec.Struct, gc=False, kw_only=True):
    """The terms of a deal, as the contract's candidates have them; what else is told is ignored."""

    brand: Text
    product_niche: Text
    starts_at: Moment
    promotion_hours: Above0
    spend: Above0
    product_country: Key | None = None
    objective: Key | None = None
    deliverables: AtLeast1 | None = None
    conversions: UnsetType = UNSET
    observed_until: UnsetType = UNSET
    clicks: UnsetType = UNSET
    revenue: UnsetType = UNSET
    coupon_redemptions: UnsetType = UNSET
    conversions_per_dollar: UnsetType = UNSET
    conversions_per_dollar_low: UnsetType = UNSET
    conversions_per_dollar_high: UnsetType = UNSET
    cost_per_conversion: UnsetType = UNSET
    rank: UnsetType = UNSET
    reasons: UnsetType = UNSET
    warnings: UnsetType = UNSET
    model_version: UnsetType = UNSET


class Item(Deal, gc=False, kw_only=True):
    """A deal with a creator."""

    creator_id: Text
    candidate_id: Key | None = None


class ScoreRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Deals to be scored; history: of creators among them that the data does not know."""

    items: Annotated[list[Item], Meta(max_length=MOST_ITEMS)]
    history: Told | None = None


class Filters(msgspec.Struct, forbid_unknown_fields=True):
    """Which creators are meant; all that is told must hold."""

    platform: list[str] | None = None
    niche: list[str] | None = None
    tier: list[str] | None = None
    country: list[str] | None = None
    language: list[str] | None = None
    followers_min: float | None = None
    followers_max: float | None = None


class RankRequest(msgspec.Struct, forbid_unknown_fields=True):
    """One deal, and the creators to whom it might be offered: those named, else all that the filters leave.

    limit: of how many scores are answered, the best ones; else 100.
    """

    deal: Deal
    creator_ids: Annotated[list[Text], Meta(max_length=MOST_ITEMS)] | None = None
    filters: Filters = msgspec.field(default_factory=Filters)
    limit: Annotated[float, Meta(ge=1, le=MOST_ITEMS, extra_json_schema=WHOLE)] = 100


class _OnlyItem(Item, gc=False, kw_only=True, forbid_unknown_fields=True):
    """An item without a column that is not read."""


class _OnlyDeal(Deal, gc=False, kw_only=True, forbid_unknown_fields=True):
    """A deal without a column that is not read."""


class _OnlyScore(ScoreRequest):
    items: Annotated[list[_OnlyItem], Meta(max_length=MOST_ITEMS)]  # type: ignore[assignment]
    history: StrictTold | None = None


class _OnlyRank(RankRequest):
    deal: _OnlyDeal


# by the strict ones first: only where a column is not read need anybody look whether it is misspelt
_only_score, _only_rank = msgspec.json.Decoder(_OnlyScore), msgspec.json.Decoder(_OnlyRank)
_score, _rank = msgspec.json.Decoder(ScoreRequest), msgspec.json.Decoder(RankRequest)
Notices = list[FieldError]
T = TypeVar("T")
_DEALS = ("/items/", "/deal/", "/history")


def read_score(body: bytes) -> tuple[Terms, list[str | None], Told | None, Notices]:
    """The terms of all items, their candidate_ids, the history told, and what is worth a notice.

    Raises Problem naming rows and fields.
    """
    notices: Notices = []
    try:
        try:
            asked: ScoreRequest = _only_score.decode(body)
        except msgspec.ValidationError:
            asked = _score.decode(body)
            told = _generic(body)
            notices = unread(told["items"], (*ITEM, *OUTCOMES), "/items") + notices_of(told.get("history"))
        candidates = [None if i.candidate_id is None else as_text(i.candidate_id) for i in asked.items]
        found = terms(asked.items), candidates, asked.history, notices
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        told = _generic(body)
        if not isinstance(told, dict) or not isinstance(told.get("items"), list):
            raise _unlike('{"items": […]}', "items", told, SCORE) from None
        if len(told["items"]) > MOST_ITEMS:
            raise _too_many(len(told["items"])) from None
        raise _faulty(score_faults(told), error) from None
    named = [one for one in candidates if one]
    if len(set(named)) < len(named) and (twice := repeated(candidates)):
        raise _faulty(twice, ValueError("candidate_id"))
    return found


def read_rank(body: bytes) -> tuple[Deal, RankRequest, Notices]:
    """One deal, for whom, and what is worth a notice. Raises Problem naming fields."""
    notices: Notices = []
    try:
        try:
            asked: RankRequest = _only_rank.decode(body)
        except msgspec.ValidationError:
            asked = _rank.decode(body)
            told = _generic(body)["deal"]
            found = unread([told], (*DEAL, *OUTCOMES), "")
            notices = [msgspec.structs.replace(one, row=None, pointer=f"/deal{str(one.pointer)[2:]}") for one in found]
            notices += misplaced(told)
        if asked.limit % 1:
            raise ValueError("limit: a whole number is needed")
        if asked.creator_ids is not None:
            asked.creator_ids = [as_text(one) for one in asked.creator_ids]
            notices += _twice(asked.creator_ids)
        terms([Item(creator_id="x", **_told(asked.deal))])
        return asked.deal, asked, notices + _empty(asked.filters)
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        told = _generic(body)
        if not isinstance(told, dict) or not isinstance(told.get("deal"), dict):
            raise _unlike('{"deal": {…}}', "deal", told, RANK) from None
        if isinstance(told.get("creator_ids"), list) and len(told["creator_ids"]) > MOST_ITEMS:
            raise _too_many(len(told["creator_ids"])) from None
        raise _faulty(rank_faults(told), error) from None


def _twice(creators: list[str | int | float]) -> Notices:
    """The first of the creators that are named more than once."""
    if len(set(creators)) == len(creators):
        return []
    first: dict[str | int | float, int] = {}
    again = [at for at, one in enumerate(creators) if first.setdefault(one, at) != at]
    named = "one entry names a creator" if len(again) == 1 else f"{len(again):,} entries name creators"
    detail = f"{named} named before, such as {shown(creators[again[0]])}: each is ranked once"
    return [FieldError(detail, "creator_ids", pointer=f"/creator_ids/{again[0]}")]


def _empty(filters: Filters) -> Notices:
    """Filters that leave nobody, whoever is there."""
    found = [
        FieldError("the list is empty, so no creator is left", name, pointer=f"/filters/{name}")
        for name in filters.__struct_fields__
        if getattr(filters, name) == []
    ]
    low, high = filters.followers_min, filters.followers_max
    if low is not None and high is not None and low > high:
        detail = "it is below followers_min, so no creator is left"
        found.append(FieldError(detail, "followers_max", pointer="/filters/followers_max"))
    return found


def for_creators(deal: Deal, creator_ids: Sequence[str]) -> Terms:
    """The same deal with many creators."""
    one = terms([Item(creator_id="x", **_told(deal))])
    n = len(creator_ids)
    return Terms(
        creator_ids, [*one.brand] * n, [*one.product_niche] * n, [*one.product_country] * n, [*one.objective] * n,
        one.starts_at.repeat(n), one.promotion_hours.repeat(n), one.deliverables.repeat(n), one.spend.repeat(n),
    )  # fmt: skip


def terms(items: Sequence[Item]) -> Terms:
    """Items, column by column. Raises ValueError where a field says what no deal can be."""
    seen: dict[str, int] = {}
    starts = [seen[text] if (text := i.starts_at) in seen else seen.setdefault(text, micros(text)) for i in items]
    nan = math.nan
    deliverables = np.array([nan if i.deliverables is None else i.deliverables for i in items], float)
    if (deliverables % 1 > 0).any():
        raise ValueError("deliverables")
    return Terms(
        creator_id=_each(_required, [i.creator_id for i in items]),
        brand=_each(_required, [i.brand for i in items]),
        product_niche=_each(_required, [i.product_niche for i in items]),
        product_country=_each(_optional, [i.product_country for i in items]),
        objective=_each(_optional, [i.objective for i in items]),
        starts_at=np.array(starts, np.int64),
        promotion_hours=np.array([i.promotion_hours for i in items], float),
        deliverables=deliverables,
        spend=np.array([i.spend for i in items], float),
    )


def _each(read: Callable[[Any], T], values: list[Any]) -> list[T]:
    """Every value read; what stands there often is read once."""
    found = {value: read(value) for value in set(values)}
    return [found[value] for value in values]


def _required(value: Text) -> str:
    if not (text := as_text(value)):
        raise ValueError("a text is needed")
    return text


def _optional(value: Key | None) -> str | None:
    return None if value is None else as_text(value) or None


def _told(deal: Deal) -> dict[str, Any]:
    return {name: v for name in deal.__struct_fields__ if (v := getattr(deal, name)) is not UNSET}


def _generic(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        raise Problem(400, "not-json", f"The body is no JSON that can be read: {_why(body, error)}.") from None


def _why(body: bytes, error: Exception) -> str:
    if not body.strip():
        return "it is empty"
    if body.startswith((codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "it begins with a byte-order mark; send UTF-8 without one"
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)


def _unlike(form: str, field: str, told: Any, known: tuple[str, ...]) -> Problem:
    hint = meant(told, field, known) if isinstance(told, dict) else ""
    detail = f"the body must have the form {form}{hint}"
    error = FieldError(detail, field, pointer=f"/{field}")
    return Problem(422, "invalid-request", f"{detail[0].upper()}{detail[1:]}.".replace("?.", "?"), [error])


def _too_many(found: int) -> Problem:
    return Problem(422, "too-many", f"{found:,} rows are too many: at most {MOST_ITEMS:,} in one request.")


def _faulty(errors: list[FieldError], error: Exception) -> Problem:
    if not errors:  # what the types refuse and no check of a field knows
        return Problem(422, "invalid-request", f"{error}.", [FieldError(str(error))])
    first = errors[0]
    place = f"{first.table}, " if first.table else ""
    place += "" if first.row is None else f"row {first.row}, "
    place = place + str(first.field) if first.field else place.removesuffix(", ")
    code = "invalid-items" if any(str(one.pointer).startswith(_DEALS) for one in errors) else "invalid-request"
    count = f"{len(errors)} faults, first " if len(errors) > 1 else ""
    return Problem(422, code, f"{count}{place}: {first.detail}", errors)
