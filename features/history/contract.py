"""The tables that go in, declared once: columns, types, units, ranges, keys, references and times.

`features/history/column_types.py` says how a declaration reads, `features/history/checks.py` runs it.
"""

import pandera.ibis as pa

from features.history.column_types import KINDS, Reference, carried, column, compare

MOST_HOURS = 2_400_000.0  # 100,000 days; durations that were read in another unit lie beyond
TYPES = {name: kind.dtype for name, kind in KINDS.items()}


def _key(meaning: str) -> pa.Column:
    return column("text", meaning, required=True)


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


_DEAL = {
    "brand": _key("whose product is promoted"),
    "product_niche": _key("niche of what is promoted"),
    "product_country": column("text", "where it is sold"),
    "objective": column("text", "sales, awareness, launch, content or community"),
    "starts_at": column("time", "when the promotion goes live", required=True, unit="UTC"),
    "promotion_hours": column(
        "hours",
        "how long link, code or post stay live",
        "It is how many hours link, code or post stay live.",
        required=True,
        unit="hours",
        above=0,
        most=MOST_HOURS,
    ),
    "deliverables": column(
        "count",
        "posts, stories and videos agreed",
        "Leave it empty where it is not known.",
        unit="pieces",
        low=1,
    ),
}


def _spend(meaning: str, remedy: str) -> pa.Column:
    return column("number", meaning, remedy, required=True, unit="US dollars", above=0)


_OUTCOMES = {
    "conversions": column(
        "count",
        "attributed conversions counted so far",
        "Conversions are counted: 0, 1, 2 and so on.",
        required=True,
        unit="conversions",
        low=0,
    ),
    "observed_until": column("time", "up to when conversions were counted", required=True, unit="UTC", past=True),
    "clicks": column("number", "clicks on the link", unit="clicks", low=0),
    "revenue": column("number", "revenue attributed", unit="US dollars", low=0),
    "coupon_redemptions": column("number", "uses of the code", unit="uses", low=0),
}

COLLABORATIONS = _table(
    "collaborations",
    {
        "collaboration_id": _key("names the row"),
        "campaign_id": column("text", "the brand's campaign that it was part of"),
        "creator_id": _key("who promoted"),
        **_DEAL,
        "spend": _spend(
            "all that it costs: fee, product, boosting",
            "Spend is what the deal costs in all, in US dollars; leave out deals that cost nothing.",
        ),
        **_OUTCOMES,
    },
    meaning="what was promised, paid, and came of it; a row is one creator's part in one campaign",
    key="collaboration_id",
    references=(
        Reference("creator_id", "creators", "creator_id", "Add the creator to creators, or correct its id."),
        Reference("collaboration_id", "conversions", "collaboration_id", "", ("conversions",), "sum", must_hold=False),
    ),
    checks=(
        compare(
            "observed_until",
            "starts_at",
            lambda t: t.observed_until >= t.starts_at,
            "before starts_at",
            "Conversions are counted from the start on; leave out deals that have not begun.",
        ),
        compare(
            "conversions",
            carried("conversions", "conversions"),
            lambda t: t.conversions == t[carried("conversions", "conversions")],
            "not what the conversions table adds up to",
            "The conversions table holds all conversions of a collaboration that it names, up to its observed_until: "
            "correct one of the two, or leave it out there.",
        ),
    ),
)

CREATORS = _table(
    "creators",
    {
        "creator_id": _key("names the row"),
        "platform": _key("instagram, youtube, tiktok, …"),
        "niche": _key("what the creator is about"),
        "country": column("text", "where the creator is"),
        "language": column("text", "what the creator speaks"),
        "followers": column("count", "latest known number of followers", unit="followers", low=0),
    },
    meaning="who promotes",
    key="creator_id",
)


def _amount(what: str) -> pa.Column:
    return column("count", what, f"It is a number of {what}; leave it empty where it is not known.", unit=what, low=0)


POSTS = _table(
    "posts",
    {
        "post_id": _key("names the row"),
        "creator_id": _key("who posted"),
        "posted_at": column("time", "when it went live", required=True, unit="UTC", past=True),
        "followers": column("count", "the creator's followers at that time", unit="followers", low=0),
        **{name: _amount(name) for name in ("views", "likes", "comments", "shares", "saves")},
        "is_sponsored": column("flag", "whether it was paid for"),
        "brand": column("text", "whose product it shows"),
        "niche": column("text", "what it is about"),
        "caption": column("prose", "its text"),
    },
    meaning="what creators published, sponsored or not",
    key="post_id",
    optional=True,
    references=(
        Reference("creator_id", "creators", "creator_id", "Add the creator to creators, or leave the post out."),
    ),
)

COMMENTS = _table(
    "comments",
    {
        "comment_id": _key("names the row"),
        "post_id": _key("what it was written under"),
        "creator_id": column("text", "whose post it was written under"),
        "commented_at": column("time", "when it was written", required=True, unit="UTC", past=True),
        "author_id": column("text", "who wrote it"),
        "text": column("prose", "what was written", required=True),
        "by_creator": column("flag", "whether the creator wrote it"),
    },
    meaning="what people wrote under posts; may be a sample",
    key="comment_id",
    optional=True,
    references=(
        Reference("creator_id", "creators", "creator_id", "Add the creator to creators, or leave the comment out."),
        Reference(
            "post_id",
            "posts",
            "post_id",
            "Say whose post it was written under: fill creator_id, or add the post.",
            unless="creator_id",
        ),
    ),
)

CONVERSIONS = _table(
    "conversions",
    {
        "collaboration_id": _key("whose conversions they are"),
        "date": column("date", "the day they came", required=True, unit="UTC day"),
        "conversions": column(
            "count",
            "how many came that day",
            "Conversions are counted: 0, 1, 2 and so on.",
            required=True,
            unit="conversions",
            low=0,
        ),
    },
    meaning="when conversions came; may leave collaborations out, but is complete for any that it includes",
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
        compare(
            "date",
            carried("collaborations", "starts_at"),
            lambda t: t.date >= t[carried("collaborations", "starts_at")].date(),
            "before the collaboration's starts_at",
            "Conversions are counted from the start on, by days of UTC.",
        ),
        compare(
            "date",
            carried("collaborations", "observed_until"),
            lambda t: t.date <= t[carried("collaborations", "observed_until")].date(),
            "after the collaboration's observed_until",
            "Set observed_until to when the conversions were last counted, in UTC.",
        ),
    ),
)

LOG = "creator_yield_log"  # the table in which a database keeps what was added to it
TABLES: dict[str, pa.DataFrameSchema] = {
    schema.name: schema for schema in (COLLABORATIONS, CREATORS, POSTS, COMMENTS, CONVERSIONS)
}

CANDIDATES = _table(
    "candidates",
    {
        "candidate_id": _key("names the row"),
        "creator_id": _key("who would promote"),
        **_DEAL,
        "spend": _spend(
            "the quote: fee, product, boosting", "Spend is the quote in all, in US dollars; it cannot be 0."
        ),
    },
    meaning="deals to score: the columns of collaborations that are known beforehand",
    key="candidate_id",
)

OUTCOMES = tuple(_OUTCOMES)
