"""All that is wrong with a request, field by field: looked for only once a request could not be read as a whole."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Sequence
from typing import Any

from features.history.contract import CANDIDATES
from service.api.misspelt import closest, escaped, hint
from service.api.request_history import faults_of
from service.api.request_types import (
    BOUNDS,
    DEAL_COLUMNS,
    LISTS,
    MOST_ITEMS,
    OF_ITEM,
    REFUSED,
    RankRequest,
    ScoreRequest,
)
from service.api.request_values import (
    as_text,
    fault,
    no_object,
    shown,
    values_of,
    wrong_count,
    wrong_number,
    wrong_text,
)  # fmt: skip
from service.problems import FieldError

SCORE, RANK = ScoreRequest.__struct_fields__, RankRequest.__struct_fields__
_COLUMNS = {name: (column, values_of(column)[1]) for name, column in CANDIDATES.columns.items()}


def score_faults(request: dict[str, Any]) -> list[FieldError]:
    """Of a request for scores, whose items are a list."""
    found = _strange(request, SCORE, "")
    for row, item in enumerate(request["items"]):
        found += _deal_faults(item, row, f"/items/{row}")
    return found + repeated([_key(item) for item in request["items"]]) + faults_of(request.get("history"))


def rank_faults(request: dict[str, Any]) -> list[FieldError]:
    """Of a request for a ranking, whose deal is an object."""
    found = _strange(request, RANK, "")
    found += _deal_faults(request["deal"], None, "/deal")
    found += _list_faults(request.get("creator_ids"), "creator_ids", "/creator_ids", _wrong_key)
    found += _filter_faults(request.get("filters", {}))
    if "limit" in request and (wrong := wrong_count(request["limit"], 1, MOST_ITEMS)):
        found.append(FieldError(f"{wrong}, received {shown(request['limit'])}", "limit", pointer="/limit"))
    return found


def _filter_faults(filters: Any) -> list[FieldError]:
    if not isinstance(filters, dict):
        return [FieldError(f"an object is needed, received {shown(filters)}", "filters", pointer="/filters")]
    found = _strange(filters, LISTS + BOUNDS, "/filters")
    for name in LISTS:
        found += _list_faults(filters.get(name), name, f"/filters/{name}", _wrong_word)
    for name in BOUNDS:
        value = filters.get(name)
        if value is not None and (wrong := wrong_number(value, -sys.float_info.max, most=sys.float_info.max)):
            found.append(FieldError(f"{wrong}, received {shown(value)}", name, pointer=f"/filters/{name}"))
    return found


def misplaced(deal: dict[str, Any]) -> list[FieldError]:
    """Members of a deal that would choose creators if they stood beside it."""
    places = {one: one for one in RANK if one != "deal"} | {"creator_id": "creator_ids"}
    return [
        FieldError(f"it is not read here: did you mean {right!r} beside the deal?", name, pointer=f"/deal/{name}")
        for name, right in places.items()
        if name in deal
    ]


def repeated(candidates: Sequence[str | None]) -> list[FieldError]:
    """candidate_ids that an earlier item has too: they tell the scores apart."""
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


def _strange(members: dict[str, Any], known: Collection[str], pointer: str) -> list[FieldError]:
    """Members that do not exist."""
    found = []
    for name in members.keys() - known:
        like = closest(name, [one for one in known if one not in members])
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
    blank = isinstance(value, str) and not as_text(value)
    return "a text or a whole number is needed" if blank else wrong_text(value)


def _wrong_word(value: Any) -> str | None:
    return None if isinstance(value, str) else "a text is needed"


def _deal_faults(item: Any, row: int | None, pointer: str) -> list[FieldError]:
    """All that is wrong with a deal, or with an item where it has a row, field by field."""
    if not isinstance(item, dict):
        return [no_object(item, row, pointer)]
    names = (*(() if row is None else OF_ITEM), *DEAL_COLUMNS)
    found: list[FieldError] = []
    for name in names:
        column, wrong = _COLUMNS[name]
        if name == "candidate_id" and item.get(name) in (None, ""):
            continue  # a list needs it, a request does not
        if detail := fault(item.get(name), column, wrong):
            found.append(FieldError(detail + hint(item, name, (*names, *REFUSED)), name, row, f"{pointer}/{name}"))
    for name in REFUSED:
        if name in item:
            detail = "it cannot be known beforehand: leave the field out"
            found.append(FieldError(detail, name, row, f"{pointer}/{name}"))
    return found
