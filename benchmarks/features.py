"""Features by the project's Ibis expressions beside hand-written DuckDB SQL for the same columns, measured in turn.

    python -m benchmarks.features [--scale 1] [--rounds 3] [--threads 2] [--memory 6GB] [--folder DIR]

At scale 1: 20,000 creators, 4 million posts and 20 million comments (200,000 distinct texts) of two years, 100,000
collaborations, whose conversions are given by day for two in three. The market is made outside of the timed part, from
hashes of row numbers, so that it is the same everywhere. Each measurement is a process of its own, ours and the other
in turn; what is timed is all from the Parquet files (ours: from the opened history) to a pandas frame of all features
of all collaborations. Texts are scored by the comment classifier once, before: that time has a line of its own and
in neither side. Opening (with the contract's checks), which only our side does, has its own line too.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import duckdb
import numpy as np
import pandas as pd

from features.catalogue import CATALOGUE
from features.comment_classifier.classifier import CommentClassifier
from features.history.source import open_history
from features.matrix import FeatureBuilder

SIZES = {"creators": 20_000, "posts": 4_000_000, "comments": 20_000_000, "texts": 200_000, "deals": 100_000}
HAND_WRITTEN = Path(__file__).with_name("hand_written.sql")
# u: a number in 0..1 that depends on a row's number and on which of its properties is drawn; hashed twice, for the hash
# of a pair is the one's combined with the other's by XOR, and all properties of a row would go together
MACROS = """
CREATE MACRO u(i, what) AS (hash(hash(i, what)) >> 11) / 9007199254740992.0;
CREATE MACRO pick(names, i, what) AS names[1 + CAST(floor(u(i, what) * len(names)) AS INT)];
CREATE MACRO niches() AS ['beauty', 'fashion', 'fitness', 'food', 'games', 'home', 'parents', 'pets', 'tech', 'travel'];
CREATE MACRO moment(i, what, first, days) AS
    TIMESTAMP '2024-01-01' + to_days(first) + to_microseconds(CAST(u(i, what) * days * 86400e6 AS BIGINT));
CREATE MACRO owner(i, what) AS CAST(floor(pow(u(i, what), 1.3) * {creators}) AS BIGINT)
"""
MARKET = """
CREATE TABLE creators AS
SELECT 'c' || i AS creator_id, pick(['instagram', 'tiktok', 'youtube'], i, 'platform') AS platform,
    pick(niches(), i, 'niche') AS niche, pick(['DE', 'FR', 'GB', 'US'], i, 'country') AS country,
    pick(['de', 'en', 'es', 'fr'], i, 'language') AS language,
    CAST(exp(7 + u(i, 'size') * 8) AS BIGINT) AS followers
FROM range({creators}) t(i);

CREATE TABLE posts AS
SELECT 'p' || i AS post_id, 'c' || o AS creator_id, moment(i, 'posted', 0, 730) AS posted_at,
    CAST(exp(7 + u(o, 'size') * 8) * (0.7 + 0.3 * u(i, 'followers')) AS BIGINT) AS followers,
    CAST(followers * u(i, 'views') AS BIGINT) AS views, CAST(views * 0.2 * u(i, 'likes') AS BIGINT) AS likes,
    CAST(likes * 0.1 * u(i, 'comments') AS BIGINT) AS comments, CAST(likes * 0.05 * u(i, 'shares') AS BIGINT) AS shares,
    CAST(likes * 0.05 * u(i, 'saves') AS BIGINT) AS saves, u(i, 'sponsored') < 0.15 AS is_sponsored,
    CASE WHEN u(i, 'sponsored') < 0.15 THEN 'b' || CAST(floor(u(i, 'brand') * 300) AS INT) END AS brand,
    CASE WHEN u(i, 'own') < 0.7 THEN pick(niches(), o, 'niche') ELSE pick(niches(), i, 'niche') END AS niche
FROM (SELECT i, owner(i, 'owner') AS o FROM range({posts}) t(i));

CREATE TABLE texts AS
SELECT i, array_to_string([pick(['love', 'this', 'where', 'can', 'I', 'buy', 'great', 'colour', 'please', 'follow',
    'me', '🔥', '@you', 'works', 'on', 'dry', 'skin', 'price', 'of', 'it', 'so', 'pretty', 'thanks', '?'],
    i, 'word' || j) FOR j IN range(2 + CAST(floor(u(i, 'long') * 9) AS INT))], ' ') || ' ' || i AS text
FROM range({texts}) t(i);

