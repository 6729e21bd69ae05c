"""Notes, with counts, on keys that match no other and on names that are written in several ways.

Nothing is repaired here: `features.history.casting` says which spellings are read as one, and all others count as
different.
"""

from __future__ import annotations

import functools
import tempfile
import unicodedata
from collections.abc import Hashable, Mapping

import ibis
import ibis.expr.types as ir

from features.engines import compiled
from features.engines.duckdb import connect, engine_of, stands_in_duckdb
from features.faults import shorten

SHOWN = 3
EXACT_DIGITS = 15  # of a whole number in a spreadsheet
# what meets by name: columns of the history that hold the same kind of name
NAMES = {
    "platform": (("creators", "platform"),),
    "niche": (("creators", "niche"), ("posts", "niche"), ("collaborations", "product_niche")),
    "brand": (("collaborations", "brand"), ("posts", "brand")),
    "country": (("creators", "country"), ("collaborations", "product_country")),
    "language": (("creators", "language"),),
    "objective": (("collaborations", "objective"),),
}


# Letters and digits that look like plain ones: full-width and styled forms, then Cyrillic, Greek and crossed letters.
_LOOK_ALIKES = {
    mark: plain.lower()
    for mark in map(chr, (*range(0xFF10, 0xFF5B), *range(0x1D400, 0x1D800)))
    if (plain := unicodedata.normalize("NFKC", mark)).isascii() and plain.isalnum()
} | dict(
    zip(
        "авекмнорстухіїјѕԁԛԝһӏьαβεζηικμνορτυχıłøđ",
        "abekmhopctyxiijsdqwhlbabezhikmnoptyxilod",
        strict=True,
    )
)
_LINK_TAILS = r"(/(videos?|reels?|shorts|about|posts|tagged|featured|live|streams|feed))+/*$"
_SHORTENED = r"^[0-9](\.[0-9]+)?[eE]\+?[0-9]+$"  # as a spreadsheet shows a long number


@ibis.udf.scalar.builtin
def strip_accents(text: str) -> str:  # type: ignore[empty-body]
    """The engine's own."""


@ibis.udf.scalar.builtin
def printf(form: str, number: float) -> str:  # type: ignore[empty-body]
    """The engine's own."""


@ibis.udf.scalar.builtin
def strlen(text: str) -> int:  # type: ignore[empty-body]
    """The engine's own: bytes."""


def _folded(key: ir.StringColumn) -> ir.StringColumn:
    """What near forms have in common: letters and digits without case, accents and leading zeros; of a link the name of
    the account."""
    lower = key.lower()
    path = lower.re_replace(r"[?#].*$", "").replace("%40", "@").re_replace(_LINK_TAILS, "")
    handle = path.re_extract(r"/(@[^/]+)", 1)
    end = path.re_extract(r"([^/]+)/*$", 1)
    name = lower.contains("/").ifelse((handle != "").ifelse(handle, end), lower)
    plain = strip_accents(name)
    plain = (strlen(plain) == plain.length()).ifelse(
        plain, plain.translate("".join(_LOOK_ALIKES), "".join(_LOOK_ALIKES.values()))
    )
    return plain.re_replace(r"[^\p{L}\p{N}]+", "").re_replace("^0+([0-9])", r"\1")


def near(strange: ir.StringColumn, known: ir.StringColumn) -> str:
    """How keys that are not among the `known` look like some that are: "'@a' looks like 'a'"; empty if none does."""
    if stands_in_duckdb(strange):
        return _near(strange, known)
    with tempfile.TemporaryDirectory() as scratch:  # its functions are DuckDB's
        here = connect(None, None, scratch)
        try:
            for name, column in (("strange", strange), ("known", known)):
                here.put(name, column.name(name).as_table().distinct().to_pyarrow())
            return _near(here.table("strange").strange, here.table("known").known)
        finally:
            here.close()


def _near(strange: ir.StringColumn, known: ir.StringColumn) -> str:
    missing = strange.name("strange").as_table().distinct()
    held = known.name("known").as_table().filter(lambda t: t.known.notnull())
    pairs = _rounded(missing, held)
    missing, held = missing.mutate(fold=_folded(missing.strange)), held.mutate(fold=_folded(held.known))
    held = held.filter(held.fold != "").group_by("fold").agg(known=held.known.min())
    found = missing.inner_join(held, "fold").order_by("strange").limit(SHOWN).to_pyarrow().to_pylist()
    pairs = {pair["strange"]: pair["known"] for pair in found} | pairs
    return "; ".join(f"{shorten(key)} looks like {shorten(other)}" for key, other in [*pairs.items()][:SHOWN])


