"""Runs the contract on tables where they lie, and turns what fails into faults.

A table is read once for all its rules: each is a boolean expression, and one aggregate counts the rows that fail them.
Only a table that fails is read again, to find the first row of each rule and what it holds. Keys are compared by
hashes first, by value only if those repeat.
"""

import functools
import operator
from collections.abc import Callable, Collection, Hashable, Mapping
from dataclasses import dataclass
from datetime import datetime

import ibis
import ibis.expr.types as ir
import pandera.ibis as pa

from features.engines import compiled
from features.engines.duckdb import engine_of, stands_in_duckdb
from features.faults import Fault, shorten
from features.history.casting import cast, unreadable
from features.history.column_names import missing_columns
from features.history.column_types import EXACT, EXACT_SINGLE, KINDS, LATEST, Reference, carried, kind_of
from features.history.contract import TABLES
from features.history.spelling import near
from features.history.stray_rows import gather

ROW = "number of the row"
_AS_TEXT = "Export the column as text or as 64-bit whole numbers: two keys may be one by now."
Prepare = Callable[[ir.Table], tuple[ir.Table, Callable[[ir.Table], list["Rule"]]]]


@dataclass(frozen=True)
class Rule:
    """What must hold of a column: `fails` marks the rows in which it does not, `shows` is what was received there,
    `beside` what it disagrees with, `known` the keys that it is none of."""

    column: str
    problem: str
    remedy: str
    fails: ir.BooleanColumn
    shows: ir.Column | None
    beside: tuple[str, ir.Column] | None = None
    known: ir.Column | None = None


def check_table(
    schema: pa.DataFrameSchema,
    table: ir.Table,
    names: Collection[str],
    tables: Mapping[str, ir.Table],
    latest: datetime | None = None,
) -> list[Fault]:
    """All faults of one table, as it came with columns of `names`, beside the `tables` that it refers to.

    In this order: absent columns, values, references, keys. latest: `notes.latest_plausible`.
    """
    faults, key = missing_columns(schema, names), (schema.name, compiled.shape({"": table} | dict(tables)), latest)
    rows, found = _broken(schema, lambda t: main_rules(schema, t, tables, latest), table, key)
    if rows == 0 and not schema.metadata["optional"]:
        faults.append(Fault(schema.name, problem="the table has no rows", remedy="Export it again with its rows."))
    faults += found
    for reference in schema.metadata["references"]:
        applies = reference.unless and reference.column in table.columns
        if applies and _rows_needing(reference, table, key):
            faults += _broken(schema, orphan_rules(reference, tables), table, (reference, key))[1]
    return gather(schema, table, faults + _repeated(schema, table))


def _rows_needing(reference: Reference, table: ir.Table, key: Hashable) -> int:
    """How many rows `rows_needing` has. key: what the table's SQL depends on."""

    def counted() -> ir.Table:
        needing = rows_needing(reference, table)
        return needing.aggregate(rows=needing.count())

    return int(compiled.rows(engine_of(table), ("needing", reference, key), counted)[0]["rows"])


def casts(schema: pa.DataFrameSchema, table: ir.Table) -> dict[str, ir.Column]:
    """Each of the contract's columns in its type; NULLs where the table has none."""
    return {
        column: cast(table[column], kind_of(declared)) if column in table.columns else ibis.null(declared.dtype.type)
        for column, declared in schema.columns.items()
    }


def _received(column: str) -> str:
    return f"received {column}"


def _laid_out(schema: pa.DataFrameSchema, table: ir.Table) -> ir.Table:
    """Cast columns beside the received ones; the row's number too, if the table has it."""
    present = [column for column in schema.columns if column in table.columns]
    values = casts(schema, table)
    numbered = {ROW: table[ROW]} if ROW in table.columns else {}
    return table.select(
        **{column: values[column] for column in present}, **{_received(c): table[c] for c in present}, **numbered
    )


