"""What moved a score most, as factors that multiply: the exponentials of the SHAP values of the log rate.

Exact values (Lundberg et al. 2020, Nature Machine Intelligence 2, 56-67): for trees from tables
(`models.explanations.tree_shap`), for the mixed model its own terms. A factor says how the model arrived at its score,
never what causes conversions.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

Values = pd.DataFrame | Mapping[str, np.ndarray] | Mapping[str, pd.Series]  # by column, what reasons show
TOP, LEAST_FACTOR, DIGITS = 5, 1.005, 4
FEW_ROWS = 256  # up to here, calls to NumPy and Arrow cost more than they save


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
    used = set(order[shown].tolist())
    values = {i: matrix[columns[i]].tolist() for i in used}
    heads = {i: _head(columns[i]) for i in used}
    out, exp = [], math.exp
    for row, (factors, places, there) in enumerate(zip(moved.tolist(), order.tolist(), shown.tolist(), strict=True)):
        reasons = []
        for factor, i, is_shown in zip(factors, places, there, strict=True):
            if is_shown:
                value = values[i][row]
                text = _written(f"{value:.6g}") if type(value) is float else _json(plain(value))
                reasons.append(f'{heads[i]}{text}, "factor": {_written(f"{exp(factor):.{DIGITS}g}")}}}')
        out.append(f"[{', '.join(reasons)}]")
    return out


@cache
def _head(column: str) -> str:
    """The beginning of a reason, up to its value."""
    return f'{{"feature": {_json(column)}, "value": '


def _together(
    moved: np.ndarray,
    order: np.ndarray,
    shown: np.ndarray,
    columns: tuple[str, ...],
    matrix: Values,
) -> list[str]:
    """The same texts, with each value and each factor written once for all the rows that have it.

    Arrow joins them, so that other threads need not wait.
    """
    if not shown.any():
        return ["[]"] * len(order)
    heads, head = _heads(order, shown, columns, matrix)
    tails, tail = _factors(moved[shown])
    places = np.zeros((2, *order.shape[::-1]), np.intp)  # by reason, then by row
    places.transpose(0, 2, 1)[:, shown] = head, tail
    # the strongest come first, so what is shown is never behind what is not
    reasons = [
        pc.binary_join_element_wise(
            ", " if i else "", heads.take(pa.array(one, mask=~there)), tails.take(pa.array(factor)), ""
        )
        for i, (one, factor, there) in enumerate(zip(*places, shown.T, strict=True))
    ]
    texts: list[str] = pc.binary_join_element_wise("[", *reasons, "]", "", null_handling="replace").to_pylist()
    return texts


def _heads(
    order: np.ndarray, shown: np.ndarray, columns: tuple[str, ...], matrix: Values
) -> tuple[pa.Array, np.ndarray]:
    """What stands before the factors: distinct texts, and the place of each reason's among them (shown reasons,)."""
    rows, of_column = np.nonzero(shown)[0], order[shown]
    by_column = np.argsort(of_column, kind="stable")
    found, firsts = np.unique(of_column[by_column], return_index=True)
    place = np.empty(len(rows), np.intp)
    texts: list[str] = []
    for column, mine in zip(found.tolist(), np.split(by_column, firsts[1:]), strict=True):
        begin = _head(columns[column])
        values, inverse = _distinct(matrix[columns[column]], rows[mine])
        place[mine] = inverse + len(texts)
        texts += [f'{begin}{value}, "factor": ' for value in values]
    return pa.array(texts, pa.string()), place


def _distinct(values: pd.Series | np.ndarray, rows: np.ndarray) -> tuple[list[str], np.ndarray]:
    """The distinct values of some rows as `plain` gives them, in JSON, and each row's place among them."""
    if values.dtype == float:
        chosen = np.asarray(values)[rows]
        bits, inverse = np.unique(chosen.view(np.int64), return_inverse=True)  # which tell -0.0 from 0.0
        return [_number(one) for one in bits.view(float).tolist()], inverse
    known: dict[Any, int] = {}
    inverse = np.array([known.setdefault(v, len(known)) for v in np.asarray(values, object)[rows].tolist()], np.intp)
    return [_json(plain(value)) for value in known], inverse


def _number(value: float) -> str:
    """A number as `plain` gives it, in JSON."""
    return _written(f"{value:.6g}")


@lru_cache(1 << 16)  # so few digits come again and again
def _written(digits: str) -> str:
    """A number that was rounded to its digits, in JSON: null where it is not finite."""
    value = float(digits)
    return repr(value) if math.isfinite(value) else "null"


def _factors(moved: np.ndarray) -> tuple[pa.Array, np.ndarray]:
    """Factors as JSON, with the end of the object that they stand in: distinct texts, and the place of each (n,).

    moved: (n,), on the log scale.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        value = np.exp(moved)
        exponent = np.floor(np.log10(value))
        scaled = value * 10.0 ** (DIGITS - 1 - exponent)
        digits = np.rint(scaled)
    sure = (digits >= 10 ** (DIGITS - 1)) & (digits < 10**DIGITS) & (np.abs(scaled % 1 - 0.5) > 1e-6)
    place = np.empty(len(moved), np.intp)
    # as one integer: digits and power of ten
    codes, place[sure] = np.unique(
        digits[sure].astype(np.int64) * 1_000 + exponent[sure].astype(np.int64), return_inverse=True
    )
    digits_of, powers = np.divmod(codes + 400, 1_000)
    texts = [
        f"{float(f'{d}e{p - 400 - DIGITS + 1}')!r}}}" for d, p in zip(digits_of.tolist(), powers.tolist(), strict=True)
    ]
    others = [f"{_json(_factor(one))}}}" for one in moved[~sure].tolist()]
    place[~sure] = np.arange(len(texts), len(texts) + len(others))
    return pa.array(texts + others, pa.string()), place


def _factor(moved: float) -> float:
    return float(f"{math.exp(moved):.{DIGITS}g}")


_json = json.JSONEncoder(allow_nan=False, ensure_ascii=False).encode


def plain(value: Any) -> str | float | None:
    """A value as JSON may hold it: text, a finite number of six digits, or null."""
    if isinstance(value, str):
        return value
    if value is None or pd.isna(value) or not math.isfinite(float(value)):
        return None
    return float(f"{float(value):.6g}")
