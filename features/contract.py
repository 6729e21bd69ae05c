"""The tables that go in: columns, types, units, ranges, keys, references and times, declared once.

Schemas are pandera's on Ibis, so the same checks run wherever Ibis does. A check's `error` is what is wrong with the rows that fail it ("3 rows are …"),
its `description` what to do about them. Column checks return a boolean column of their own table: pandera's built-in ones join by position, once a check.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir
import pandera.ibis as pa
from pandera.api.ibis.types import IbisData

EARLIEST, LATEST = datetime(2000, 1, 1), datetime(2100, 1, 1)

TYPES: dict[str, dt.DataType] = {
    "text": dt.string,
    "number": dt.float64,
    "count": dt.int64,
    "flag": dt.boolean,
    "time": dt.Timestamp(scale=6),
    "date": dt.date,
}
READABLE = {
    "text": "a text",
    "number": "a number",
    "count": "a whole number",
    "flag": "true or false",
    "time": "a date and time",
    "date": "a date",
}


@dataclass(frozen=True)
class Reference:
    """`column` names a row of `parent` by its `key`; `carry` are the parent's columns that checks of the child look at."""

    column: str
    parent: str
    key: str
    remedy: str
    carry: tuple[str, ...] = ()


def carried(reference: Reference, column: str) -> str:
    """Name under which a parent's column stands beside the child's while it is checked."""
    return f"{reference.parent}.{column}"


def _rule(holds: Callable[[ir.Column], ir.BooleanColumn], error: str, remedy: str) -> pa.Check:
    def check(data: IbisData) -> ir.BooleanColumn:
        return holds(data.table[data.key])

    return pa.Check(check, error=error, description=remedy)


def _bounds(kind: str, low: float | None, above: float | None, remedy: str) -> list[pa.Check]:
    checks = []
    if kind == "number":
        checks.append(
            _rule(
                lambda c: ~(c.isnan() | c.isinf()),
                "not a finite number",
                "Leave the cell empty where the number is not known.",
            )
        )
    if low is not None:
        checks.append(_rule(lambda c: c >= low, f"below {low:g}", remedy))
    if above is not None:
        # NaN and infinity are told by their own rule; DuckDB and PostgreSQL order NaN above all numbers.
        checks.append(_rule(lambda c: c > above, f"not above {above:g}", remedy))
    if kind in ("time", "date"):
        span = (EARLIEST.date(), LATEST.date()) if kind == "date" else (EARLIEST, LATEST)
        literal = ibis.date if kind == "date" else ibis.timestamp
        checks.append(
            _rule(
                lambda c: (c >= literal(span[0])) & (c < literal(span[1])),
                f"outside {EARLIEST:%Y-%m-%d} to {LATEST:%Y-%m-%d}",
                "Check its unit and format: dates are ISO 8601 (2025-03-31 or 2025-03-31T18:00:00Z).",
            )
        )
    return checks


def _column(
    kind: str,
    meaning: str,
    remedy: str = "",
    *,
    required: bool = False,
    unit: str = "",
    low: float | None = None,
    above: float | None = None,
) -> pa.Column:
    return pa.Column(
        TYPES[kind],
        checks=_bounds(kind, low, above, remedy or f"It is {meaning}."),
        nullable=not required,
        required=required,
        title=unit,
        description=meaning,
        metadata={"kind": kind, "low": low, "above": above},
    )


def _key(meaning: str) -> pa.Column:
    return _column("text", meaning, required=True)


def _table(
    name: str,
    columns: dict[str, pa.Column],
    *,
    meaning: str,
    key: str | None = None,
    optional: bool = False,
    references: tuple[Reference, ...] = (),
    checks: tuple[pa.Check, ...] = (),
) -> pa.DataFrameSchema:
    return pa.DataFrameSchema(
        columns,
        name=name,
        description=meaning,
        unique=[key] if key else None,
        checks=list(checks),
        metadata={"optional": optional, "references": references},
    )


def _after_start(data: IbisData) -> ir.BooleanColumn:
    return data.table.observed_until >= data.table.starts_at


def _told_whole(data: IbisData) -> ir.BooleanColumn:
    return data.table["conversions.conversions"] == data.table.conversions


def _not_before_start(data: IbisData) -> ir.BooleanColumn:
    return data.table.date >= data.table["collaborations.starts_at"].date()


def _not_after_observed(data: IbisData) -> ir.BooleanColumn:
    return data.table.date <= data.table["collaborations.observed_until"].date()


_DEAL = {
    "brand": _key("whose product is promoted"),
    "product_niche": _key("niche of what is promoted"),
    "product_country": _column("text", "where it is sold"),
    "objective": _column("text", "sales, awareness, launch, content or community"),
    "starts_at": _column("time", "when the promotion goes live", required=True, unit="UTC"),
    "promotion_hours": _column(
        "number",
        "how long link, code or post stay live",
        "It is how many hours link, code or post stay live.",
        required=True,
        unit="hours",
        above=0,
    ),
    "deliverables": _column(
        "count",
        "posts, stories and videos agreed",
        "Leave it empty where it is not known.",
        unit="pieces",
        low=1,
    ),
}


def _spend(meaning: str, remedy: str) -> pa.Column:
    return _column("number", meaning, remedy, required=True, unit="US dollars", above=0)


