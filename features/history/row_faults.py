"""The contract row by row, where rows are refused singly: the rules of `checks.py`, with every row that breaks one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

import ibis
import ibis.expr.types as ir
import pandera.ibis as pa

from features.history.checks import ROW, Rule, main_rules, orphan_rules, written
from features.history.contract import TABLES


@dataclass(frozen=True)
class RowFault:
    """A row that breaks a rule: its number, from 1, or None where `table` gives it none; the value in its table's
    first column; what is wrong and what to do."""

    row: int | None
    key: str | None
    reason: str


def row_faults(
    table: str,
    rows: ir.Table,
    tables: Mapping[str, ir.Table],
    latest: datetime | None = None,
    *,
    values: bool = True,
) -> list[RowFault]:
    """Every breach of the contract by rows of `table`, beside the `tables` that it refers to.

    rows: as they came or cast; numbered by their order unless they have a column `checks.ROW`. References to tables
    that are absent from `tables` are not looked at. latest: `notes.latest_plausible`. values: whether to look at
    single values too, which are known to be right once they are cast.
    """
    schema = TABLES[table]
    if ROW not in rows.columns:
        rows = rows.mutate(**{ROW: ibis.row_number().over() + 1})
    laid, rules_of = main_rules(schema, rows, tables, latest, values)
    found = [*_breaches(schema, laid, rules_of)]
    for reference in schema.metadata["references"]:
        if reference.unless and reference.column in rows.columns and reference.parent in tables:
            found += _breaches(schema, *orphan_rules(reference, tables)(rows))
    return found


def _breaches(
    schema: pa.DataFrameSchema, laid: ir.Table, rules_of: Callable[[ir.Table], list[Rule]]
) -> Iterator[RowFault]:
    """What one reading of the table finds: it is read again only for rules that some row breaks."""
    if not (rules := rules_of(laid)):
        return
    counts = laid.aggregate(**{f"rule {i}": laid.count(where=rule.fails) for i, rule in enumerate(rules)})
    count = counts.to_pyarrow().to_pylist()[0]
    key = next(iter(schema.columns))
    for i, rule in enumerate(rules):
        if not count[f"rule {i}"]:
            continue
        shown = {"shown": rule.shows} if rule.shows is not None else {}
        if rule.beside:
            shown["beside"] = rule.beside[1]
        if key in laid.columns:
            shown["key"] = laid[key]
        plain = {n: c if c.type().is_numeric() or c.type().is_string() else c.cast("string") for n, c in shown.items()}
        for row in laid.filter(rule.fails).select(row=laid[ROW], **plain).to_pyarrow().to_pylist():
            yield RowFault(row["row"], row.get("key"), _reason(rule, row))


def _reason(rule: Rule, row: Mapping[str, object]) -> str:
    text = f"{rule.column}: {rule.problem}"
    if rule.shows is not None:
        text += f": received {written(row['shown'], rule.shows)}"
        if rule.beside:
            text += f" with {rule.beside[0]} {written(row['beside'], rule.beside[1])}"
    return f"{text}. {rule.remedy}"
