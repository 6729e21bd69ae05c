"""What the columns of a PostgreSQL table can hold goes in, and what they would change is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from features.engines.postgres import Session
from features.history.append.add import Counts, add_results
from tests.support.additions import NOW, contents, new_deal, results, spends
from tests.support.postgres import Server

pytestmark = pytest.mark.slow


def test_columns_take_what_they_can_hold_and_the_rest_is_refused(postgres_server: Server, tmp_path: Path) -> None:
    database = postgres_server.database(results())
    postgres_server.execute(
        "CREATE TYPE brands AS ENUM ('ash', 'birch')",
        "CREATE DOMAIN price AS numeric(8, 2) CHECK (VALUE > 0)",
        "ALTER TABLE collaborations RENAME TO kept",
        "CREATE TABLE collaborations (collaboration_id varchar(4), creator_id char(4), brand brands, "
        "product_niche text, starts_at timestamp(0), promotion_hours interval, deliverables smallint, spend price, "
        "conversions numeric, observed_until timestamptz, revenue money, note text DEFAULT 'ours') "
        "PARTITION BY LIST (brand)",
        "CREATE TABLE of_ash PARTITION OF collaborations FOR VALUES IN ('ash')",
        "CREATE TABLE others PARTITION OF collaborations DEFAULT",
        "INSERT INTO collaborations SELECT collaboration_id, creator_id, brand::brands, product_niche, "
        "starts_at AT TIME ZONE 'UTC', promotion_hours * interval '1 hour', deliverables, spend, conversions, "
        "observed_until, revenue::numeric::money FROM kept",
        database=database,
    )
    deals = results()["collaborations"].astype({"starts_at": object, "brand": object})
    kept = deals.iloc[[0, 1, 2]].assign(spend=[123_456.78, 250.5, 80.25], deliverables=[9, 2, 3],
                                        revenue=[1_234.5, 0, 71.5], promotion_hours=[12.5, 48, 48])  # fmt: skip
    others = deals.iloc[[3] * 6].assign(collaboration_id=["n1", "n2", "n3", "n4", "n5", "n6789"])
    others = others.assign(spend=[1.005, 1, 1, 1, 1, 1], deliverables=[1, 70_000, 1, 1, 1, 1])
    others["brand"] = ["ash", "ash", "oak", "ash", "birch", "ash"]
    others["starts_at"] = [*[deals.starts_at[0]] * 3, pd.Timestamp("2025-01-10T12:00:00.5Z"), *deals.starts_at[:2]]
    pd.concat([kept, others]).to_parquet(tmp_path / "new.parquet")
    done = add_results(postgres_server.url(database), tmp_path / "new.parquet", now=NOW)
    assert done.counts == {"collaborations": Counts(1, 2, 1, 5)}
    assert done.refused_file is not None
    reasons = pd.read_csv(done.refused_file).reason.tolist()
    assert [reason.partition(".  ")[0].partition(" Change")[0] for reason in reasons] == [
        "spend: DATA keeps it as numeric(8,2), which cannot hold '1.005'.",
        "deliverables: DATA keeps it as SMALLINT, which cannot hold '70000'.",
        "brand: DATA keeps it as ENUM('ash', 'birch'), which cannot hold 'oak'.",
        "starts_at: DATA keeps it as timestamp(0) without time zone, which cannot hold '2025-01-10 12:00:00.5'.",
        "collaboration_id: DATA keeps it as VARCHAR(4), which cannot hold 'n6789'.",
    ]
    assert spends(postgres_server, database) | {"r0": 123_456.78, "r2": 80.25, "n5": 1.0} == spends(
        postgres_server, database
    )
    rows = {row["collaboration_id"]: row for row in contents(postgres_server.url(database))["collaborations"]}
    assert [rows["r0"][c] for c in ("revenue", "promotion_hours", "deliverables")] == [1_234.5, 12.5, 9]
    again = add_results(postgres_server.url(database), tmp_path / "new.parquet", now=NOW)
    assert again.counts == {"collaborations": Counts(0, 0, 4, 5)}


# By column: a type, what it holds, and what it would round, cut off or pad.
ROUNDING: dict[str, tuple[str, object, object]] = {
    "creator_id": ("char(4)", "c1", "c1 "),
    "starts_at": (
        "timestamptz(3)",
        pd.Timestamp("2025-01-10T12:00:00.125Z"),
        pd.Timestamp("2025-01-10T12:00:00.1255Z"),
    ),
    "promotion_hours": ("interval(0)", 0.5, 0.0001),
    "deliverables": ("smallint", 32_767, 32_768),
    "spend": ("money", 1_234.56, 19.999),
    "conversions": ("real", 16_777_216, 16_777_217),
    "observed_until": ("date", pd.Timestamp("2025-04-01T00:00Z"), pd.Timestamp("2025-04-01T12:00Z")),
    "revenue": ("numeric(40,1)", 0.5, 0.25),
}


def test_what_a_column_would_round_is_refused_row_by_row(postgres_server: Server, tmp_path: Path) -> None:
    database = postgres_server.database(results())
    own = {"spend": "spend::numeric::money", "promotion_hours": "promotion_hours * interval '1 hour'"}
    types = [f"ALTER {c} TYPE {kind} USING {own.get(c, f'{c}::{kind}')}" for c, (kind, *_) in ROUNDING.items()]
    postgres_server.execute(f"ALTER TABLE collaborations {', '.join(types)}, ADD clicks real", database=database)
    row = results()["collaborations"].iloc[0].to_dict() | {"observed_until": pd.Timestamp("2025-03-01", tz="UTC")}
    held = [row | {"collaboration_id": f"n{i}", c: value} for i, (c, (_, value, _)) in enumerate(ROUNDING.items())]
    unheld = [row | {"collaboration_id": f"x{c}", c: value} for c, (*_, value) in ROUNDING.items()]
    new = tmp_path / "new.parquet"
    pd.DataFrame([*held, *unheld]).assign(clicks=[0.1, *[0.5] * (len(held) - 1), *[0.1] * len(unheld)]).to_parquet(new)
    said: list[str] = []
    done = add_results(postgres_server.url(database), new, now=NOW, note=said.extend)
    assert done.counts == {"collaborations": Counts(len(held), 0, 0, len(unheld))}
    assert said == ["collaborations: DATA keeps clicks in 32 bits, so 1 value of NEW is rounded to 7 digits"]
    assert done.refused_file is not None
    assert [reason.partition(" Change")[0] for reason in pd.read_csv(done.refused_file).reason] == [
        "creator_id: DATA keeps it as CHAR(4), which cannot hold 'c1 '.",
        "starts_at: DATA keeps it as timestamp(3) with time zone, which cannot hold '2025-01-10 12:00:00.1255'.",
        "promotion_hours: DATA keeps it as interval(0), which cannot hold '0.0001'.",
        "deliverables: DATA keeps it as SMALLINT, which cannot hold '32768'.",
        "spend: DATA keeps it as money, which cannot hold '19.999'.",
        "conversions: DATA keeps it as FLOAT, which cannot hold '16777217'.",
        "observed_until: DATA keeps it as DATE, which cannot hold '2025-04-01 12:00:00'.",
        "revenue: DATA keeps it as numeric(40,1), which cannot hold '0.25'.",
    ]
    rows = {one["collaboration_id"]: one for one in contents(postgres_server.url(database))["collaborations"]}
    for given in held:
        found = rows[given["collaboration_id"]]
        assert {c: found[c] for c in ROUNDING} == {
            c: given[c].tz_localize(None) if isinstance(given[c], pd.Timestamp) else given[c] for c in ROUNDING
        }
    said.clear()
    again = add_results(postgres_server.url(database), new, now=NOW, note=said.extend)
    assert again.counts == {"collaborations": Counts(0, 0, len(held), len(unheld))}
    assert said == [], "nothing is written, so nothing is rounded"


def test_only_a_column_of_money_asks_for_the_type(
    postgres_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    rows = Session.rows

    def listen(session: Session, query: str) -> list[tuple[Any, ...]]:
        asked.append(query)
        return rows(session, query)

    monkeypatch.setattr(Session, "rows", listen)
    url = postgres_server.url(postgres_server.database(results()))
    assert add_results(url, new_deal(tmp_path, "n1"), now=NOW).counts["collaborations"].new == 1
    assert asked
    assert not any("money" in query for query in asked)


def test_an_empty_cell_goes_into_a_column_of_limited_length(postgres_server: Server, tmp_path: Path) -> None:
    database = postgres_server.database(results())
    postgres_server.execute(
        "ALTER TABLE collaborations ADD objective char(20), ADD product_country varchar(2)", database=database
    )
    new = new_deal(tmp_path, "n0", objective=["sales", None], product_country=[None, "NOR"])
    done = add_results(postgres_server.url(database), new, now=NOW)
    assert done.counts == {"collaborations": Counts(1, 0, 0, 1)}  # and the other one's country is too long
    assert spends(postgres_server, database)["n0"] == 41.0
