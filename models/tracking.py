"""What reads models in MLflow: `models.store` and `models.registry` under one name."""

from models.registry import Model, NotRegisteredError, card, champion_version, load, require, resolve
from models.scorer import FilesMissingError, ModelError, NewerFormatError
from models.store import connect
from models.store_faults import StoreError

__all__ = [
    "FilesMissingError", "Model", "ModelError", "NewerFormatError", "NotRegisteredError", "StoreError", "card",
    "champion_version", "connect", "load", "require", "resolve",
]  # fmt: skip
