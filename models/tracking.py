"""What reads models in MLflow: `models.registry.store` and `models.registry.registry` under one name."""

from models.registry.registry import Model, NotRegisteredError, card, champion_version, load, require, resolve
from models.registry.store import connect
from models.registry.store_faults import StoreError
from models.scorer import FilesMissingError, ModelError, NewerFormatError, OlderFormatError

__all__ = [
    "FilesMissingError", "Model", "ModelError", "NewerFormatError", "NotRegisteredError", "OlderFormatError",
    "StoreError", "card", "champion_version", "connect", "load", "require", "resolve",
]  # fmt: skip
