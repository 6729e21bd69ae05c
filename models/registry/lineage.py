"""What a training was made from, as MLflow shows it: a dataset for each table, with its place and its fingerprint.

Only the description is logged: no row is copied.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import ibis.expr.datatypes as dt
import ibis.expr.types as ir
from mlflow.entities import Dataset, DatasetInput, InputTag
from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT

from features.history.source import History
from features.secrets import mask

DIGEST = 36  # characters that MLflow has room for
_KINDS = ((dt.Timestamp, "datetime"), (dt.Boolean, "boolean"), (dt.Integer, "long"), (dt.Numeric, "double"))


def datasets(history: History, prints: Mapping[str, str], data: str) -> list[DatasetInput]:
    """A dataset for each table that has a fingerprint. data: DATA as the user gave it."""
    kind, place = source_of(data)
    made = []
    for table, digest in prints.items():
        rows: ir.Table = getattr(history, table)
        columns = [{"name": name, "type": _kind(of)} for name, of in rows.schema().items()]
        profile = {"num_rows": int(rows.count().to_pyarrow().as_py())}
        described = Dataset(
            table, digest[:DIGEST], kind, json.dumps({"uri": place}),
            json.dumps({"mlflow_colspec": columns}), json.dumps(profile),
        )  # fmt: skip
        made.append(DatasetInput(described, [InputTag(MLFLOW_DATASET_CONTEXT, "training")]))
    return made


def source_of(data: str) -> tuple[str, str]:
    """The kind of DATA, in MLflow's words, and its place: absolute where it is a path, without secrets."""
    scheme, separator, _ = data.partition("://")
    if separator:
        authority, slash, path = data.partition("://")[2].partition("?")[0].partition("/")
        return scheme, mask(f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}")
    return "local", Path(data).absolute().as_uri()


def _kind(of: dt.DataType) -> str:
    """The type of a column in MLflow's words."""
    return next((name for kind, name in _KINDS if isinstance(of, kind)), "string")
