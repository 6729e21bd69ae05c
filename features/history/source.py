"""Opens DATA, in all its forms, as the contract's tables in one in-process DuckDB."""

import hashlib
import itertools
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import ibis
import ibis.expr.types as ir
import pyarrow as pa

from features.engines import compiled
from features.engines import duckdb as engine
from features.engines.duckdb import DuckDB, Source, name
from features.engines.engine import Engine, Query
from features.engines.postgres import SCHEME
from features.faults import Fault, InputError, fail, refuse_unreachable
from features.history import databases, files, postgres, unread
from features.history.append import journal
from features.history.checks import casts, check_table
from features.history.column_names import missing_columns
from features.history.contract import CANDIDATES, OUTCOMES, TABLES
from features.history.freshness import Stamp
from features.history.notes import NAMED, latest_plausible, notes_on_candidates, notes_on_history
from features.history.score_columns import SCORES

_numbers = itertools.count()


@dataclass(frozen=True)
class History:
    """DATA, opened and checked. Every table has exactly the contract's columns, in its order and types: an absent
    optional column is NULLs, an absent optional table is None. Times are UTC without a zone, to the microsecond.

    engine: in which the tables are. files: what reads files, where that is another engine.

    notes: what the user should know although it is not a fault, a sentence each.
    given: by table that is there, the columns of the contract that it has.
    stamp: of the files behind it, taken before any was opened. Much is read where it lies, whenever it is used:
    `stamp.require_unchanged("DATA")` before anything that was made from it is written or published."""

    engine: Engine
    collaborations: ir.Table
    creators: ir.Table
    posts: ir.Table | None
    comments: ir.Table | None
    conversions: ir.Table | None
    stamp: Stamp
    notes: tuple[str, ...] = ()
    given: Mapping[str, frozenset[str]] = field(default_factory=dict)
    files: DuckDB | None = None

    @property
    def reader(self) -> DuckDB:
        """What reads files. Raises TypeError where there is none."""
        return self.files or engine.require_duckdb(self.engine)

    def without(self, collaborations: Collection[str]) -> "History":
        """The same without these collaborations, by id, and without their conversions by day: no feature of another
        row sees them either. Usable as long as this one is open."""
        if not collaborations:
            return self
        ids = sorted(set(collaborations))
        # views, by names that depend on the list alone: what is compiled for them can be used again
        mark = hashlib.sha256("\0".join(ids).encode()).hexdigest()[:16]
        listed = pa.table({"collaboration_id": pa.array(ids, pa.string())})
        left_out = f"left out {mark}"
        self.engine.put(left_out, listed)

        def rest(table: ir.Table) -> ir.Table:
            view = f"{table.get_name()} without {mark}"
            return self.engine.view(view, table.anti_join(self.engine.table(left_out), "collaboration_id"))

        days = self.conversions
        return replace(self, collaborations=rest(self.collaborations), conversions=None if days is None else rest(days))


@dataclass(frozen=True)
class Candidates:
    """A list of candidates, opened and checked: how many rows, its columns in its own order, and which of them are
    beyond the contract's. stamp: of its files, taken before any was opened. notes: what the user should know although
    it is not a fault, a sentence each."""

    rows: int
    columns: tuple[str, ...]
    extra_columns: tuple[str, ...]
    stamp: Stamp
    notes: tuple[str, ...]
    _connection: duckdb.DuckDBPyConnection
    _query: str

    @property
    def schema(self) -> pa.Schema:
        """Names and types of the batches' columns, known before any of them is read."""
        with self._connection.cursor() as cursor:
            return cursor.sql(self._query).to_arrow_reader(1).schema

    def batches(self, size: int) -> Iterator[pa.RecordBatch]:
        """The rows in the file's order, `size` at a time, fewer only at the end: the contract's columns in their types,
        then the extra ones as they are."""
        with self._connection.cursor() as cursor:
            yield from engine.batches(cursor.sql(self._query), size)


STREAMED = 100_000  # rows of a batch of another engine's