OUTCOMES = ("conversions", "observed_until", "clicks", "revenue", "coupon_redemptions")

COLLABORATIONS = _table(
    "collaborations",
    {
        "collaboration_id": _key("names the row"),
        "campaign_id": _column("text", "the brand's campaign that it was part of"),
        "creator_id": _key("who promoted"),
        **_DEAL,
        "spend": _spend(
            "all that it costs: fee, product, boosting",
            "Spend is what the deal costs in all, in US dollars; leave out deals that cost nothing.",
        ),
        "conversions": _column(
            "count",
            "attributed conversions counted so far",
            "Conversions are counted: 0, 1, 2 and so on.",
            required=True,
            unit="conversions",
            low=0,
        ),
        "observed_until": _column("time", "up to when conversions were counted", required=True, unit="UTC"),
        "clicks": _column("number", "clicks on the link", unit="clicks", low=0),
        "revenue": _column("number", "revenue attributed", unit="US dollars", low=0),
        "coupon_redemptions": _column("number", "uses of the code", unit="uses", low=0),
    },
    meaning="what was promised, paid, and came of it; a row is one creator's part in one campaign",
    key="collaboration_id",
    references=(Reference("creator_id", "creators", "creator_id", "Add the creator to creators, or correct its id."),),
    checks=(
        pa.Check(
            _after_start,
            name="observed_until",
            error="before starts_at",
            description="Conversions are counted from the start on; leave out deals that have not begun.",
        ),
        pa.Check(
            _told_whole,
            name="conversions",
            error="not what the conversions table adds up to",
            description="A collaboration that the conversions table names must be told there whole, up to its "
            "observed_until: correct one of them, or leave it out there.",
        ),
    ),
)

CREATORS = _table(
    "creators",
    {
        "creator_id": _key("names the row"),
        "platform": _key("instagram, youtube, tiktok, …"),
        "niche": _key("what the creator is about"),
        "country": _column("text", "where the creator is"),
        "language": _column("text", "what the creator speaks"),
        "followers": _column("count", "latest known number of followers", unit="followers", low=0),
    },
    meaning="who promotes",
    key="creator_id",
)


def _amount(what: str) -> pa.Column:
    return _column("count", what, f"It is a number of {what}; leave it empty where it is not known.", unit=what, low=0)


POSTS = _table(
    "posts",
    {
        "post_id": _key("names the row"),
        "creator_id": _key("who posted"),
        "posted_at": _column("time", "when it went live", required=True, unit="UTC"),
        "followers": _column("count", "the creator's followers at that time", unit="followers", low=0),
        **{name: _amount(name) for name in ("views", "likes", "comments", "shares", "saves")},
        "is_sponsored": _column("flag", "whether it was paid for"),
        "brand": _column("text", "whose product it shows"),
        "niche": _column("text", "what it is about"),
        "caption": _column("text", "its text"),
    },
    meaning="what creators published, sponsored or not",
    key="post_id",
    optional=True,
    references=(Reference("creator_id", "creators", "creator_id", "Add the creator to creators, or leave the post out."),),
)

COMMENTS = _table(
    "comments",
    {
        "comment_id": _key("names the row"),
        "post_id": _key("what it was written under"),
        "creator_id": _column("text", "whose post it was written under"),
        "commented_at": _column("time", "when it was written", required=True, unit="UTC"),
        "author_id": _column("text", "who wrote it"),
        "text": _column("text", "what was written", "Leave out comments without text.", required=True),
        "by_creator": _column("flag", "whether the creator wrote it"),
    },
    meaning="what people wrote under posts; may be a sample",
    key="comment_id",
    optional=True,
    references=(
        Reference("creator_id", "creators", "creator_id", "Add the creator to creators, or leave the comment out."),
    ),
)

CONVERSIONS = _table(
    "conversions",
    {
        "collaboration_id": _key("whose conversions they are"),
        "date": _column("date", "the day they came", required=True, unit="UTC day"),
        "conversions": _column(
            "count",
            "how many came that day",
            "Conversions are counted: 0, 1, 2 and so on.",
            required=True,
            unit="conversions",
            low=0,
        ),
    },
    meaning="when conversions came; may leave collaborations out, but tells whole any that it names",
    optional=True,
    references=(
        Reference(
            "collaboration_id",
            "collaborations",
            "collaboration_id",
            "Add the collaboration, or leave its conversions out.",
            ("starts_at", "observed_until"),
        ),
    ),
    checks=(
        pa.Check(
            _not_before_start,
            name="date",
            error="before the collaboration's starts_at",
            description="Conversions are counted from the start on.",
        ),
        pa.Check(
            _not_after_observed,
            name="date",
            error="after the collaboration's observed_until",
            description="Set observed_until to when the conversions were last counted.",
        ),
    ),
)

TABLES: dict[str, pa.DataFrameSchema] = {
    schema.name: schema for schema in (COLLABORATIONS, CREATORS, POSTS, COMMENTS, CONVERSIONS)
}

CANDIDATES = _table(
    "candidates",
    {
        "candidate_id": _key("names the row"),
        "creator_id": _key("who is asked about"),
        **_DEAL,
        "spend": _spend("the quote: fee, product, boosting", "Spend is the quote in all, in US dollars."),
    },
    meaning="what is asked about: the columns of collaborations that are known beforehand",
    key="candidate_id",
)
