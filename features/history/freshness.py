"""Checks that files did not change since they were checked, by a stamp of every file behind DATA or the candidates.

Parquet and databases are read where they lie, long after they were checked, and even a CSV is read twice, so

    stamp = Stamp.of_data(data)      before anything is opened
    …                                check, read, compute
    stamp.require_unchanged("DATA")  before anything is written or published

Whoever watches for new data compares `stamp.now()` with `stamp`, or calls `stamp.changed()`.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from features.faults import Fault, InputError
from features.history.append.journal import record
from features.history.contract import TABLES
from features.history.files import ENDINGS
from features.history.mapping_reads import reads
from features.history.postgres_state import state_of

Identity = tuple[int, int, int, int, int]  # device, inode, size, time of content, time of any change, in ns
SHOWN = 3


@dataclass(frozen=True)
class Stamp:
    """What files were at one moment; equal stamps mean equal files.

    paths: files, and folders whose `.parquet` files and `_committed_*` logs count, as they were named: links are
    followed anew at every look, so a file that is replaced by rename, or a link that is set anew, shows.
    patterns: of files, as `glob` reads them.
    files: what was found, by path. A file that is absent has no entry, so one that comes or goes shows too.
    database: of a PostgreSQL database that is watched, its URL; state: `postgres_state.state_of` it. They say whether
    there is anything new; what was read in one transaction cannot have changed meanwhile.
    """

    paths: tuple[str, ...]
    patterns: tuple[str, ...]
    files: dict[str, Identity]
    database: str | None = None
    state: str | None = None

    @classmethod
    def of_data(cls, data: str | Path) -> Stamp:
        """Of a folder: every form of every table, and the files that its mappings read, wherever they lie. Of
        `duckdb://FILE`: the database and its log, which lies beside the file that a link leads to; what its views read
        is known once it is open (`History.stamp`).

        What is not there is no fault here: `files` is empty then. Another URL has no files; `watching` it is a matter
        of its own.
        """
        scheme, separator, rest = str(data).partition("://")
        if separator:
            logs = {f"{rest}.wal": None, f"{os.path.realpath(rest) if os.path.islink(rest) else rest}.wal": None}
            return cls.of_paths([Path(rest), *map(Path, logs)] if scheme == "duckdb" else [])
        folder = Path(data)
        forms = [folder / f"{table}{end}" for table in TABLES for end in ENDINGS]
        return cls.of_paths(
            [*forms, record(folder)], [one for form in forms if form.suffix == ".sql" for one in _read_by(form)]
        )

    @classmethod
    def of_list(cls, path: Path) -> Stamp:
        """Of a list of candidates: a file, a folder of Parquet parts, or a mapping with the files that it reads."""
        return cls.of_paths([path], _read_by(path) if path.suffix == ".sql" else ())

    @classmethod
    def of_paths(cls, paths: Iterable[Path], patterns: Iterable[str] = ()) -> Stamp:
        """Of files, folders of Parquet parts, and patterns, as they are now."""
        named = tuple(os.path.abspath(path) for path in paths)
        return _look(named, tuple(dict.fromkeys(patterns)))

    def watching(self, data: str, state: str | None) -> Stamp:
        """The same for `data`, a database's URL, which was in `state`; unchanged where that is None."""
        return self if state is None else replace(self, database=data, state=state)

    def now(self) -> Stamp:
        """The same paths and patterns, and the same database, looked at again."""
        seen = _look(self.paths, self.patterns)
        return replace(seen, database=self.database, state=state_of(self.database)) if self.database else seen

    def also(self, other: Stamp) -> Stamp:
        """Both in one."""
        paths = tuple(dict.fromkeys(self.paths + other.paths))
        patterns = tuple(dict.fromkeys(self.patterns + other.patterns))
        return replace(self, paths=paths, patterns=patterns, files=other.files | self.files)

    def changed(self) -> list[str]:
        """Paths of the files that are not what they were, sorted: replaced, rewritten, new or gone."""
        now = self.now().files
        return sorted(path for path in {*self.files, *now} if self.files.get(path) != now.get(path))

    def require_unchanged(self, what: str) -> None:
        """Raise InputError with the files of `what` that are not what they were when the stamp was taken."""
        if changed := self.changed():
            raise InputError([_fault(what, changed)])


def _fault(what: str, changed: list[str]) -> Fault:
    received = ", ".join(changed[:SHOWN]) + (f" and {len(changed) - SHOWN:,} more" if len(changed) > SHOWN else "")
    problem, remedy = "it changed while it was being read", "Nothing was written: start again once its writer is done."
    return Fault(what, received=received, problem=problem, remedy=remedy)


def _read_by(mapping: Path) -> list[str]:
    try:
        return reads(mapping.read_text(encoding="utf-8-sig"), mapping.parent)
    except (OSError, UnicodeDecodeError):  # absent, or a fault of its own when it is opened
        return []


def _look(paths: tuple[str, ...], patterns: tuple[str, ...]) -> Stamp:
    found: set[str] = set()
    for path in paths:
        found.update(_parts(Path(path)) if os.path.isdir(path) else [path])
    for pattern in patterns:
        found.update(glob.iglob(pattern, recursive=True))
    identities = {path: identity for path in sorted(found) if (identity := _identity(path)) is not None}
    return Stamp(paths, patterns, identities)


def _parts(folder: Path) -> set[str]:
    """Parts, and the logs that may say of parts that they no longer count."""
    return {str(path) for pattern in ("*.parquet", "_committed_*") for path in folder.rglob(pattern)}


def _identity(path: str) -> Identity | None:
    try:
        one = os.stat(path)
    except OSError:  # absent, or a link to nowhere
        return None
    if os.path.isdir(path):
        return None
    return one.st_dev, one.st_ino, one.st_size, one.st_mtime_ns, one.st_ctime_ns