CREATE TABLE comments AS
SELECT 'm' || c.i AS comment_id, 'p' || p AS post_id, 'c' || owner(p, 'owner') AS creator_id,
    moment(p, 'posted', 0, 730) + to_seconds(CAST(-ln(1 - u(c.i, 'when')) * 86400 AS BIGINT)) AS commented_at,
    CASE WHEN by_creator THEN 'c' || owner(p, 'owner')
         ELSE 'a' || CAST(floor(u(c.i, 'author') * 400) AS BIGINT) * 50_000 + owner(p, 'owner') END AS author_id,
    text, by_creator
FROM (SELECT i, CAST(floor(u(i, 'post') * {posts}) AS BIGINT) AS p, u(i, 'creator') < 0.08 AS by_creator,
             CAST(floor(pow(u(i, 'text'), 3) * {texts}) AS BIGINT) AS said FROM range({comments}) t(i)) c
JOIN texts ON texts.i = c.said;

CREATE TABLE collaborations AS
SELECT 'r' || i AS collaboration_id, 'c' || o AS creator_id, 'b' || CAST(floor(u(i, 'brand') * 300) AS INT) AS brand,
    pick(niches(), i, 'product') AS product_niche, pick(['DE', 'FR', 'GB', 'US'], i, 'sold') AS product_country,
    pick(['sales', 'awareness', 'launch'], i, 'objective') AS objective,
    moment(i, 'starts', 120, 600) AS starts_at,
    CAST(pick([24, 168, 336, 720], i, 'hours') AS DOUBLE) AS promotion_hours,
    1 + CAST(floor(u(i, 'deliverables') * 4) AS BIGINT) AS deliverables,
    round(exp(3 + u(o, 'size') * 6 + u(i, 'price')), 2) AS spend, CAST(0 AS BIGINT) AS conversions,
    least(starts_at + INTERVAL 120 DAY, TIMESTAMP '2026-01-01') AS observed_until,
    CAST(floor(spend * 0.5 * u(i, 'clicks')) AS DOUBLE) AS clicks
FROM (SELECT i, owner(i, 'hired') AS o FROM range({deals}) t(i));

CREATE TABLE conversions AS
SELECT collaboration_id, CAST(starts_at AS DATE) + CAST(floor(-ln(1 - u(i, collaboration_id)) * 8) AS INT) AS date,
    1 + CAST(floor(spend * 0.01 * u(i, 'n' || collaboration_id)) AS BIGINT) AS conversions
FROM collaborations, range(8) t(i)
WHERE u(collaboration_id, 'told') < 0.67 AND date <= CAST(observed_until AS DATE);

UPDATE collaborations SET conversions = coalesce(
    (SELECT sum(v.conversions) FROM conversions v WHERE v.collaboration_id = collaborations.collaboration_id),
    CAST(floor(spend * 0.05 * u(collaboration_id, 'untold')) AS BIGINT));
"""


class Scored(CommentClassifier):
    """Gives the classes that texts were scored with before."""

    def __init__(self, scored: pd.DataFrame) -> None:
        """scored: a row per distinct text."""
        self.scored = scored.set_index("text")

    def classify(self, texts: Sequence[Any] | np.ndarray | pd.Series | Any) -> pd.DataFrame:
        """Rows of the classifier's columns, one per text."""
        texts = texts.to_pylist() if hasattr(texts, "to_pylist") else list(texts)
        return self.scored.reindex(texts).reset_index(drop=True)


def make_market(folder: Path, sizes: Mapping[str, int], threads: int) -> None:
    """Write the tables as Parquet into a folder. sizes: those of SIZES, of this market."""
    with duckdb.connect(folder / "market.duckdb", config={"threads": threads, "memory_limit": "6GB"}) as connection:
        connection.execute("SET preserve_insertion_order = false")
        for statement in (MACROS + ";" + MARKET).format(**sizes).split(";\n"):
            connection.execute(statement)
        for name in ("collaborations", "creators", "posts", "comments", "conversions"):
            connection.execute(f"COPY {name} TO '{folder / name}.parquet'")
    (folder / "market.duckdb").unlink()


def score_texts(folder: Path) -> tuple[int, float]:
    """Score each distinct text once; how many there are and the seconds that it took."""
    with duckdb.connect() as connection:
        texts = connection.execute(f"SELECT DISTINCT text FROM '{folder}/comments.parquet' ORDER BY text").df()["text"]
    classifier = CommentClassifier.load()
    begun = time.perf_counter()
    found = classifier.classify(texts)
    seconds = time.perf_counter() - begun
    found.assign(text=texts).to_parquet(folder / "scored.parquet")
    return len(texts), seconds


