"""The features that a data scientist makes of the same tables in an afternoon, for the peers to learn from.

Sums and medians over what was there before a deal's start, shares of comments by regular expressions, and records of
earlier results, drawn to the average; all in plain SQL, and none of it from our features.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from features.engines.duckdb import require_duckdb
from features.history.source import History

CATEGORIES = ("platform", "niche", "country", "product_niche", "product_country", "objective", "brand")
RECORDS = {
    "creator": ("creator_id",),
    "brand": ("brand",),
    "pair": ("creator_id", "brand"),
    "niches": ("niche", "product_niche"),
}
ATTRIBUTION_DAYS = 30
SHRINK = {"niches": 5.0}

TERMS = """
SELECT d.*, c.platform, c.niche, c.country, c.followers AS followers_listed,
       ln(d.spend) AS log_spend, month(d.starts_at) AS month, d.spend / nullif(c.followers, 0) AS price_per_follower,
       (c.niche = d.product_niche)::DOUBLE AS same_niche, (c.country = d.product_country)::DOUBLE AS same_country
FROM deals d LEFT JOIN creators c USING (creator_id) ORDER BY d.row
"""

# A start that lies ahead is judged on the last 90 days of which anything is known.
POSTS = """
WITH recent AS (
    SELECT d.row, d.product_niche, p.*, (p.likes + p.comments) / nullif(p.followers, 0) AS engagement,
           p.views / nullif(p.followers, 0) AS reach
    FROM deals d JOIN posts p USING (creator_id)
    WHERE p.posted_at < d.starts_at
      AND p.posted_at >= least(d.starts_at, (SELECT max(posted_at) FROM posts)) - INTERVAL 90 DAY
)
SELECT row, count(*)::DOUBLE AS posts, median(engagement) AS engagement_median, avg(engagement) AS engagement_mean,
       stddev(engagement) / nullif(avg(engagement), 0) AS engagement_spread, median(reach) AS views_per_follower,
       arg_max(followers, posted_at)::DOUBLE AS followers,
       (sum(comments) + 1) / (sum(likes) + 1) AS comments_per_like,
       (sum(saves) + 1) / (sum(likes) + 1) AS saves_per_like,
       (sum(shares) + 1) / (sum(likes) + 1) AS shares_per_like,
       avg(is_sponsored::DOUBLE) AS sponsored_share, sum(is_sponsored::DOUBLE) AS sponsored_posts,
       avg((niche = product_niche)::DOUBLE) AS posts_in_niche
FROM recent GROUP BY row
"""

COMMENTS = r"""
WITH words AS (SELECT DISTINCT text, lower(text) AS t FROM comments),
kinds AS (
    SELECT text,
           regexp_full_match(
               t, '\W*|(so |very )?(nice|wow|love|cute|pretty|amazing|perfect|great|cool|goals?)\b.{0,20}'
           ) AS hollow,
           regexp_matches(t, 'buy|order|price|cost|link|code|discount|where.*(get|find)|in stock|worth it') AS wants,
           regexp_matches(t, 'http|www\.|follow (me|back)|\bdm\b|subscribe|my (page|channel)|giveaway|earn ') AS spam,
           contains(t, '?') AS is_question, length(t) - length(replace(t, ' ', '')) + 1 AS length
    FROM words
),
recent AS (
    SELECT d.row, c.author_id, c.text, coalesce(c.by_creator, FALSE) AS own, kinds.* EXCLUDE (text)
    FROM deals d JOIN comments c USING (creator_id) JOIN kinds USING (text)
    WHERE c.commented_at < d.starts_at AND c.commented_at >= d.starts_at - INTERVAL 365 DAY
)
SELECT row, count(*)::DOUBLE AS comments_seen,
       (count(*) FILTER (hollow AND NOT own) + 2) / (count(*) FILTER (NOT own) + 5) AS hollow_share,
       (count(*) FILTER (wants AND NOT own) + 0.5) / (count(*) FILTER (NOT own) + 5) AS wants_share,
       (count(*) FILTER (spam AND NOT own) + 0.3) / (count(*) FILTER (NOT own) + 5) AS spam_share,
       (count(*) FILTER (is_question AND NOT own) + 1) / (count(*) FILTER (NOT own) + 5) AS question_share,
       avg(length) FILTER (NOT own) AS words, count(*) FILTER (own) / (count(*) FILTER (NOT own) + 1) AS replies,
       count(DISTINCT text) FILTER (NOT own) / nullif(count(*) FILTER (NOT own), 0) AS distinct_texts,
       count(DISTINCT author_id) FILTER (NOT own) / nullif(count(*) FILTER (NOT own), 0) AS distinct_authors
