"""What may be asked, read from JSON: at the speed of C where all is well, field by field where it is not."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import UNSET, Meta, UnsetType

from service.assembly import Terms
from service.problems import FieldError, Problem

MOST_ITEMS, MOST_ROWS, MOST_BYTES = 10_000, 20_000, 8 * 2**20
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EARLIEST, LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
MICROSECOND = 10**6
Text = Annotated[str, Meta(min_length=1)] | int
SMALLEST, LARGEST = 1e-9, 1e15  # beyond these a score may have no finite number
Above0 = Annotated[float, Meta(ge=SMALLEST, le=LARGEST)]
AtLeast1 = Annotated[float, Meta(ge=1, le=LARGEST, extra_json_schema={"multipleOf": 1})]
_DAY = (
    r"(20\d\d-((0[13578]|1[02])-(0[1-9]|[12]\d|3[01])|(0[469]|11)-(0[1-9]|[12]\d|30)|02-(0[1-9]|1\d|2[0-8]))"
    r"|20([02468][048]|[13579][26])-02-29)"
)
_TIME = r"([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,6})?)?(Z|[+-](0\d|1[0-4]):[0-5]\d)?"
Moment = Annotated[str, Meta(extra_json_schema={"pattern": f"^{_DAY}([T ]{_TIME})?$"})]

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
    product_country: str | int | None = None
    objective: str | int | None = None
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
    candidate_id: str | int | None = None


Cell = str | int | float | bool | None
Rows = Annotated[list[dict[str, Cell]], Meta(max_length=MOST_ROWS)]


class Told(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """The history of creators that the data does not know, in the contract's tables and columns."""

    creators: Rows
    posts: Rows = []
    comments: Rows = []
    collaborations: Rows = []
    conversions: Rows = []


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
    limit: Annotated[float, Meta(ge=1, le=MOST_ITEMS, extra_json_schema={"multipleOf": 1})] = 100


_score, _rank = msgspec.json.Decoder(ScoreRequest), msgspec.json.Decoder(RankRequest)


def read_score(body: bytes) -> tuple[Terms, list[str | None], Told | None]:
    """The terms of all items, their candidate_ids, and the history told. Raises Problem naming rows and fields."""
    try:
        asked = _score.decode(body)
        items = asked.items
        candidates = [None if i.candidate_id is None else str(i.candidate_id) for i in items]
        return terms(items), candidates, asked.history
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        told = _generic(body)
        if not isinstance(told, dict) or not isinstance(told.get("items"), list):
            raise _unlike('{"items": […]}', "items") from None
        if len(told["items"]) > MOST_ITEMS:
            raise _too_many(len(told["items"])) from None
        raise _faulty(_faults_of(told["items"], "items"), error) from None


def read_rank(body: bytes) -> tuple[Deal, RankRequest]:
    """One deal, and for whom. Raises Problem naming fields."""
    try:
        asked = _rank.decode(body)
        if asked.limit % 1:
            raise ValueError("limit: a whole number is needed")
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
        creator_id=[i.creator_id if type(i.creator_id) is str else str(i.creator_id) for i in items],
        brand=[i.brand if type(i.brand) is str else str(i.brand) for i in items],
        product_niche=[i.product_niche if type(i.product_niche) is str else str(i.product_niche) for i in items],
        product_country=[_optional(i.product_country) for i in items],
        objective=[_optional(i.objective) for i in items],
        starts_at=np.array(starts, np.int64),
        promotion_hours=np.array([i.promotion_hours for i in items], float),
        deliverables=deliverables,
        spend=np.array([i.spend for i in items], float),
    )


def micros(text: str) -> int:
    """Microseconds since 1970 of a moment in ISO 8601; one without a zone is UTC's. Raises ValueError."""
    at = datetime.fromisoformat(text)
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
    if not EARLIEST <= at < LATEST:
        raise ValueError("starts_at")
    since = at - EPOCH
    return (since.days * 86_400 + since.seconds) * MICROSECOND + since.microseconds


def _optional(value: str | int | None) -> str | None:
    if value is None or value == "":
        return None
    return value if type(value) is str else str(value)


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
    place = "" if first.row is None else f"row {first.row}, "
    return Problem(422, "invalid-items", f"{len(errors)} faults, first {place}{first.field}: {first.detail}", errors)


def _faults_of(items: list[Any], name: str) -> list[FieldError]:
    return [fault for row, item in enumerate(items) for fault in _faults(item, row, f"/{name}/{row}")]


def _faults(item: Any, row: int | None, pointer: str) -> list[FieldError]:
    """All that is wrong with a deal, field by field."""
    if not isinstance(item, dict):
        return [FieldError(f"an object is needed, received {_shown(item)}", None, row, pointer)]
    found: list[FieldError] = []

    def check(name: str, meaning: str, required: bool, wrong: Callable[[Any], str | None]) -> None:
        value = item.get(name)
        detail = None
        if value is None or value == "":
            detail = f"every row needs it: {meaning}" if required else None
        elif told := wrong(value):
            detail = f"{told}, received {_shown(value)}"
        if detail:
            found.append(FieldError(detail, name, row, f"{pointer}/{name}"))

    if row is not None:
        check("creator_id", "who is asked about", True, _wrong_text)
        check("candidate_id", "", False, _wrong_text)
    for name, meaning in TEXTS.items():
        check(name, meaning, True, _wrong_text)
    check("starts_at", "when the promotion goes live", True, _wrong_time)
    for name, meaning in NUMBERS.items():
        check(name, meaning, True, _wrong_number)
    for name, meaning in OPTIONAL_TEXTS.items():
        check(name, meaning, False, _wrong_text)
    check("deliverables", "", False, _wrong_count)
    for name in OUTCOMES:
        if name in item:
            detail = "it cannot be known beforehand: leave the field out"
            found.append(FieldError(detail, name, row, f"{pointer}/{name}"))
    return found


def _wrong_text(value: Any) -> str | None:
    return None if isinstance(value, str) or _whole(value) else "a text or a whole number is needed"


def _wrong_time(value: Any) -> str | None:
    if isinstance(value, str):
        try:
            micros(value)
            return None
        except ValueError as error:
            if str(error) == "starts_at":
                return "it is outside 2000-01-01 to 2100-01-01"
    return "a moment in ISO 8601 is needed, such as 2026-03-31T18:00:00Z"


def _wrong_number(value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "a number is needed"
    if value > LARGEST:
        return f"it is above {LARGEST:g}"
    if 0 < value < SMALLEST:
        return f"it is below {SMALLEST:g}"
    return None if value > 0 else "it is not above 0"


def _wrong_count(value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or value % 1:
        return "a whole number is needed"
    if value > LARGEST:
        return f"it is above {LARGEST:g}"
    return None if value >= 1 else "it is below 1"


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:59] + "…"
