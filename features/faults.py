"""What is wrong with an input or a call, told so that its owner can put it right."""

from collections.abc import Iterable
from dataclasses import dataclass

from features.secrets import mask


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
        told = self.problem
        if self.rows is not None:
            told = f"{self.rows:,} row{' is' if self.rows == 1 else 's are'} {self.problem}"
        if self.first is not None:
            told += f", first {self.first}"
        if self.received is not None:
            told += f": received {self.received}"
        return mask(" ".join(f"{place}: {told}. {self.remedy}".split()))


class InputError(Exception):
    """All faults of an input, told at once; `str()` is one line a fault."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(map(str, self.faults)))


def fail(where: str, problem: str, remedy: str, received: str | None = None, column: str | None = None) -> InputError:
    """One fault, to be raised."""
    return InputError([Fault(where, column, received=received, problem=problem, remedy=remedy)])


def shorten(value: object, limit: int = 80) -> str:
    """`repr` of a value, secrets masked, on one line of at most `limit` characters."""
    text = mask(repr(value))
    return text if len(text) <= limit else text[: limit - 1] + "…"