def _keyed(reference: Reference, tables: Mapping[str, ir.Table]) -> ir.Table | None:
    """One row per key of the parent: `key`, `carry`; None if the parent lacks the columns."""
    parent = tables.get(reference.parent)
    if parent is None or any(column not in parent.columns for column in (reference.key, *reference.carry)):
        return None
    values = casts(TABLES[reference.parent], parent)
    kept = parent.select(**{carried(reference.parent, c): values[c] for c in (reference.key, *reference.carry)})
    key, *carry = kept.columns
    kept = kept.filter(kept[key].notnull())
    if not carry:
        return kept.distinct()
    return kept.group_by(key).agg(**{name: getattr(kept[name], reference.gather)() for name in carry})


def main_rules(
    schema: pa.DataFrameSchema,
    table: ir.Table,
    tables: Mapping[str, ir.Table],
    latest: datetime | None,
    values: bool = True,
) -> tuple[ir.Table, Callable[[ir.Table], list[Rule]]]:
    """The table with its parents beside it, and its rules; without those of single `values` where these are known."""
    laid = _laid_out(schema, table)
    joined: list[Reference] = []
    for reference in schema.metadata["references"]:
        keyed = None if reference.unless else _keyed(reference, tables)
        if keyed is not None and reference.column in table.columns:
            laid = laid.left_join(keyed, laid[reference.column] == keyed[carried(reference.parent, reference.key)])
            joined.append(reference)
    return laid, lambda t: [
        *(_column_rules(schema, t) if values else ()),
        *_past_rules(schema, t, latest),
        *_row_rules(schema, t),
        *_reference_rules(joined, t, tables),
    ]


def _column_rules(schema: pa.DataFrameSchema, table: ir.Table) -> list[Rule]:
    rules = []
    for column, declared in schema.columns.items():
        if column not in table.columns:
            continue
        kind, given = KINDS[kind_of(declared)], table[_received(column)]
        if given.type().copy(nullable=True) != kind.dtype:
            cannot = unreadable(given, kind_of(declared))
            if kind_of(declared) == "text" and given.type().is_floating():
                lost = (
                    (given.abs() >= (EXACT if given.type().is_float64() else EXACT_SINGLE))
                    & ~given.isnan()
                    & ~given.isinf()
                )
                cannot = cannot & ~lost
                rules.append(Rule(column, "beyond what a float holds to the last digit", _AS_TEXT, lost, given))
            rules.append(Rule(column, f"unreadable as {kind.meaning}", kind.remedy, cannot, given))
        if not declared.nullable:
            lacks = table[column].isnull() if given.type().is_string() and kind is KINDS["text"] else given.isnull()
            if given.type().is_string():
                lacks = lacks | (given == "")
            rules.append(Rule(column, "without a value", f"Every row needs it: {declared.description}.", lacks, None))
        for check in declared.checks:
            holds = check(table, column).check_output
            rules.append(Rule(column, check.error, check.description, ~holds, table[column]))
    return rules


def _past_rules(schema: pa.DataFrameSchema, table: ir.Table, latest: datetime | None) -> list[Rule]:
    if latest is None:
        return []
    return [
        Rule(
            column,
            "ahead of the clock, and more than a year after all others",
            f"It is {declared.description}: correct it, or leave the row out until it has happened.",
            (table[column] > ibis.timestamp(latest)) & (table[column] < ibis.timestamp(LATEST)),
            table[column],
        )
        for column, declared in schema.columns.items()
        if declared.metadata["past"] and column in table.columns
    ]


def _row_rules(schema: pa.DataFrameSchema, table: ir.Table) -> list[Rule]:
    """Comparisons of two columns; a value that is itself out of range is compared with nothing."""
    return [
        Rule(
            check.name,
            check.error,
            check.description,
            ~check(table).check_output & _in_range(schema, check.name, table) & _in_range(schema, check.title, table),
            table[check.name],
            (check.title, table[check.title]),
        )
        for check in schema.checks
        if check.name in table.columns and check.title in table.columns
    ]


