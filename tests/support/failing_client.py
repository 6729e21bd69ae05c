"""A client of MLflow whose requests fail from a chosen one on, as on a network that breaks down."""

from __future__ import annotations

from typing import Any

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

WRITES = ("set_", "delete_", "update_", "create_", "log_", "finalize_")


class FailingClient(MlflowClient):
    """Serves so many requests that write, then no further one. requests: those that were made, the failed one last.

    A request that reads leaves the store as it is, so its fault is that of the next one that writes.
    """

    def __init__(self, uri: str, served: int) -> None:
        super().__init__(uri)
        self.left = served
        self.requests: list[str] = []

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if not name.startswith(WRITES):
            return found

        def request(*args: Any, **kwargs: Any) -> Any:
            self.requests.append(name)
            if self.left <= 0:
                raise MlflowException("Max retries exceeded: connection refused")
            self.left -= 1
            return found(*args, **kwargs)

        return request
