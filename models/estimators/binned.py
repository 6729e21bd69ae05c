"""Rows in LightGBM's bins, binned once for all recipes that are fitted to them.

Bins depend on the features alone, so recipes that differ in labels, weights and the settings of trees share them, and
their trees are to the bit what they are with bins of their own. Where rows are many, the older and the newest of them
are copied out of all rows' bins, which is some 50 times as fast as to bin them again.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any

import lightgbm as lgb
import numpy as np

from models.estimators.count_data import CountData

STOPPING_SHARE = 0.15
MANY_ROWS = 50_000  # above which LightGBM's sample of rows gives all and the older ones nearly the same bins
# settings that no bin depends on: what a recipe changes of others takes bins of its own
OF_TREES = frozenset({"learning_rate", "num_leaves", "feature_fraction", "lambda_l2", "tweedie_variance_power"})


class BinnedRows:
    """All rows, the older ones that stop the growth of trees early, and the newest STOPPING_SHARE that judge it.

    Rows must be in the order of time. Only one fit may use it at a time: each sets its own labels and weights.
    """

    def __init__(self, count_data: CountData, settings: dict[str, Any]) -> None:
        self.settings = settings
        self.older_rows = int(len(count_data.counts) * (1 - STOPPING_SHARE))
        self.all_rows = count_data
        self.one_binning = len(count_data.counts) > MANY_ROWS

    @cached_property
    def older(self) -> lgb.Dataset:
        """All but the newest."""
        if self.one_binning:
            return _copied(self.whole, np.arange(self.older_rows))
        return _binned(self.all_rows.take(slice(self.older_rows)), self.settings)

    @cached_property
    def newest(self) -> lgb.Dataset:
        """The newest, in the bins of the older."""
        if self.one_binning:
            return _copied(self.whole, np.arange(self.older_rows, len(self.all_rows.counts)))
        return _binned(self.all_rows.take(slice(self.older_rows, None)), self.settings, self.older)

    @cached_property
    def whole(self) -> lgb.Dataset:
        """All of them."""
        return _binned(self.all_rows, self.settings)

    def copy(self) -> BinnedRows:
        """The same for a fit that runs beside this one's."""
        out = BinnedRows(self.all_rows, self.settings)
        for name in ("whole", "older", "newest"):
            data = getattr(self, name)
            setattr(out, name, _copied(data, np.arange(data.num_data())))
        return out

    def serves(self, recipe_settings: Iterable[str]) -> bool:
        """Whether a recipe that changes these settings has the same bins."""
        return OF_TREES.issuperset(recipe_settings)


def label_rows(data: lgb.Dataset, label: np.ndarray, weight: np.ndarray | None) -> lgb.Dataset:
    """Set labels and weights (rows,) of binned rows, in place of earlier ones."""
    # `set_weight` alone would leave earlier weights where it takes the new ones for none
    return data.set_label(label).set_field("weight", None).set_weight(weight)


def _copied(data: lgb.Dataset, rows: np.ndarray) -> lgb.Dataset:
    """Some rows (positions), in the bins that they have."""
    return data.subset(rows.tolist()).construct()


def _binned(count_data: CountData, settings: dict[str, Any], reference: lgb.Dataset | None = None) -> lgb.Dataset:
    return lgb.Dataset(
        count_data.features[:, : len(count_data.encoding.columns)],
        np.zeros(len(count_data.counts)),  # each fit sets its own
        categorical_feature=count_data.encoding.categorical,
        params=settings,
        reference=reference,
        free_raw_data=True,
    ).construct()
