"""Heads of ledgers in MLflow, where whoever changes a ledger's file does not come by: tags of model versions.

A tag `ledger.head.ID` (ID: the first digits of the hash of a ledger's first line) holds the head as it was when that
version last sealed a list, or was registered. A chain that has a head has all lines before it: the newest one counts.
"""

from __future__ import annotations

from mlflow import MlflowClient
from mlflow.store.entities.paged_list import PagedList

from models.monitoring.chain import Head
from models.registry.store_faults import guarded, impatient

TAG = "ledger.head."
ID_DIGITS = 12
PAGE = 1_000


def anchor(client: MlflowClient, name: str, version: str, head: Head) -> None:
    """Keep a head with a model version. Raises StoreError where the store takes none."""
    with impatient():
        _set(client, name, version, head)


@guarded
def _set(client: MlflowClient, name: str, version: str, head: Head) -> None:
    client.set_model_version_tag(name, version, f"{TAG}{head.ledger[:ID_DIGITS]}", str(head))


@guarded
def known_heads(client: MlflowClient) -> tuple[Head, ...]:
    """All heads that the store keeps, of whichever ledger. Raises StoreError for a store that cannot be read.

    A tag of that name that is no head is left out: anybody may write tags, and it proves nothing.
    """
    found: list[Head] = []
    page: PagedList | None = None
    while page is None or page.token:
        page = client.search_model_versions(max_results=PAGE, page_token=page.token if page else None)
        for version in page:
            for key, text in version.tags.items():
                if key.startswith(TAG):
                    found += _read(text)
    return tuple(dict.fromkeys(found))


def _read(text: str) -> list[Head]:
    try:
        return [Head.read(text)]
    except ValueError:
        return []
