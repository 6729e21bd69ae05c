"""Polls the registry for the current version, and records why it cannot be read."""

from __future__ import annotations

import logging
from typing import NamedTuple

from mlflow import MlflowClient

from features.faults import InputError
from features.secrets import mask
from models.registry import left_out, registry, store
from models.registry.store_faults import store_faults
from service.publish.children import without_paths

log = logging.getLogger("creator_yield")


class Version(NamedTuple):
    """label: NAME/NUMBER. run: of its training. left_out: the run whose kept-out results no feature should see."""

    label: str
    run: str | None
    left_out: str | None


class RegistryWatch:
    """Resolves a model's URI again and again, through one client of the store."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self.away: str | None = None  # why the registry could not be read the last time
        self._client: MlflowClient | None = None

    def version(self) -> Version | None:
        """What the URI names now; None while the registry cannot be read."""
        try:
            self._client = self._client or store.connect(create=False)
            name, number = registry.resolve(self._client, self.uri)
            with store_faults(self._client.tracking_uri):
                run = self._client.get_model_version(name, number).run_id
            found = Version(f"{name}/{number}", run, left_out.announced(self._client, name))
        except Exception as error:  # the registry may be away, in any of the ways that its store can be
            self._note(f"the model stays as it is: {_cause(error)}")
            return None
        self._note(None)
        return found

    def _note(self, away: str | None) -> None:
        """Log once when the registry can no longer be read, and once when it can again."""
        if away and not self.away:
            log.error("the registry cannot be read", extra={"facts": {"why": away}})
        elif self.away and not away:
            log.info("the registry can be read again")
        self.away = away


def _cause(error: Exception) -> str:
    """What is wrong and its cure, in a sentence without paths of the machine."""
    if isinstance(error, InputError):
        fault = error.faults[0]
        text = f"{fault.problem}. {fault.remedy}"
    else:
        text = f"{type(error).__name__}: {mask(str(error))}"
    return without_paths(text)[:500]
