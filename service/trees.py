"""A blend's log rate for a few rows: LightGBM's own C function without the Python around it, which costs more than the
trees do. The same function, the same bits.
"""

from __future__ import annotations

import ctypes

import numpy as np
from lightgbm.basic import _LIB

from models.rate import RateModel, Trees

FLOAT64, ROW_MAJOR, RAW_SCORE = 1, 1, 1
# a function object of its own: LightGBM's must not learn these types
_predict = _LIB["LGBM_BoosterPredictForMat"]
_predict.argtypes = [
    ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_int32, ctypes.c_int32, ctypes.c_int, ctypes.c_int,
    ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_void_p,
]  # fmt: skip


def log_rate(model: RateModel, features: np.ndarray) -> np.ndarray:
    """`model.log_rate` of encoded features (rows, columns + 1), to the bit."""
    out = np.full(len(features), model.base)
    own = np.ascontiguousarray(features[:, :-1])
    for weight, component in zip(model.weights, model.components, strict=True):
        found = _trees(component, own) if isinstance(component, Trees) else component.log_rate(features)
        out += weight * (found - component.centre)
    return out


def _trees(trees: Trees, features: np.ndarray) -> np.ndarray:
    rows, columns = features.shape
    out = np.empty(rows)
    length = ctypes.c_int64(0)
    status = _predict(
        trees.booster._handle,
        _address(features),
        FLOAT64,
        rows,
        columns,
        ROW_MAJOR,
        RAW_SCORE,
        0,
        -1,
        b"num_threads=1",
        ctypes.addressof(length),
        _address(out),
    )
    if status or length.value != rows:
        raise RuntimeError(f"LightGBM could not predict {rows} rows of {columns} columns")
    return out + trees.offset


def _address(array: np.ndarray) -> int:
    return int(array.__array_interface__["data"][0])
