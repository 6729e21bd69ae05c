"""The deal's own terms are the same bits over a table of the engine, over arrays of a request, and row by row."""

from __future__ import annotations

from typing import Any

import ibis
import numpy as np
import pandas as pd

from features.families import arrays, expressions, promotion, scalars
from features.families.expressions import AS_OF

ROWS = 400


def _terms() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    starts = rng.integers(0, 4_000_000_000_000_000, ROWS)
    numbers: dict[str, Any] = {
        name: np.where(rng.random(ROWS) < 0.2, np.nan, np.where(rng.random(ROWS) < 0.1, 0.0, rng.lognormal(3, 2, ROWS)))
        for name in ("promotion_hours", "deliverables", "spend", "followers", "views_per_follower", "usual_spend")
    }
    return pd.DataFrame({**numbers, AS_OF: starts.astype("datetime64[us]"), "row": np.arange(ROWS)})


def test_table_arrays_and_single_rows_give_the_same_bits() -> None:
    frame = _terms()
    names = promotion.finish({name: ibis.literal(1.0) for name in frame.columns if name != AS_OF}
                             | {AS_OF: ibis.timestamp("2020-01-01")}, expressions)  # fmt: skip
    table = ibis.memtable(frame.astype(object).where(frame.notna(), None).astype({AS_OF: "datetime64[us]"})
                          .astype({c: float for c in frame.columns if c not in (AS_OF, "row")}))  # fmt: skip
    table = table.mutate(**{c: table[c].nullif(float("nan")) for c in frame.columns if c not in (AS_OF, "row")})
    by_engine = table.mutate(**promotion.finish(table, expressions)).order_by("row").to_pandas()
    columns = {name: frame[name].to_numpy() for name in frame.columns}
    columns[AS_OF] = frame[AS_OF].to_numpy("datetime64[us]").astype(np.int64)
    by_arrays = promotion.finish(columns, arrays)
    rows = zip(*(column.tolist() for column in columns.values()), strict=True)
    by_row = [promotion.finish(dict(zip(columns, row, strict=True)), scalars) for row in rows]
    assert by_arrays.keys() == by_row[0].keys() == names.keys()
    for name, values in by_arrays.items():
        np.testing.assert_array_equal(values, by_engine[name].to_numpy(float), err_msg=name)
        np.testing.assert_array_equal([row[name] for row in by_row], values, err_msg=name)
        assert np.isfinite(values).any(), name
