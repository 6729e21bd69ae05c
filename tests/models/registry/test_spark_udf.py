"""The registered model as a function of Spark's, as `mlflow.pyfunc.spark_udf` makes it: make test-engines."""

from __future__ import annotations

from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from features.engines.spark import connected
from features.history.source import open_history
from features.matrix import FeatureBuilder
from models import tracking
from tests.support import spark

pytestmark = [pytest.mark.engines, pytest.mark.slow]
RESULT = "conversions_per_dollar double, conversions double, warnings string"
ROWS = 50


def test_the_registered_model_scores_in_spark(
    trained_workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(trained_workspace)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db")
    scorer = tracking.load(tracking.connect(create=False), "models:/conversions-per-dollar@champion").scorer
    with open_history("data") as history:
        spine = history.collaborations.order_by("collaboration_id").limit(ROWS).to_pandas()
        with FeatureBuilder(history, scorer.settings, scorer.classifier) as builder:
            rows = builder.build(spine).assign(creator_id=spine.creator_id, spend=spine.spend)
    expected = scorer.score(rows, rows, reasons=False)
    (tmp_path / "cluster").mkdir()
    with spark.running("cluster", tmp_path / "cluster") as url, connected(url) as engine:
        scores = mlflow.pyfunc.spark_udf(
            engine.session, "models:/conversions-per-dollar@champion", result_type=RESULT, env_manager="local"
        )
        table = pa.Table.from_pandas(rows.assign(row_id=np.arange(ROWS)), preserve_index=False)
        engine.put("rows", table)
        found = engine.session.table("rows").repartition(2).select("row_id", scores(*rows.columns).alias("s"))
        found = found.select("row_id", "s.*").toArrow().to_pandas().sort_values("row_id", ignore_index=True)
    columns = [definition.split()[0] for definition in RESULT.split(", ")]
    pd.testing.assert_frame_equal(found[columns], expected[columns], check_exact=True, check_dtype=False)