@contextmanager
def open_history(
    data: str | Path,
    *,
    threads: int | None = None,
    memory_limit: str | None = None,
    temp_dir: Path | None = None,
    now: datetime | None = None,
    through: postgres.Through | None = None,
) -> Iterator[History]:
    """Open DATA, a folder or a database URL, for as long as the context lasts.

    CSV files, mappings and PostgreSQL are loaded once; Parquet and DuckDB files are read where they lie. What outgrows
    `memory_limit` ("8GB") goes to `temp_dir`. `now` (UTC without a zone) is the clock's unless given. through: the
    transaction to read PostgreSQL in, instead of one of its own. Raises InputError with all faults at once; also where
    the engine fails later on, within the context, on files that were changed meanwhile.
    """
    (stamp, finished), now = _settled(data), now or datetime.now(UTC).replace(tzinfo=None)
    with tempfile.TemporaryDirectory(dir=temp_dir) as scratch:
        opened = engine.connect(threads, memory_limit, scratch)
        try:
            sources, faults, unread_tables = _sources(opened.connection, data, through)
            stamp = stamp.also(databases.behind_views(opened.connection))
            raw: dict[str, ir.Table] = {}
            for table, source in sources.items():
                try:
                    raw[table] = raw_table(opened, source, table)
                except InputError as error:
                    faults += error.faults
            latest = latest_plausible(raw, now)
            for table in raw:
                try:
                    faults += check_table(TABLES[table], raw[table], sources[table].columns, raw, latest)
                except duckdb.Error as error:
                    faults += engine.reading_fault(error, table, sources[table].place, sources[table].remedy).faults
            if faults:
                order = list(TABLES)
                raise InputError(sorted(faults, key=lambda f: order.index(f.where) if f.where in order else -1))
            typed = {t: _typed(opened, sources[t], raw[t], t) if t in raw else None for t in TABLES}
            names = (*unread_tables, *_notes_on_names(data, sources, stamp))
            notes = (*finished, *names, *notes_on_history(typed, now))
            stamp.require_unchanged("DATA")
            given = {t: frozenset(sources[t].columns) & frozenset(TABLES[t].columns) for t in raw}
            yield History(opened, **typed, stamp=stamp, notes=notes, given=given)
        except (InputError, duckdb.Error):
            stamp.require_unchanged("DATA")  # a file that is written right now has any fault
            raise
        finally:
            opened.close()


def _settled(data: str | Path) -> tuple[Stamp, list[str]]:
    """The stamp of DATA, and a note where an addition to its folder had been interrupted and has been finished.

    The stamp comes first and the look for such an addition after it: one that begins later changes the stamped files.
    """
    notes: list[str] = []
    while True:
        stamp = Stamp.of_data(data)
        if "://" in str(data) or not (finished := journal.finish(Path(data))):
            return stamp, notes
        notes = finished


def _notes_on_names(data: str | Path, sources: Mapping[str, Source], stamp: Stamp) -> Iterator[str]:
    """Notes on files that an expression names, and on files that are named like a table and are not read."""
    yield from (note for source in sources.values() for note in source.notes)
    if "://" not in str(data):
        unknown = [table for table, source in sources.items() if source.notes]
        yield from unread.notes_on_folder(Path(data), [*sources], stamp.files, unknown)


def _sources(
    connection: duckdb.DuckDBPyConnection, data: str | Path, through: postgres.Through | None
) -> tuple[dict[str, Source], list[Fault], list[str]]:
    """Where each table lies, what is wrong with those that cannot be found or understood, and notes on tables of a
    database that are not read."""
    scheme, separator, rest = str(data).partition("://")
    if scheme == SCHEME and separator:
        if through:
            return postgres.tables(connection, through)
        with postgres.reading(str(data)) as session:
            return postgres.tables(connection, postgres.Through(session))
    if separator:
        return databases.tables(connection, scheme, rest)
    folder = Path(data)
    if not str(data).strip():
        raise fail("DATA", "it is empty", "Give the folder that holds collaborations and creators, or a database URL.")
    refuse_unreachable("DATA", folder)
    if not folder.is_dir():
        problem = "it is a file, not a folder" if folder.exists() else "there is no such folder"
        raise fail(str(data), problem, "Give the folder that holds collaborations and creators, or a database URL.")
    sources: dict[str, Source] = {}
    faults: list[Fault] = []
    for table, schema in TABLES.items():
        try:
            path = files.find(folder, table, not schema.metadata["optional"])
            if path:
                sources[table] = files.source(connection, path, table, schema.columns)
        except InputError as error:
            faults += error.faults
        except duckdb.Error as error:
            faults += engine.reading_fault(error, table, table).faults
    return sources, faults, []


