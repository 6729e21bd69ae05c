"""The tables of columns of docs/data.md, written from the contract.

python -m features.history.contract_page docs/data.md
"""

import sys
from pathlib import Path

import pandera.ibis as pa

from features.history.column_types import KINDS, kind_of
from features.history.contract import CANDIDATES, TABLES

BEGIN, END = "<!-- columns: begin -->", "<!-- columns: end -->"


def _type(column: pa.Column, unique: bool) -> str:
    low, above = column.metadata["low"], column.metadata["above"]
    bounds = "" if low is None else f" ≥ {low:g}"
    bounds += "" if above is None else f" > {above:g}"
    return KINDS[kind_of(column)].label + bounds + (", unique" if unique else "")


def tables() -> str:
    """A heading, a sentence and a table of columns for each table of the contract, in Markdown."""
    lines = []
    for schema in (*TABLES.values(), CANDIDATES):
        optional = " (optional)" if schema.metadata["optional"] else ""
        lines += [f"### {schema.name}{optional}", "", f"{schema.description[0].upper()}{schema.description[1:]}.", ""]
        lines += ["| column | type | unit | meaning |", "|---|---|---|---|"]
        for name, column in schema.columns.items():
            kind = _type(column, name in (schema.unique or []))
            lines.append(
                f"| {name}{' *' if column.required else ''} | {kind} | {column.title} | {column.description} |"
            )
        lines.append("")
    return "\n".join(lines)


def page(text: str) -> str:
    """`text` with what stands between its marks written anew."""
    head, _, rest = text.partition(BEGIN)
    return f"{head}{BEGIN}\n\n{tables()}\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    file = Path(sys.argv[1])
    file.write_text(page(file.read_text(encoding="utf-8")), encoding="utf-8")
