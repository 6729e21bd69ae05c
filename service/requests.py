"""What may be asked, read from JSON: at the speed of C where all is well, field by field where it is not."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import UNSET, Meta, UnsetType

from service.assembly import Terms
from service.problems import FieldError, Problem
from service.told import Told, faults_of
from service.values import (
    WHOLE,
    Above0,
    AtLeast1,
    Key,
    Moment,
    Text,
    Wrong,
    as_text,
    fault,
    micros,
    no_object,
    wrong_count,
    wrong_number,
    wrong_text,
    wrong_time,
)  # fmt: skip

MOST_ITEMS = 10_000

TEXTS = {"brand": "whose product is promoted", "product_niche": "niche of what is promoted"}
OPTIONAL_TEXTS = {"product_country": "where it is sold", "objective": "sales, awareness, launch, content or community"}
NUMBERS = {
    "promotion_hours": "how many hours link, code or post stay live",
    "spend": "the quote in all, in US dollars",
}
OUTCOMES = (
    "conversions", "observed_until", "clicks", "revenue", "coupon_redemptions", "conversions_per_dollar",
    "conversions_per_dollar_low", "conversions_per_dollar_high", "cost_per_conversion", "rank", "reasons", "warnings",
    "model_version",
)  # fmt: skip


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


class ScoreRequest(msgspec.Struct):
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


class RankRequest(msgspec.Struct):
    """One deal, and the creators to whom it might be offered: those named, else all that the filters leave."""

    deal: Deal
    creator_ids: Annotated[list[Text], Meta(max_length=MOST_ITEMS)] | None = None
    filters: Filters = msgspec.field(default_factory=Filters)
    limit: Annotated[float, Meta(ge=1, le=MOST_ITEMS, extra_json_schema=WHOLE)] = 100


_score, _rank = msgspec.json.Decoder(ScoreRequest), msgspec.json.Decoder(RankRequest)


def read_score(body: bytes) -> tuple[Terms, list[str | None], Told | None]:
    """The terms of all items, their candidate_ids, and the history told. Raises Problem naming rows and fields."""
    try:
        asked = _score.decode(body)
        items = asked.items
        candidates = [None if i.candidate_id is None else as_text(i.candidate_id) for i in items]
        return terms(items), candidates, asked.history
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        told = _generic(body)
        if not isinstance(told, dict) or not isinstance(told.get("items"), list):
            raise _unlike('{"items": […]}', "items") from None
        if len(told["items"]) > MOST_ITEMS:
            raise _too_many(len(told["items"])) from None
        faults = _faults_of(told["items"], "items") + faults_of(told.get("history"))
        raise _faulty(faults, error) from None


def read_rank(body: bytes) -> tuple[Deal, RankRequest]:
    """One deal, and for whom. Raises Problem naming fields."""
    try:
        asked = _rank.decode(body)
        if asked.limit % 1:
            raise ValueError("limit: a whole number is needed")
        if asked.creator_ids is not None:
            asked.creator_ids = [as_text(one) for one in asked.creator_ids]
        terms([Item(creator_id="x", **_told(asked.deal))])
        return asked.deal, asked
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        told = _generic(body)
        if not isinstance(told, dict) or not isinstance(told.get("deal"), dict):
            raise _unlike('{"deal": {…}}', "deal") from None
        if isinstance(told.get("creator_ids"), list) and len(told["creator_ids"]) > MOST_ITEMS:
            raise _too_many(len(told["creator_ids"])) from None
        raise _faulty(_faults(told["deal"], None, "/deal"), error) from None


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
        creator_id=[_required(i.creator_id) for i in items],
        brand=[_required(i.brand) for i in items],
        product_niche=[_required(i.product_niche) for i in items],
        product_country=[_optional(i.product_country) for i in items],
        objective=[_optional(i.objective) for i in items],
        starts_at=np.array(starts, np.int64),
        promotion_hours=np.array([i.promotion_hours for i in items], float),
        deliverables=deliverables,
        spend=np.array([i.spend for i in items], float),
    )


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
        detail = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise Problem(400, "not-json", f"The body is no JSON that can be read: {detail}.") from None


def _unlike(form: str, field: str) -> Problem:
    error = FieldError(f"the body must have the form {form}", field, pointer=f"/{field}")
    return Problem(422, "invalid-request", f"The body must have the form {form}.", [error])


def _too_many(found: int) -> Problem:
    return Problem(422, "too-many", f"{found:,} rows are too many: at most {MOST_ITEMS:,} in one request.")


def _faulty(errors: list[FieldError], error: Exception) -> Problem:
    if not errors:  # a part of the request that is no deal: the filters, the limit, the history
        return Problem(422, "invalid-request", f"{error}.", [FieldError(str(error))])
    first = errors[0]
    place = f"{first.table}, " if first.table else ""
    place += "" if first.row is None else f"row {first.row}, "
    return Problem(422, "invalid-items", f"{len(errors)} faults, first {place}{first.field}: {first.detail}", errors)


def _faults_of(items: list[Any], name: str) -> list[FieldError]:
    return [fault for row, item in enumerate(items) for fault in _faults(item, row, f"/{name}/{row}")]


def _faults(item: Any, row: int | None, pointer: str) -> list[FieldError]:
    """All that is wrong with a deal, field by field."""
    if not isinstance(item, dict):
        return [no_object(item, row, pointer)]
    found: list[FieldError] = []

    def check(name: str, meaning: str, required: bool, wrong: Wrong) -> None:
        if detail := fault(item.get(name), meaning, required, wrong):
            found.append(FieldError(detail, name, row, f"{pointer}/{name}"))

    if row is not None:
        check("creator_id", "who is asked about", True, wrong_text)
        check("candidate_id", "", False, wrong_text)
    for name, meaning in TEXTS.items():
        check(name, meaning, True, wrong_text)
    check("starts_at", "when the promotion goes live", True, wrong_time)
    for name, meaning in NUMBERS.items():
        check(name, meaning, True, wrong_number)
    for name, meaning in OPTIONAL_TEXTS.items():
        check(name, meaning, False, wrong_text)
    check("deliverables", "", False, wrong_count)
    for name in OUTCOMES:
        if name in item:
            detail = "it cannot be known beforehand: leave the field out"
            found.append(FieldError(detail, name, row, f"{pointer}/{name}"))
    return found
