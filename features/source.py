"""Opens DATA, in all its forms, as the contract's tables in one in-process DuckDB."""

import csv
import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import ibis
import ibis.expr.types as ir
from ibis.backends.duckdb import Backend

from features.casting import cast
from features.contract import TABLES, TYPES
from features.faults import Fault, InputError


@dataclass(frozen=True)
class History:
    """DATA, opened and checked: every table has exactly the contract's columns in its order and types; an absent
    optional column is NULLs, an absent optional table is None."""

    backend: Backend
    collaborations: ir.Table
    creators: ir.Table
    posts: ir.Table | None
    comments: ir.Table | None
    conversions: ir.Table | None


def connect(threads: int | None, memory_limit: str | None, temp_dir: Path | None) -> Backend:
    """An in-process DuckDB that reads and keeps time in UTC."""
    backend = ibis.duckdb.connect()
    settings = {"TimeZone": "UTC", "threads": threads, "memory_limit": memory_limit, "temp_directory": temp_dir}
    for name, value in settings.items():
        if value is not None:
            backend.raw_sql(f"SET GLOBAL {name} = {_quote(str(value))}")
    return backend


def _quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _name(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _header(path: Path) -> list[str]:
    opened = gzip.open(path, "rt", encoding="utf-8-sig", newline="") if path.suffix == ".gz" else path.open(
        encoding="utf-8-sig", newline=""
    )
    with opened as lines:
        return next(csv.reader(lines))


def _scan(path: Path) -> str:
    if path.is_dir():
        return f"read_parquet({_quote(str(path / '**/*.parquet'))}, union_by_name = true)"
    if path.suffix == ".parquet":
        return f"read_parquet({_quote(str(path))})"
    columns = ", ".join(f"{_quote(name)}: 'VARCHAR'" for name in _header(path))
    return (
        f"read_csv({_quote(str(path))}, header = true, delim = ',', quote = '\"', escape = '\"', "
        f"auto_detect = false, columns = {{{columns}}})"
    )


def _raw(backend: Backend, table: str, source: str, kind: str) -> ir.Table:
    described = {name: type_ for name, type_, *_ in backend.con.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()}
    known = [name for name in TABLES[table].columns if name in described]
    columns = ", ".join(
        f"make_timestamp(epoch_ns({_name(n)}) // 1000) AS {_name(n)}" if described[n] == "TIMESTAMP_NS" else _name(n)
        for n in known
    )
    backend.raw_sql(f"CREATE {kind} {_name('raw_' + table)} AS SELECT {columns} FROM {source}")
    return backend.table(f"raw_{table}")


def _open(backend: Backend, folder: Path, table: str) -> ir.Table | None:
    forms = [folder / f"{table}{end}" for end in (".parquet", ".csv", ".csv.gz", "", ".sql")]
    found = [path for path in forms if path.exists()]
    if not found:
        return None
    path = found[0]
    if path.suffix == ".sql":
        backend.raw_sql(f"SET GLOBAL file_search_path = {_quote(str(folder.resolve()))}")
        raw = _raw(backend, table, f"({path.read_text().rstrip().rstrip(';')})", "TABLE")
    else:
        raw = _raw(backend, table, _scan(path), "TABLE" if ".csv" in path.suffixes else "VIEW")
    columns = {}
    for name, column in TABLES[table].columns.items():
        kind = column.metadata["kind"]
        columns[name] = cast(raw[name], kind) if name in raw.columns else ibis.null(TYPES[kind])
    return backend.create_view(table, raw.select(**columns))


@contextmanager
def open_history(
    data: str | Path, *, threads: int | None = None, memory_limit: str | None = None, temp_dir: Path | None = None
) -> Iterator[History]:
    """Open DATA, a folder or a database URL, for as long as the context lasts.

    Raises InputError with all faults at once.
    """
    folder = Path(data)
    if not folder.is_dir():
        raise InputError([Fault(str(data), problem="there is no such folder", remedy="Give the folder of the tables.")])
    backend = connect(threads, memory_limit, temp_dir)
    try:
        yield History(backend, **{table: _open(backend, folder, table) for table in TABLES})
    finally:
        backend.disconnect()
