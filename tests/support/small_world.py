"""A tiny random market for tests: few rows, every edge that the features have to stand.

Moments lie on a grid of whole hours, so that posts, comments, deals and windows often meet to the microsecond; counts
are often 0 or missing; some creators never post, some deals have daily conversions and some do not.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from features.comment_classifier.classifier import CLASSES, CommentClassifier

Tables = dict[str, pd.DataFrame]
BEGIN, END = pd.Timestamp("2023-09-01"), pd.Timestamp("2025-09-01")
NICHES = ("beauty", "café ☕", 'it\'s "tech"', "sport")
TEXTS = ("nice", "🔥🔥", "where can I buy this in size 42 and does it ship to Norway", "follow me", "love it so much!")
DEAL = ("creator_id", "brand", "product_niche", "product_country", "objective", "starts_at", "promotion_hours")


class StubClassifier(CommentClassifier):
    """Classes that are a hash of the text: as good as the real ones to test how they are summed."""

    def __init__(self) -> None:
        """Needs no weights."""

    def classify(self, texts: Sequence[Any] | np.ndarray | pd.Series | Any) -> pd.DataFrame:
        """Rows of the classifier's columns, one per text."""
        texts = texts.to_pylist() if hasattr(texts, "to_pylist") else list(texts)
        found = {
            name: np.array([zlib.crc32(f"{name} {text}".encode()) / 2**32 for text in texts], "float32")
            for name in CLASSES
        }
        return pd.DataFrame(found | {"words": np.array([len((text or "").split()) for text in texts], "int32")})