def raw_table(opened: DuckDB, source: Source, table: str) -> ir.Table:
    """The contract's columns of a table as they came, in types that Ibis knows."""
    schema = CANDIDATES if table == CANDIDATES.name else TABLES[table]
    known = [column for column in schema.columns if column in source.columns]
    if not known:
        raise InputError(missing_columns(schema, source.columns))
    plain = _plain(opened.connection, source, known)
    columns = ", ".join(f"{plain[c]} AS {name(c)}" for c in known)
    kind = "TABLE" if source.keep else "VIEW"
    try:
        opened.connection.execute(f"CREATE {kind} {name('raw ' + table)} AS SELECT {columns} FROM {source.sql}")
        if source.keep and source.loaded:
            opened.connection.execute(f"DROP TABLE {source.sql}")
    except duckdb.Error as error:
        raise engine.reading_fault(error, table, source.place, source.remedy) from error
    return opened.table(f"raw {table}")


# Infinite times have no number; they stay, so that they become a fault.
_INFINITE = "CASE WHEN {} IS NOT NULL THEN TIMESTAMP 'infinity' END"


def _plain(connection: duckdb.DuckDBPyConnection, source: Source, columns: Collection[str]) -> dict[str, str]:
    """Columns as SQL in types that Ibis knows: nanoseconds are cut to microseconds, as text is; times are UTC's."""
    if not columns:
        return {}
    listed = ", ".join(f"{source.columns[column]} AS {name(column)}" for column in columns)
    types = engine.described(connection, f"(SELECT {listed} FROM {source.sql})")
    return {column: _known(source.columns[column], types[column]) for column in columns}


def _known(expression: str, kind: str) -> str:
    # By way of numbers: DuckDB rounds nanoseconds when it casts, and asks a calendar for every time with a zone.
    micros = f"epoch_ns({expression}) // 1000" if kind.endswith("_NS") else f"epoch_us({expression})"
    if kind in ("TIMESTAMP_NS", "TIMESTAMPTZ_NS", "TIMESTAMP WITH TIME ZONE"):
        return f"coalesce(make_timestamp({micros}), {_INFINITE.format(expression)})"
    return expression if engine.is_plain(kind) else f"CAST({expression} AS VARCHAR)"


def _typed(opened: DuckDB, source: Source, raw: ir.Table, table: str) -> ir.Table:
    """A checked table in the contract's types."""
    cast = compiled.query(
        opened, ("typed", compiled.shape({table: raw})), lambda: raw.select(**casts(TABLES[table], raw))
    )
    opened.connection.execute(f"CREATE {'TABLE' if source.keep else 'VIEW'} {name(table)} AS {cast.sql}")
    if source.keep:
        opened.drop(raw.get_name())
    return opened.table(table)


def open_candidates(history: History, path: Path) -> Candidates:
    """A file of candidates, `.parquet` or `.csv`, or a folder of Parquet parts, read in the order of their names as a
    table of DATA is; usable as long as `history` is open.

    Raises InputError with all faults at once.
    """
    table, wanted = CANDIDATES.name, (*CANDIDATES.columns, *OUTCOMES, *SCORES)
    refuse_unreachable(table, path)
    endings = ("", ".parquet") if path.is_dir() else (".parquet", ".csv")
    if path.suffix not in endings:
        remedy = "Candidates are a .parquet or a .csv file, or a folder of Parquet parts, whose name has no ending."
        raise fail(str(path), "its ending is unknown", remedy)
    if not path.exists():
        raise fail(str(path), "there is no such file", "Give the file of candidates.")
    opened, stamp = history.reader, Stamp.of_list(path)
    connection = opened.connection
    try:
        source = files.source(connection, path, table, wanted, carry=True)
        extra = tuple(column for column in source.columns if column not in CANDIDATES.columns)
        engine.refuse_doubles(table, list(source.columns), source.columns)
        source = replace(source, keep=False, loaded=False)
        connection.execute(f"DROP VIEW IF EXISTS {name('raw ' + table)}")
        raw = raw_table(opened, source, table)
        faults = [_known_afterwards(column) for column in extra if column in wanted]
        faults += check_table(CANDIDATES, raw, source.columns, {})
        if faults:
            raise InputError(faults)
        rows, query = raw.count().to_pyarrow().as_py(), _query(opened, source, extra)
        notes = notes_on_candidates(casts(CANDIDATES, raw), raw, *_known_names(history))
        stamp.require_unchanged(table)
        return Candidates(rows, tuple(source.columns), extra, stamp, notes, connection, query)
    except duckdb.Error as error:
        stamp.require_unchanged(table)
        raise engine.reading_fault(error, table, path.name) from error


