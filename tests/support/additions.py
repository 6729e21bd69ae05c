"""Rows to add to a small history, and what it is once they are in."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

from features.history.append.add import Counts
from features.history.contract import TABLES
from features.history.source import open_history
from tests.support.contract_tables import Frames, frames
from tests.support.postgres import Server

NOW = datetime(2025, 9, 1)
KEYS = {"conversions": ["collaboration_id", "date"]} | {
    table: schema.unique for table, schema in TABLES.items() if schema.unique
}


def contents(data: str) -> dict[str, list[dict[str, object]]]:
    """All rows of all tables, in the order of their keys."""
    with open_history(data, threads=1, now=NOW) as history:
        return {
            table: getattr(history, table).order_by(KEYS[table]).to_pyarrow().to_pylist() for table in history.given
        }


def batch() -> Frames:
    """New rows in all tables, corrections in four of them, and two rows as they were."""
    base = frames()
    deals = base["collaborations"].copy()
    deals.loc[0, ["conversions", "revenue"]] = [5, 50.0]  # with another day of conversions
    deals.loc[3, "spend"] = 950.0
    deals = pd.concat([deals.iloc[[0, 3, 4]], deals.iloc[[5]].assign(collaboration_id="r9", creator_id="c9")])
    creators = base["creators"].iloc[[1, 2]].assign(followers=[26_000, 300])
    creators = pd.concat([creators, base["creators"].iloc[[0]].assign(creator_id="c9", niche='it\'s "new", ok')])
    posts = base["posts"].iloc[[7]].assign(post_id="p9", creator_id="c9", is_sponsored=None)
    comments = base["comments"].iloc[[1, 2]].assign(comment_id=["k1", "k11"], text=["so\nnicer", "new ☕"])
    days = pd.DataFrame(
        {
            "collaboration_id": ["r0", "r0"],
            "date": pd.to_datetime(["2025-01-12", "2025-01-14"]).date,
            "conversions": [3, 1],
        }
    )
    return {
        "collaborations": deals, "creators": creators, "posts": posts, "comments": comments, "conversions": days
    }  # fmt: skip


def merged(base: Frames, new: Frames) -> Frames:
    """What the tables are once the rows of `new` stand for those of their keys."""
    tables = dict(base)
    for table, rows in new.items():
        both = pd.concat([base[table], rows]) if table in base else rows
        tables[table] = both.drop_duplicates(KEYS[table], keep="last").reset_index(drop=True)
    return tables


EXPECTED = {
    "collaborations": Counts(1, 2, 1, 0),
    "creators": Counts(1, 1, 1, 0),
    "posts": Counts(1, 0, 0, 0),
    "comments": Counts(1, 1, 0, 0),
    "conversions": Counts(1, 1, 0, 0),
}


def results(rows: int = 6) -> Frames:
    """Collaborations and creators alone, which are quick to check."""
    tables = frames()
    return {"collaborations": tables["collaborations"].head(rows), "creators": tables["creators"]}


def new_deal(folder: Path, name: str, **values: Any) -> Path:
    """A file with one collaboration that is not there, beside one of another spend."""
    deals = results()["collaborations"].tail(2).assign(spend=[41.0, 61.0], collaboration_id=[name, "r5"])
    deals.assign(**values).to_csv(folder / f"{name}.csv", index=False)
    return folder / f"{name}.csv"


def spends(server: Server, database: str) -> dict[object, object]:
    """By collaboration, what it costs in dollars."""
    rows = server.execute("SELECT collaboration_id, spend::float8 FROM collaborations", database=database)
    return {row[0]: row[1] for row in rows}


def state(server: Server, database: str) -> object:
    """All rows of all tables, the log's too."""
    rows = "query_to_xml(format('SELECT * FROM %I ORDER BY 1, 2, 3', tablename), true, false, '')::text"
    return server.execute(
        f"SELECT tablename::text, {rows} FROM pg_tables WHERE schemaname = 'public' ORDER BY 1", database=database
    )
