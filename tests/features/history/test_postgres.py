"""A PostgreSQL database opens as every other form of DATA does, in one transaction, or with faults of the same kind."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import adbc_driver_postgresql
import pytest

from features.faults import InputError
from features.history import postgres
from features.history.contract import TABLES
from features.history.source import fingerprint, open_history
from tests.support.contract_tables import frames, write
from tests.support.postgres import Server

pytestmark = pytest.mark.slow
NOW = datetime(2025, 9, 1)
REQUIRED = {table: frames()[table] for table in ("collaborations", "creators")}
Contents = dict[str, list[dict[str, object]]]


def contents(data: Path | str) -> Contents:
    with open_history(data, threads=1, now=NOW) as history:
        return {table: getattr(history, table).to_pyarrow().to_pylist() for table in history.given}


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Contents:
    """The small history, as it is read from files."""
    return contents(write(tmp_path_factory.mktemp("files"), frames()))


def refused(data: str) -> list[str]:
    with pytest.raises(InputError) as error, open_history(data, threads=1, now=NOW):
        pass
    return str(error.value).split("\n")


def notes(data: str) -> tuple[str, ...]:
    with open_history(data, threads=1, now=NOW) as history:
        return history.notes


def test_a_database_holds_what_parquet_holds(postgres_server: Server, tmp_path: Path) -> None:
    database = postgres_server.database(frames())
    with (
        open_history(write(tmp_path / "data", frames()), threads=1, now=NOW) as files,
        open_history(postgres_server.url(database), threads=1, now=NOW) as held,
    ):
        assert fingerprint(held) == fingerprint(files)
        assert held.given == files.given
        assert held.notes == files.notes
        assert held.collaborations.schema() == files.collaborations.schema()


def test_every_kind_of_column_is_read_exactly(postgres_server: Server, expected: Contents) -> None:
    """The driver alone gives numerics as text, money in cents, and times with the server's zone."""
    database = postgres_server.database(frames())
    postgres_server.execute(
        "CREATE DOMAIN price AS numeric(8, 2) CHECK (VALUE > 0)",
        "CREATE DOMAIN fee AS price",
        "CREATE TYPE platforms AS ENUM ('tiktok', 'instagram')",
        "ALTER TABLE collaborations ALTER spend TYPE fee, ALTER revenue TYPE money USING revenue::numeric::money, "
        "ALTER starts_at TYPE timestamp USING starts_at AT TIME ZONE 'UTC', ALTER brand TYPE char(9), "
        "ALTER promotion_hours TYPE interval USING promotion_hours * interval '1 hour', "
        "ALTER conversions TYPE numeric, ALTER deliverables TYPE smallint, "
        "ALTER collaboration_id TYPE varchar(20)",
        "ALTER TABLE creators ALTER platform TYPE platforms USING platform::platforms, ADD payload jsonb",
        "ALTER TABLE conversions ALTER collaboration_id TYPE varchar(20), ALTER date TYPE text",
        "ALTER TABLE posts ALTER likes TYPE real, ALTER is_sponsored TYPE int USING is_sponsored::int",
        database=database,
    )
    assert contents(postgres_server.url(database)) == expected


def test_faults_are_those_of_other_forms(postgres_server: Server) -> None:
    database = postgres_server.database(frames())
    postgres_server.execute(
        "UPDATE posts SET posted_at = 'infinity' WHERE post_id = 'p3'",
        "UPDATE comments SET commented_at = '-infinity' WHERE comment_id = 'k3'",
        "UPDATE comments SET commented_at = '294270-01-01' WHERE comment_id > 'k7'",
        "UPDATE conversions SET date = 'infinity'",
        "UPDATE collaborations SET spend = 'NaN'",
        "ALTER TABLE posts ALTER likes TYPE int[] USING ARRAY[likes]",
        "ALTER TABLE creators ALTER niche TYPE jsonb USING to_jsonb(niche)",
        "ALTER TABLE creators ALTER platform TYPE bytea USING platform::bytea",
        "ALTER TABLE creators ALTER followers TYPE numeric USING followers + 0.5",
        'ALTER TABLE collaborations RENAME brand TO "Brand"',
        database=database,
    )
    lines = refused(postgres_server.url(database))
    starts = [
        "collaborations.brand: the column is missing. Rename 'Brand'",
        "collaborations.spend: 6 rows are not a finite number",
        "creators.platform: 4 rows are unreadable as a text",
        "creators.niche: 4 rows are unreadable as a text, first row 1 (creator_id 'c0'): received \"fitness\".",
        "creators.followers: 4 rows are unreadable as a whole number, first row 1 (creator_id 'c0'): received '1000.5'",
        "posts.posted_at: 1 row is outside 2000-01-01 to 2100-01-01, first row 8 (post_id 'p3'): received infinity",
        "posts.likes: 8 rows are unreadable as a whole number, first row 1 (post_id 'p0'): received [10].",
        "comments.commented_at: 3 rows are outside 2000-01-01 to 2100-01-01",
        "conversions.date: 3 rows are outside 2000-01-01 to 2100-01-01",
    ]
    assert [line[: len(start)] for line, start in zip(lines, starts, strict=False)] == starts


