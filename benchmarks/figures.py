"""How good scores are where it is known what was, or would have been, true; and the tables that are shown of it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from models.evaluation.metrics import covered, measure, poisson_deviance, value

FIGURES = ("skill", "rank", "unseen", "value", "log_r2", "total", "coverage", "width")
BUDGET_SHARE = 0.1
NOT_DEFINED = "–"


def judge(
    rates: np.ndarray,
    truth: pd.DataFrame,
    seen: np.ndarray,
    low: np.ndarray | None = None,
    high: np.ndarray | None = None,
) -> dict[str, float]:
    """The `FIGURES` of predicted conversions per dollar (rows,); NaN for one that is not defined.

    truth: row by row `spend` in dollars and `conversions`, one final draw; where the market is made up, also `mean`,
    the expected conversions. seen: rows (bool) whose creator has results. low, high: of the 80 % interval.

    With `mean`: skill is the share explained of the Poisson deviance that can be (1 knows every mean, 0 is one rate
    known in hindsight); rank is Spearman's correlation with the true rate, unseen the same for creators without
    results; value is the expected conversions that a tenth of the money buys from the best score down, over what it
    buys by the true rate; log_r2 the share explained of the variance of the true log rate. Without it, what came
    stands for what was expected. total: predicted over realised conversions.
    coverage, width: share of realised rates inside the interval; median of log(high / low).

    Raises ValueError for a rate that is no number from 0.
    """
    if not (np.isfinite(rates) & (rates >= 0)).all():
        raise ValueError("a rate is missing, endless or below 0")
    spend, counts = (truth[name].to_numpy(float) for name in ("spend", "conversions"))
    out = measure(rates, counts, spend, BUDGET_SHARE) | {"log_r2": np.nan}
    real = counts / spend
    if "mean" in truth:
        mean = truth["mean"].to_numpy(float)
        real = mean / spend
        null = poisson_deviance(counts, spend * counts.sum() / spend.sum())
        possible = null - poisson_deviance(counts, mean)
        out["skill"] = (null - poisson_deviance(counts, spend * rates)) / possible
        out["value"] = value(rates, spend, mean, BUDGET_SHARE)
        out["rank"] = _spearman(rates, real)
        miss = np.log(real) - np.log(np.maximum(rates, 1e-9))
        out["log_r2"] = float(1 - (miss**2).sum() / ((np.log(real) - np.log(real).mean()) ** 2).sum())
    out["unseen"] = _spearman(rates[~seen], real[~seen])
    if low is not None and high is not None:
        out |= covered(low, high, counts / spend)
    return {name: out.get(name, float("nan")) for name in FIGURES}


def _spearman(first: np.ndarray, second: np.ndarray) -> float:
    if len(first) < 2 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return float("nan")
    return float(pd.Series(first).corr(pd.Series(second), method="spearman"))


def cells(table: pd.DataFrame) -> list[list[str]]:
    """A table as text, its header first: numbers with the digits that they bear, – where one is not defined."""
    lines = [[str(name) for name in table.columns]]
    for row in table.itertuples(index=False):
        lines.append([_cell(str(name), value) for name, value in zip(table.columns, row, strict=True)])
    return lines


def _cell(name: str, value: object) -> str:
    if isinstance(value, float):
        if np.isnan(value):
            return NOT_DEFINED
        return f"{value:,.0f}" if name == "seconds" else f"{round(value, 3) + 0.0:.3f}"  # no -0.000
    return f"{value:,}" if isinstance(value, int | np.integer) else str(value)


def markdown(lines: Sequence[Sequence[str]]) -> str:
    """Lines of cells, a header first, as a Markdown table."""
    rows = [list(lines[0]), ["---"] * len(lines[0]), *(list(line) for line in lines[1:])]
    return "".join("| " + " | ".join(row) + " |\n" for row in rows)


def write_tables(table: pd.DataFrame, stem: Path) -> None:
    """`stem`.csv with all digits and `stem`.md as it is shown; each is replaced whole."""
    write(stem.with_suffix(".csv"), table.to_csv(index=False).encode())
    write(stem.with_suffix(".md"), markdown(cells(table)).encode())


def write(path: Path, content: bytes) -> None:
    """A file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, aside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(aside).chmod(0o644)
        Path(aside).replace(path)
    except BaseException:
        Path(aside).unlink(missing_ok=True)
        raise
