"""Keys that meet no other, and names that are written in several ways: what is said of them, with counts.

Nothing is repaired here: `features.history.casting` says which spellings are read as one, and all others count as
different.
"""

from __future__ import annotations

from collections.abc import Mapping

import ibis
import ibis.expr.types as ir

from features.faults import shorten

SHOWN = 3
# what meets by name: columns of the history that hold the same kind of name
NAMES = {
    "platform": (("creators", "platform"),),
    "niche": (("creators", "niche"), ("posts", "niche"), ("collaborations", "product_niche")),
    "brand": (("collaborations", "brand"), ("posts", "brand")),
    "country": (("creators", "country"), ("collaborations", "product_country")),
    "language": (("creators", "language"),),
    "objective": (("collaborations", "objective"),),
}


@ibis.udf.scalar.builtin
def strip_accents(text: str) -> str:  # type: ignore[empty-body]
    """The engine's own."""


def _folded(key: ir.StringColumn) -> ir.StringColumn:
    """What near forms have in common: letters and digits without case, accents and leading zeros; of a link its end."""
    plain = strip_accents(key.re_extract(r"([^/]+)/*$", 1).lower()).re_replace(r"[^\p{L}\p{N}]+", "")
    return plain.re_replace("^0+([0-9])", r"\1")


def near(strange: ir.StringColumn, known: ir.StringColumn) -> str:
    """How keys that are not among the `known` look like some that are: "'@a' looks like 'a'"; empty if none does."""
    asked = strange.name("strange").as_table().distinct()
    held = known.name("known").as_table().filter(lambda t: t.known.notnull())
    asked, held = asked.mutate(fold=_folded(asked.strange)), held.mutate(fold=_folded(held.known))
    held = held.filter(held.fold != "").group_by("fold").agg(known=held.known.min())
    pairs = asked.inner_join(held, "fold").order_by("strange").limit(SHOWN).to_pyarrow().to_pylist()
    return "; ".join(f"{shorten(pair['strange'])} looks like {shorten(pair['known'])}" for pair in pairs)


def unmatched(
    where: str, keys: ir.StringColumn, known: ir.StringColumn, parent: str, *, few: bool = True, new: bool = False
) -> list[str]:
    """A sentence on keys that are not among the `known` ones, where most are not or some look like one.

    few: whether to look at all where most are known. new: whether strange ones are ordinary unless they look like one.
    """
    rows, held = keys.name("key").as_table(), known.name("held").as_table().distinct()
    rows = rows.filter(rows.key.notnull())
    rows = rows.left_join(held, rows.key == held.held)
    counts = rows.aggregate(total=rows.count(), missing=rows.held.isnull().sum()).to_pyarrow().to_pylist()[0]
    total, missing = counts["total"], counts["missing"] or 0
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


def several_spellings(tables: Mapping[str, ir.Table | None]) -> list[str]:
    """A sentence for each kind of name of which some differ in case or blanks alone."""
    parts = [
        table.select(kind=ibis.literal(kind), name=table[column])
        for kind, columns in NAMES.items()
        for name, column in columns
        if (table := tables.get(name)) is not None
    ]
    names = ibis.union(*parts)
    counted = names.filter(names["name"].notnull()).group_by("kind", "name").agg(rows=ibis._.count())
    alike: dict[str, dict[str, list[str]]] = {kind: {} for kind in NAMES}
    for row in counted.order_by("kind", "name").to_pyarrow().to_pylist():
        same = alike[row["kind"]].setdefault(" ".join(row["name"].casefold().split()), [])
        same.append(f"{shorten(row['name'])} ({row['rows']:,} row{'s' if row['rows'] > 1 else ''})")
    said = []
    for kind, spellings in alike.items():
        if several := [written for written in spellings.values() if len(written) > 1]:
            count = "1 name is" if len(several) == 1 else f"{len(several):,} names are"
            first = " and ".join(several[0][:SHOWN])
            said.append(f"{kind}: {count} written in several ways, which count as different names: {first}")
    return said
