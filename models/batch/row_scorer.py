"""Rows with their features into the columns of scores, by the same code in this process and on an executor."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from features.history.score_columns import TARGET_SCORES
from models.batch.file_columns import INTERVAL, FileColumns
from models.scorer import Scorer
from models.scoring import Scores
from models.uncertainty.target import Target

TEXTS, NO_REASONS = ("reasons", "warnings", "model_version"), "[]"
OWN = ("conversions_per_dollar", "conversions", "cost_per_conversion")  # always there: the summary shows them


class RowScorer:
    """Scores rows by one model into the columns that a file wants."""

    def __init__(
        self,
        scorer: Scorer,
        label: str,
        *,
        columns: FileColumns,
        level: float = 0.8,
        target: Target | None = None,
        reasons: bool = True,
    ) -> None:
        """columns: of the file; scores that are not among them are not computed, where that saves time. reasons:
        whether rows have them; without, each is empty."""
        self.scorer, self.label = scorer, label
        self.scores = tuple(name for name in columns.scores if name not in (*OWN, "rank"))
        self.level = level if columns.has(*INTERVAL) else None
        self.target = target if columns.has(*TARGET_SCORES) else None
        self.reasons = reasons and columns.has("reasons")

    @property
    def schema(self) -> pa.Schema:
        """Names and types of the columns that `columns` yields."""
        return pa.schema([(name, pa.string() if name in TEXTS else pa.float64()) for name in (*OWN, *self.scores)])

    def coded(self, batch: pa.RecordBatch, matrix: pd.DataFrame) -> np.ndarray:
        """Features as the model codes them."""
        return self.scorer.scoring.coding.transform(matrix, np.array(batch.column("creator_id").to_pylist(), object))

    def columns(self, batch: pa.RecordBatch, coded: np.ndarray, matrix: pd.DataFrame) -> pa.Table:
        """The scores of rows, as `schema` has them.

        batch: `creator_id`, `spend` in dollars, `starts_at` of every row. coded, matrix: its features, as the model
        codes them and as reasons show them.
        """
        columns: dict[str, Any] = self._scores(batch, coded, matrix).columns()
        if "warnings" in self.scores:
            texts = {codes: json.dumps(codes) for codes in set(columns["warnings"])}
            columns["warnings"] = [texts[codes] for codes in columns["warnings"]]
        columns.setdefault("reasons", [NO_REASONS] * len(batch))
        columns["model_version"] = [self.label] * len(batch)
        return pa.table([pa.array(columns[field.name], field.type) for field in self.schema], schema=self.schema)

    def _scores(self, batch: pa.RecordBatch, coded: np.ndarray, matrix: pd.DataFrame) -> Scores:
        scoring, values, spend = self.scorer.scoring, matrix if self.reasons else None, numbers(batch, "spend")
        if self.level is None and self.target is None and "warnings" not in self.scores:
            rate = scoring.rates(coded)  # what past results support is not needed
            reasons = None if values is None else scoring.reasons(coded, values)
            return Scores(rate, None, None, rate * spend, 1 / rate, [], reasons)
        return scoring.score(coded, spend, starts=starts(batch), level=self.level, values=values, target=self.target)


def starts(batch: pa.RecordBatch) -> np.ndarray:
    """When the deals start, in microseconds since 1970 (rows,)."""
    return np.asarray(batch.column("starts_at").cast(pa.timestamp("us")).cast(pa.int64()))


def numbers(batch: pa.RecordBatch, name: str) -> np.ndarray:
    """A column of numbers (rows,), NaN where a value is missing, or all of them are."""
    if name not in batch.schema.names:
        return np.full(len(batch), np.nan)
    return np.asarray(batch.column(name).cast(pa.float64()).to_numpy(zero_copy_only=False))