def _in_range(schema: pa.DataFrameSchema, column: str, table: ir.Table) -> ir.BooleanColumn:
    """Whether a value keeps the rules of its own column, be it one that is carried from a parent."""
    parent, _, name = column.rpartition(".")
    declared = (TABLES[parent] if parent else schema).columns[name]
    kept = [check(table, column).check_output for check in declared.checks]
    return functools.reduce(operator.and_, kept, ibis.literal(True))


def _reference_rules(references: list[Reference], table: ir.Table, tables: Mapping[str, ir.Table]) -> list[Rule]:
    return [
        Rule(
            reference.column,
            f"not among the {reference.key}s of {reference.parent}",
            reference.remedy,
            table[reference.column].notnull() & table[carried(reference.parent, reference.key)].isnull(),
            table[reference.column],
            known=None if (keyed := _keyed(reference, tables)) is None else keyed[0],
        )
        for reference in references
        if reference.must_hold
    ]


def orphan_rules(reference: Reference, tables: Mapping[str, ir.Table]) -> Prepare:
    """Rows that have nothing but `reference` to say what they belong to, and the rule that it must."""

    def prepare(table: ir.Table) -> tuple[ir.Table, Callable[[ir.Table], list[Rule]]]:
        rows = rows_needing(reference, table)
        keys = [column for column in rows.columns if column not in (reference.column, ROW)]
        numbered = [ROW] if ROW in rows.columns else []
        value = cast(rows[reference.column], "text").name(reference.column)
        laid = rows.select(*numbered, value, **{_received(column): rows[column] for column in keys})
        keyed, key = _keyed(reference, tables), carried(reference.parent, reference.key)
        if keyed is None:
            laid = laid.mutate(**{key: ibis.null("string")})
        else:
            laid = laid.left_join(keyed, laid[reference.column] == keyed[key])
        return laid, lambda t: _reference_rules([reference], t, tables)

    return prepare


def rows_needing(reference: Reference, table: ir.Table) -> ir.Table:
    """Rows without a value in the column that spares them the `reference`."""
    return table.filter(cast(table[reference.unless], "text").isnull()) if reference.unless in table.columns else table


def _broken(schema: pa.DataFrameSchema, prepare: Prepare, table: ir.Table, key: Hashable) -> tuple[int, list[Fault]]:
    """How many rows there are, and a fault for each rule that some of them break. key: what `prepare` depends on."""

    def counts() -> ir.Table:
        laid, rules_of = prepare(table)
        fails = {f"rule {i}": laid.count(where=rule.fails) for i, rule in enumerate(rules_of(laid))}
        return laid.aggregate(rows=laid.count(), **fails)

    count = compiled.rows(engine_of(table), ("rules", key), counts)[0]
    broken = [i for i in range(len(count) - 1) if count[f"rule {i}"]]
    if not broken:
        return count["rows"], []
    laid, rules_of = prepare(table.mutate(**{ROW: ibis.row_number().over() + 1}))
    rules = rules_of(laid)
    firsts = laid.aggregate(**{f"rule {i}": laid[ROW].min(where=rules[i].fails) for i in broken})
    first = firsts.to_pyarrow().to_pylist()[0]
    faults = [_fault(schema, laid, rules[i], count[f"rule {i}"], first[f"rule {i}"]) for i in broken]
    return count["rows"], faults


