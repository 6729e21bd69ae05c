"""Datasets as MLflow shows them: place, fingerprint, columns, and no row."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from features.history.source import fingerprint, open_history
from models.registry.lineage import datasets, source_of


def test_each_table_is_a_dataset_with_its_place_and_fingerprint(tiny_market: Path) -> None:
    data = tiny_market / "data"
    with open_history(data) as history:
        prints = fingerprint(history)
        found = {one.dataset.name: one for one in datasets(history, prints, str(data))}
    assert found.keys() == prints.keys()
    deals = found["collaborations"].dataset
    assert deals.digest == prints["collaborations"][:36]
    assert (deals.source_type, json.loads(deals.source)) == ("local", {"uri": data.as_uri()})
    assert json.loads(str(deals.profile)) == {"num_rows": 150}
    kinds = {column["name"]: column["type"] for column in json.loads(str(deals.schema))["mlflow_colspec"]}
    assert kinds["starts_at"] == "datetime"
    assert kinds["spend"] == "double"
    assert kinds["brand"] == "string"
    assert [(tag.key, tag.value) for tag in found["collaborations"].tags] == [("mlflow.data.context", "training")]


@pytest.mark.parametrize(
    ("data", "kind", "place"),
    [
        ("duckdb://results.db", "duckdb", "duckdb://results.db"),
        ("postgresql://me:secret@host:5/db?sslmode=require", "postgresql", "postgresql://host:5/db"),
        ("postgresql://me:secret'@host/db", "postgresql", "postgresql://host/db"),
    ],
)
def test_a_database_is_named_without_its_secrets(data: str, kind: str, place: str) -> None:
    assert source_of(data) == (kind, place)
