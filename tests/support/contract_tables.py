"""A small history that keeps the contract, as frames to damage and files to open."""

from pathlib import Path

import pandas as pd

Frames = dict[str, pd.DataFrame]


def frames() -> Frames:
    """Four creators, six collaborations, eight posts, ten comments; two collaborations with daily conversions."""
    starts = pd.date_range("2025-01-10 12:00", periods=6, freq="7D", tz="UTC")
    collaborations = pd.DataFrame(
        {
            "collaboration_id": [f"r{i}" for i in range(6)],
            "creator_id": [f"c{i % 4}" for i in range(6)],
            "brand": ["ash", "birch"] * 3,
            "product_niche": "fitness",
            "starts_at": starts,
            "promotion_hours": 48.0,
            "deliverables": [1, 2, 3, 1, 2, 3],
            "spend": [100.0, 250.5, 80.0, 900.0, 40.0, 60.0],
            "conversions": [3, 0, 7, 12, 1, 2],
            "observed_until": starts + pd.Timedelta(days=40),
            "revenue": [30.0, 0.0, 71.5, None, 9.0, 20.0],
        }
    )
    creators = pd.DataFrame(
        {
            "creator_id": [f"c{i}" for i in range(4)],
            "platform": "instagram",
            "niche": ["fitness", "food", "fitness", "art"],
            "followers": [1_000, 25_000, 300, 1_200_000],
        }
    )
    posts = pd.DataFrame(
        {
            "post_id": [f"p{i}" for i in range(8)],
            "creator_id": [f"c{i % 4}" for i in range(8)],
            "posted_at": pd.date_range("2024-12-01", periods=8, freq="3D", tz="UTC"),
            "likes": range(10, 18),
            "is_sponsored": [True, False] * 4,
        }
    )
    comments = pd.DataFrame(
        {
            "comment_id": [f"k{i}" for i in range(10)],
            "post_id": [f"p{i % 8}" for i in range(10)],
            "creator_id": [f"c{i % 4}" for i in range(10)],
            "commented_at": pd.date_range("2024-12-25 08:00:01", periods=10, freq="h", tz="UTC"),
            "text": ['where, "please"?', "so\nnice", "é ñ 你好", "; | \t", "NA", "null", "0", "x", "y", "z"],
        }
    )
    conversions = pd.DataFrame(
        {
            "collaboration_id": ["r0", "r0", "r2"],
            "date": pd.to_datetime(["2025-01-10", "2025-01-12", "2025-02-01"]).date,
            "conversions": [1, 2, 7],
        }
    )
    return {
        "collaborations": collaborations,
        "creators": creators,
        "posts": posts,
        "comments": comments,
        "conversions": conversions,
    }


def candidates() -> pd.DataFrame:
    """Three candidates, one of a creator that nobody knows."""
    return pd.DataFrame(
        {
            "candidate_id": ["a", "b", "c"],
            "creator_id": ["c0", "c3", "stranger"],
            "brand": "ash",
            "product_niche": "fitness",
            "starts_at": pd.to_datetime(["2025-06-01", "2025-06-02", "2025-06-03"], utc=True),
            "promotion_hours": [24.0, 48.0, 24.0],
            "spend": [100.0, 200.0, 300.0],
            "note": ["x", None, "z"],
        }
    )


def write(folder: Path, tables: Frames, form: str = "parquet") -> Path:
    """The tables as `form` ("parquet", "csv", "csv.gz" or "parts") in `folder`, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        if form == "parquet":
            table.to_parquet(folder / f"{name}.parquet", index=False)
        elif form == "parts":
            (folder / name).mkdir()
            for part, start in enumerate(range(0, len(table), 3)):
                table.iloc[start : start + 3].to_parquet(folder / name / f"part-{part:03}.parquet", index=False)
        else:
            table.to_csv(folder / f"{name}.{form}", index=False)
    return folder
