"""Requests read from JSON: at the speed of C where all is well, field by field where it is not."""

from __future__ import annotations

import codecs
import json
import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import fields
from operator import attrgetter
from typing import Any, TypeVar

import msgspec
import numpy as np

from features.history.column_types import kind_of
from models.newest.assembler import Terms
from service.api import repeated_keys
from service.api.misspelt import hint, misspelt
from service.api.request_faults import RANK, SCORE, misplaced, rank_faults, repeated, score_faults
from service.api.request_history import History, notices_of
from service.api.request_types import (
    DEAL_COLUMNS,
    MOST_ITEMS,
    OF_ITEM,
    REFUSED,
    Deal,
    Filters,
    RankRequest,
    ScoreRequest,
    StrictRankRequest,
    StrictScoreRequest,
)
from service.api.request_values import Key, Text, as_text, micros, shown
from service.problems import FieldError, Problem

# the strict ones first: only where a field is not read need anybody look whether it is misspelt
_strict_score, _strict_rank = msgspec.json.Decoder(StrictScoreRequest), msgspec.json.Decoder(StrictRankRequest)
_score, _rank = msgspec.json.Decoder(ScoreRequest), msgspec.json.Decoder(RankRequest)
Notices = list[FieldError]
Values = dict[str, tuple[Any, ...]]  # by field, of all items
T = TypeVar("T")
_DEALS = ("/items/", "/deal/", "/history")


def read_score(body: bytes) -> tuple[Terms, list[str | None], History | None, Notices]:
    """The terms of all items, their candidate_ids, the history beside them, and what is worth a notice.

    Raises Problem naming rows and fields.
    """
    notices: Notices = []
    try:
        try:
            request: ScoreRequest = _strict_score.decode(body)
            plain = True
        except msgspec.ValidationError:
            request = _score.decode(body)
            members = _generic(body)
            notices = misspelt(members["items"], (*OF_ITEM, *DEAL_COLUMNS, *REFUSED), "/items")
            notices += notices_of(members.get("history"))
            plain = False
        values = _values(_of_item, _ITEM, request.items)
        candidates = [None if one is None else as_text(one) for one in values["candidate_id"]]
        terms = Terms(creator_id=list(map(_REQUIRED.__getitem__, values["creator_id"])), **_columns(values))
        if not plain or request.history is not None or repeated_keys.possible(body, values):
            _require_keys_once(body)
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        members = _generic(body)
        if not isinstance(members, dict) or not isinstance(members.get("items"), list):
            raise _unlike('{"items": […]}', "items", members, SCORE) from None
        if len(members["items"]) > MOST_ITEMS:
            raise _too_many(len(members["items"])) from None
        raise _faulty(repeated_keys.faults(body) + score_faults(members), error) from None
    named = [one for one in candidates if one]
    if len(set(named)) < len(named) and (twice := repeated(candidates)):
        raise _faulty(twice, ValueError("candidate_id"))
    return terms, candidates, request.history, notices


def read_rank(body: bytes) -> tuple[Deal, RankRequest, Notices]:
    """One deal, for whom, and what is worth a notice. Raises Problem naming fields."""
    notices: Notices = []
    try:
        try:
            request: RankRequest = _strict_rank.decode(body)
        except msgspec.ValidationError:
            request = _rank.decode(body)
            notices = _deal_notices(_generic(body)["deal"])
        if request.limit % 1:
            raise ValueError("limit: a whole number is needed")
        if request.creator_ids is not None:
            request.creator_ids = [_required(one) for one in request.creator_ids]
            notices += _twice(request.creator_ids)
        for_creators(request.deal, [])
        _require_keys_once(body)
        return request.deal, request, notices + _empty(request.filters)
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        members = _generic(body)
        if not isinstance(members, dict) or not isinstance(members.get("deal"), dict):
            raise _unlike('{"deal": {…}}', "deal", members, RANK) from None
        if isinstance(members.get("creator_ids"), list) and len(members["creator_ids"]) > MOST_ITEMS:
            raise _too_many(len(members["creator_ids"])) from None
        raise _faulty(repeated_keys.faults(body) + rank_faults(members), error) from None


def _require_keys_once(body: bytes) -> None:
    if twice := repeated_keys.faults(body):
        raise _faulty(twice, ValueError("a key stands twice"))


