"""The private copy of DATA: what was checked is what is read."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from features.faults import InputError
from features.history.postgres_state import UNREACHABLE
from features.history.source import open_history
from service.publish import kept_history
from service.publish.kept_history import HISTORY, STAMP, keep, missing_text, names_in, stamp_of
from tests.support.contract_tables import frames, write
from tests.support.postgres import Server

pytestmark = pytest.mark.slow  # each opens a history anew


def rename_over(file: Path) -> None:
    aside = file.with_name(".aside")
    aside.write_bytes(file.read_bytes())
    aside.replace(file)


def test_a_copy_holds_what_was_checked_whatever_becomes_of_data(tmp_path: Path) -> None:
    data, folder = write(tmp_path / "data", frames()), tmp_path / "kept"
    keep(str(data), folder)
    with open_history(data) as history:
        expected = {name: getattr(history, name).to_pandas() for name in frames()}
    (data / "creators.parquet").write_bytes(b"refused")
    with open_history(f"duckdb://{folder / HISTORY}") as copy:
        for name, frame in expected.items():
            found = getattr(copy, name).to_pandas()
            assert found.equals(frame), name
    assert stamp_of(folder, str(data)).changed() == [str(data / "creators.parquet")]


def test_what_is_no_fault_but_odd_comes_with_a_copy(tmp_path: Path) -> None:
    tables = frames()
    whole = write(tmp_path / "whole", tables)
    assert keep(str(whole), tmp_path / "first") == ()
    collaborations = tables["collaborations"]
    later = collaborations.assign(observed_until=collaborations.observed_until + pd.Timedelta(days=36_500 // 5))
    odd = write(tmp_path / "odd", tables | {"collaborations": later})
    (odd / "posts.parquet").unlink()
    (odd / "comments.parquet").unlink()
    (note,) = keep(str(odd), tmp_path / "second")
    assert re.match(r"collaborations\.observed_until: .* later than now", note)
    gone = {*names_in(tmp_path / "first")} - {*names_in(tmp_path / "second")}
    assert missing_text(gone).startswith("DATA no longer has comments, posts: ")


def test_a_copy_is_made_of_every_form_of_a_table(tmp_path: Path) -> None:
    tables = frames()
    data = write(tmp_path / "data", tables)
    tables["posts"].to_csv(tmp_path / "posts.csv", index=False)
    (data / "posts.parquet").unlink()
    (data / "posts.sql").write_text("SELECT * FROM read_csv('../posts.csv')")
    (data / "comments.parquet").unlink()
    tables["comments"].to_csv(data / "comments.csv", index=False)
    keep(str(data), tmp_path / "kept")
    with open_history(f"duckdb://{tmp_path / 'kept' / HISTORY}") as copy:
        assert copy.posts is not None
        assert copy.comments is not None
        assert [copy.posts.count().execute(), copy.comments.count().execute()] == [
            len(tables["posts"]), len(tables["comments"])]  # fmt: skip


def test_what_lies_outside_data_is_watched_by_the_names_that_lead_there(tmp_path: Path) -> None:
    tables = frames()
    data, outside = write(tmp_path / "data", tables), tmp_path / "outside"
    outside.mkdir()
    (data / "posts.parquet").rename(outside / "posts.parquet")
    (data / "posts.sql").write_text("SELECT * FROM '../outside/p*.parquet'")
    (data / "creators.parquet").rename(outside / "creators.parquet")
    (data / "creators.parquet").symlink_to(outside / "creators.parquet")
    keep(str(data), tmp_path / "kept")
    stamp = stamp_of(tmp_path / "kept", str(data))
    assert stamp.changed() == []
    for read, named in ("posts.parquet", outside), ("creators.parquet", data):
        rename_over(outside / read)
        assert [Path(one).resolve() for one in stamp.changed()] == [outside / read], "a link's or a mapping's file"
        assert [Path(one).parent.resolve() for one in stamp.changed()] == [named]
        stamp = stamp.now()
    (tmp_path / "aside").symlink_to(write(tmp_path / "new", {"creators": tables["creators"]}) / "creators.parquet")
    (tmp_path / "aside").replace(data / "creators.parquet")
    assert stamp.changed() == [str(data / "creators.parquet")], "a link that is set anew"


def test_a_table_without_rows_and_a_column_that_went_are_missing(tmp_path: Path) -> None:
    tables = frames()
    keep(str(write(tmp_path / "whole", tables)), tmp_path / "first")
    less = {"posts": tables["posts"].drop(columns="likes"), "comments": tables["comments"].iloc[:0]}
    keep(str(write(tmp_path / "less", tables | less)), tmp_path / "second")
    gone = {*names_in(tmp_path / "first")} - {*names_in(tmp_path / "second")}
    assert missing_text(gone).startswith("DATA no longer has comments, posts.likes: ")


def test_data_that_changes_while_it_is_copied_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = write(tmp_path / "data", frames())
    from service.publish import kept_history

    def late(identifier: str) -> str:
        rename_over(data / "creators.parquet")
        return f'"{identifier}"'

    monkeypatch.setattr(kept_history, "name", late)
    with pytest.raises(InputError, match=r"changed while it was being read: received .*creators\.parquet"):
        keep(str(data), tmp_path / "kept")
    with pytest.raises(FileNotFoundError):
        stamp_of(tmp_path / "kept", str(data))


def test_a_database_stays_writable_once_it_is_copied(tmp_path: Path) -> None:
    write(tmp_path, frames())
    file = tmp_path / "market.duckdb"
    with duckdb.connect(file) as connection:
        for table in frames():
            connection.execute(f"CREATE TABLE {table} AS FROM '{tmp_path / table}.parquet'")
    keep(f"duckdb://{file}", tmp_path / "kept")
    stamp = stamp_of(tmp_path / "kept", f"duckdb://{file}")
    with open_history(f"duckdb://{tmp_path / 'kept' / HISTORY}"), duckdb.connect(file) as connection:
        connection.execute("DELETE FROM posts")
    assert stamp.changed() == [str(file)]


def test_a_postgresql_database_is_copied_and_watched(postgres_server: Server, tmp_path: Path) -> None:
    database = postgres_server.database(frames())
    postgres_server.execute(
        "CREATE ROLE service LOGIN PASSWORD 'shibboleth'", "GRANT SELECT ON ALL TABLES IN SCHEMA public TO service",
        "CREATE TABLE creator_yield_log (batch bigint)",  # which it may not read yet
        database=database,
    )  # fmt: skip
    url = postgres_server.url(database, "service:shibboleth")
    keep(url, tmp_path / "kept")
    with open_history(f"duckdb://{tmp_path / 'kept' / HISTORY}") as copy:
        assert copy.posts is not None
        assert copy.posts.count().to_pyarrow().as_py() == 8
    stamp = stamp_of(tmp_path / "kept", url)
    assert stamp.database == url
    postgres_server.execute(
        "GRANT SELECT ON creator_yield_log TO service", "INSERT INTO creator_yield_log VALUES (1)", database=database
    )
    assert stamp.now() != stamp
    assert stamp.now() == stamp.now()
    assert stamp.changed() == []
    assert b"shibboleth" not in b"".join(path.read_bytes() for path in (tmp_path / "kept").iterdir())


def test_a_database_that_does_not_say_what_is_new_is_refused(
    postgres_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_history, "state_of", lambda _: UNREACHABLE)
    with pytest.raises(InputError, match="the database does not say whether anything is new in it"):
        keep(postgres_server.url(postgres_server.database(frames())), tmp_path / "kept")
    assert not (tmp_path / "kept" / STAMP).exists()
