"""The model as MLflow serves it: the matrix's columns, creator_id and spend in, the score columns out. Loaded from
code, no pickle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel

from models.scorer import Scorer


class CreatorYield(PythonModel):
    """Wraps a saved scorer."""

    def load_context(self, context: Any) -> None:
        self.scorer = Scorer.load(Path(context.artifacts["scorer"]))

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Score columns, a row per row of the input. params: level of the interval, whether reasons are wanted."""
        options = params or {}
        rows = model_input.reset_index(drop=True)
        return self.scorer.score(rows, rows, float(options.get("level", 0.8)), bool(options.get("reasons", True)))


set_model(CreatorYield())
