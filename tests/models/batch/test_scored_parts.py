"""Scored chunks on the disk: whole or absent, in order, ranked over all of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.batch.scored_parts import ScoredParts
from models.scoring import ranks


def chunk(rates: list[float]) -> pa.Table:
    return pa.table({"conversions_per_dollar": rates, "Conversions_Per_Dollar": [0.0] * len(rates)})


def test_ranks_are_over_all_chunks_and_ties_share_one(tmp_path: Path) -> None:
    (folder := tmp_path / "o'key=3 [x]").mkdir()
    parts = ScoredParts(folder)
    rng = np.random.default_rng(0)
    chunks = [rng.integers(0, 40, size).astype(float).tolist() for size in (30, 30, 30, 7)]
    for rates in chunks:
        parts.add(chunk(rates))
    assert parts.count == 4
    assert [table.num_rows for table in parts] == [30, 30, 30, 7]
    assert next(iter(parts)).column_names == ["conversions_per_dollar", "Conversions_Per_Dollar"]
    found = list(parts.ranks())
    assert [len(one) for one in found] == [30, 30, 30, 7]
    expected = ranks(np.concatenate(chunks))
    assert np.concatenate(found).tolist() == expected.tolist()
    assert len(set(expected)) < len(expected)


def test_no_chunks_have_no_ranks(tmp_path: Path) -> None:
    assert list(ScoredParts(tmp_path).ranks()) == []


def test_what_is_there_is_counted_and_what_was_being_written_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = ScoredParts(tmp_path, durable=True)
    parts.add(chunk([1.0]))
    parts.add(chunk([2.0]))

    def killed(table: pa.Table, path: Path) -> None:
        path.write_bytes(b"PAR1")
        raise KeyboardInterrupt

    monkeypatch.setattr(pq, "write_table", killed)
    with pytest.raises(KeyboardInterrupt):
        parts.add(chunk([3.0]))
    monkeypatch.undo()
    assert len(list(tmp_path.iterdir())) == 3, "what was being written"
    later = ScoredParts(tmp_path)
    assert later.count == 2
    later.add(chunk([4.0]))
    rates = [table["conversions_per_dollar"].to_pylist() for table in ScoredParts(tmp_path)]
    assert rates == [[1.0], [2.0], [4.0]]
    assert len(list(tmp_path.iterdir())) == 3
