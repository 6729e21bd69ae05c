"""A table that a `.sql` file yields from other files."""

import itertools
import re
from collections.abc import Collection
from pathlib import Path

import duckdb

from features.engines.duckdb import (
    Source,
    described,
    described_query,
    explain,
    missing_extension,
    name,
    quote,
    reading_fault,
    refuse_doubles,
)
from features.faults import InputError, fail
from features.history.file_kinds import kind_of
from features.history.mapping_guesses import irregular, refuse_guesses
from features.history.mapping_reads import (
    PATHS,
    Reader,
    columns_used,
    find_readers,
    notes_on_names,
    refuse_dropped_rows,
    refuse_shadowed,
)

_REMEDY = "Correct the mapping, or export again what it reads."
_numbers = itertools.count()


def mapping(connection: duckdb.DuckDBPyConnection, path: Path, table: str, wanted: Collection[str]) -> Source:
    """The table that the mapping at `path` yields. Raises InputError for one that is no SELECT, fails, or would read
    something else than it says."""
    remedy = "A mapping is one SELECT in DuckDB's dialect that yields the table from other files."
    try:
        query = path.read_text(encoding="utf-8-sig")
        statements = connection.extract_statements(query)
    except UnicodeDecodeError as error:
        raise fail(table, f"{path.name} is not encoded in UTF-8", "Save it as UTF-8.") from error
    except (duckdb.Error, OSError) as error:
        raise fail(table, f"{path.name} cannot be understood", remedy, explain(error)) from error
    kinds = [statement.type.name for statement in statements]
    if kinds != ["SELECT"]:
        raise fail(table, f"{path.name} is no single SELECT", remedy, ", ".join(kinds) or "no statement")
    readers = check_reads(connection, query, path, table, wanted)
    refuse_shadowed(readers, path, table)
    connection.execute(f"SET GLOBAL file_search_path = {quote(_search_path(connection, readers, path, table))}")
    view = f"mapping of {table}"
    try:
        refuse_doubles(table, described_query(connection, statements[0].query), wanted)
        connection.execute(f"CREATE VIEW {name(view)} AS {statements[0].query}")
        columns = {n: name(n) for n in described(connection, name(view))}
        notes = notes_on_names(readers, path.name, table)
        return Source(path.name, name(view), columns, keep=True, remedy=_REMEDY, notes=notes)
    except duckdb.Error as error:
        raise _failure(error, path, table) from error


def check_reads(
    connection: duckdb.DuckDBPyConnection, query: str, path: Path, table: str, wanted: Collection[str]
) -> list[Reader]:
    """What reads files in a SELECT, which `path` names and whose relative paths start beside it.

    Raises InputError where rows would be dropped, or read by a guess."""
    readers = find_readers(connection, query)
    refuse_dropped_rows(readers, path, table)
    named, has_star = columns_used(connection, query)

    def is_used(column: str) -> bool:
        return "*" in named or column.lower() in named or (has_star and column.lower() in wanted)

    refuse_guesses(connection, readers, path, table, is_used)
    return readers


def _failure(error: duckdb.Error, path: Path, table: str) -> InputError:
    """The fault of a mapping that fails before any row is read."""
    if "CSV Error on Line" in str(error) or missing_extension(str(error)):
        return reading_fault(error, table, path.name, _REMEDY)
    if sniffed := re.search(r'sniffing file "(.*)"', str(error)):
        remedy = "Correct the file, or say what it is: read_csv('…', delim = ',', quote = '', skip = 0)."
        problem = f"{path.name} reads {Path(sniffed[1]).name}, whose form DuckDB cannot tell"
        return fail(table, problem, remedy, irregular(Path(sniffed[1]), table))
    if named := re.search(r"Table with name (.+?) does not exist", str(error)):
        file = path.parent / named[1].strip('"')
        if file.is_file():
            return _foreign(file, path, table)
    return fail(table, f"{path.name} fails", "Correct the mapping; " + PATHS, explain(error))


def _foreign(file: Path, path: Path, table: str) -> InputError:
    """The fault of a mapping that reads a file by its name alone, whose ending says nothing to DuckDB."""
    with file.open("rb") as content:
        kind, remedy = kind_of(content.read(4096), table) or (
            "of no ending that DuckDB reads",
            f"Say how to read it: read_csv('{file.name}').",
        )
    return fail(table, f"{path.name} reads {file.name}, which is {kind}", remedy)


def _search_path(connection: duckdb.DuckDBPyConnection, readers: list[Reader], path: Path, table: str) -> Path:
    """The folder of the mapping, by a name without `key=value`: DuckDB would make a column of it that replaces the
    files' own."""
    folder = path.parent.resolve()
    if not any("=" in part for part in folder.parts):
        return folder
    scratch = Path(connection.execute("SELECT current_setting('temp_directory')").fetchall()[0][0]).resolve()
    upwards = [text for node in readers for text in node.texts if ".." in Path(text).parts]
    if upwards or any("=" in part for part in scratch.parts) or not scratch.is_dir():
        key = next(part for part in folder.parts if "=" in part)
        received = f"{path.name} reads {quote(upwards[0])} there" if upwards else None
        problem = f"the folder {key}/ above it would be read as a column"
        raise fail(table, problem, "Rename it without '=', or move the data.", received)
    link = scratch / f"folder {next(_numbers)}"
    link.symlink_to(folder, target_is_directory=True)
    return link