def hours(rng: np.random.Generator, n: int) -> pd.Series:
    """Random moments on the grid."""
    return pd.Series(BEGIN + pd.to_timedelta(rng.integers(0, (END - BEGIN) // pd.Timedelta("6h"), n) * 6, unit="h"))


def holes(rng: np.random.Generator, values: pd.Series, share: float = 0.1) -> pd.Series:
    """The values with some missing."""
    return values.astype(object).where(rng.random(len(values)) >= share, None)


def _counts(rng: np.random.Generator, n: int, mean: float) -> pd.Series:
    values = pd.Series(rng.negative_binomial(0.7, 0.7 / (0.7 + mean), n)).astype("Int64")
    return values.mask(rng.random(n) < 0.12)


def _creators(rng: np.random.Generator, n: int) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "creator_id": [f"c{i}" if i % 7 else f'c\'{i} "é"' for i in range(n)],
            "platform": rng.choice(["instagram", "tiktok", "youtube"], n),
            "niche": rng.choice(NICHES, n),
            "country": holes(rng, pd.Series(rng.choice(["DE", "NO", "US"], n)), 0.15),
            "language": holes(rng, pd.Series(rng.choice(["de", "en", "no"], n)), 0.15),
            "followers": pd.Series((10 ** rng.uniform(3, 6.5, n)).astype("int64"))
            .astype("Int64")
            .mask(rng.random(n) < 0.2),
        }
    )


def _posts(rng: np.random.Generator, creators: pd.DataFrame, n: int) -> pd.DataFrame:
    # the last fifth of the creators never post
    owner = rng.integers(0, len(creators) * 4 // 5, n)
    base = 10 ** rng.uniform(3, 6.2, len(creators))
    followers = pd.Series((base[owner] * np.exp(rng.normal(0, 0.3, n))).astype("int64")).astype("Int64")
    posts = pd.DataFrame(
        {
            "post_id": [f"p{i}" for i in rng.permutation(n)],
            "creator_id": creators.creator_id.to_numpy()[owner],
            "posted_at": hours(rng, n),
            "followers": followers.mask(rng.random(n) < 0.1).mask(rng.random(n) < 0.03, 0),
            "views": _counts(rng, n, 5000),
            "likes": _counts(rng, n, 300),
            "comments": _counts(rng, n, 20),
            "shares": _counts(rng, n, 5),
            "saves": _counts(rng, n, 5),
            "is_sponsored": holes(rng, pd.Series(rng.random(n) < 0.3)).astype("boolean"),
            "brand": holes(rng, pd.Series(rng.choice(["b0", "b1", "b2", "other"], n)), 0.3),
            "niche": holes(rng, pd.Series(rng.choice([*NICHES, "rare"], n, p=[0.3, 0.3, 0.2, 0.15, 0.05]))),
            "caption": "…",
        }
    )
    posts.loc[posts.sample(4, random_state=1).index, ["likes", "followers"]] = [90_000, 2]
    return posts


def _comments(rng: np.random.Generator, posts: pd.DataFrame, n: int) -> pd.DataFrame:
    under = posts.iloc[rng.integers(0, len(posts), n)].reset_index(drop=True)
    wrote = rng.random(n) < 0.2
    text = pd.Series(rng.choice([*TEXTS, *(f"comment number {i}" for i in range(400))], n))
    author = pd.Series(rng.choice([f"a{i}" for i in range(50)], n)).where(~wrote, under.creator_id)
    comments = pd.DataFrame(
        {
            "comment_id": [f"m{i}" for i in rng.permutation(n)],
            "post_id": under.post_id,
            "creator_id": holes(rng, under.creator_id, 0.5),
            "commented_at": under.posted_at + pd.to_timedelta(rng.integers(0, 60, n) * 3, unit="h"),
            "author_id": holes(rng, author),
            "text": text,
            "by_creator": holes(rng, pd.Series(wrote)).astype("boolean"),
        }
    )
    # one text comes up with two creators at the same moment
    other = int((under.creator_id != under.creator_id[0]).to_numpy().argmax())
    comments.loc[[0, other], "text"] = "at once"
    comments.loc[[0, other], "commented_at"] = BEGIN + pd.Timedelta("300D")
    comments.loc[[0, other], "by_creator"] = False
    return comments


def _deals(rng: np.random.Generator, creators: pd.DataFrame, posts: pd.DataFrame, n: int) -> pd.DataFrame:
    starts = hours(rng, n)
    # some deals start at the very moment of a post, or 90, 180 or 365 days after it, or a microsecond beside that
    some = rng.integers(0, len(posts), n)
    shift = pd.to_timedelta(rng.choice([0, 90, 180, 365], n), unit="D") + pd.to_timedelta(
        rng.choice([-1, 0, 1], n), unit="us"
    )
    meets = rng.random(n) < 0.25
    at = posts.posted_at.iloc[some].reset_index(drop=True) + shift
    owner = pd.Series(rng.choice(creators.creator_id, n))
    return pd.DataFrame(
        {
            "creator_id": owner.where(~meets, posts.creator_id.iloc[some].reset_index(drop=True)),
            "brand": rng.choice(["b0", "b1", "b2", 'brand "3"\'s'], n),
            "product_niche": rng.choice([*NICHES, "nobody posts this"], n),
            "product_country": holes(rng, pd.Series(rng.choice(["DE", "NO", "FR"], n))),
            "objective": holes(rng, pd.Series(rng.choice(["sales", "awareness"], n))),
            "starts_at": starts.where(~meets | (at > END), at),
            "promotion_hours": rng.choice([24.0, 48.5, 168.0, 720.0], n),
            "deliverables": pd.Series(rng.integers(1, 5, n)).astype("Int64").mask(rng.random(n) < 0.1),
            "spend": np.round(np.exp(rng.normal(6, 1.2, n)), 2),
        }
    )


def _days(rng: np.random.Generator, deals: pd.DataFrame) -> pd.DataFrame:
    """Days on which conversions came, for two deals in three; a day may have two rows."""
    rows = []
    daily = deals[rng.random(len(deals)) < 0.67]
    spans = zip(
        daily.collaboration_id, daily.starts_at.dt.normalize(), daily.observed_until.dt.normalize(), strict=True
    )
    for deal, first, until in spans:
        last = (until - first).days
        for day in np.unique(np.minimum(rng.exponential(8, rng.integers(1, 9)).astype(int), last)):
            for part in range(1 + (rng.random() < 0.1)):
                rows.append((deal, first + pd.Timedelta(days=int(day)), part + 1))
    days = pd.DataFrame(rows, columns=["collaboration_id", "date", "conversions"])
    return days.assign(conversions=days.conversions * rng.integers(0, 12, len(days)), date=days.date.dt.date)


def small_world(seed: int = 0, creators: int = 40, deals: int = 300) -> Tables:
    """The contract's tables as frames, and `spine`: every deal and as many candidates, some of unknown creators."""
    rng = np.random.default_rng(seed)
    who = _creators(rng, creators)
    posts = _posts(rng, who, creators * 22)
    past = _deals(rng, who, posts, deals)
    past.insert(0, "collaboration_id", [f"r{i}" for i in rng.permutation(deals)])
    # young deals are counted for a while only, some of them up to the very moment at which another one starts
    watched = past.starts_at + pd.to_timedelta(rng.choice([0, 36, 480, 481, 24 * 33, 24 * 100, 24 * 300], deals), "h")
    until = watched.where(
        rng.random(deals) < 0.9, pd.Series(rng.permutation(past.starts_at)).clip(lower=past.starts_at)
    )
    # and some starts are 180 days after such a moment, or a microsecond or two more
    after = (until + pd.Timedelta("180D") + pd.to_timedelta(np.arange(deals) % 3, "us"))[: deals // 2]
    after = after[after < END]
    past["starts_at"] = [*past.starts_at[: -len(after)], *after]
    until = until.clip(lower=past.starts_at)
    past["conversions"] = _counts(rng, deals, 30).fillna(0).astype("int64")
    past["observed_until"] = until
    past["clicks"] = _counts(rng, deals, 200).astype("Float64")
    past["revenue"], past["coupon_redemptions"] = past.clicks * 3, past.clicks // 2
    days = _days(rng, past)
    sums = days.groupby("collaboration_id").conversions.sum()
    past["conversions"] = past.collaboration_id.map(sums).fillna(past.conversions).astype("int64")
    proposed = _deals(rng, who, posts, deals // 3)
    proposed.loc[:4, "creator_id"] = "nobody knows"
    proposed.loc[5:9, "brand"] = "a new brand"
    proposed.loc[10:14, "starts_at"] = END + pd.to_timedelta([20, 100.5, 200, 400, 900], "D")
    spine = pd.concat([past[proposed.columns], proposed], ignore_index=True)
    return {
        "collaborations": past,
        "creators": who,
        "posts": posts,
        "comments": _comments(rng, posts, creators * 60),
        "conversions": days,
        "spine": spine,
    }


def write(tables: Tables, folder: Path) -> Path:
    """The tables as Parquet files of a folder, as a user would export them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        if name != "spine":
            table.to_parquet(folder / f"{name}.parquet", index=False)
    return folder
