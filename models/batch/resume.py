"""What a killed run has left is gone on with only by the same call: a record of the call lies beside the scored parts.

The record names the model and what of it shapes the features, the options, and the size of the chunks, and has digests
of what DATA and the candidates are: of the stamps of their files, or of a database's values.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from features.faults import refuse
from features.history.source import Candidates, History, fingerprint
from models.batch.file_columns import FileColumns
from models.batch.table_files import sync
from models.scorer import Scorer
from models.uncertainty.target import Target

FORMAT = 1  # of the record and the parts
RECORD = "call.json"


def call_record(
    history: History,
    candidates: Candidates,
    scorer: Scorer,
    label: str,
    columns: FileColumns,
    *,
    level: float,
    target: Target | None,
    reasons: int | None,
    chunk: int,
) -> dict[str, str]:
    """What must be the same for a run to go on, by what it is called in a fault."""
    stamp = history.stamp
    data = [stamp.paths, stamp.patterns, sorted(stamp.files.items())] if stamp.files else fingerprint(history)
    listed = candidates.stamp
    return {
        "the version of this program": str(FORMAT),
        "the model's version": label,
        "the model": _digest(scorer.facts.to_dict()),
        "DATA": _digest(data),
        "CANDIDATES": _digest([listed.paths, listed.patterns, sorted(listed.files.items())]),
        "--level": repr(level),
        "--target-cost": repr(target and target.cost),
        "--confidence": repr(target and target.confidence),
        "--columns": ",".join(columns.names),
        "--reasons": "all" if reasons is None else str(reasons),
        "the number of rows of a chunk": str(chunk),
    }


def _digest(values: Any) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()


def write_record(folder: Path, call: Mapping[str, str]) -> None:
    """Put the record into the folder of a run, unless it is there."""
    path = folder / RECORD
    if path.exists():
        return
    being_written = path.with_suffix(".part")
    being_written.write_text(json.dumps(call, indent=1), encoding="utf-8")
    sync(being_written)
    being_written.replace(path)
    sync(folder)


def is_of(folder: Path, call: Mapping[str, str]) -> bool:
    """Whether a folder was left by the same call; false where none was recorded.

    Raises InputError where another was: what it has done would be lost.
    """
    try:
        left = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return False
    if other := [name for name in call if left.get(name) != call[name]]:
        refuse(
            "--resume", folder, f"what a killed run left is of another call, which differs in {', '.join(other)}",
            "Call again as then, or leave --resume out once to remove it.",
        )  # fmt: skip
    return True
