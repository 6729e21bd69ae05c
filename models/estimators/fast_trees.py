"""Raw scores of several boosters at once, with LightGBM's bits in a fraction of its time, where numba is installed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec

import numpy as np

from models.estimators.tree_tables import tabulate


class FastTrees:
    """Boosters whose features are the same. Several threads may use them at a time."""

    def __init__(self, texts: Sequence[str], add_up: Callable[..., None]) -> None:
        """texts: LightGBM's own, of all trees. add_up: the kernel's.

        Raises ValueError for a booster that tables cannot hold (`tree_tables.tabulate`).
        """
        self._tables = tuple(vars(tabulate(texts)).values())
        self._add_up = add_up
        self._boosters = len(texts)
        self._columns = int(self._tables[0].max(initial=-1)) + 1

    def raw_scores(self, features: np.ndarray) -> np.ndarray:
        """Sums of leaves (boosters, rows), to the bit those of LightGBM, of features (rows, columns).

        Raises ValueError for too few columns.
        """
        if features.shape[1] < self._columns:
            raise ValueError(f"features have {features.shape[1]} columns, but trees look at {self._columns}")
        out = np.zeros((self._boosters, len(features)))
        self._add_up(np.require(features, np.float64, ("C", "A", "W")), *self._tables, out)
        return out


def fast_trees(texts: Sequence[str]) -> tuple[FastTrees | None, tuple[str, ...]]:
    """Boosters made fast, or None where LightGBM must do; and a note for a person where that is no matter of course.

    texts: as for `FastTrees`. Without numba (the extra `fast`) there is no note. Importing it takes a second.
    """
    try:
        if find_spec("numba") is None:
            return None, ()
        from models.estimators.tree_kernel import add_up
    except Exception as error:  # whatever a numba that is too old, too new or damaged may raise
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        return None, (
            f"numba is installed but cannot be used ({reason}); LightGBM scores the trees, which gives the same scores "
            "and takes longer. Install the extra `fast` anew, or remove numba.",
        )
    try:
        return FastTrees(texts, add_up), ()
    except ValueError as error:
        return None, (f"LightGBM scores the trees, which takes longer than numba's way: {error}",)
