"""Faults of an input or a call, worded so that its owner can put them right; and the exit statuses of the commands."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from features.secrets import mask

DONE, FAILED, AT_FAULT, ATTENTION = 0, 1, 2, 3  # ATTENTION: done, but a person should look


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong.

    With `rows`, `problem` follows "3 rows are …"; without, it is a clause of its own.
    """

    where: str
    column: str | None = None
    rows: int | None = None
    first: str | None = None
    received: str | None = None
    problem: str = ""
    remedy: str = ""

    def __str__(self) -> str:
        place = self.where if self.column is None else f"{self.where}.{self.column}"
        text = self.problem
        if self.rows is not None:
            text = f"{self.rows:,} row{' is' if self.rows == 1 else 's are'} {self.problem}"
        if self.first is not None:
            text += f", first {self.first}"
        if self.received is not None:
            text += f": received {self.received}"
        return mask(" ".join(f"{place}: {text}. {self.remedy}".split()))


class InputError(Exception):
    """All faults of an input, reported at once; `str()` is one line a fault.

    done: what had been done already and stands, in a sentence; empty where that is nothing.
    """

    def __init__(self, faults: Iterable[Fault], done: str = "") -> None:
        self.faults, self.done = tuple(faults), done
        super().__init__("\n".join(map(str, self.faults)))


class OutputError(Exception):
    """An output that cannot be written although the input is right, such as a full disk; `str()` says all."""


def refuse(option: str, received: object, problem: str, remedy: str) -> NoReturn:
    """Raise InputError for a call that cannot be carried out."""
    raise InputError([Fault(option, received=str(received), problem=problem, remedy=remedy)])


def refuse_unreachable(where: str, path: Path) -> None:
    """Raise InputError where the system will not say what is at `path`: a name that is too long, links in a circle, a
    folder above it that may not be entered. Nothing there at all is left to the caller.
    """
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        remedy = "Check the name, what it links to, and the permissions of the folders above it."
        refuse(where, shorten(str(path)), f"it cannot be reached ({error.strerror})", remedy)


def fail(where: str, problem: str, remedy: str, received: str | None = None, column: str | None = None) -> InputError:
    """One fault, to be raised."""
    return InputError([Fault(where, column, received=received, problem=problem, remedy=remedy)])


def shorten(value: object, limit: int = 80) -> str:
    """`repr` of a value, secrets masked, on one line of at most `limit` characters."""
    text = mask(repr(value))
    return text if len(text) <= limit else text[: limit - 1] + "…"
