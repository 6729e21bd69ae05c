"""The operations of `features.families.promotion` over NumPy columns: the same 64 bits as the engine's."""

from __future__ import annotations

import numpy as np

from features.families.expressions import DAY_US

_MICROSECONDS, _MONTHS, _WHOLE = np.dtype("datetime64[us]"), np.dtype("datetime64[M]"), np.dtype(np.int64)


def ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """above / below (rows,), NaN where below is 0 or either is missing."""
    return above / np.where(below == 0, np.nan, below)


def month(moment: np.ndarray) -> np.ndarray:
    """Month, 1 to 12, of microseconds since 1970, UTC (rows,)."""
    return moment.view(_MICROSECONDS).astype(_MONTHS).view(_WHOLE) % 12 + 1.0


def weekday(moment: np.ndarray) -> np.ndarray:
    """Day of the week, 0 is Monday, of microseconds since 1970, UTC (rows,)."""
    return (moment // DAY_US + 3) % 7.0  # 1970 began on a Thursday
