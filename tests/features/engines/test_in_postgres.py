"""The same features whether DuckDB makes them or a PostgreSQL server in which the tables lie."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest

from features.catalogue import CATALOGUE, FAMILIES
from features.faults import InputError
from features.history.in_place import open_in_place
from features.history.source import History, open_history
from features.matrix import FeatureBuilder
from tests.support.contract_tables import frames
from tests.support.postgres import Server
from tests.support.small_world import StubClassifier, Tables, small_world, write

# of a database whose texts are sorted as people do, not by their code points
AS_PEOPLE_SORT = "TEMPLATE template0 LOCALE 'C' LOCALE_PROVIDER icu ICU_LOCALE 'en-US'"
LEFT_OUT = [f"r{number}" for number in range(0, 300, 3)]


def _world() -> Tables:
    """A small market in which the latest posts of a creator are often two of one moment, whose ids decide."""
    tables = small_world()
    posts = tables["posts"].sort_values(["creator_id", "posted_at"], ignore_index=True)
    place = posts.groupby("creator_id").cumcount(ascending=False)
    following = posts.posted_at.shift(-1)
    posts["posted_at"] = posts.posted_at.where((place % 2 == 0) | (place > 9), following)
    ids = dict(zip(posts.post_id, np.where(place % 2 == 0, "B", "a") + posts.post_id, strict=True))
    comments = tables["comments"]
    return tables | {
        "posts": posts.assign(post_id=posts.post_id.map(ids)),
        "comments": comments.assign(post_id=comments.post_id.map(ids)),
    }


def _matrix(history: History, spine: pd.DataFrame) -> pd.DataFrame:
    with FeatureBuilder(history, classifier=StubClassifier()) as builder:
        return builder.build(spine)


Both = tuple[pd.DataFrame, pd.DataFrame]


@pytest.fixture(scope="module")
def tables() -> Tables:
    return _world()


@pytest.fixture(scope="module")
def url(postgres_server: Server, tables: Tables) -> str:
    market = {name: table for name, table in tables.items() if name != "spine"}
    return postgres_server.url(postgres_server.database(market, AS_PEOPLE_SORT))


@pytest.fixture(scope="module")
def both(url: str, tables: Tables, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Both]]:
    """The matrix by DuckDB and by PostgreSQL: of the whole market, and without a third of its results."""
    folder = write(tables, tmp_path_factory.mktemp("world"))
    with open_history(folder, threads=2) as here, open_in_place(url) as there:
        yield {
            "whole": (_matrix(here, tables["spine"]), _matrix(there, tables["spine"])),
            "less": (
                _matrix(here.without(LEFT_OUT), tables["spine"]), _matrix(there.without(LEFT_OUT), tables["spine"])
            ),
        }  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("market", ["whole", "less"])
def test_both_engines_agree(both: dict[str, Both], market: str, family: str) -> None:
    here, there = both[market]
    wrong = {}
    for feature in (feature for feature in CATALOGUE if feature.family == family):
        ours, theirs = here[feature.name], there[feature.name]
        agree = (ours.isna() & theirs.isna()) | (ours == theirs)
        if feature.kind == "number" and not (ours.dropna() % 1 == 0).all():
            agree |= np.isclose(ours.to_numpy(), theirs.to_numpy(), rtol=1e-12, atol=0)
        if not agree.all():
            first = int(np.flatnonzero(~agree)[0])
            wrong[feature.name] = (int((~agree).sum()), first, ours[first], theirs[first])
    assert wrong == {}, "column: (rows that differ, first of them, DuckDB's, PostgreSQL's)"


def test_what_is_left_out_changes_features(both: dict[str, Both]) -> None:
    assert not both["whole"][1].equals(both["less"][1])


def test_a_history_stays_as_it_was_when_it_was_opened(postgres_server: Server) -> None:
    tables = frames()
    database = postgres_server.database(tables)
    with open_in_place(postgres_server.url(database)) as history:
        first = _matrix(history, tables["collaborations"])
        postgres_server.execute("DELETE FROM posts", database=database)
        pd.testing.assert_frame_equal(_matrix(history, tables["collaborations"]), first, check_exact=True)
    with open_in_place(postgres_server.url(database)) as history:
        assert not _matrix(history, tables["collaborations"]).equals(first)


def test_nothing_is_left_in_the_database(postgres_server: Server) -> None:
    tables = frames()
    database = postgres_server.database(tables)
    held = "SELECT count(*) FROM pg_class WHERE relnamespace::regnamespace::text NOT IN ('pg_catalog', 'pg_toast')"
    before = postgres_server.execute(held, database=database)
    with open_in_place(postgres_server.url(database)) as history:
        _matrix(history, tables["collaborations"])
    assert postgres_server.execute(held, database=database) == before


def test_keys_are_read_as_those_of_a_file(postgres_server: Server) -> None:
    tables = frames()
    ids = {"c0": "7.0", "c1": "e\u0301", "c2": "c2", "c3": "c3"}
    renamed = {
        name: table.assign(creator_id=table.creator_id.map(ids)) if "creator_id" in table else table
        for name, table in tables.items()
    }
    spine = tables["collaborations"].assign(creator_id=lambda t: t.creator_id.map(ids | {"c0": "7", "c1": "\u00e9"}))
    with open_in_place(postgres_server.url(postgres_server.database(tables))) as history:
        expected = _matrix(history, tables["collaborations"])
    with open_in_place(postgres_server.url(postgres_server.database(renamed))) as history:
        pd.testing.assert_frame_equal(_matrix(history, spine), expected, check_exact=True)


def test_a_column_of_another_type_is_a_fault(postgres_server: Server) -> None:
    database = postgres_server.database(frames())
    changes = (
        "ALTER TABLE collaborations ALTER spend TYPE text",
        "ALTER TABLE posts DROP post_id",
        "DROP TABLE creators",
    )
    postgres_server.execute(*changes, database=database)
    with pytest.raises(InputError) as error, open_in_place(postgres_server.url(database)):
        pass
    assert [(fault.where, fault.column, fault.received) for fault in error.value.faults] == [
        ("collaborations", "spend", "text"),
        ("creators", None, "the tables collaborations, comments, conversions, posts"),
        ("posts", "post_id", None),
    ]


def test_who_may_make_no_temporary_table_learns_it(postgres_server: Server) -> None:
    database = postgres_server.database(frames())
    revoked = f"REVOKE TEMPORARY ON DATABASE {database} FROM PUBLIC"
    postgres_server.execute(revoked, "CREATE ROLE visitor LOGIN", database=database)
    url = f"postgresql:///{database}?host={postgres_server.folder}&port={postgres_server.port}&user=visitor"
    with pytest.raises(InputError, match="temporary tables"), open_in_place(url):
        pass
