"""A table whose columns have other names is one fault: what is missing, what was found, what may be which."""

from pathlib import Path

import pytest

from features.faults import InputError
from features.history.column_names import likely, named
from features.history.contract import CANDIDATES, COLLABORATIONS, POSTS
from features.history.source import open_history
from tests.support.contract_tables import frames, write


def faults(folder: Path, table: str, content: str) -> list[str]:
    data = write(folder, frames())
    (data / f"{table}.parquet").unlink()
    (data / f"{table}.csv").write_text(content)
    try:
        with open_history(data, threads=1):
            return []
    except InputError as error:
        return [str(fault) for fault in error.faults if fault.where == table]


@pytest.mark.slow
def test_a_table_of_none_of_the_columns_is_one_fault(tmp_path: Path) -> None:
    assert faults(tmp_path / "ab", "collaborations", "a,b\n1,2\n") == [
        "collaborations: 9 required columns are missing (collaboration_id, creator_id, brand, product_niche, "
        "starts_at, promotion_hours, spend, conversions, observed_until): received 'a', 'b'. "
        "Rename the columns, or write collaborations.sql, which maps them (docs/data.md)."
    ]
    (line,) = faults(tmp_path / "optional", "posts", "x\n1\n")
    assert line.startswith("posts: 3 required columns are missing (post_id, creator_id, posted_at): received 'x'.")


def test_likely_pairs_are_shown(tmp_path: Path) -> None:
    names = "Deal ID,Influencer Handle,Client,Vertical,Go Live,Duration (hours),Total Cost (USD),Sales,As Of,Notes"
    (line,) = faults(tmp_path, "collaborations", f"{names}\n{'1,' * 9}1\n")
    assert line.endswith(
        "Likely pairs: 'Deal ID' → collaboration_id, 'Influencer Handle' → creator_id, 'Client' → brand, "
        "'Vertical' → product_niche, 'Go Live' → starts_at, 'Duration (hours)' → promotion_hours, "
        "'Total Cost (USD)' → spend, 'Sales' → conversions, 'As Of' → observed_until. "
        "Rename the columns, or write collaborations.sql, which maps them (docs/data.md)."
    )


@pytest.mark.parametrize(
    ("given", "column", "wanted"),
    [
        ("Cost", "spend", COLLABORATIONS),
        ("fee_usd", "spend", COLLABORATIONS),
        ("Influencer", "creator_id", COLLABORATIONS),
        ("CreatorId", "creator_id", COLLABORATIONS),
        ("converisons", "conversions", COLLABORATIONS),
        ("Orders", "conversions", COLLABORATIONS),
        ("Go-live date", "starts_at", CANDIDATES),
        ("like_count", "likes", POSTS),
        ("Publish Date", "posted_at", POSTS),
        ("affiliate_id", "creator_id", COLLABORATIONS),
        ("Tiktoker name", "creator_id", COLLABORATIONS),
        ("ad_spend_usd", "spend", COLLABORATIONS),
    ],
)
def test_usual_and_similar_names_are_known(given: str, column: str, wanted: object) -> None:
    assert likely(["x", given, "y"], wanted.columns) == {column: given}  # type: ignore[attr-defined]


@pytest.mark.slow
@pytest.mark.parametrize("given", ["Likes", "likes ", " likes", "likes\u00a0", "\ufefflikes"])
def test_an_optional_column_that_is_almost_named_is_refused(given: str, tmp_path: Path) -> None:
    assert faults(tmp_path, "posts", f"post_id,creator_id,posted_at,{given}\np1,c1,2025-01-01,9\n") == [
        f"posts.likes: its name is not exact: received {given!r}. Rename it to likes."
    ]


@pytest.mark.slow
def test_a_column_beside_its_twin_is_an_extra_one(tmp_path: Path) -> None:
    content = "post_id,creator_id,posted_at,likes,likes_,Reach (Avg.)\np1,c1,2025-01-01,9,8,7\n"
    frames_without = write(tmp_path, {k: v for k, v in frames().items() if k != "posts"})
    (frames_without / "posts.csv").write_text(content)
    with open_history(frames_without, threads=1) as history:
        assert history.posts is not None
        assert history.posts.likes.to_pyarrow().to_pylist() == [9]


def test_blank_names_get_the_name_of_their_place() -> None:
    assert named(["", "a", " "]) == ["Unnamed: 0", "a", "Unnamed: 2"]
    assert named(["", "Unnamed: 0", "Unnamed: 0.1"]) == ["Unnamed: 0.2", "Unnamed: 0", "Unnamed: 0.1"]
