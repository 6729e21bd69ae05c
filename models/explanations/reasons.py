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

Values = pd.DataFrame | Mapping[str, np.ndarray] | Mapping[str, pd.Series]  # by column, what reasons show
TOP, LEAST_FACTOR, DIGITS = 5, 1.005, 4
FEW_ROWS = 16  # up to here, calls to NumPy cost more than they save


def top_reasons(
    contributions: np.ndarray,
    columns: tuple[str, ...],
    matrix: Values,
    top: int = TOP,
) -> list[str]:
    """One JSON list a row, the strongest first, each {feature, value, factor}; a missing value is null.

    contributions: (rows, columns) on the log scale. Factors nearer to 1 than LEAST_FACTOR are left out.
    """
    strength = np.abs(contributions)
    order = np.argsort(-strength, axis=1, kind="stable")[:, : min(top, contributions.shape[1])]
    shown = np.take_along_axis(strength, order, axis=1) >= math.log(LEAST_FACTOR)
    write = _one_by_one if len(order) <= FEW_ROWS else _together
    return write(np.take_along_axis(contributions, order, axis=1), order, shown, columns, matrix)


def _one_by_one(
    moved: np.ndarray,
    order: np.ndarray,
    shown: np.ndarray,
    columns: tuple[str, ...],
    matrix: Values,
) -> list[str]:
    """moved, order, shown: (rows, top), on the log scale, the column that it comes from, and whether it is a reason."""
    values = {name: matrix[name].tolist() for name in {columns[i] for i in order[shown].tolist()}}
    out = []
    for row, (factors, places, there) in enumerate(zip(moved.tolist(), order.tolist(), shown.tolist(), strict=True)):
        reasons = [
            {"feature": columns[i], "value": plain(values[columns[i]][row]), "factor": _factor(factor)}
            for factor, i, is_shown in zip(factors, places, there, strict=True)
            if is_shown
        ]
        out.append(_json(reasons))
    return out


def _together(
    moved: np.ndarray,
    order: np.ndarray,
    shown: np.ndarray,
    columns: tuple[str, ...],
    matrix: Values,
) -> list[str]:
    """The same texts, with each value and each factor written once for all the rows that have it."""
    texts = np.full(order.shape, "", object)
    for column in np.unique(order[shown]).tolist():
        rows, places = np.nonzero(shown & (order == column))
        texts[rows, places] = _heads(columns[column], matrix[columns[column]], rows)
    texts[shown] += _factors(moved[shown])
    return [f"[{', '.join(filter(None, row))}]" for row in texts.tolist()]


def _heads(name: str, values: pd.Series | np.ndarray, rows: np.ndarray) -> np.ndarray:
    """What stands before the factor, of some rows."""
    begin = f'{{"feature": {_json(name)}, "value": '
    if values.dtype == float:
        chosen = np.asarray(values)[rows]
        bits, inverse = np.unique(chosen.view(np.int64), return_inverse=True)  # which tell -0.0 from 0.0
        heads = [f'{begin}{_number(one)}, "factor": ' for one in bits.view(float).tolist()]
        return np.array(heads, object)[inverse]
    known: dict[Any, str] = {}
    for value in (chosen := np.asarray(values, object)[rows].tolist()):
        if value not in known:
            known[value] = f'{begin}{_json(plain(value))}, "factor": '
    return np.array([known[value] for value in chosen], object)


def _number(value: float) -> str:
    """A number as `plain` gives it, in JSON."""
    return repr(float(f"{value:.6g}")) if math.isfinite(value) else "null"


def _factors(moved: np.ndarray) -> np.ndarray:
    """Factors as JSON, and the end of the object that they stand in; moved: (n,), on the log scale."""
    with np.errstate(over="ignore", invalid="ignore"):
        value = np.exp(moved)
        exponent = np.floor(np.log10(value))
        scaled = value * 10.0 ** (DIGITS - 1 - exponent)
        digits = np.rint(scaled)
    sure = (digits >= 10 ** (DIGITS - 1)) & (digits < 10**DIGITS) & (np.abs(scaled % 1 - 0.5) > 1e-6)
    out = np.empty(len(moved), object)
    # as one integer: digits and power of ten
    codes, inverse = np.unique(
        digits[sure].astype(np.int64) * 1_000 + exponent[sure].astype(np.int64), return_inverse=True
    )
    digits_of, powers = np.divmod(codes + 400, 1_000)
    written = [
        f"{float(f'{d}e{p - 400 - DIGITS + 1}')!r}}}" for d, p in zip(digits_of.tolist(), powers.tolist(), strict=True)
    ]
    out[sure] = np.array(written, object)[inverse]
    out[~sure] = [f"{_json(_factor(one))}}}" for one in moved[~sure].tolist()]
    return out


def _factor(moved: float) -> float:
    return float(f"{math.exp(moved):.{DIGITS}g}")


def _json(value: Any) -> str:
    return json.dumps(value, allow_nan=False, ensure_ascii=False)


def plain(value: Any) -> str | float | None:
    """A value as JSON may hold it: text, a finite number of six digits, or null."""
    if isinstance(value, str):
        return value
    if value is None or pd.isna(value) or not math.isfinite(float(value)):
        return None
    return float(f"{float(value):.6g}")