def _fault(schema: pa.DataFrameSchema, laid: ir.Table, rule: Rule, rows: int, first: int) -> Fault:
    shown = {"shown": rule.shows} if rule.shows is not None else {}
    if rule.beside:
        shown["beside"] = rule.beside[1]
    key = (schema.unique or ["collaboration_id"])[0]
    if (name := key) in laid.columns or (name := _received(key)) in laid.columns:
        shown["key"] = laid[name]
    plain = {n: c if c.type().is_numeric() or c.type().is_string() else c.cast("string") for n, c in shown.items()}
    at = laid[ROW] == first
    values = laid.filter(at).select(row=laid[ROW], **plain).limit(1).to_pyarrow().to_pylist()[0]
    received = None
    if rule.shows is not None:
        received = written(values["shown"], rule.shows)
        if rule.beside:
            received += f" with {rule.beside[0]} {written(values['beside'], rule.beside[1])}"
    named = f" ({key} {shorten(str(values['key']))})" if values.get("key") is not None and key != rule.column else ""
    alike = near(laid.filter(rule.fails)[rule.column], rule.known) if rule.known is not None else ""
    remedy = f"{alike}. {rule.remedy}" if alike else rule.remedy
    return Fault(schema.name, rule.column, rows, f"row {first:,}{named}", received, rule.problem, remedy)


def written(value: object, column: ir.Column) -> str:
    return shorten(value) if column.type().is_string() or not isinstance(value, str) else value


def _repeated(schema: pa.DataFrameSchema, table: ir.Table) -> list[Fault]:
    """A fault for rows whose key an earlier row has."""
    if not schema.unique or (column := schema.unique[0]) not in table.columns:
        return []
    key = cast(table[column], "text")
    return _repeats(schema.name, column, table, key) if _may_repeat(column, table, key) else []


def _may_repeat(column: str, table: ir.Table, key: ir.StringColumn) -> bool:
    """Whether two hashes of keys are equal; other engines than DuckDB compare the keys themselves."""
    if not stands_in_duckdb(table):
        return True

    def hashed() -> ir.Table:
        return table.filter(key.notnull()).select(hashed=key.hash())

    # Sorted here, 8 bytes a row: two to three times as fast as a count of distinct values in the engine, and smaller.
    found = compiled.table(engine_of(table), ("key", column, compiled.shape({"": table})), hashed)
    hashes = found["hashed"].to_numpy().copy()
    hashes.sort()
    return bool((hashes[1:] == hashes[:-1]).any())


def _repeats(where: str, column: str, table: ir.Table, key: ir.StringColumn) -> list[Fault]:
    numbered = table.select(key=key, row=ibis.row_number().over() + 1)
    numbered = numbered.filter(numbered.key.notnull())
    firsts = numbered.group_by("key").agg(first=numbered.row.min(), times=numbered.count())
    twice = firsts.filter(firsts.times > 1)
    repeats = numbered.inner_join(twice, "key").filter(lambda t: t.row > t["first"]).order_by("row")
    rows = repeats.count().to_pyarrow().as_py()
    if not rows:
        return []
    one = repeats.limit(1).to_pyarrow().to_pylist()[0]
    return [
        Fault(
            where,
            column,
            rows,
            f"row {one['row']:,}",
            f"{shorten(one['key'])} of row {one['first']:,} again",
            "repeating the key of an earlier row",
            "Keep one row of each key.",
        )
    ]


def check_trainable(collaborations: ir.Table, least: int = 2) -> list[Fault]:
    """What keeps checked collaborations from being learnt from: fewer than `least`, or none with a conversion."""
    sums = collaborations.aggregate(rows=collaborations.count(), total=collaborations.conversions.sum())
    rows, total = sums.to_pyarrow().to_pylist()[0].values()
    faults = []
    if rows < least:
        problem = f"too few results to learn from: {rows:,}"
        remedy = f"A model needs {least:,} past collaborations at the very least, and hundreds to be of use."
        faults.append(Fault("collaborations", problem=problem, remedy=remedy))
    if not total:
        remedy = "Check that conversions were attributed to the collaborations."
        problem = "no collaboration has any conversion"
        faults.append(Fault("collaborations", "conversions", problem=problem, remedy=remedy))
    return faults
