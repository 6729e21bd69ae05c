"""Which columns a file of scores has: all, or those that `--columns` names. Imports nothing that is slow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from features.faults import Fault, InputError, refuse
from features.history.score_columns import SCORE_COLUMNS, TARGET_SCORES, score_columns

KEY = "candidate_id"
PROMISED = ("conversions_per_dollar", "conversions_per_dollar_low", "conversions_per_dollar_high")  # the ledger's
INTERVAL = tuple(one.name for one in SCORE_COLUMNS if one.given == "interval")


@dataclass(frozen=True)
class FileColumns:
    """The candidates' own columns and the scores that a file has, each in their order; the own ones come first."""

    own: tuple[str, ...]
    scores: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """All, as they are written."""
        return (*self.own, *self.scores)

    def has(self, *scores: str) -> bool:
        """Whether one of these scores is among them."""
        return not set(scores).isdisjoint(self.scores)


def every_column(own: Sequence[str], target: bool) -> FileColumns:
    """What a file has unless columns are chosen. target: with those of a target cost."""
    return FileColumns(tuple(own), score_columns(target))


def named_columns(text: str | None) -> tuple[str, ...] | None:
    """The names of `--columns`, None without it. Raises InputError where one is empty."""
    if text is None:
        return None
    names = tuple(name.strip() for name in text.split(","))
    if not all(names):
        remedy = "Give names between commas, such as conversions_per_dollar,rank."
        refuse("--columns", text, "a name is empty", remedy)
    return names


def check_call(names: Sequence[str] | None, *, target: bool, reasons: bool, ledger: bool) -> None:
    """Raise InputError, a fault for each option that the chosen columns contradict.

    target: whether there is a target cost. reasons: whether a number of the best is to have reasons. ledger: whether
    the list is to be sealed.
    """
    if names is None:
        return
    faults = []
    if not set(names) & set(score_columns(True)):
        remedy = f"Name at least one of {', '.join(score_columns(target))}."
        faults.append(Fault("--columns", received=",".join(names), problem="no score is among them", remedy=remedy))
    if ledger and (missing := [name for name in PROMISED if name not in names]):
        remedy = "Name them too, or leave --ledger out."
        problem = f"the ledger seals {', '.join(missing)}, left out here"
        faults.append(Fault("--columns", received=",".join(names), problem=problem, remedy=remedy))
    if target and not set(names) & set(TARGET_SCORES):
        problem, remedy = "none of its columns is among --columns", f"Name {' or '.join(TARGET_SCORES)}."
        faults.append(Fault("--target-cost", problem=problem, remedy=remedy))
    if reasons and "reasons" not in names:
        problem, remedy = "the column reasons is not among --columns", "Name it, or leave --reasons out."
        faults.append(Fault("--reasons", problem=problem, remedy=remedy))
    if faults:
        raise InputError(faults)


def chosen_columns(names: Sequence[str] | None, own: Sequence[str], target: bool) -> FileColumns:
    """The columns of a file: `candidate_id` and those named, None for all, in their usual order.

    own: the candidates' columns. Raises InputError, one fault for all names that are neither theirs nor a score's.
    """
    every = every_column(own, target)
    if names is None:
        return every
    if unknown := list(dict.fromkeys(name for name in names if name not in every.names)):
        problem = f"{'they are' if len(unknown) > 1 else 'it is'} neither a column of the candidates nor a score"
        remedy = f"Known are {', '.join(every.names)}."
        if set(unknown) & set(TARGET_SCORES):
            remedy += f" {' and '.join(TARGET_SCORES)} need --target-cost."
        refuse("--columns", ", ".join(unknown), problem, remedy)
    return FileColumns(
        tuple(name for name in every.own if name == KEY or name in names),
        tuple(name for name in every.scores if name in names),
    )
