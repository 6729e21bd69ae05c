"""The forecast ledger: what was promised, when, by which version, on which data, in a file that is only appended to.

A list that was scored is a line `list` (when, model, fingerprint of DATA, level, number of rows), lines `rows` of
ROWS_A_LINE promises each, and a line `sealed`; without that last line the list does not count. A line for each row
would take three times the space and the time, one for a whole list would have to fit in memory; as it is, a list of a
million rows takes a thousand lines. Numbers are written as Python does, the shortest text that reads back to the same
bits. `models.monitoring.chain` makes a change of any line show.

python -m models.monitoring.ledger [FILE]: checks a ledger; 0 it holds, 3 a person should look, 2 it cannot be read.
"""

from __future__ import annotations

import argparse
import itertools
import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

import pandas as pd

from features.faults import AT_FAULT, ATTENTION, DONE, InputError, fail
from models.monitoring.append_file import append, held
from models.monitoring.chain import START, Break, BrokenError, Head, Line, Position, Walk, Writer, check_heads

DEFAULT = Path("ledger.jsonl")
FORMAT = 1
ROWS_A_LINE = 1_000
COLUMNS = (
    "candidate_id", "creator_id", "brand", "product_niche", "starts_at", "promotion_hours", "spend", "rate", "low",
    "high", "own_record",
)  # fmt: skip
NUMBERS = COLUMNS[5:]
UNANCHORED = "No head is known: that its newest lines are gone, or that all was made anew, would not show."
STRANGE = (
    "heads of ledgers are known, and none of this one: nothing of it was anchored yet, or it was made anew from its "
    "first line"
)
Lines = Callable[[Writer], Iterator[bytes]]
Note = Callable[[Iterable[str]], None]


@dataclass(frozen=True)
class ListFacts:
    """What a list's promises have in common. when: UTC without a zone. model: registry name and version. data:
    fingerprint by table. level: of the intervals. rows: how many. kept_out_by: the run whose kept-out results the
    scores were made without; None where they were made with all."""

    when: datetime
    model: str
    data: Mapping[str, str]
    level: float
    rows: int
    kept_out_by: str | None = None


@dataclass(frozen=True)
class Checked:
    """What a check found. lists, promises: that are sealed. head: None for an empty ledger. broken: the first line that
    does not fit. strange: heads are known, but none of this ledger's. notes: what is no fault but should be known."""

    lines: int
    lists: int
    promises: int
    head: Head | None
    broken: Break | None
    strange: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Contents:
    """promises: a row for each that is sealed, COLUMNS and list (line number), when, model, level; starts_at and when
    are datetime64[us], UTC. results: contents of the `results` lines, in order."""

    promises: pd.DataFrame
    results: list[dict[str, Any]] = field(default_factory=list)


def seal(
    path: Path,
    facts: ListFacts,
    rows: Iterable[Sequence[Any]],
    heads: Iterable[Head] = (),
    since: Position = START,
    note: Note = lambda notes: None,
) -> Position:
    """Append a list, whole or not at all, and return the position behind it; it is on the disk by then.

    rows: values in the order of COLUMNS, starts_at as ISO 8601. heads: known ones. since: up to where this process has
    checked the ledger before; all after it is checked first. note: takes what a writer that was killed had left.
    Raises InputError for a ledger that does not hold or cannot be opened, OutputError where it cannot be written; then
    it is as it was.
    """

    def lines(writer: Writer) -> Iterator[bytes]:
        shared = {"when": stamp(facts.when), "model": facts.model, "data": dict(sorted(facts.data.items()))}
        shared |= {"kept_out_by": facts.kept_out_by} if facts.kept_out_by else {}
        yield writer.line("list", {**shared, "level": facts.level, "rows": facts.rows, "columns": COLUMNS})
        began, count, left = writer.at.lines, 0, iter(rows)
        while part := list(itertools.islice(left, ROWS_A_LINE)):
            count += len(part)
            yield _rows_line(writer, part)
        if count != facts.rows:
            raise ValueError(f"{count} rows are not the {facts.rows} that were announced")
        yield writer.line("sealed", {"list": began, "rows": count})

    return add(path, lines, facts.when, heads, since, note)


