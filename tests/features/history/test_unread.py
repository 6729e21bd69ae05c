"""What is named like a table and is not read is said, with the name that would be read."""

from pathlib import Path

import duckdb
import pytest

from features.faults import InputError
from features.history.source import open_history
from features.history.unread import table_of
from tests.support.contract_tables import frames, write

REQUIRED = {table: frames()[table] for table in ("collaborations", "creators")}
FORMS = "the table would be posts.parquet, posts.csv, posts.csv.gz, posts/ or posts.sql"


def notes(data: Path | str) -> tuple[str, ...]:
    with open_history(data, threads=1) as history:
        return history.notes


@pytest.mark.parametrize(
    "name", ["posts (1).csv", "posts_2024.csv", "Copy of Posts.csv", "2024-posts.parquet", "post.csv"]
)
def test_a_file_named_almost_like_an_absent_table_is_said(name: str, tmp_path: Path) -> None:
    (write(tmp_path, REQUIRED) / name).write_text("post_id\n")
    assert notes(tmp_path) == (f"posts: {name} is not read; {FORMS}, or posts.sql may join several files",)


@pytest.mark.slow
def test_files_beside_the_table_are_said_with_their_number(tmp_path: Path) -> None:
    write(tmp_path, frames())
    for month in range(1, 6):
        (tmp_path / f"posts_{month}.csv").write_text("post_id\n")
    assert notes(tmp_path) == (
        "posts: posts_1.csv, posts_2.csv, posts_3.csv and 2 more are not read (5 files); the table is read from posts "
        "alone, or posts.sql may join several files",
    )


@pytest.mark.slow
def test_what_a_mapping_reads_and_what_is_no_table_is_not_said(tmp_path: Path) -> None:
    write(tmp_path, REQUIRED)
    write(tmp_path / "parts of comments", {"a": frames()["comments"]})
    frames()["posts"].to_csv(tmp_path / "posts_2024.csv", index=False)
    (tmp_path / "posts.sql").write_text("SELECT * FROM read_csv('posts_*.csv')")
    (tmp_path / "comments.sql").write_text("SELECT * FROM 'parts of comments/*.parquet'")
    for name in (
        "scores of creators.csv",
        "candidates_creators.csv",
        "posts.md",
        "notes on posts.txt.bak",
        "other.csv",
    ):
        (tmp_path / name).write_text("a\n")
    assert notes(tmp_path) == ()


@pytest.mark.parametrize(
    ("name", "table"),
    [("conversions-per-dollar", None), ("stg_posts", "posts"), ("postscript.csv", None), ("compost.csv", None)],
)
def test_a_name_is_taken_by_its_words(name: str, table: str | None) -> None:
    assert table_of(name) == table


@pytest.mark.slow
def test_tables_of_other_schemas_and_names_are_said(tmp_path: Path) -> None:
    write(tmp_path, frames())
    with duckdb.connect(tmp_path / "history.db") as connection:
        for table in REQUIRED:
            connection.execute(f"CREATE TABLE {table} AS FROM '{tmp_path / table}.parquet'")
        connection.execute(f"CREATE SCHEMA raw; CREATE TABLE raw.posts AS FROM '{tmp_path}/posts.parquet'")
        connection.execute("CREATE TABLE posts_old AS FROM raw.posts; CREATE VIEW raw.creators AS FROM main.creators")
    assert notes(f"duckdb://{tmp_path}/history.db") == (
        "posts: posts_old, raw.posts are not read (2 tables); a table or view named posts in the schema main would be",
    )
    with duckdb.connect(tmp_path / "history.db") as connection:
        connection.execute("CREATE TABLE Posts AS FROM raw.posts")
    with pytest.raises(
        InputError, match=r"^posts: Posts is there, but no posts\. Rename it to posts: names are exact\.$"
    ):
        notes(f"duckdb://{tmp_path}/history.db")


BY_EXPRESSION = (
    "names files by an expression, so they are neither watched for changes nor checked for what DuckDB would guess; "
    "name them literally or by a pattern"
)


@pytest.mark.slow
@pytest.mark.parametrize("named", ["'po' || 'sts.txt'", "lower('POSTS.TXT')", "['none', 'po' || 'sts.txt'][2:]"])
def test_files_that_an_expression_names_are_said(named: str, tmp_path: Path) -> None:
    write(tmp_path, REQUIRED)
    frames()["posts"].to_csv(tmp_path / "posts.txt", index=False)
    (tmp_path / "posts.sql").write_text(f"SELECT * FROM read_csv({named})")
    assert notes(tmp_path) == (f"posts: posts.sql {BY_EXPRESSION}",)


@pytest.mark.parametrize("named", ["['posts.txt']", "array['post?.txt']", "'posts.txt'::VARCHAR"])
def test_files_that_texts_name_are_not_said(named: str, tmp_path: Path) -> None:
    write(tmp_path, REQUIRED)
    frames()["posts"].to_csv(tmp_path / "posts.txt", index=False)
    (tmp_path / "posts.sql").write_text(f"SELECT * FROM read_csv({named})")
    assert notes(tmp_path) == ()


def test_files_that_an_expression_of_a_view_names_are_said(tmp_path: Path) -> None:
    write(tmp_path, frames())
    with duckdb.connect(tmp_path / "history.db") as connection:
        connection.execute(f"CREATE TABLE collaborations AS FROM '{tmp_path}/collaborations.parquet'")
        connection.execute(f"CREATE VIEW below AS FROM read_parquet('{tmp_path}/' || 'creators.parquet')")
        connection.execute("CREATE VIEW creators AS FROM below")
    assert notes(f"duckdb://{tmp_path}/history.db") == (f"creators: the view creators {BY_EXPRESSION}",)
