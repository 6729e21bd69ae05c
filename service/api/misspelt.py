"""Fields that are not read but look like one that is: extra columns are allowed, misspelt ones are reported."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

from service.problems import FieldError

ALIKE = 0.85  # of difflib's ratio: one letter more or less in a name of four


def closest(name: str, known: Iterable[str]) -> str | None:
    """The known name that a name is likely meant to be."""
    return _closest(name[:60], tuple(known))


@lru_cache(512)
def _closest(name: str, known: tuple[str, ...]) -> str | None:
    plain = {_plain(one): one for one in known}
    found = get_close_matches(_plain(name), plain, 1, ALIKE)
    return plain[found[0]] if found else None


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).casefold()


def hint(row: Mapping[str, Any], missing: str, known: Collection[str]) -> str:
    """What to add to the fault of a missing field, where the row has one of another name that looks like it."""
    if row.get(missing) not in (None, ""):
        return ""
    other = next((name for name in row if name not in known and closest(name, [missing])), None)
    return f"; {other[:60]!r} is not read: did you mean {missing!r}?" if other is not None else ""


def misspelt(rows: Any, known: Collection[str], pointer: str, table: str | None = None) -> list[FieldError]:
    """Fields of rows that are not read, but look like a known one that the row does not have: each once."""
    found: dict[tuple[str, str], list[int]] = {}
    for number, row in enumerate(rows if isinstance(rows, list) else []):
        if not isinstance(row, dict) or row.keys() <= set(known):
            continue
        absent = [name for name in known if name not in row]
        for name in row:
            if name not in known and (like := closest(name, absent)):
                found.setdefault((name, like), []).append(number)
    return [
        FieldError(
            f"it is not read ({len(at):,} {'row' if len(at) == 1 else 'rows'}): did you mean {like!r}?",
            name[:60], at[0], f"{pointer}/{at[0]}/{escaped(name)}", table,
        )
        for (name, like), at in found.items()
    ]  # fmt: skip


def escaped(name: str) -> str:
    """A name in a pointer, as RFC 6901 writes it."""
    return name[:60].replace("~", "~0").replace("/", "~1")