def _rounded(missing: ir.Table, held: ir.Table) -> dict[str, str]:
    """Keys that a spreadsheet rounded, each with one that it may have been: 1.23E+17, or zeros at the end."""
    zeros = missing.strange.re_search("^[0-9]{15}[0-9]*0$") & (missing.strange.length() > EXACT_DIGITS)
    rounded = missing.filter(missing.strange.re_search(_SHORTENED) | zeros).order_by("strange").limit(SHOWN)
    pairs = {}
    for key in rounded.strange.to_pyarrow().to_pylist():
        whole = held.known.re_search("^[0-9]+$")
        if key.isdigit():
            alike = (held.known.length() == len(key)) & held.known.startswith(key[:EXACT_DIGITS])
        else:
            digits, _, power = key.lower().replace("+", "").partition("e")
            form = f"%.{len(digits.partition('.')[2])}e"
            alike = printf(form, held.known.try_cast("float64")) == form % float(f"{digits}e{power}")
        if (other := held.filter(whole & alike).known.min().to_pyarrow().as_py()) is not None:
            pairs[key] = other
    return pairs


def unmatched(
    where: str,
    keys: ir.StringColumn,
    known: ir.StringColumn,
    parent: str,
    *,
    few: bool = True,
    new: bool = False,
    key: Hashable,
) -> list[str]:
    """A sentence on keys that are not among the `known` ones, where most are not or some look like one.

    few: whether to look at all where most are known. new: whether strange ones are ordinary unless they look like one.
    key: all that the columns depend on.
    """
    rows, held = keys.name("key").as_table(), known.name("held").as_table().distinct()
    rows = rows.filter(rows.key.notnull())
    rows = rows.left_join(held, rows.key == held.held)

    def counted() -> ir.Table:
        return rows.aggregate(total=rows.count(), missing=rows.count(where=rows.held.isnull()))

    total, missing = compiled.rows(engine_of(rows), (where, key), counted)[0].values()
    most = 2 * missing >= total
    if not missing or not (few or most):
        return []
    strange = rows.filter(rows.held.isnull()).key
    alike = near(strange, known)
    if not alike and (new or not most):
        return []
    if not alike:
        first, one = (column.min().to_pyarrow().as_py() for column in (strange, known))
        alike = f"such as {shorten(first)}" + (f"; there it is written {shorten(one)}" if one is not None else "")
    return [f"{where}: {missing:,} of {total:,} rows ({100 * missing / total:.0f} %) name none of {parent}: {alike}"]


def _names(tables: Mapping[str, ir.Table]) -> ir.Table:
    """Every kind of name, each name in it, and in how many rows."""
    parts = [
        table.select(kind=ibis.literal(kind), name=table[column])
        for kind, columns in NAMES.items()
        for name, column in columns
        if (table := tables.get(name)) is not None
    ]
    names = ibis.union(*parts)
    return (
        names.filter(names["name"].notnull()).group_by("kind", "name").agg(rows=ibis._.count()).order_by("kind", "name")
    )


def several_spellings(tables: Mapping[str, ir.Table | None]) -> list[str]:
    """A sentence for each kind of name of which some differ in case or blanks alone."""
    there = {name: table for name, table in tables.items() if table is not None}
    engine, key = engine_of(there["creators"]), ("names", compiled.shape(there))
    alike: dict[str, dict[str, list[str]]] = {kind: {} for kind in NAMES}
    for row in compiled.rows(engine, key, functools.partial(_names, there)):
        same = alike[row["kind"]].setdefault(" ".join(row["name"].casefold().split()), [])
        same.append(f"{shorten(row['name'])} ({row['rows']:,} row{'s' if row['rows'] > 1 else ''})")
    notes = []
    for kind, spellings in alike.items():
        if several := [written for written in spellings.values() if len(written) > 1]:
            count = "1 name is" if len(several) == 1 else f"{len(several):,} names are"
            first = " and ".join(several[0][:SHOWN])
            notes.append(f"{kind}: {count} written in several ways, which count as different names: {first}")
    return notes
