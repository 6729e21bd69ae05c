"""Lines that cannot be changed unnoticed: each carries its place, the hash of the line before, and its own hash.

A line is a JSON object that begins with `"n"` (its place, from 1), `"previous"` (the hash of the line before, 64 zeros
in the first) and `"kind"`, and ends with `"sha256"`: SHA-256, in hex, of the line's bytes before `,"sha256"`. A hash
chain as in Haber & Stornetta 1991, Journal of Cryptology 3, 99-111. Whoever changes a line must make all later ones
anew, which nothing in the file shows; so the newest hash, the head, is kept elsewhere as well.

A process that is killed while it writes leaves a last line that is torn. It stays as it is: the next writer ends it
and adds a line of kind `torn` with its length and hash, so that it is no gap through which a line could vanish.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, BinaryIO, Literal

GENESIS = "0" * 64
TORN = "torn"
LONGEST = 1 << 26  # bytes of a line; ours are far shorter
_BEGIN = re.compile(rb'\{"n":([1-9]\d{0,17}),"previous":"([0-9a-f]{64})","kind":"([a-z]{1,20})"')
_END = re.compile(rb',"sha256":"([0-9a-f]{64})"\}')
_END_BYTES = len(',"sha256":""}') + 64
Kind = Literal["changed", "removed", "inserted", "reordered", "torn"]


@dataclass(frozen=True)
class Line:
    """A line that agrees with its own hash."""

    number: int
    previous: str
    kind: str
    sha256: str
    data: bytes

    def content(self) -> dict[str, Any]:
        """All of its members."""
        return dict(json.loads(self.data))


@dataclass(frozen=True)
class Position:
    """A place between two lines: how many lie before it, the hash of the last of them, the hash of the ledger's first
    line, which names the ledger ("" before it), and the byte at which the next line begins, where that is known."""

    lines: int = 0
    sha256: str = GENESIS
    ledger: str = ""
    offset: int = 0

    @property
    def head(self) -> Head:
        """The line before it."""
        return Head(self.ledger, self.lines, self.sha256)


START = Position()


@dataclass(frozen=True)
class Head:
    """The newest line of a ledger at some moment, as it is kept elsewhere: ledger (hash of its first line), lines."""

    ledger: str
    lines: int
    sha256: str

    def __str__(self) -> str:
        return f"{self.lines}:{self.sha256}:{self.ledger}"

    @classmethod
    def read(cls, text: str) -> Head:
        """Inverse of `str`. Raises ValueError for any other text."""
        found = re.fullmatch(r"([1-9]\d{0,17}):([0-9a-f]{64}):([0-9a-f]{64})", text.strip())
        if not found:
            raise ValueError("a head is LINES:SHA256:SHA256 of the first line")
        return cls(found[3], int(found[1]), found[2])


@dataclass(frozen=True)
class Break:
    """The first line that does not fit: its number, what was most likely done, and that in a sentence."""

    line: int
    kind: Kind
    sentence: str

    def __str__(self) -> str:
        return f"line {self.line:,}: {self.kind}: {self.sentence}"


class BrokenError(Exception):
    """A chain that does not hold."""

    def __init__(self, found: Break) -> None:
        super().__init__(str(found))
        self.found = found


def make(number: int, previous: str, kind: str, content: Mapping[str, Any]) -> Line:
    """A line at a place. Raises ValueError for numbers that JSON has not (NaN, infinities)."""
    values = {"n": number, "previous": previous, "kind": kind, **content}
    body = json.dumps(values, separators=(",", ":"), allow_nan=False)[:-1].encode()
    sha256 = hashlib.sha256(body).hexdigest()
    return Line(number, previous, kind, sha256, body + f',"sha256":"{sha256}"}}'.encode())


def parse(data: bytes) -> Line | None:
    """A line from its bytes; None for what does not agree with its own hash, or is no line."""
    begin, end = _BEGIN.match(data), _END.fullmatch(data, max(len(data) - _END_BYTES, 0))
    if not begin or not end:
        return None
    sha256 = end[1].decode()
    if hashlib.sha256(data[: end.start()]).hexdigest() != sha256:
        return None
    return Line(int(begin[1]), begin[2].decode(), begin[3].decode(), sha256, data)


class Walk:
    """Reads lines from a position on, each checked against the one before; iterate once.

    at: behind the newest line that was read. tail: bytes of a last line that is torn. ended: whether the last line ends
    with a line end. tears: numbers of lines that were torn and closed.
    """

    def __init__(self, file: BinaryIO, at: Position = START) -> None:
        self.file, self.at = file, at
        self.tail, self.ended = b"", True
        self.tears: list[int] = []

    def __iter__(self) -> Iterator[Line]:
        """The lines that hold, in order. Raises BrokenError at the first one that does not fit."""
        self.file.seek(self.at.offset)
        while raw := self.file.readline(LONGEST):
            number, data = self.at.lines + 1, raw.removesuffix(b"\n")
            line, self.ended = parse(data), raw.endswith(b"\n")
            if line is None and not self.ended and len(raw) < LONGEST:
                self.tail = data
                return
            if line is None:
                line = self._closing(number, data)
                raw += line.data + b"\n" * self.ended
                self.tears.append(number)
            elif line.number != number or line.previous != self.at.sha256:
                raise BrokenError(self._misfit(line, number))
            elif line.kind == TORN:
                raise BrokenError(Break(number, "removed", "the torn line before it, which it closes, is gone"))
            offset = self.at.offset + len(raw)
            self.at = Position(line.number, line.sha256, self.at.ledger or _first(line), offset)
            yield line

    def _closing(self, number: int, data: bytes) -> Line:
        """The line that closes a torn one. Raises BrokenError where there is none."""
        raw = self.file.readline(LONGEST)
        line = parse(raw.removesuffix(b"\n"))
        placed = line is not None and (line.number, line.previous) == (number + 1, self.at.sha256)
        if line is None or not placed or line.kind != TORN or _tear(data).items() - line.content().items():
            sentence = "its bytes do not agree with its own hash, so it is not what was written"
            raise BrokenError(Break(number, "changed", sentence))
        self.ended = raw.endswith(b"\n")
        return line

    def _misfit(self, line: Line, number: int) -> Break:
        """What was most likely done where a line that agrees with itself stands in a wrong place."""
        if line.number == number:
            sentence = f"line {number} was written after another one than this"
            return Break(max(number - 1, 1), "changed", sentence if number > 1 else "it was not written as the first")
        if line.number < number:
            return Break(number, "inserted", f"it was written as line {line.number}: something was put in before it")
        if any(later and later.number == number for later in map(parse, _rest(self.file))):
            return Break(number, "reordered", f"line {line.number} stands here, and line {number} further down")
        return Break(number, "removed", f"line {line.number} stands here, and line {number} nowhere")


class Writer:
    """Makes lines that follow a position. at: behind the newest of them."""

    def __init__(self, at: Position) -> None:
        self.at = at

    def line(self, kind: str, content: Mapping[str, Any]) -> bytes:
        """The next line, with its end."""
        line = make(self.at.lines + 1, self.at.sha256, kind, content)
        self.at = Position(line.number, line.sha256, self.at.ledger or _first(line))
        return line.data + b"\n"

    def close_torn(self, tail: bytes, when: str) -> bytes:
        """What ends a torn line and says so. tail: its bytes."""
        self.at = replace(self.at, lines=self.at.lines + 1)
        return b"\n" + self.line(TORN, {**_tear(tail), "when": when})


def check_heads(heads: Iterable[Head], known: Mapping[int, str], at: Position) -> Break | None:
    """What known heads reveal of a chain that holds by itself; None where it has all that are its own.

    known: hash by number of line, for every number that `heads` have. at: the chain's end.
    """
    agreed = 0
    for head in sorted((head for head in heads if head.ledger == at.ledger), key=lambda head: head.lines):
        if head.lines > at.lines:
            return Break(at.lines + 1, "removed", f"the ledger ends before it, but had {head.lines:,} lines once")
        if known.get(head.lines) != head.sha256:
            sentence = f"a line from {agreed + 1:,} to this one was changed, and all after it made anew to fit"
            return Break(head.lines, "changed", sentence)
        agreed = head.lines
    return None


def _first(line: Line) -> str:
    return "" if line.kind == TORN else line.sha256


def _tear(data: bytes) -> dict[str, Any]:
    return {"bytes": len(data), "torn": hashlib.sha256(data).hexdigest()}


def _rest(file: BinaryIO) -> Iterator[bytes]:
    while raw := file.readline(LONGEST):
        yield raw.removesuffix(b"\n")
