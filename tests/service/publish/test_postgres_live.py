"""A running service that reads its data from PostgreSQL: what is added there becomes known."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.support import postgres
from tests.support.deals import ITEM
from tests.support.workspace import Server, command, copy_workspace, running

pytestmark = pytest.mark.long


def until(happens: Callable[[], object], why: str, within: float = 120.0) -> None:
    end = time.monotonic() + within
    while not happens():
        assert time.monotonic() < end, why
        time.sleep(0.2)


def followers(server: Server, creator: str) -> set[Any]:
    """What both workers answer for a creator; None where one does not know it."""
    found: set[Any] = set()
    for _ in range(12):
        reply = server.request("GET", f"/v1/creators/{creator}", key=None)
        values = {one["feature"]: one["value"] for one in reply.json["features"]} if reply.status == 200 else {}
        found.add(values.get("followers"))
    return found


def test_rows_that_the_database_gets_become_known(
    postgres_server: postgres.Server, trained_workspace: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    workspace = copy_workspace(tmp_path_factory.mktemp("live"), trained_workspace)  # the path of a socket is short
    tables = {file.stem: pd.read_parquet(file) for file in (workspace / "data").glob("*.parquet")}
    listed = pd.DataFrame([ITEM | {"candidate_id": "a"}])
    listed.assign(starts_at=pd.Timestamp(ITEM["starts_at"])).to_parquet(workspace / "list.parquet", index=False)
    done = command(workspace, "predict.py", "list.parquet", "--data", "data", "--output", "scores.parquet")
    assert done.returncode == 0, done.stderr
    expected = pd.read_parquet(workspace / "scores.parquet").conversions_per_dollar
    shutil.rmtree(workspace / "data")
    name = postgres_server.database(tables)
    postgres_server.execute(
        "CREATE ROLE scores LOGIN PASSWORD 'shibboleth'", "GRANT SELECT ON ALL TABLES IN SCHEMA public TO scores",
        database=name,
    )  # fmt: skip
    data = postgres_server.url(name, "scores:shibboleth")
    with running(workspace, "--no-auth", data=data) as server:
        reply = server.request("POST", "/v1/score", {"items": [ITEM]}, key=None)
        assert [row["conversions_per_dollar"] for row in reply.json["scores"]] == expected.tolist()
        assert followers(server, "newcomer") == {None}
        (workspace / "new").mkdir()
        newcomer = tables["creators"].iloc[[0]].assign(creator_id="newcomer", followers=4321)
        newcomer.to_csv(workspace / "new" / "creators.csv", index=False)
        done = command(workspace, "train.py", postgres_server.url(name), "--add", "new", "--no-train")
        assert done.returncode == 0, done.stderr
        until(lambda: followers(server, "newcomer") == {4321.0}, "what train.py --add has added is not taken up")
        postgres_server.execute("UPDATE creators SET followers = 8765 WHERE creator_id = 'newcomer'", database=name)
        until(lambda: followers(server, "newcomer") == {8765.0}, "what SQL has changed is not taken up")
        postgres_server.execute("ALTER TABLE posts RENAME COLUMN posted_at TO written_at", database=name)
        until(lambda: "alarm: features: posts" in _readyz(server), "a table at fault is no alarm")
        assert followers(server, "newcomer") == {8765.0}
        postgres_server.execute("ALTER TABLE posts RENAME COLUMN written_at TO posted_at", database=name)
        until(lambda: "alarm" not in _readyz(server), "the alarm stays")
        assert "shibboleth" not in server.log.read_text()


def _readyz(server: Server) -> str:
    return server.request("GET", "/readyz", key=None).body.decode()
