"""What moved a score most, as factors that multiply: the exponentials of the SHAP values of the log rate.

Exact values (Lundberg et al. 2020, Nature Machine Intelligence 2, 56-67): for trees from tables
(`models.explanations.tree_shap`), for the mixed model its own terms. A factor says how the model arrived at its score,
never what causes conversions.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

TOP, LEAST_FACTOR = 5, 1.005


def top_reasons(
    contributions: np.ndarray,
    columns: tuple[str, ...],
    matrix: pd.DataFrame | Mapping[str, np.ndarray],
    top: int = TOP,
) -> list[str]:
    """One JSON list a row, the strongest first, each {feature, value, factor}; a missing value is null.

    contributions: (rows, columns) on the log scale. Factors nearer to 1 than LEAST_FACTOR are left out.
    """
    strength = np.abs(contributions)
    top = min(top, contributions.shape[1])
    order = np.argsort(-strength, axis=1, kind="stable")[:, :top]
    values = {name: matrix[name].tolist() for name in columns}
    least = math.log(LEAST_FACTOR)
    out = []
    for row, best in enumerate(order):
        reasons = [
            {
                "feature": columns[i],
                "value": plain(values[columns[i]][row]),
                "factor": float(f"{math.exp(contributions[row, i]):.4g}"),
            }
            for i in best.tolist()
            if strength[row, i] >= least
        ]
        out.append(json.dumps(reasons, allow_nan=False, ensure_ascii=False))
    return out


def plain(value: Any) -> str | float | None:
    """A value as JSON may hold it: text, a finite number of six digits, or null."""
    if isinstance(value, str):
        return value
    if value is None or pd.isna(value) or not math.isfinite(float(value)):
        return None
    return float(f"{float(value):.6g}")