def _known_names(history: History) -> tuple[ir.Table, ir.Table]:
    """What candidates are compared with, in the engine that reads them: names of collaborations, and creators."""
    deals, creators = history.collaborations, history.creators
    if history.files is None:
        return deals, creators
    names = {"known deals": deals.select(*NAMED).distinct(), "known creators": creators.select("creator_id")}
    for table, rows in names.items():
        history.files.put(table, rows.to_pyarrow())
    return history.files.table("known deals"), history.files.table("known creators")


def _query(opened: DuckDB, source: Source, extra: tuple[str, ...]) -> str:
    """SQL that yields the candidates: the contract's columns cast, the others untouched."""
    carried = {column: source.columns[column] for column in extra}
    known = _plain(opened.connection, source, [column for column in source.columns if column not in carried])
    view = f"candidates {next(_numbers)}"
    columns = ", ".join(f"{expression} AS {name(column)}" for column, expression in {**known, **carried}.items())
    opened.connection.execute(f"CREATE VIEW {name(view)} AS SELECT {columns} FROM {source.sql}")
    # Extra columns may be of types that Ibis does not know: declared as text they pass through unchanged.
    raw = opened.table(f"raw {CANDIDATES.name}")
    table = ibis.table({**dict(raw.schema().items()), **dict.fromkeys(extra, "string")}, name=view)
    return str(ibis.to_sql(table.select(**casts(CANDIDATES, table), **{c: table[c] for c in extra}), dialect="duckdb"))


def _known_afterwards(column: str) -> Fault:
    if column in OUTCOMES:
        problem = "it cannot be known beforehand"
        remedy = "Leave the column out: candidates have no results yet."
    else:
        problem, remedy = "it is the name of a score", "Rename the column, or leave it out."
    return Fault(CANDIDATES.name, column, problem=problem, remedy=remedy)


def fingerprint(history: History) -> dict[str, str]:
    """SHA-256 of each table's columns and values, in hex; the same in every order of rows and every form of DATA.

    Rows are hashed by the engine, so two fingerprints compare data within one version of DuckDB.
    """
    prints = {}
    for table in TABLES:
        rows: ir.Table | None = getattr(history, table)
        if rows is not None:
            rows = _streamed(history, rows) if history.files else rows
            hashed = rows.select(one=ibis.struct({column: rows[column] for column in rows.columns}).hash())
            halves = (hashed.one % 2**32).sum(), (hashed.one // 2**32).sum()
            summed = hashed.aggregate(rows=hashed.count(), low=halves[0], high=halves[1])
            sums = history.reader.fetch(Query.of(summed, "duckdb")).to_pylist()[0]
            prints[table] = hashlib.sha256(f"{rows.schema()} {sums}".encode()).hexdigest()
    return prints


def _streamed(history: History, rows: ir.Table) -> ir.Table:
    """The rows of another engine, to be read once, as they come."""
    schema = rows.schema().to_pyarrow()
    batches = (batch.cast(schema) for batch in history.engine.batches(rows.get_name(), STREAMED))
    history.reader.connection.register("streamed", pa.RecordBatchReader.from_batches(schema, batches))
    return ibis.table(rows.schema(), name="streamed")
