"""The file beside NEW with the rows that were refused, and why."""

from __future__ import annotations

import csv
from pathlib import Path

from features.faults import OutputError
from features.history.append import steps
from features.history.append.batch import Batch
from features.history.append.merge import Changes
from features.history.checks import ROW

FIRST = ("table", "row", "reason")


def place(new: Path) -> Path:
    """Where the refused rows of NEW are listed: `new.csv` has `new.csv.refused.csv` beside it."""
    absolute = new.absolute()
    return absolute.with_name(f"{absolute.name}.refused.csv")


def write_refused(new: Path, batch: Batch, changes: Changes) -> Path | None:
    """List the refused rows with their reasons and with all columns as they came; None where none was refused, and
    then the list of an earlier attempt is removed. Raises OutputError if the list cannot be written: whole or absent.
    """
    path = place(new)
    aside = path.with_name(f".{path.name}.writing")
    refused = {table: batch.received(table, rows) for table, rows in changes.refused.items() if rows}
    try:
        if not refused:
            steps.remove(path)
            return None
        columns = [*FIRST]
        for rows in refused.values():
            columns += [column for column in rows.column_names if column not in (*columns, ROW)]

        def fill(file: Path) -> None:
            with file.open("w", encoding="utf-8", newline="") as text:
                listed = csv.DictWriter(text, columns, restval="", extrasaction="ignore")
                listed.writeheader()
                for table, rows in refused.items():
                    for row in rows.to_pylist():
                        reason = " | ".join(changes.refused[table][row[ROW]])
                        listed.writerow(row | {"table": table, "row": row[ROW], "reason": reason})

        steps.write(aside, fill)
        steps.move(aside, path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        problem = f"the list of refused rows cannot be written: {error.strerror or error}. Nothing was added."
        raise OutputError(f"{path}: {problem}") from error
    return path
