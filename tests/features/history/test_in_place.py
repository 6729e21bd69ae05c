"""Tables that stay in PostgreSQL are checked there: faults, notes and fingerprints are those of loaded ones."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from features.faults import InputError
from features.history.in_place import open_in_place
from features.history.joins import joins
from features.history.source import fingerprint, open_candidates, open_history
from tests.support.contract_tables import frames
from tests.support.postgres import Server

pytestmark = pytest.mark.slow
NOW = datetime(2025, 9, 1)
BREACHES = {
    "numbers": ("UPDATE collaborations SET spend = 'NaN' WHERE conversions > 0", "UPDATE posts SET likes = -1"),
    "infinite spend": ("UPDATE collaborations SET spend = 'infinity'",),
    "infinite times": (
        "UPDATE posts SET posted_at = 'infinity' WHERE post_id = 'p3'",
        "UPDATE conversions SET date = '-infinity'",
    ),
    "no value": ("UPDATE creators SET niche = NULL", "UPDATE collaborations SET brand = '  '"),
    "repeated key": ("INSERT INTO creators SELECT * FROM creators", "UPDATE posts SET post_id = 'p1'"),
    "orphans": (
        "UPDATE posts SET creator_id = '@c1' WHERE post_id = 'p3'",
        "DELETE FROM creators WHERE creator_id = 'c0'",
    ),
    "comment without an owner": ("UPDATE comments SET creator_id = NULL, post_id = 'gone'",),
    "far": ("UPDATE comments SET commented_at = '2099-01-01' WHERE comment_id = 'k3'",),
    "before the start": ("UPDATE collaborations SET observed_until = starts_at - interval '1 day'",),
    "sums": ("UPDATE collaborations SET conversions = conversions + 1",),
    "days": ("UPDATE conversions SET date = '2001-01-01'",),
    "total": ("INSERT INTO creators (creator_id, followers) VALUES ('Total', 5)",),
    "no rows": ("TRUNCATE collaborations",),
    "missing table": ("DROP TABLE creators",),
    "missing column": ("ALTER TABLE collaborations DROP brand",),
}


QUICK = ("infinite times", "repeated key", "orphans", "missing column")  # the others are further cases of a kind


@pytest.mark.parametrize("breach", [b if b in QUICK else pytest.param(b, marks=pytest.mark.long) for b in BREACHES])
def test_faults_are_those_of_loaded_tables(postgres_server: Server, breach: str) -> None:
    database = postgres_server.database(frames())
    postgres_server.execute(*BREACHES[breach], database=database)
    url = postgres_server.url(database)
    with pytest.raises(InputError) as loaded, open_history(url, threads=1, now=NOW):
        pass
    with pytest.raises(InputError) as in_place, open_in_place(url, now=NOW):
        pass
    assert str(in_place.value).splitlines() == str(loaded.value).splitlines()


def test_notes_and_fingerprints_are_those_of_loaded_tables(postgres_server: Server, tmp_path: Path) -> None:
    database = postgres_server.database(frames())
    postgres_server.execute(
        "UPDATE creators SET niche = 'Fitness' WHERE creator_id = 'c1'",
        "UPDATE creators SET niche = 'fitness' WHERE creator_id = 'c0'",
        "UPDATE posts SET posted_at = '2025-10-01' WHERE post_id = 'p3'",
        "ALTER TABLE posts RENAME TO my_posts",
        "CREATE VIEW posts AS SELECT * FROM my_posts WHERE post_id <> 'p1'",
        database=database,
    )
    url = postgres_server.url(database)
    deals = frames()["collaborations"].rename(columns={"collaboration_id": "candidate_id"})
    deals = deals.drop(
        columns=["conversions", "observed_until", "clicks", "revenue", "coupon_redemptions"], errors="ignore"
    )
    deals.assign(creator_id=[*deals.creator_id[:-1], "@c1"]).to_parquet(tmp_path / "candidates.parquet")
    with open_history(url, threads=1, now=NOW) as loaded, open_in_place(url, now=NOW) as in_place:
        assert in_place.notes == loaded.notes
        assert len(loaded.notes) > 1
        assert fingerprint(in_place) == fingerprint(loaded)
        assert in_place.given == loaded.given
        assert joins(in_place) == joins(loaded)
        found = [open_candidates(history, tmp_path / "candidates.parquet") for history in (loaded, in_place)]
        assert found[0].notes
        assert found[1].notes == found[0].notes
        left = [history.without(["r0"]) for history in (loaded, in_place)]
        assert fingerprint(left[1]) == fingerprint(left[0]) != fingerprint(loaded)


def refused(url: str) -> str:
    """The one fault with which a database is refused."""
    with pytest.raises(InputError) as error, open_in_place(url, now=NOW):
        pass
    assert len(error.value.faults) == 1, str(error.value)
    return str(error.value)


def test_a_role_that_may_only_read_and_a_schema_of_the_search_path_do(postgres_server: Server) -> None:
    database = postgres_server.database(frames())
    postgres_server.execute(
        "CREATE SCHEMA market", *(f"ALTER TABLE {table} SET SCHEMA market" for table in frames()),
        "CREATE ROLE only_reads LOGIN PASSWORD 'hush-hush'", "GRANT USAGE ON SCHEMA market TO only_reads",
        "GRANT SELECT ON ALL TABLES IN SCHEMA market TO only_reads", database=database,
    )  # fmt: skip
    url = postgres_server.url(database, "only_reads:hush-hush") + "?options=-csearch_path%3Dmarket"
    with open_in_place(url, now=NOW) as history:
        assert history.creators.count().to_pyarrow().as_py() == len(frames()["creators"])
    wrong = url.replace("hush-hush", "open-sesame")
    assert "password authentication failed for user" in refused(wrong)
    assert "open-sesame" not in refused(wrong)
    postgres_server.execute("REVOKE SELECT ON market.posts FROM only_reads", database=database)
    assert refused(url) == (
        "posts: the table cannot be read: received permission denied for table posts. Check it, and who may read it."
    )


def test_a_server_without_tls_is_one_fault(postgres_server: Server) -> None:
    url = postgres_server.url(postgres_server.database(frames()), "postgres:hush-hush") + "?sslmode=require"
    fault = refused(url)
    assert "the database cannot be opened" in fault
    assert "server does not support SSL, but SSL was required" in fault
    assert "hush-hush" not in fault


def test_a_standby_is_refused_with_what_to_do(postgres_server: Server) -> None:
    database = postgres_server.database(frames())
    postgres_server.execute(
        "CREATE FUNCTION pg_is_in_recovery() RETURNS bool LANGUAGE sql AS 'SELECT true'", database=database
    )
    url = postgres_server.url(database) + "?options=-csearch_path%3Dpublic,pg_catalog"  # so that ours is called
    assert "it is a standby, on which temporary tables cannot be made. Leave --engine out" in refused(url)


def test_a_server_that_goes_away_is_one_fault(postgres_server: Server) -> None:
    database = postgres_server.database(frames())
    ended = f"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = '{database}'"

    def read_after_the_end() -> None:
        with open_in_place(postgres_server.url(database), now=NOW) as history:
            postgres_server.execute(ended)
            history.creators.count().to_pyarrow()

    with pytest.raises(InputError) as error:
        read_after_the_end()
    (fault,) = error.value.faults
    assert fault.problem == "the database cannot be read"
    assert "terminating connection" in str(fault)
