"""Keys that stand twice in an object of a request. JSON's readers keep the last of them, so one value would be lost."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from features.history.column_types import kind_of
from service.api.misspelt import escaped
from service.api.request_types import DEAL_COLUMNS, Item
from service.problems import FieldError

_FIELDS = msgspec.structs.fields(Item)
_OPTIONAL = [one.name for one in _FIELDS if one.default is None]
_REQUIRED = [one.name for one in _FIELDS if one.required]
_TIMES = [name for name, column in DEAL_COLUMNS.items() if kind_of(column) == "time"]


def possible(body: bytes, values: Mapping[str, Sequence[Any]]) -> bool:
    """Whether a body of nothing but items may repeat a key: False is certain, and costs little. values: of the items,
    by field.

    Every key has its colon, and so have times; where there are no more colons than that, no key stands twice.
    """
    if b"\\" in body:  # a colon may be written as an escape
        return True
    items = len(values[_REQUIRED[0]])
    colons = 1 + len(_REQUIRED) * items
    colons += sum(items - values[name].count(None) for name in _OPTIONAL)
    colons += sum("".join(values[name]).count(":") for name in _TIMES)
    return body.count(b":") != colons


class _Object(dict[str, Any]):
    """An object of JSON. twice: its keys that stood more than once."""

    twice: tuple[str, ...] = ()

    @classmethod
    def of(cls, pairs: list[tuple[str, Any]]) -> _Object:
        made = cls(pairs)
        if len(made) < len(pairs):
            counted = Counter(name for name, _ in pairs)
            made.twice = tuple(name for name, count in counted.items() if count > 1)
        return made


def faults(body: bytes) -> list[FieldError]:
    """The keys that stand twice, in those objects of a request that are read. body: JSON that was read already."""
    text = body.decode("utf-8", "replace")
    tree = json.loads(text, object_pairs_hook=_Object.of, parse_int=str, parse_float=str, strict=False)
    detail = "it is there more than once in the same object: leave one"
    return [
        FieldError(detail, name[:60], row, f"{pointer}/{escaped(name)}", table)
        for one, pointer, row, table in _objects(tree)
        for name in one.twice
    ]


def _objects(tree: Any) -> Iterator[tuple[_Object, str, int | None, str | None]]:
    """The objects that are read, with pointer, row and table."""
    if not isinstance(tree, _Object):
        return
    yield tree, "", None, None
    history = tree.get("history")
    tables = history if isinstance(history, _Object) else {}
    for name, one in (("deal", tree.get("deal")), ("filters", tree.get("filters")), ("history", history)):
        if isinstance(one, _Object):
            yield one, f"/{name}", None, None
    lists = [("/items", tree.get("items"), None), *((f"/history/{name}", rows, name) for name, rows in tables.items())]
    for pointer, rows, table in lists:
        for row, one in enumerate(rows if isinstance(rows, list) else []):
            if isinstance(one, _Object):
                yield one, f"{pointer}/{row}", row, table
