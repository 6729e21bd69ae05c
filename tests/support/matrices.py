"""Matrices of a small market, built and compared."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from features.history.source import open_history
from features.matrix import FeatureBuilder
from tests.support.small_world import StubClassifier

MOMENTS = {"posts": "posted_at", "comments": "commented_at", "collaborations": "starts_at"}


def build(data: Path | str, spine: pd.DataFrame, threads: int = 2) -> pd.DataFrame:
    """The matrix of a spine from DATA in any form."""
    with (
        open_history(data, threads=threads) as history,
        FeatureBuilder(history, classifier=StubClassifier()) as builder,
    ):
        return builder.build(spine)


def assert_same(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    """Equal to the bit."""
    pd.testing.assert_frame_equal(found, expected, check_exact=True)