def test_missing_tables_are_faults(postgres_server: Server) -> None:
    database = postgres_server.database(frames())
    postgres_server.execute(
        'ALTER TABLE posts RENAME TO "Posts"', "ALTER TABLE creators RENAME TO influencers",
        "TRUNCATE collaborations", database=database,
    )  # fmt: skip
    lines = refused(postgres_server.url(database))
    assert lines[:3] == [
        "collaborations: the table has no rows. Export it again with its rows.",
        "creators: the table is missing: received the tables Posts, collaborations, comments, conversions, "
        "influencers. Make a table or view of this name.",
        "posts: Posts is there, but no posts. Rename it to posts: names are exact.",
    ]


def test_views_partitions_and_the_search_path(postgres_server: Server, expected: Contents) -> None:
    database = postgres_server.database(frames())
    postgres_server.execute(
        "ALTER TABLE posts RENAME TO posts_kept",
        "CREATE TABLE posts (LIKE posts_kept) PARTITION BY RANGE (posted_at)",
        "CREATE TABLE posts_2024 PARTITION OF posts FOR VALUES FROM (MINVALUE) TO ('2025-01-01')",
        "CREATE TABLE posts_later PARTITION OF posts DEFAULT",
        "INSERT INTO posts SELECT * FROM posts_kept ORDER BY posted_at",
        "ALTER TABLE creators RENAME TO people",
        "CREATE VIEW creators AS SELECT * FROM people",
        "ALTER TABLE comments RENAME TO remarks",
        "CREATE MATERIALIZED VIEW comments AS SELECT * FROM remarks",
        "CREATE SCHEMA sales",
        "ALTER TABLE collaborations SET SCHEMA sales",
        "ALTER TABLE conversions SET SCHEMA sales",
        "CREATE TABLE sales.posts (post_id text)",
        database=database,
    )
    url = postgres_server.url(database)
    assert refused(url) == [
        "collaborations: sales.collaborations is there, in a schema that is not on the search_path. "
        "Add ?options=-csearch_path%3Dsales to the URL."
    ]
    assert contents(f"{url}?options=-csearch_path%3Dpublic,sales") == expected


def test_tables_that_are_not_read_are_said(postgres_server: Server) -> None:
    database = postgres_server.database(REQUIRED)
    postgres_server.execute(
        "CREATE SCHEMA raw", "CREATE TABLE raw.posts (a int)", "CREATE TABLE posts_old (a int)", database=database
    )
    assert notes(postgres_server.url(database)) == (
        "posts: posts_old, raw.posts are not read (2 tables); "
        "a table or view named posts in a schema of the search_path would be",
    )


def test_a_view_that_fails_and_what_may_not_be_read_are_named_with_all_other_faults(postgres_server: Server) -> None:
    database = postgres_server.database(frames())
    postgres_server.execute(
        "ALTER TABLE creators RENAME TO people",
        "CREATE VIEW creators AS SELECT *, 1 / (followers - 300) AS language FROM people",
        "CREATE ROLE clerk LOGIN PASSWORD 'open-sesame'",
        "GRANT SELECT ON collaborations, creators, posts, comments TO clerk",
        "UPDATE posts SET likes = -1",
        "ALTER TABLE comments ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY mine ON comments USING (comment_id < 'k5')",
        database=database,
    )
    url = postgres_server.url(database, "clerk:open-sesame")
    lines = refused(url)
    assert lines[0] == (
        "creators: the view creators cannot be read: received division by zero. Correct it, or what it reads."
    )
    assert lines[1].startswith("posts.likes: 8 rows are below 0")
    assert lines[2] == (
        "conversions: the table conversions cannot be read: received permission denied for table conversions. "
        "Check it, and who may read it."
    )
    postgres_server.execute(
        "DROP VIEW creators", "ALTER TABLE people RENAME TO creators", "DROP TABLE conversions, posts",
        "GRANT SELECT ON creators TO clerk", "ALTER TABLE comments DROP post_id, ADD post_id text DEFAULT 'x'",
        database=database,
    )  # fmt: skip
    assert "comments: row-level security decides which of its rows this user sees" in notes(url)