def add(
    path: Path,
    lines: Lines,
    when: datetime,
    heads: Iterable[Head] = (),
    since: Position = START,
    note: Note = lambda notes: None,
) -> Position:
    """Append the lines that `lines` makes with a writer, as `seal` does; a ledger that is not there begins."""
    with held(path) as handle:
        with os.fdopen(os.dup(handle), "rb") as file:
            walk, found, broken = _examine(file, path, tuple(heads), since)
        if broken and broken.kind != "torn":
            remedy = (
                "Nothing was written. Keep the file, find out who changed it, and seal into another: --ledger FILE."
            )
            raise fail("--ledger", f"it is not what was written: {broken}", remedy, str(path))
        writer = Writer(walk.at)

        def parts() -> Iterator[bytes]:
            if walk.tail:
                yield writer.close_torn(walk.tail, stamp(when))
            elif not walk.ended:
                yield b"\n"
            if not writer.at.ledger:
                yield writer.line("ledger", {"format": FORMAT, "began": stamp(when)})
            yield from lines(writer)

        append(path, handle, parts())
        note(_left_by_the_killed(path, walk, found))
        return replace(writer.at, offset=os.fstat(handle).st_size)


def verify(path: Path, heads: Iterable[Head] = ()) -> Checked:
    """Check a ledger from its first line to its last, and against known heads. Raises InputError where it cannot be
    read, or a newer version wrote it."""
    heads = tuple(heads)
    with _opened(path) as file:
        walk, found, broken = _examine(file, path, heads)
    notes = [f"Line {number:,} was torn by a run that was killed, and closed by the next." for number in walk.tears]
    if found.unfinished:
        notes.append(f"{found.unfinished:,} begun and never sealed, by runs that were killed; they do not count.")
    head = walk.at.head if walk.at.ledger else None
    strange = bool(heads) and all(head is None or known.ledger != head.ledger for known in heads)
    return Checked(walk.at.lines, found.lists, found.promises, head, broken, strange, tuple(notes))


def read(path: Path) -> Contents:
    """All that is sealed. Raises InputError for a ledger that does not hold, or cannot be read."""
    frames: list[pd.DataFrame] = []
    results: list[dict[str, Any]] = []
    facts: dict[str, Any] = {}
    part: list[pd.DataFrame] = []
    with _opened(path) as file:
        try:
            for line in Walk(file):
                if line.kind == "list":
                    facts, part = line.content(), []
                elif line.kind == "rows":
                    part.append(_frame(facts, line.content()["rows"]))
                elif line.kind == "sealed" and line.content()["list"] == facts.get("n"):
                    frames += part
                elif line.kind == "results":
                    results.append(line.content())
        except BrokenError as error:
            problem = f"it is not what was written: {error}"
            raise fail("--ledger", problem, "Find out who changed it.", str(path)) from None
    empty = _frame({"n": 0, "when": None, "model": "", "level": 0.0}, [])
    return Contents(pd.concat(frames, ignore_index=True) if frames else empty, results)


def stamp(when: datetime) -> str:
    """A moment, UTC without a zone, as ISO 8601."""
    return f"{when.isoformat()}Z"


def _left_by_the_killed(path: Path, walk: Walk, found: _Structure) -> Iterator[str]:
    """A sentence for each thing at the end of a ledger that a killed writer had left there."""
    if walk.tail:
        yield f"line {walk.at.lines + 1:,} of {path}, torn by a run that was killed, is closed; it does not count"
    if found.begun:
        yield f"line {found.begun:,} of {path} begins a list that a killed run never sealed; it does not count"


class _Structure:
    """Counts lists that are sealed, and those that are not. begun: line of a last one that is not, else 0."""

    def __init__(self) -> None:
        self.lists = self.promises = self.unfinished = self.begun = 0

    def take(self, line: Line, path: Path) -> None:
        if line.kind == "ledger" and (found := line.content()["format"]) > FORMAT:
            raise fail("--ledger", f"a newer version wrote it, in format {found}", "Update creator-yield.", str(path))
        if line.kind == "sealed" and (content := line.content())["list"] == self.begun:
            self.lists, self.promises, self.begun = self.lists + 1, self.promises + content["rows"], 0
        elif line.kind != "rows":  # of another writer
            self.unfinished, self.begun = self.unfinished + bool(self.begun), line.number * (line.kind == "list")

    def end(self) -> None:
        self.unfinished += bool(self.begun)