def ours(folder: Path, threads: int, memory: str) -> dict[str, Any]:
    """The project's features of all collaborations."""
    spine = pd.read_parquet(folder / "collaborations.parquet")
    scored = Scored(pd.read_parquet(folder / "scored.parquet"))
    begun = time.perf_counter()
    with open_history(folder, threads=threads, memory_limit=memory, temp_dir=folder) as history:
        opened = time.perf_counter()
        with FeatureBuilder(history, classifier=scored) as builder:
            prepared = time.perf_counter()
            matrix = builder.build(spine)
        done = time.perf_counter()
    matrix.to_parquet(folder / "ours.parquet")
    return {"opening": opened - begun, "preparing": prepared - opened, "seconds": done - opened}


def hand_written(folder: Path, threads: int, memory: str) -> dict[str, Any]:
    """The same columns by SQL."""
    config: dict[str, Any] = {"threads": threads, "memory_limit": memory, "temp_directory": str(folder / "spill")}
    begun = time.perf_counter()
    with duckdb.connect(config=config) as connection:
        for name in ("collaborations", "creators", "posts", "comments", "conversions", "scored"):
            connection.execute(f"CREATE VIEW {name} AS FROM '{folder}/{name}.parquet'")
        connection.execute("CREATE VIEW wanted AS FROM collaborations")
        *prepare, last = HAND_WRITTEN.read_text().rstrip().rstrip(";").split(";\n")
        for statement in prepare:
            connection.execute(statement)
        matrix = connection.execute(last).df()
    done = time.perf_counter()
    matrix.to_parquet(folder / "sql.parquet")
    return {"seconds": done - begun}


def differences(folder: Path) -> list[str]:
    """Columns that differ by more than 1e-9 of their value."""
    left, right = pd.read_parquet(folder / "ours.parquet"), pd.read_parquet(folder / "sql.parquet")
    wrong = []
    for feature in CATALOGUE:
        a, b = left[feature.name], right[feature.name]
        if feature.kind == "category":
            same = ((a == b) | (a.isna() & b.isna())).to_numpy()
        else:
            same = np.isclose(a.to_numpy(float), b.to_numpy(float, na_value=np.nan), rtol=1e-9, atol=0, equal_nan=True)
        if not same.all():
            at = int(np.flatnonzero(~same)[0])
            wrong.append(f"{feature.name}: {(~same).sum()} rows, first {at}: {a[at]} against {b[at]}")
    return wrong


def measured(side: str, folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    """One side in a process of its own: its seconds and its peak memory (GiB)."""
    command = [sys.executable, "-m", "benchmarks.features", "--side", side, "--folder", str(folder)]
    command += ["--threads", str(args.threads), "--memory", args.memory]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    print(f"{side:>6}: " + ", ".join(f"{name} {value:.2f}" for name, value in found.items()), flush=True)
    return found


def compare(folder: Path, args: argparse.Namespace) -> int:
    """Make the market, measure both sides in turn, print the ratio; 1 if they disagree."""
    if not (folder / "scored.parquet").exists():
        make_market(folder, {name: max(int(size * args.scale), 20) for name, size in SIZES.items()}, args.threads)
        texts, seconds = score_texts(folder)
        print(f"scoring {texts:,} distinct texts: {seconds:.2f} s, in neither side", flush=True)
    found: dict[str, list[dict[str, float]]] = {"ours": [], "sql": []}
    for _ in range(args.rounds):
        for side, rounds in found.items():
            rounds.append(measured(side, folder, args))
    wall, cpu = (
        median(r[what] for r in found["ours"]) / median(r[what] for r in found["sql"]) for what in ("seconds", "cpu")
    )
    peak = max(r["peak_gib"] for r in found["ours"])
    print(
        f"ratio of median seconds {wall:.2f} (goal: at most 1.2), of processor time {cpu:.2f} (with start and opening)"
    )
    print(f"our peak memory {peak:.2f} GiB (goal: at most 8)")
    wrong = differences(folder)
    print("\n".join(wrong) or f"all {len(CATALOGUE)} columns agree to 1e-9")
    return 1 if wrong else 0


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the full sizes (default 1)")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each side (default 3)")
    parser.add_argument("--threads", type=int, default=2, help="threads of the engine (default 2)")
    parser.add_argument("--memory", default="6GB", help="memory limit of the engine (default 6GB)")
    parser.add_argument("--folder", type=Path, help="keep the market here, or use the one that is")
    parser.add_argument("--side", choices=["ours", "sql"], help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.side:
        found = (ours if args.side == "ours" else hand_written)(args.folder, args.threads, args.memory)
        used = resource.getrusage(resource.RUSAGE_SELF)
        print(json.dumps(found | {"cpu": used.ru_utime + used.ru_stime, "peak_gib": used.ru_maxrss / 2**20}))
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.folder or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        return compare(folder, args)


if __name__ == "__main__":
    sys.exit(main())
