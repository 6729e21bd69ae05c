"""Reads a PostgreSQL database as DATA: all tables in one transaction, so that they belong together.

A table is what a name means on the search path: a table, partitioned or not, a view, a materialized view or a foreign
table. Rows arrive as Arrow batches. The server writes as text what the driver has no exact type for: numbers of any
precision, identifiers, enumerations. Money would arrive in cents, and an infinite time as some finite one.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import duckdb
import pyarrow as pa

from features.engines.duckdb import Source, explain, name
from features.engines.postgres import PostgresError, Session, connected
from features.faults import Fault, InputError, fail
from features.history import unread
from features.history.contract import TABLES

KINDS = {
    "r": "table", "p": "table", "v": "view", "m": "materialized view", "f": "foreign table",
}  # fmt: skip
SHOWN = 8
_RELATIONS = """
    SELECT c.oid::int8, n.nspname::text, c.relname::text, c.relkind::text, pg_table_is_visible(c.oid),
        c.relispartition, row_security_active(c.oid)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname !~ '^(pg_|information_schema$)'
    ORDER BY 2, 3"""
# a domain is read as the type that it is made of
_COLUMNS = """
    WITH RECURSIVE types AS (
        SELECT attrelid, attnum, attname, atttypid AS type, atttypmod AS modifier
        FROM pg_attribute WHERE attrelid IN ({}) AND attnum > 0 AND NOT attisdropped
        UNION ALL
        SELECT attrelid, attnum, attname, typbasetype, CASE modifier WHEN -1 THEN typtypmod ELSE modifier END
        FROM types JOIN pg_type t ON t.oid = type WHERE typtype = 'd'
    )
    SELECT attrelid::int8, attname::text, typname::text, typtype::text, typcategory::text,
        format_type(type, modifier), modifier::int8,
        ARRAY(SELECT enumlabel::text FROM pg_enum WHERE enumtypid = type ORDER BY enumsortorder)
    FROM types JOIN pg_type t ON t.oid = type WHERE typtype <> 'd' ORDER BY attrelid, attnum"""
_EXACT = {"bool", "int2", "int4", "int8", "float4", "float8", "text", "varchar", "bytea", "interval", "time"}
# the first moment of each type that is read as infinite: later ones do not fit into the engine's
_ENDS = {"date": "infinity", "timestamp": "290000-01-01", "timestamptz": "290000-01-01"}
_PLACE = "place of the row"
_numbers = itertools.count()


@dataclass(frozen=True)
class Column:
    """A column. type: the type's own name, that of a domain's base; declared: as SQL writes it, with its length or
    precision, which `modifier` holds too (-1: none); labels: of an enumeration."""

    name: str
    type: str
    of_type: str
    category: str
    declared: str
    modifier: int
    labels: list[str]

    @property
    def read(self) -> str:
        """How the server gives it, as SQL."""
        own = name(self.name)
        if self.type in _ENDS:
            return f"CASE WHEN {own} < '{_ENDS[self.type]}' AND {own} > '-infinity' THEN {own}::{self.declared} END"
        if self.type in _EXACT:
            return f"{own}::{self.declared}"
        if self.type in ("numeric", "money"):
            return f"trim_scale({own}::numeric)::text"
        return f"to_jsonb({own})::text" if self.is_nested else f"{own}::text"

    @property
    def is_nested(self) -> bool:
        """Whether a value is no single one: an array, a document, a range, a row."""
        return self.category in ("A", "C", "R") or self.type in ("json", "jsonb")


@dataclass(frozen=True)
class Relation:
    """What a name means on the search path. kind: one of `KINDS`. hides: whether row-level security applies to us."""

    oid: int
    schema: str
    name: str
    kind: str
    hides: bool
    columns: list[Column] = field(default_factory=list)

    @property
    def sql(self) -> str:
        """Its name in SQL."""
        return f"{name(self.schema)}.{name(self.name)}"


@dataclass(frozen=True)
class Catalogue:
    """What a database holds. tables: those of the contract that are on the search path. visible: names of all that
    are. named: how each table is written, and its name, without parts of others."""

    tables: dict[str, Relation]
    visible: list[str]
    named: list[tuple[str, str]]


@dataclass
class Through:
    """A transaction to read through. located: tables whose rows are to be found again; `places` then has, in the order
    in which they are read, their `tableoid` and `ctid` with a blank between, which hold while the transaction lasts."""

    session: Session
    located: Collection[str] = ()
    places: dict[str, list[pa.Array]] = field(default_factory=dict)


@contextmanager
def reading(url: str) -> Iterator[Session]:
    """A session in a transaction that sees the database as it is now, and changes nothing. Raises InputError."""
    try:
        with connected(url) as session:
            session.execute("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            yield session
    except PostgresError as error:
        raise fail(url, "the database cannot be read", "Start again once it can.", str(error)) from error


def catalogue(session: Session) -> Catalogue:
    """Look at what there is."""
    rows = session.rows(_RELATIONS)
    known = {oid: Relation(oid, schema, table, kind, hides) for oid, schema, table, kind, seen, _, hides in rows
             if seen and table in TABLES}  # fmt: skip
    if known:
        for oid, *column in session.rows(_COLUMNS.format(", ".join(map(str, known)))):
            known[oid].columns.append(Column(*column))
    return Catalogue(
        {relation.name: relation for relation in known.values()},
        [table for _, _, table, _, seen, *_ in rows if seen],
        [(table if seen else f"{schema}.{table}", table) for _, schema, table, _, seen, part, _ in rows if not part],
    )


def tables(connection: duckdb.DuckDBPyConnection, through: Through) -> tuple[dict[str, Source], list[Fault], list[str]]:
    """Load the contract's tables into the engine: how each is read there, what is wrong with those that cannot be, and
    notes on what is not read. Raises PostgresError where the connection is lost or the transaction has met another.
    """
    session = through.session
    session.execute("SET LOCAL TimeZone = 'UTC'")
    # so that rows come in the same order every time
    session.execute("SET LOCAL synchronize_seqscans = off")
    session.execute("SET LOCAL max_parallel_workers_per_gather = 0")
    held = catalogue(session)
    sources: dict[str, Source] = {}
    faults: list[Fault] = []
    for table, schema in TABLES.items():
        if relation := held.tables.get(table):
            try:
                sources[table] = _loaded(connection, through, relation, schema.columns)
            except InputError as error:
                faults += error.faults
        elif fault := missing(table, held, required=not schema.metadata["optional"]):
            faults.append(fault)
    return sources, faults, notes_on_unread(held, {*TABLES} - {*sources})


def notes_on_unread(held: Catalogue, absent: Collection[str]) -> list[str]:
    """Notes on tables that look like `absent` ones, and on rows that may be hidden."""
    notes = [*unread.notes_on_database({*absent}, held.named, "a schema of the search_path")]
    hidden = [table for table, relation in held.tables.items() if relation.hides]
    return notes + [f"{table}: row-level security decides which of its rows this user sees" for table in hidden]


def elsewhere(table: str, held: Catalogue) -> Fault | None:
    """What is wrong where a table is there under a name or in a schema in which it is not looked for."""
    if alike := next((one for one in held.visible if one.lower() == table), None):
        return Fault(
            table, problem=f"{alike} is there, but no {table}", remedy=f"Rename it to {table}: names are exact."
        )
    if other := next((shown for shown, one in held.named if one == table), None):
        problem = f"{other} is there, in a schema that is not on the search_path"
        schema = other.partition(".")[0]
        return Fault(table, problem=problem, remedy=f"Add ?options=-csearch_path%3D{schema} to the URL.")
    return None


def missing(table: str, held: Catalogue, *, required: bool) -> Fault | None:
    """What is wrong where a table is not on the search path, if anything is."""
    found = elsewhere(table, held)
    if found and (required or table not in {one for _, one in held.named}):
        return found
    if not required:
        return None
    received = f"the tables {', '.join(sorted(held.visible)[:SHOWN])}" if held.visible else "no table"
    problem, remedy = "the table is missing", "Make a table or view of this name."
    return Fault(table, received=received, problem=problem, remedy=remedy)


def _loaded(
    connection: duckdb.DuckDBPyConnection, through: Through, relation: Relation, wanted: Collection[str]
) -> Source:
    """Load the columns `wanted` of a table. Raises InputError where it cannot be read."""
    place = f"the {KINDS[relation.kind]} {relation.name}"
    columns = [column for column in relation.columns if column.name in wanted]
    names = {column.name: name(column.name) for column in relation.columns}
    if not columns:  # which is a fault of its own
        return Source(place, "(SELECT NULL WHERE false)", names)
    session, located = through.session, relation.name in through.located
    table = f"rows of {relation.name} {next(_numbers)}"
    session.execute("SAVEPOINT before_table")
    try:
        with session.stream(_query(relation, columns, located)) as reader:
            empty = reader.schema.empty_table()
            connection.register("batch of PostgreSQL", empty)
            values = _values(columns)
            connection.execute(f'CREATE TABLE {name(table)} AS SELECT {values} FROM "batch of PostgreSQL"')
            for batch in reader:
                connection.register("batch of PostgreSQL", batch)
                connection.execute(f'INSERT INTO {name(table)} SELECT {values} FROM "batch of PostgreSQL"')
                if located:
                    through.places.setdefault(relation.name, []).append(batch[_PLACE])
    except PostgresError as error:
        if error.is_collision:
            raise
        session.execute("ROLLBACK TO SAVEPOINT before_table")  # which fails where the connection is lost
        remedy = "Correct it, or what it reads." if relation.kind in "vmf" else "Check it, and who may read it."
        raise fail(relation.name, f"{place} cannot be read", remedy, str(error)) from error
    except duckdb.Error as error:  # such as a text in no encoding that the server knows of
        raise fail(relation.name, f"{place} cannot be read", "Correct its values.", explain(error)) from error
    finally:
        connection.unregister("batch of PostgreSQL")
    return Source(place, name(table), names, keep=True, loaded=True)


def _query(relation: Relation, columns: list[Column], located: bool) -> str:
    """What is sent to the server: the columns as c0, c1, …; for a time, e0, … says whether it is infinite."""
    given = [f"{column.read} AS c{i}" for i, column in enumerate(columns)]
    for i, column in enumerate(columns):
        if end := _ENDS.get(column.type):
            own = name(column.name)
            given.append(
                f"CASE WHEN {own} >= '{end}' THEN 'infinity' WHEN {own} = '-infinity' THEN {own}::text END e{i}"
            )
    if located:
        given.append(f"tableoid::text || ' ' || ctid::text AS {name(_PLACE)}")
    return f"SELECT {', '.join(given)} FROM {relation.sql}"


def _values(columns: list[Column]) -> str:
    """The columns of a batch as the engine keeps them."""
    kinds = {"date": "DATE", "timestamp": "TIMESTAMP", "timestamptz": "TIMESTAMP WITH TIME ZONE"}
    values = []
    for i, column in enumerate(columns):
        value = f"c{i}"
        if column.type in _ENDS:
            value = f"coalesce(c{i}, e{i}::{kinds[column.type]})"
        elif column.is_nested:
            value = f"c{i}::JSON"
        values.append(f"{value} AS {name(column.name)}")
    return ", ".join(values)
