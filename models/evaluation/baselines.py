"""What a careful person would do without us: one rate, price alone, the creator's own record, a Poisson regression."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import PoissonRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from models.estimators.count_data import CountData
from models.estimators.encoding import Encoding

RECORD_PRIOR = 2.0
MOST_VALUES = 1 << 23  # of the regression's table, of which it makes copies; 64 MiB each
NAMES = ("one_rate", "price_only", "own_record", "poisson_regression")


def predict_baselines(
    count_data: CountData,
    creators: np.ndarray,
    encoding: Encoding,
    features: np.ndarray,
    wanted: np.ndarray,
    spend: np.ndarray,
) -> dict[str, np.ndarray]:
    """Rates of every baseline for rows `features` (rows, columns + 1) of the creators `wanted` at `spend` dollars."""
    rate = float(count_data.counts.sum() / count_data.exposure.sum())
    return {
        "one_rate": np.full(len(features), rate),
        "price_only": price_only(count_data, spend),
        "own_record": own_record(count_data, creators, wanted),
        "poisson_regression": poisson_regression(count_data, encoding, features),
    }


def price_only(count_data: CountData, spend: np.ndarray) -> np.ndarray:
    """A rate that falls or rises with a power of the price, and with nothing else.

    Where conversions do not follow the money at all, cheap deals have the better rate: no reason to praise a model.
    """
    model = PoissonRegressor(alpha=1e-6, solver="newton-cholesky")
    scale = float(np.average(count_data.counts / count_data.exposure, weights=count_data.weight))
    price = np.log(count_data.exposure)
    centre, spread = float(price.mean()), float(price.std())
    if scale <= 0 or spread < 1e-9:
        return np.full(len(spend), count_data.level)
    model.fit((price[:, None] - centre) / spread, count_data.counts / count_data.exposure / scale, count_data.weight)
    prices = np.clip(np.log(spend), price.min(), price.max())
    return scale * model.predict((prices[:, None] - centre) / spread)


def own_record(count_data: CountData, creators: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Each creator's own rate, with RECORD_PRIOR average collaborations at the overall rate added to it."""
    return OwnRecords.of(count_data.counts, count_data.exposure, creators).rates(wanted)


@dataclass(frozen=True)
class OwnRecords:
    """Creators' past results: by creator, counts and exposure (dollars × share arrived); the rate of all, and the
    exposure at that rate which is added to each creator's own."""

    past: pd.DataFrame
    rate: float
    prior: float

    @classmethod
    def of(cls, counts: np.ndarray, exposure: np.ndarray, creators: np.ndarray) -> OwnRecords:
        """From results (rows,) each; with none of them, nothing is known and all rates are NaN."""
        past = pd.DataFrame({"creator": creators, "counts": counts, "exposure": exposure}).groupby("creator").sum()
        if not len(counts):
            return cls(past, float("nan"), 1.0)
        return cls(past, float(counts.sum() / exposure.sum()), RECORD_PRIOR * float(np.median(exposure)))

    def rates(self, wanted: np.ndarray) -> np.ndarray:
        """Conversions per dollar (n,) of the creators `wanted`; the rate of all for one without a result."""
        past = self.past.reindex(wanted).fillna(0.0)
        return ((past.counts + self.rate * self.prior) / (past.exposure + self.prior)).to_numpy()


def poisson_regression(count_data: CountData, encoding: Encoding, features: np.ndarray) -> np.ndarray:
    """Log-linear, imputed medians, standardised numbers, one column a level; rows weighed as the trees' are.

    Fitted to the newest rows, up to MOST_VALUES of their numbers and columns of levels: some 30,000.
    """
    width = len(encoding.columns) + sum(len(levels) for levels in encoding.levels.values())
    if len(count_data.counts) * width > MOST_VALUES:
        count_data = count_data.take(slice(-(MOST_VALUES // width), None))
    rate = count_data.counts / count_data.exposure
    scale = float(np.average(rate, weights=count_data.weight))
    if scale <= 0:
        return np.full(len(features), count_data.level)
    model = _regression(encoding)
    model.fit(
        _tame(count_data.features, count_data.features), rate / scale, poissonregressor__sample_weight=count_data.weight
    )
    log_rate = np.log(np.maximum(model.predict(_tame(features, count_data.features)), 1e-12))
    return scale * np.exp(np.clip(log_rate, -10, 10))


def _tame(features: np.ndarray, fitted: np.ndarray) -> np.ndarray:
    """No further out than in training: a line must not run on beyond what it was fitted to."""
    with np.errstate(all="ignore"):
        return np.clip(features, np.nanmin(fitted, axis=0), np.nanmax(fitted, axis=0))


def _regression(encoding: Encoding) -> Pipeline:
    categories = encoding.categorical
    numbers = [i for i in range(len(encoding.columns)) if i not in categories]
    prepare = ColumnTransformer(
        [
            (
                "numbers",
                make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler()),
                numbers,
            ),
            ("categories", OneHotEncoder(handle_unknown="ignore", sparse_output=False), categories),
        ]
    )
    return make_pipeline(prepare, PoissonRegressor(alpha=0.01, solver="newton-cholesky", max_iter=50))