def _deal_notices(deal: dict[str, Any]) -> Notices:
    """Fields of a deal that are not read, where they look like one that is or stand in the wrong place."""
    found = misspelt([deal], (*DEAL_COLUMNS, *REFUSED), "")
    places = [msgspec.structs.replace(one, row=None, pointer=f"/deal{str(one.pointer)[2:]}") for one in found]
    return places + misplaced(deal)


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
    n = len(creator_ids)
    columns: dict[str, Any] = {
        name: v.repeat(n) if isinstance(v, np.ndarray) else v * n
        for name, v in _columns(_values(_of_deal, DEAL_COLUMNS, [deal])).items()
    }
    return Terms(creator_id=creator_ids, **columns)


def _values(read: attrgetter[tuple[Any, ...]], names: Collection[str], deals: Sequence[Deal]) -> Values:
    """By column, the values of deals as they came."""
    if not deals:
        return dict.fromkeys(names, ())
    return dict(zip(names, zip(*map(read, deals), strict=True), strict=True))


def _columns(values: Values) -> dict[str, Any]:
    """By column, the terms of deals: times in microseconds since 1970, a count that is not known as NaN. Raises
    ValueError where a field says what no deal can be.
    """
    columns: dict[str, Any] = {name: list(map(read, values[name])) for name, read in _READ.items()}
    for name in _TIMES:
        columns[name] = np.array(columns[name], np.int64)
    numbers = np.array([columns.get(name, values[name]) for name in _NUMBERS], float)
    columns.update(zip(_NUMBERS, numbers, strict=True))
    return columns


class _Memory(dict[Any, T]):
    """What `read` makes of a value; those of earlier requests are looked up, at the speed of C."""

    MOST, LONGEST = 100_000, 64  # values and characters of each, so that nobody fills the worker's memory

    def __init__(self, read: Callable[[Any], T]) -> None:
        super().__init__()
        self.read = read

    def __missing__(self, value: Any) -> T:
        found = self.read(value)
        if not isinstance(value, str) or len(value) <= self.LONGEST:
            if len(self) >= self.MOST:
                self.clear()
            self[value] = found
        return found


def _required(value: Text) -> str:
    if not (text := as_text(value)):
        raise ValueError("a text is needed")
    return text


def _optional(value: Key | None) -> str | None:
    return None if value is None else as_text(value) or None


def _count(value: float | None) -> float:
    if value is None:
        return math.nan
    if value % 1:
        raise ValueError("a whole number is needed")
    return value


_REQUIRED, _OPTIONAL, _MOMENTS, _COUNTS = _Memory(_required), _Memory(_optional), _Memory(micros), _Memory(_count)
_KINDS = {term.name: kind_of(DEAL_COLUMNS[term.name]) for term in fields(Terms) if term.name in DEAL_COLUMNS}
_TIMES = [name for name, kind in _KINDS.items() if kind == "time"]
_NUMBERS = [name for name, kind in _KINDS.items() if kind in ("number", "hours", "count")]


def _reader(name: str) -> Callable[[Any], Any] | None:
    """What each value of a column goes through; None for numbers, which are taken as they are."""
    text = _REQUIRED if DEAL_COLUMNS[name].required else _OPTIONAL
    memories: dict[str, _Memory[Any]] = {"text": text, "time": _MOMENTS, "count": _COUNTS}
    memory = memories.get(_KINDS[name])
    return None if memory is None else memory.__getitem__


_READ = {name: read for name in _KINDS if (read := _reader(name)) is not None}
_ITEM = (*OF_ITEM, *DEAL_COLUMNS)
_of_item, _of_deal = attrgetter(*_ITEM), attrgetter(*DEAL_COLUMNS)


class _Literal(float):
    """A number that shows itself as it was written."""

    def __new__(cls, text: str) -> _Literal:
        made = super().__new__(cls, text)
        made.text = text
        return made

    text: str

    def __repr__(self) -> str:
        return self.text


def _generic(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except msgspec.ValidationError:  # a number that no float can hold, such as 1e400: its field is named by the faults
        return json.loads(body, parse_int=_Literal, parse_float=_Literal)
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        raise Problem(400, "not-json", f"The body is no JSON that can be read: {_why(body, error)}.") from None


def _why(body: bytes, error: Exception) -> str:
    if not body.strip():
        return "it is empty"
    if body.startswith((codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "it begins with a byte-order mark; send UTF-8 without one"
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)


def _unlike(form: str, field: str, members: Any, known: tuple[str, ...]) -> Problem:
    detail = f"the body must have the form {form}{hint(members, field, known) if isinstance(members, dict) else ''}"
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
