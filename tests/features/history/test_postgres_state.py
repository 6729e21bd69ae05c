"""Whatever changes in a PostgreSQL database's tables shows in its state, and nothing else does."""

from __future__ import annotations

import time

import pytest

from features.history import postgres_state
from features.history.postgres_state import UNREACHABLE, state_of
from features.history.source import open_history
from tests.support.contract_tables import frames
from tests.support.postgres import Server

pytestmark = pytest.mark.slow


def changed(url: str, before: str) -> str:
    """The state once it is another; the server counts rows a moment later than it changes them."""
    for _ in range(300):
        if (state := state_of(url)) != before:
            return state
        time.sleep(0.1)
    raise AssertionError("the state is as it was")


def settled(url: str) -> str:
    """The state once the server has counted what has been done."""
    states = [state_of(url)]
    while len(states) < 8 or len({*states[-8:]}) > 1:
        time.sleep(0.1)
        states.append(state_of(url))
    return states[-1]


def test_every_change_of_the_tables_shows(postgres_server: Server) -> None:
    database = postgres_server.database(frames())
    postgres_server.execute(
        "ALTER TABLE creators RENAME TO people", "CREATE VIEW below AS TABLE people",
        "CREATE VIEW creators AS TABLE below", "ALTER TABLE posts RENAME TO kept",
        "CREATE TABLE posts (LIKE kept) PARTITION BY LIST (creator_id)",
        "CREATE TABLE posts_all PARTITION OF posts DEFAULT", "INSERT INTO posts TABLE kept",
        "CREATE TABLE other (a int)", database=database,
    )  # fmt: skip
    url = postgres_server.url(database)
    state = settled(url)
    with open_history(url, threads=1):
        postgres_server.execute("INSERT INTO other VALUES (1)", database=database)
    assert settled(url) == state
    for statement in (
        "UPDATE people SET followers = 7",
        "INSERT INTO posts SELECT * FROM kept LIMIT 1",
        "DELETE FROM conversions WHERE collaboration_id = 'r2'",
        "TRUNCATE comments",
        "ALTER TABLE collaborations ADD clicks int DEFAULT 3",
        "CREATE OR REPLACE VIEW below AS SELECT * FROM people WHERE followers > 7",
        "DROP TABLE comments",
    ):
        postgres_server.execute(statement, database=database)
        state = changed(url, state)


def test_a_standby_shows_additions_and_numbers_of_rows(
    postgres_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The counts of a standby stand still: here, those of every server do."""
    monkeypatch.setattr(
        postgres_state, "_BELOW", "SELECT oid::int8, 'f' FROM pg_class WHERE oid IN ({}) ORDER BY 1"
    )  # fmt: skip
    database = postgres_server.database(frames())
    url = postgres_server.url(database)
    state = state_of(url)
    postgres_server.execute("UPDATE creators SET followers = 7", database=database)
    assert state_of(url) == state
    for statement in (
        "DELETE FROM conversions WHERE collaboration_id = 'r2'",
        "CREATE TABLE creator_yield_log (batch bigint)",
        "INSERT INTO creator_yield_log VALUES (1)",
    ):
        postgres_server.execute(statement, database=database)
        assert state_of(url) != state
        state = state_of(url)


def test_a_server_that_is_away_is_a_state_of_its_own() -> None:
    assert state_of("postgresql://me@127.0.0.1:1/market") == UNREACHABLE
