"""All that is wrong with a request, field by field: asked only once a request could not be read as a whole."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from service.api.near import escaped, meant, near
from service.api.request_history import faults_of
from service.api.request_values import (
    Wrong,
    as_text,
    fault,
    no_object,
    shown,
    wrong_count,
    wrong_number,
    wrong_text,
    wrong_time,
)  # fmt: skip
from service.problems import FieldError

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
DEAL = (*TEXTS, "starts_at", *NUMBERS, *OPTIONAL_TEXTS, "deliverables")
ITEM = ("creator_id", "candidate_id", *DEAL)
SCORE, RANK = ("items", "history"), ("deal", "creator_ids", "filters", "limit")
LISTS = ("platform", "niche", "tier", "country", "language")
BOUNDS = ("followers_min", "followers_max")


def score_faults(told: dict[str, Any]) -> list[FieldError]:
    """Of a request for scores, whose items are a list."""
    found = _strange(told, SCORE, "")
    for row, item in enumerate(told["items"]):
        found += _deal_faults(item, row, f"/items/{row}")
    return found + repeated([_key(item) for item in told["items"]]) + faults_of(told.get("history"))


def rank_faults(told: dict[str, Any]) -> list[FieldError]:
    """Of a request for a ranking, whose deal is an object."""
    found = _strange(told, RANK, "")
    found += _deal_faults(told["deal"], None, "/deal")
    found += _list_faults(told.get("creator_ids"), "creator_ids", "/creator_ids", _wrong_key)
    filters = told.get("filters", {})
    if not isinstance(filters, dict):
        found.append(FieldError(f"an object is needed, received {shown(filters)}", "filters", pointer="/filters"))
    else:
        found += _strange(filters, LISTS + BOUNDS, "/filters")
        for name in LISTS:
            found += _list_faults(filters.get(name), name, f"/filters/{name}", _wrong_word)
        for name in BOUNDS:
            value = filters.get(name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
                detail = f"a number is needed, received {shown(value)}"
                found.append(FieldError(detail, name, pointer=f"/filters/{name}"))
    if "limit" in told and (wrong := wrong_count(told["limit"], 1, MOST_ITEMS)):
        found.append(FieldError(f"{wrong}, received {shown(told['limit'])}", "limit", pointer="/limit"))
    return found


def misplaced(deal: dict[str, Any]) -> list[FieldError]:
    """Members of a deal that would choose creators if they stood beside it."""
    meant = {one: one for one in ("creator_ids", "filters", "limit")} | {"creator_id": "creator_ids"}
    return [
        FieldError(f"it is not read here: did you mean {right!r} beside the deal?", name, pointer=f"/deal/{name}")
        for name, right in meant.items()
        if name in deal
    ]


def repeated(candidates: Sequence[str | None]) -> list[FieldError]:
    """candidate_ids that an earlier item has too: scores are told apart by them."""
    first: dict[str, int] = {}
    found = []
    for row, one in enumerate(candidates):
        if one and first.setdefault(one, row) != row:
            detail = f"row {first[one]} has it too, received {shown(one)}"
            found.append(FieldError(detail, "candidate_id", row, f"/items/{row}/candidate_id"))
    return found


def _key(item: Any) -> str | None:
    value = item.get("candidate_id") if isinstance(item, dict) else None
    return None if value is None or wrong_text(value) else as_text(value)


def _strange(told: dict[str, Any], known: Collection[str], pointer: str) -> list[FieldError]:
    """Members that there are not."""
    found = []
    for name in told.keys() - known:
        like = near(name, [one for one in known if one not in told])
        hint = f"did you mean {like!r}?" if like else f"there are {', '.join(known)}"
        found.append(FieldError(f"there is no such member; {hint}", name[:60], pointer=f"{pointer}/{escaped(name)}"))
    return sorted(found, key=lambda one: str(one.field))


def _list_faults(value: Any, name: str, pointer: str, wrong: Callable[[Any], str | None]) -> list[FieldError]:
    if value is None:
        return []
    if not isinstance(value, list):
        return [FieldError(f"a list is needed, received {shown(value)}", name, pointer=pointer)]
    return [
        FieldError(f"{detail}, received {shown(one)}", name, pointer=f"{pointer}/{place}")
        for place, one in enumerate(value)
        if (detail := wrong(one))
    ]


def _wrong_key(value: Any) -> str | None:
    return "a text or a whole number is needed" if value == "" else wrong_text(value)


def _wrong_word(value: Any) -> str | None:
    return None if isinstance(value, str) else "a text is needed"


def _deal_faults(item: Any, row: int | None, pointer: str) -> list[FieldError]:
    """All that is wrong with a deal, field by field."""
    if not isinstance(item, dict):
        return [no_object(item, row, pointer)]
    found: list[FieldError] = []
    known = (*(DEAL if row is None else ITEM), *OUTCOMES)

    def check(name: str, meaning: str, required: bool, wrong: Wrong) -> None:
        if detail := fault(item.get(name), meaning, required, wrong):
            detail += meant(item, name, known)
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