def test_all_tables_are_of_one_moment(
    postgres_server: Server, expected: Contents, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A collaboration and its daily conversions are changed by another while the first table has been read already."""
    database = postgres_server.database(frames())
    load = postgres._loaded

    def meanwhile(*arguments: object) -> object:
        source = load(*arguments)  # type: ignore[arg-type]
        postgres_server.execute("DELETE FROM conversions", "UPDATE creators SET followers = 5", database=database)
        return source

    monkeypatch.setattr(postgres, "_loaded", meanwhile)
    assert contents(postgres_server.url(database)) == expected


def creators(url: str) -> list[tuple[object, ...]]:
    with postgres.reading(url) as session:
        return session.rows("SELECT count(*) FROM creators")


def test_passwords_come_from_where_libpq_looks_and_are_masked(
    postgres_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = postgres_server.database(REQUIRED)
    postgres_server.execute(
        "CREATE ROLE reader LOGIN PASSWORD 'hush-hush'", "GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader",
        database=database,
    )  # fmt: skip
    url = postgres_server.url(database, "reader")
    with monkeypatch.context() as patch:
        patch.setenv("PGPASSWORD", "hush-hush")
        assert creators(url) == [(4,)]
    passwords = tmp_path / "passwords"
    passwords.write_text(f"127.0.0.1:{postgres_server.port}:{database}:reader:hush-hush\n")
    passwords.chmod(0o600)
    with monkeypatch.context() as patch:
        patch.setenv("PGPASSFILE", str(passwords))
        assert creators(url) == [(4,)]
    (tmp_path / "services").write_text(
        f"[market]\nhost=127.0.0.1\nport={postgres_server.port}\ndbname={database}\nuser=reader\npassword=hush-hush\n"
    )
    with monkeypatch.context() as patch:
        patch.setenv("PGSERVICEFILE", str(tmp_path / "services"))
        assert creators("postgresql://?service=market") == [(4,)]
    wrong = url.replace("reader@", "reader:open-sesame@")
    assert refused(wrong) == [
        f"{url.replace('reader@', 'reader:***@')}: the database cannot be opened: received "
        'password authentication failed for user "reader". '
        "Check the URL, that the server runs, and who may connect; PGPASSWORD or a password file has the password."
    ]
    assert "open-sesame" not in refused(f"{url}?password=open-sesame")[0]
    for unclear in ("open@sesame", "12/sesame", "a?sesame"):
        (fault,) = refused(url.replace("reader@", f"reader:{unclear}@"))
        assert "Write @ as %40, / as %2F and ? as %3F" in fault
        assert "sesame" not in fault


def test_a_server_or_a_driver_that_is_not_there_is_one_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    (fault,) = refused("postgresql://me@127.0.0.1:1/market")
    assert fault.startswith("postgresql://me@127.0.0.1:1/market: the database cannot be opened: received connection to")
    assert "Connection refused" in fault
    monkeypatch.setitem(__import__("sys").modules, "adbc_driver_postgresql", None)
    monkeypatch.delattr(adbc_driver_postgresql, "dbapi")
    (fault,) = refused("postgresql://me@127.0.0.1:1/market")
    assert "the driver of PostgreSQL is not installed" in fault
    assert "pip install adbc-driver-manager adbc-driver-postgresql" in fault


def test_a_connection_that_is_lost_is_one_fault(postgres_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    database = postgres_server.database(frames())
    load = postgres._loaded

    def meanwhile(*arguments: object) -> object:
        ended = f"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = '{database}'"
        postgres_server.execute(ended)
        return load(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(postgres, "_loaded", meanwhile)
    (fault,) = refused(postgres_server.url(database))
    assert ": the database cannot be read: received terminating connection due to administrator command. Start" in fault


def test_the_contracts_tables_are_all_known() -> None:
    assert {*frames()} == {*TABLES}
