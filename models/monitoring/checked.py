"""What `train.py --check` finds without a training: the door, the level, joins, units, and what is not in use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from features.history.joins import SHOWN, Join, first_of, joins
from features.history.source import History
from features.usage import columns_read, in_words, unread
from models.alarms import Alarm
from models.monitoring.findings import Intake
from models.monitoring.intake import LINKED
from models.monitoring.level_drift import LevelDrift
from models.monitoring.plausibility import Measure, measure
from models.monitoring.training_rows import links
from models.report.model_card import markdown_table
from models.training import TrainingSet

TABLES = ("posts", "comments")  # what is found in these as of a start; a join says it of conversions by day
HEADER = ["quantity", "typical", "plausible", "because"]
NO_LEVEL = "the level of the newest results cannot be held against what was promised: too few results, or no champion"
PLAUSIBLE, TOO_FEW = "every quantity that is known is plausible", "too few deals to say what is usual"
NOT_LOOKED_AT = "not looked at: the door is closed"


@dataclass(frozen=True)
class Known:
    """How many of all collaborations find something by their start. without: the first ids of the others."""

    what: str
    collaborations: int
    of: int
    without: tuple[str, ...]

    def __str__(self) -> str:
        found = f"{self.collaborations:,} of {self.of:,} collaborations find {self.what} by their start"
        return found + first_of(self.without)


@dataclass(frozen=True)
class Checked:
    """What was found. columns, unread: by table, those that features read, and those that no feature reads. features:
    how many there are. unused: reason by feature that says nothing here."""

    intake: Intake
    level: LevelDrift
    joins: tuple[Join, ...]
    known: tuple[Known, ...]
    measures: tuple[Measure, ...]
    columns: Mapping[str, list[str]]
    unread: Mapping[str, list[str]]
    features: int
    unused: Mapping[str, str]

    @property
    def alarms(self) -> tuple[Alarm, ...]:
        """Those that a training would raise before it fits a model."""
        return (*self.intake.alarms(), *self.level.alarms)

    def lines(self) -> list[str]:
        """For a terminal, without the table of units."""
        return [line for lines in self._parts().values() for line in lines]

    def units(self) -> list[list[str]]:
        """Cells of a table, its header first; empty where too few values are known."""
        return [HEADER, *(one.cells() for one in self.measures)] if self.measures else []

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "intake": self.intake.to_dict(),
            "level_drift": self.level.to_dict(),
            "joins": [vars(one) for one in self.joins],
            "known": [vars(one) for one in self.known],
            "units": [one.to_dict() for one in self.measures],
            "columns": dict(self.columns),
            "unread_columns": dict(self.unread),
            "unused_features": dict(self.unused),
        }

    def page(self) -> str:
        """Sections in Markdown."""
        lines = []
        for title, sentences in self._parts().items():
            table = ["", *markdown_table(self.units())] if title == "Units" and self.measures else []
            lines += [f"## {title}", "", *(f"- {sentence}" for sentence in sentences), *table, ""]
        return "\n".join(lines)

    def _parts(self) -> dict[str, list[str]]:
        read = "; ".join(f"{table}: {', '.join(names)}" for table, names in self.columns.items())
        left = ", ".join(f"{table}.{name}" for table, names in self.unread.items() for name in names)
        notes = [one.note for one in self.measures if one.note]
        no_level = NOT_LOOKED_AT if self.intake.closed else NO_LEVEL
        return {
            "The door": self.intake.in_words(),
            "The level": [str(shift) for shift in self.level.shifts] or [no_level],
            "Joins": [str(one) for one in (*self.joins, *self.known)],
            "Units": notes or [PLAUSIBLE if self.measures else TOO_FEW],
            "Columns and features": [
                f"columns in use, {read}",
                *([f"columns not in use, because no feature reads them: {left}"] if left else []),
                f"{self.features - len(self.unused)} of {self.features} features in use",
                *(f"not in use, {line}" for line in in_words(self.unused)),
            ],
        }


def inspect(history: History, training: TrainingSet, intake: Intake, level: LevelDrift) -> Checked:
    """Count joins, measure units, and list what is in use. training: of all collaborations of the history."""
    ids = training.results.identifiers.astype(str)
    found, there = links(training), [name for name in TABLES if getattr(history, name) is not None]
    known = tuple(
        Known(LINKED[name], int(found[name].sum()), len(ids), tuple(ids[~found[name]][:SHOWN].tolist()))
        for name in (*there, "record")
    )
    return Checked(
        intake, level, joins(history), known, measure(training), columns_read(history.given), unread(history.given),
        training.matrix.shape[1], training.unused,
    )  # fmt: skip