FROM recent GROUP BY row
"""

# A result is known once its counting has ended or its window has passed, whichever is earlier.
RECORD = """
WITH results AS (
    SELECT {keys}, starts_at AS began, ln((conversions + 0.5) / (spend * {rate!r} + 0.5)) AS log_ratio,
           least(observed_until, starts_at + INTERVAL 1 HOUR * promotion_hours + INTERVAL {days} DAY) AS known_at
    FROM terms WHERE conversions IS NOT NULL
)
SELECT t.row, count(*)::DOUBLE AS deals_{name}, (count(*) FILTER (r.known_at <= t.starts_at))::DOUBLE AS results_{name},
       coalesce(sum(r.log_ratio) FILTER (r.known_at <= t.starts_at), 0)
           / (count(*) FILTER (r.known_at <= t.starts_at) + {shrink}) AS record_{name}
FROM terms t JOIN results r USING ({keys}) WHERE r.began < t.starts_at GROUP BY t.row
"""


def peer_features(history: History, past: pd.DataFrame, candidates: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Features of past results and of candidates, one column beside the other: numbers (float64) and categories.

    past: the contract's collaborations. candidates: its candidates. Rows keep their order.
    """
    deals = pd.concat([past, candidates], ignore_index=True)
    deals["row"] = np.arange(len(deals))
    terms_of_deals = ["row", *_terms(candidates), "conversions", "observed_until"]
    with require_duckdb(history.engine).connection.cursor() as engine:
        engine.execute("SET TimeZone = 'UTC'")
        engine.register("deals", deals[terms_of_deals])
        table = engine.execute(TERMS).df()
        engine.register("terms", table)
        pieces = [engine.execute(_record(name, keys, past)).df() for name, keys in RECORDS.items()]
        pieces += [engine.execute(POSTS).df()] if history.posts is not None else []
        pieces += [engine.execute(COMMENTS).df()] if history.comments is not None else []
    for piece in pieces:
        table = table.merge(piece, on="row", how="left", validate="1:1")
    for name in table.columns:
        if name.startswith(("record_", "results_", "deals_")):
            table[name] = table[name].fillna(0.0)
    hidden = ["row", "creator_id", "starts_at", "conversions", "observed_until", "spend"]
    columns = table.drop(columns=hidden).dropna(axis=1, how="all")
    return split(columns, len(past))


def _terms(candidates: pd.DataFrame) -> Sequence[str]:
    wanted = ("creator_id", "brand", "product_niche", "product_country", "objective", "starts_at", "promotion_hours",
              "deliverables", "spend")  # fmt: skip
    return [name for name in wanted if name in candidates]


def _record(name: str, keys: Sequence[str], past: pd.DataFrame) -> str:
    rate = float(past.conversions.sum() / past.spend.sum())
    return RECORD.format(
        keys=", ".join(keys), name=name, rate=max(rate, 1e-12), days=ATTRIBUTION_DAYS, shrink=SHRINK.get(name, 1.0)
    )


def split(columns: pd.DataFrame, past: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The first `past` rows and the others: numbers as float64, all else as categories of levels that both share."""
    out = {}
    for name, values in columns.items():
        numeric = pd.api.types.is_numeric_dtype(values.dtype)
        out[name] = values.astype(float) if numeric else values.astype("object").astype("category")
    table = pd.DataFrame(out)
    return table.iloc[:past], table.iloc[past:].reset_index(drop=True)
