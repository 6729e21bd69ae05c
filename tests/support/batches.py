"""A training with a newest batch, for tests of what is held against older rows; slips as exports make them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from models.estimators.outcomes import Outcomes
from models.monitoring.training_rows import training_rows
from models.training import TrainingSet
from tests.support.past_market import matrix, spine


def training_of(frame: pd.DataFrame) -> TrainingSet:
    """The frame's rows with what the creators' posts, comments and earlier deals say of them."""
    made = matrix(frame)
    more: dict[str, Any] = {
        "brand": frame.brand.astype(object),
        "deliverables": frame.deliverables.astype(float),
        "days_since_post": 3.0,
        "comments_seen": 20.0,
        "creator_deals": frame.groupby("creator_id").cumcount().astype(float),
    }
    made = made.assign(**more)
    return TrainingSet(made, frame, Outcomes.from_tables(frame, None, 30.0).with_kinds(made))


def market(rows: int = 400, seed: int = 0) -> pd.DataFrame:
    """Past results whose creators have prices of their own and platforms."""
    frame = spine(rows, seed)
    rng = np.random.default_rng(seed)
    price = dict(zip(sorted(frame.creator_id.unique()), rng.normal(0, 0.5, frame.creator_id.nunique()), strict=True))
    own = frame.creator_id.map(price).to_numpy(float) + rng.normal(0, 0.4, rows)
    frame["spend"] = np.round(np.exp(6.2 + own), 2)
    frame["promotion_hours"] = frame.promotion_hours * np.exp(rng.normal(0, 0.2, rows))
    frame["conversions"] = rng.poisson(frame.rate * frame.spend * rng.gamma(2.5, 0.4, rows))
    return frame


def seen(frame: pd.DataFrame, rows: int, **more: Any) -> pd.DataFrame:
    """What a training on the first rows kept of them."""
    return training_rows(training_of(frame[:rows]), **more)


def changed(frame: pd.DataFrame, rows: np.ndarray, values: Mapping[str, Any]) -> pd.DataFrame:
    """The frame with other values in some rows (bool)."""
    out = frame.copy()
    for column, value in values.items():
        out[column] = out[column].mask(rows, value)
    return out


def with_links(training: TrainingSet, **columns: np.ndarray) -> TrainingSet:
    """The training with other columns in its matrix."""
    return replace(training, matrix=training.matrix.assign(**columns))
