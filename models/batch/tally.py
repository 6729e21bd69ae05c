"""What came of scoring a list: how many rows, the best of them, the warnings."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.history.score_columns import TARGET_SCORES
from models.batch.file_columns import INTERVAL
from models.batch.row_scorer import OWN

BEST = 10
TOP = ("candidate_id", "creator_id", "brand", "spend", *OWN, *INTERVAL, *TARGET_SCORES, "reasons")


@dataclass(frozen=True)
class Summary:
    """What came of a scoring run: rows, the ten best as plain values, how often each warning was given; None where
    they were not requested."""

    rows: int
    best: list[dict[str, Any]]
    warnings: dict[str, int] | None


class Tally:
    """Takes the chunks of a list, in its order."""

    def __init__(self) -> None:
        self.rows = 0
        self._best: list[dict[str, Any]] = []
        self._warnings: Counter[str] | None = None

    def add(self, scored: pa.Table) -> None:
        """The next chunk with its scores."""
        self.rows += scored.num_rows
        self._best = _best(self._best, scored)
        if "warnings" in scored.column_names:
            self._warnings = self._warnings or Counter()
            for found in pc.value_counts(scored["warnings"]).to_pylist():
                self._warnings.update(dict.fromkeys(json.loads(found["values"]), found["counts"]))

    def summary(self, reasons: Mapping[str, str]) -> Summary:
        """Of all chunks. reasons: of candidates that were given some later."""
        best = [row | _given(reasons, row) for row in self._best]
        return Summary(self.rows, best, None if self._warnings is None else dict(self._warnings.most_common()))


def _given(reasons: Mapping[str, str], row: Mapping[str, Any]) -> dict[str, str]:
    return {"reasons": reasons[row["candidate_id"]]} if row["candidate_id"] in reasons else {}


def _best(found: list[dict[str, Any]], part: pa.Table) -> list[dict[str, Any]]:
    """The BEST of those found so far and of a part's rows, the earlier row first where rates are equal."""
    first = np.argsort(-part["conversions_per_dollar"].to_numpy(), kind="stable")[:BEST]
    found = found + part.select([name for name in TOP if name in part.column_names]).take(first).to_pylist()
    return sorted(found, key=lambda row: -row["conversions_per_dollar"])[:BEST]
