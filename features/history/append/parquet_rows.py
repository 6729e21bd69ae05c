"""Makes a Parquet table with some rows corrected and others at its end, in the types of its file."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.history.append.batch import key_of
from features.history.append.merge import CHANGED, NEW, NUMBER, Change

MICROSECONDS_PER_HOUR = 3_600_000_000


def rewritten(table: pa.Table, change: Change, first: int = 0, *, append: bool = True) -> pa.Table:
    """`table` with the corrections of its rows and, if `append`, the new ones at its end.

    table: as the file has it; its other columns are empty in new rows. first: how many rows of DATA's table come
    before it, in other parts. A column that is missing comes last, if there is any value for it.
    """
    changed = change.of_kind(CHANGED)
    places = np.asarray(changed[NUMBER].to_pylist(), dtype=np.int64) - 1 - first
    here = (places >= 0) & (places < table.num_rows)
    written = changed.filter(pa.array(here))
    corrections = written.num_rows
    if append:
        written = pa.concat_tables([written, change.of_kind(NEW)])
    own = np.arange(table.num_rows + written.num_rows - corrections)
    own[table.num_rows :] += corrections  # new rows stand after the corrections, which move to their places
    moved = own.copy()
    moved[places[here]] = table.num_rows + np.arange(corrections)
    keys = key_of(change.table)  # they stay as they are written
    columns, fields = [], []
    for field in _fields(table.schema, change):
        given = field.name in change.given
        after = written[field.name] if given else pa.chunked_array([pa.nulls(written.num_rows, pa.null())])
        plain = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        before = table[field.name].cast(plain) if field.name in table.schema.names else pa.nulls(table.num_rows, plain)
        both = pa.chunked_array([*_chunks(before), *_chunks(_as(after, plain))], plain)
        taken = both.take(pa.array(moved if given and field.name not in keys else own))
        columns.append(taken.dictionary_encode() if pa.types.is_dictionary(field.type) else taken)
        fields.append(field.with_type(columns[-1].type).with_nullable(True))
    return pa.table(columns, pa.schema(fields, table.schema.metadata))


def _fields(schema: pa.Schema, change: Change) -> list[pa.Field]:
    """The columns to write: a column that was never filled may have no type, and gets the contract's."""
    fields = []
    for field in schema:
        untyped = pa.types.is_null(field.type) and field.name in change.given
        fields.append(field.with_type(change.rows[field.name].type) if untyped else field)
    for column in change.given:
        if column not in schema.names and change.rows[column].null_count < change.rows.num_rows:
            fields.append(pa.field(column, change.rows[column].type))
    return fields


def _chunks(column: pa.ChunkedArray | pa.Array) -> list[pa.Array]:
    return column.chunks if isinstance(column, pa.ChunkedArray) else [column]


def _as(values: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """Values of the contract's type as `kind`; that they fit has been seen to."""
    if pa.types.is_duration(kind) and not pa.types.is_null(values.type):
        micros = pc.round(pc.multiply(values, float(MICROSECONDS_PER_HOUR))).cast(pa.int64())
        return micros.cast(pa.duration("us")).cast(kind, safe=False)
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return values.cast(kind, safe=False)
    return values.cast(kind)


def like(schema: pa.Schema, change: Change) -> pa.Table:
    """The new rows of a change as a part of its own, with the columns and types of other parts."""
    return rewritten(schema.empty_table(), change, first=int(np.iinfo(np.int64).max // 2))
