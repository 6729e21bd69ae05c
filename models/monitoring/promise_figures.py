"""How good judged promises were: coverage, bias and regret, by version, by month of start, and over all."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import t as student

from models.evaluation.metrics import conversions_bought
from models.monitoring.e_process import advantage_fortune, coverage_fortune
from models.monitoring.promises import Settled, inside

ALL = "all"
SHARE = 0.25  # of the money: a tenth of a month's list would be a deal or two
LEVEL, LEAST_CREATORS = 0.95, 6
FIGURES = ("level", "coverage", "bias", "bias_low", "bias_high", "regret_hindsight", "regret_own_record")


def figures(deals: pd.DataFrame) -> pd.DataFrame:
    """A row for all of `Settled.deals`, for each model, each month, and each month of a model.

    model, month: ALL where it is of all. deals, creators: how many. level, coverage: promised and found share within
    the intervals. bias: log of predicted over realised total; bias_low, bias_high: its 95 % interval, NaN for fewer
    than LEAST_CREATORS creators. Regret in conversions per 1,000 dollars, where SHARE of the money is spent in the
    promised order: against the best order in hindsight, and against the order of the creators' own records (below 0
    where the promised order was better).
    """
    month = deals.starts_at.dt.strftime("%Y-%m")
    parts = [
        (ALL, ALL, deals),
        *((str(model), ALL, part) for model, part in deals.groupby("model")),
        *((ALL, str(name), part) for name, part in deals.groupby(month)),
        *((str(model), str(name), part) for (model, name), part in deals.groupby(["model", month])),
    ]
    rows = [
        {"model": model, "month": name, "deals": len(part), "creators": part.creator_id.nunique(), **_measure(part)}
        for model, name, part in parts
    ]
    return pd.DataFrame(rows, columns=["model", "month", "deals", "creators", *FIGURES])


def _measure(part: pd.DataFrame) -> dict[str, float]:
    if part.empty:
        return dict.fromkeys(FIGURES, float("nan"))
    predicted, counts = (part.rate * part.exposure).to_numpy(float), part.counts.to_numpy(float)
    bias, low, high = _bias(predicted, counts, part.creator_id.to_numpy(object))
    spend = part.spend.to_numpy(float)
    came = counts * spend / part.exposure.to_numpy(float)
    bought, best, peer = (
        float(conversions_bought(rank_by, spend, came, (SHARE,))[0, 0])
        for rank_by in (part.rate.to_numpy(float), came / spend, part.own_record.to_numpy(float))
    )
    thousands = SHARE * spend.sum() / 1_000
    return {
        "level": float(part.level.mean()),
        "coverage": float(inside(part).mean()),
        "bias": bias,
        "bias_low": low,
        "bias_high": high,
        "regret_hindsight": (best - bought) / thousands,
        "regret_own_record": (peer - bought) / thousands,
    }


def _bias(predicted: np.ndarray, counts: np.ndarray, creators: np.ndarray) -> tuple[float, float, float]:
    """Log of the totals' ratio with its interval, creators drawn at random (the delta method for a ratio: Cochran 1977,
    Sampling Techniques, ch. 6)."""
    if not counts.sum() > 0 or not predicted.sum() > 0:
        return (float("nan"),) * 3
    bias = float(np.log(predicted.sum() / counts.sum()))
    places, keys = pd.factorize(creators)
    if len(keys) < LEAST_CREATORS:
        return bias, float("nan"), float("nan")
    apart = np.bincount(places, predicted / predicted.sum() - counts / counts.sum())
    error = float(np.sqrt(len(keys) / (len(keys) - 1) * (apart**2).sum()))
    half_width = float(student.ppf((1 + LEVEL) / 2, len(keys) - 1)) * error
    return bias, bias - half_width, bias + half_width


def metrics(settled: Settled, table: pd.DataFrame) -> list[tuple[str, float, int]]:
    """Name, value and step of the figures for MLflow, those that are known: over all (step 0), with .by_month at the
    end (step 202605 for May 2026), with .by_version (step: the version's number)."""
    out = [(f"promises.{name}", float(number), 0) for name, number in settled.reasons.items()]
    out += [
        ("promises.coverage_e_value", coverage_fortune(settled.weeks).now, 0),
        ("promises.advantage_e_value", advantage_fortune(settled.weeks).now, 0),
    ]
    for row in table.to_dict("records"):
        version = str(row["model"]).rpartition("/")[2]
        if row["model"] == row["month"] == ALL:
            end, step = "", 0
        elif row["model"] == ALL:
            end, step = ".by_month", int(str(row["month"]).replace("-", ""))
        elif row["month"] == ALL and version.isdigit():
            end, step = ".by_version", int(version)
        else:
            continue
        out += [(f"promises.{name}{end}", float(row[name]), step) for name in ("deals", *FIGURES)]
    return [(name, value, step) for name, value, step in out if np.isfinite(value)]
