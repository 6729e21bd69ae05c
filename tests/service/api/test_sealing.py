"""Scores sealed on request: by several workers into one ledger, as predict.py seals them; or there is no answer."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from creator_yield_client import Client, Item
from models.evaluation.baselines import OwnRecords
from models.monitoring.chain import Head
from models.monitoring.knowledge import Knowledge
from models.monitoring.ledger import COLUMNS, read, verify
from service.api.sealing import NAMES, Sealer
from service.problems import Problem
from service.publish.publication import KNOWLEDGE
from tests.support.deals import ITEM
from tests.support.workspace import KEY, Server, command

SEALED = "/v1/score?include=interval&seal=true"
WHEN = datetime(2026, 1, 1)


def serving(socket: str = "batch-1", kept_out_by: str | None = None) -> Any:
    return SimpleNamespace(published=SimpleNamespace(socket=socket, label="m/1", kept_out_by=kept_out_by))


def terms(rows: int = 2) -> Any:
    start = np.datetime64("2026-05-01T12:00:00", "us").astype(np.int64)
    return SimpleNamespace(
        creator_id=[f"c{i}" for i in range(rows)], brand=["b"] * rows, product_niche=["n"] * rows,
        starts_at=np.full(rows, start), promotion_hours=np.full(rows, 24.0), spend=np.full(rows, 100.1),
    )  # fmt: skip


def rows(number: int = 2) -> list[dict[str, Any]]:
    return [dict.fromkeys(NAMES, 0.1 + 0.2) | ({"candidate_id": "k"} if i else {}) for i in range(number)]


@pytest.fixture
def sealer(tmp_path: Path) -> Sealer:
    records = OwnRecords.of(np.array([5.0]), np.array([100.0]), np.array(["c0"], object))
    (tmp_path / f"batch-1{KNOWLEDGE}").write_text(Knowledge({"creators": "a" * 64}, records).to_json())
    return Sealer(tmp_path, str(tmp_path / "ledger.jsonl"), lambda: WHEN)


def seal(sealer: Sealer, socket: str = "batch-1") -> str:
    return asyncio.run(sealer.seal(serving(socket), terms(), rows(), 0.8))


def test_an_answer_is_sealed_to_the_bit_and_its_head_is_the_receipt(sealer: Sealer) -> None:
    assert sealer.path
    seal(sealer)
    head = seal(sealer)
    assert verify(sealer.path, [Head.read(head)]).broken is None
    found = read(sealer.path).promises
    assert found[list(COLUMNS)].iloc[3].tolist() == [
        "k", "c1", "b", "n", pd.Timestamp("2026-05-01T12:00:00"), 24.0, 100.1, *[0.1 + 0.2] * 3, 0.05,
    ]  # fmt: skip
    assert found.candidate_id.isna().tolist() == [True, False] * 2
    assert found.when.unique().tolist() == [pd.Timestamp(WHEN)]
    assert sealer._checked.offset == sealer.path.stat().st_size


def test_an_answer_names_the_run_whose_kept_out_results_it_was_made_without(sealer: Sealer) -> None:
    assert sealer.path
    seal(sealer)
    asyncio.run(sealer.seal(serving(kept_out_by="run 7"), terms(), rows(), 0.8))
    lines = map(json.loads, sealer.path.read_text().splitlines())
    assert [line.get("kept_out_by") for line in lines if line["kind"] == "list"] == [None, "run 7"]


def test_what_cannot_be_sealed_is_a_problem(sealer: Sealer, tmp_path: Path) -> None:
    assert sealer.path
    seal(sealer)
    with pytest.raises(Problem) as problem:
        seal(sealer, "batch-2")  # what its data knew is not there
    assert (problem.value.status, problem.value.code) == (503, "not-sealed")
    assert str(tmp_path) not in problem.value.detail
    changed = sealer.path.read_bytes().replace(b"100.1", b"100.2")
    sealer.path.write_bytes(changed)
    with pytest.raises(Problem):
        seal(Sealer(tmp_path, str(sealer.path), lambda: WHEN))
    assert sealer.path.read_bytes() == changed


def test_without_a_ledger_nothing_can_be_sealed(tmp_path: Path) -> None:
    with pytest.raises(Problem) as problem:
        Sealer(tmp_path, "").require()
    assert problem.value.body("r")["errors"][0].field == "seal"


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("seal=true", "needs include=interval"), ("seal=maybe&include=interval", "true or false is needed"),
        ("seal=true&seal=false&include=interval", "more than once"),
    ],
)  # fmt: skip
def test_a_request_that_cannot_be_sealed_is_refused(server: Server, query: str, words: str) -> None:
    reply = server.request("POST", f"/v1/score?{query}", {"items": [ITEM]})
    assert reply.status == 422
    assert words in reply.json["detail"]
    ranked = server.request("POST", "/v1/rank?include=interval&seal=true", {"deal": {}})
    assert "a ranking is no list of deals" in ranked.json["detail"]
    plain = server.request("POST", "/v1/score?include=interval&seal=false", {"items": [ITEM]}).json
    assert "sealed" not in plain


def test_workers_seal_into_one_ledger_what_predict_seals(workspace: Path, server: Server) -> None:
    early = {**ITEM, "candidate_id": "early", "starts_at": "2024-01-01T00:00:00Z"}
    items = [{**ITEM, "candidate_id": f"k{i}"} for i in range(3)]
    with ThreadPoolExecutor(4) as pool:
        replies = list(pool.map(lambda _: server.request("POST", SEALED, {"items": items}), range(12)))
    replies.append(server.request("POST", SEALED, {"items": [early]}))
    assert {reply.status for reply in replies} == {200}
    heads = [Head.read(reply.json["sealed"]) for reply in replies]
    with Client(f"http://127.0.0.1:{server.port}", KEY) as client:
        heads.append(Head.read(client.score([Item(**items[0])], interval=True, seal=True).sealed or ""))
    assert len(set(heads)) == 14
    pd.DataFrame(items).to_csv(workspace / "list.csv", index=False)
    done = command(workspace, "predict.py", "list.csv", "--data", "data", "--output", "sealed.csv", "--ledger")
    assert done.returncode == 0, done.stderr
    assert verify(workspace / "ledger.jsonl", heads).broken is None
    promised = read(workspace / "ledger.jsonl").promises
    assert (promised.candidate_id == "early").sum() == 1
    by_predict = promised[promised.list == promised.list.max()]
    by_service = promised[promised.list == heads[0].lines - 2]
    for name in (*COLUMNS, "model", "level"):
        assert by_predict[name].tolist() == by_service[name].tolist(), name