def _examine(
    file: BinaryIO, path: Path, heads: tuple[Head, ...], since: Position = START
) -> tuple[Walk, _Structure, Break | None]:
    """Read a ledger from a position to its end: where that is, what was found, the first line that does not fit."""
    wanted, known = {head.lines for head in heads}, dict[int, str]()
    walk, found = Walk(file, since if since.offset <= os.fstat(file.fileno()).st_size else START), _Structure()
    try:
        for line in walk:
            if line.number in wanted:
                known[line.number] = line.sha256
            found.take(line, path)
    except BrokenError as error:
        return walk, found, error.found
    found.end()
    broken = check_heads(heads, known, walk.at)
    if walk.tail and not broken:
        sentence = "it is not whole: a run was killed while it wrote, or somebody cut it; the next list closes it"
        broken = Break(walk.at.lines + 1, "torn", sentence)
    return walk, found, broken


def _frame(facts: Mapping[str, Any], rows: list[Any]) -> pd.DataFrame:
    """Promises of a list as `Contents` has them. facts: members of its first line."""
    frame = pd.DataFrame(rows, columns=list(COLUMNS)).astype(dict.fromkeys(NUMBERS, float))
    starts = pd.to_datetime(frame.starts_at, format="ISO8601").astype("datetime64[us]")
    when = pd.to_datetime(facts["when"]).tz_localize(None) if facts["when"] else pd.NaT
    shared = {"list": facts["n"], "model": facts["model"], "level": facts["level"]}
    return frame.assign(starts_at=starts, when=pd.Series(when, frame.index, "datetime64[us]"), **shared)


def _rows_line(writer: Writer, rows: Sequence[Sequence[Any]]) -> bytes:
    try:
        return writer.line("rows", {"rows": rows})
    except ValueError:  # JSON has no infinities; as texts they read back by float()
        texts = [[str(v) if isinstance(v, float) and not math.isfinite(v) else v for v in row] for row in rows]
        return writer.line("rows", {"rows": texts})


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        with path.open("rb") as file:
            yield file
    except OSError as error:
        raise fail("--ledger", f"it cannot be read ({error.strerror})", "Give a ledger's file.", str(path)) from error


def main(argv: Sequence[str] | None = None) -> int:
    """Check a ledger and print what was found; the exit status."""
    parser = argparse.ArgumentParser("python -m models.monitoring.ledger", description="Check a forecast ledger.")
    parser.add_argument("file", type=Path, nargs="?", default=DEFAULT, metavar="FILE", help="(%(default)s)")
    parser.add_argument("--head", type=Head.read, action="append", default=[], help="one that is known, as printed")
    parser.add_argument("--offline", action="store_true", help="leave out the heads that MLflow's store keeps")
    args = parser.parse_args(argv)
    try:
        heads = [*args.head, *([] if args.offline else _kept_heads())]
        found = verify(args.file, heads)
    except InputError as error:
        print(error, file=sys.stderr)
        return AT_FAULT
    print(f"{args.file}: {found.lists:,} lists, {found.promises:,} promises, {found.lines:,} lines")
    for note in found.notes:
        print(note)
    if found.broken:
        print(found.broken)
        return ATTENTION
    own = sum(found.head is not None and head.ledger == found.head.ledger for head in heads)
    if found.strange:
        print(f"It holds in itself, but {STRANGE}. The next training with --ledger anchors it as it is.")
    else:
        print(f"It holds, with {own:,} heads that are kept elsewhere." if own else f"It holds. {UNANCHORED}")
    if found.head:
        print(f"Its head: {found.head}")
    return ATTENTION if found.strange else DONE


def _kept_heads() -> tuple[Head, ...]:
    from models.monitoring.anchors import known_heads
    from models.registry.store import connect

    try:
        return known_heads(connect(create=False))
    except InputError as error:
        print(f"Heads that MLflow keeps are not checked: {error}", file=sys.stderr)
        return ()


if __name__ == "__main__":
    sys.exit(main())
