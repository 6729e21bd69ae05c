"""Heads in MLflow's store: of several ledgers and versions, and whatever else bears their name."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from models.monitoring.anchors import TAG, anchor, known_heads
from models.monitoring.chain import Head
from models.registry.store_faults import StoreError
from tests.support.small_store import NAME, enter


def test_heads_are_kept_by_version_and_ledger(
    tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    client = enter(tmp_path, monkeypatch)
    assert known_heads(client) == ()
    client.create_registered_model(NAME)
    for _ in range(2):
        client.create_model_version(NAME, str(tmp_path))
    old, new, other = Head("a" * 64, 4, "b" * 64), Head("a" * 64, 9, "c" * 64), Head("d" * 64, 2, "e" * 64)
    anchor(client, NAME, "1", old)
    anchor(client, NAME, "1", other)
    anchor(client, NAME, "2", old)
    anchor(client, NAME, "2", new)
    client.set_model_version_tag(NAME, "2", f"{TAG}note", "no head")
    assert set(known_heads(client)) == {old, other, new}
    with pytest.raises(StoreError):
        anchor(client, NAME, "3", new)
