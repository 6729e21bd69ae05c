"""What each family of features asks of an engine: its expressions over the contract's tables and what they make."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import ibis
import ibis.expr.types as ir

from features.comment_classifier.classifier import CLASSES
from features.families import audience, comments, engagement, expressions, niche, partnership, promotion, track_record
from features.families.expressions import AS_OF, before
from features.history.column_types import kind_of
from features.history.contract import TABLES, TYPES
from features.settings import FeatureSettings

Queries = dict[str, ir.Table]
TIME, COUNT = "timestamp(6)", "int64"
SETTINGS = FeatureSettings()
CREATOR = {"creator_id": "string", AS_OF: TIME}
KEYS = ibis.table({**CREATOR, "history_end": TIME}, name="keys")
DEAL = {"brand": "string", "product_niche": "string", "product_country": "string", "objective": "string",
        "promotion_hours": "float64", "deliverables": "float64", "spend": "float64"}  # fmt: skip


def contract(name: str) -> ir.Table:
    """A table of the contract, under its own name."""
    kinds = {column: TYPES[kind_of(declared)] for column, declared in TABLES[name].columns.items()}
    return ibis.table(kinds, name=name)


def named(table: ir.Table, name: str, **more: str) -> ir.Table:
    """A table of the engine with an expression's columns, and more."""
    return ibis.table({**table.schema(), **more}, name=name)


def _aggregated(table: ir.Table, values: Mapping[str, ir.Value]) -> ir.Table:
    return table.group_by("creator_id", AS_OF).aggregate(**values)


def _finished(table: ir.Table, values: Mapping[str, ir.Value]) -> ir.Table:
    return table.select("creator_id", AS_OF, **values)


def _of_posts(family: Any, *bounds: Any, **more: str) -> Queries:
    posts = contract("posts")
    posts = named(posts, "numbered_posts", seq=COUNT)
    prepared = posts.mutate(**family.prepare_posts(posts))
    p = before(named(prepared, "prepared_posts"), "posted_at", KEYS)
    sums = _aggregated(p, family.from_posts(p))
    s = named(sums, "sums", **more)
    return {"prepare": prepared, "from_posts": sums, "finish": _finished(s, family.finish(s, *bounds))}


def _audience() -> Queries:
    return _of_posts(audience, SETTINGS.tier_bounds, followers_listed=COUNT)


def _engagement() -> Queries:
    return _of_posts(engagement, history_end=TIME)


def _comments() -> Queries:
    texts = ibis.table({"text": "string", "text_id": COUNT, **dict.fromkeys(CLASSES, "float32"), "words": "int32"},
                       name="texts")  # fmt: skip
    prepared = comments.prepare(contract("comments"), contract("posts"), texts)
    c = before(named(prepared, "prepared_comments"), "commented_at", KEYS)
    sums = _aggregated(c, comments.from_comments(c))
    s = named(sums, "sums")
    return {"prepare": prepared, "from_comments": sums, "finish": _finished(s, comments.finish(s))}


def _niche() -> Queries:
    creators, posts = contract("creators"), contract("posts")
    counts = ibis.table({**CREATOR, "niche": "string", "n": COUNT}, name="counts")
    texts = ("creator_niche", "product_niche", "country", "product_country", "language")
    numbers = ("product_niche_posts", "own_niche_posts", "niche_posts", "near_posts", "near_all")
    s = ibis.table({**CREATOR, **dict.fromkeys(texts, "string"), **dict.fromkeys(numbers, COUNT),
                    "country_known": "boolean", "language_share": "float64"}, name="sums")  # fmt: skip
    return {
        "monthly": niche.monthly(posts, creators),
        "shares": niche.shares(counts),
        "languages": niche.languages(creators),
        "finish": _finished(s, niche.finish(s)),
    }


def _partnership() -> Queries:
    deals, posts = contract("collaborations"), contract("posts")
    p, d = before(posts, "posted_at", KEYS), before(deals, "starts_at", KEYS, days=None)
    sponsors = partnership.sponsors(deals, posts)
    recent = before(named(sponsors, "sponsors"), "at", KEYS, days=expressions.RECENT_DAYS)
    counts, times = ("brands_n", "brand_deals_n"), ("history_end",)
    found = {
        "sponsors": sponsors,
        "from_posts": _aggregated(p, partnership.from_posts(p)),
        "from_deals": _aggregated(d, partnership.from_deals(d)),
        "from_pair_deals": d.group_by("creator_id", AS_OF, "brand").aggregate(**partnership.from_pair_deals(d)),
        "from_sponsors": _aggregated(recent, partnership.from_sponsors(recent)),
    }
    more = {name: kind for table in found.values() for name, kind in table.schema().items()}
    s = ibis.table(more | dict.fromkeys(counts, COUNT) | dict.fromkeys(times, TIME), name="sums")
    return {**found, "finish": _finished(s, partnership.finish(s))}


def _track_record() -> Queries:
    steps = track_record.checkpoints(contract("collaborations"), contract("conversions"), SETTINGS)
    rated = track_record.with_rates(named(steps, "steps"))
    market = track_record.level_events(named(rated, "rated"))
    kinds = {"collaboration_id": "string", "creator_niche": "string", "tier": "string", "platform": "string"}
    events = track_record.events(named(rated, "rated"), named(market, "market"), ibis.table(kinds, name="keyed"))
    by = {column: "string" for columns, _, _ in track_record.RECORDS.values() for column in columns}
    s = ibis.table({**by, AS_OF: TIME, "history_end": TIME}, name="spine")
    pieces = track_record.pieces(s, named(events, "events"), named(market, "market"))
    names = [*track_record.RECORDS, "level"]
    summed = {name: kind for table, _ in pieces for name, kind in table.schema().items()}
    last = ibis.table({**CREATOR, **summed}, name="sums")
    return {
        "checkpoints": steps,
        "with_rates": rated,
        "level_events": market,
        "events": events,
        **{f"sums of {name}": table for name, (table, _) in zip(names, pieces, strict=True)},
        "finish": _finished(last, track_record.finish(last)),
    }


def _promotion() -> Queries:
    more = dict.fromkeys(("followers", "views_per_follower", "usual_spend"), "float64")
    s = ibis.table({**CREATOR, **DEAL, **more}, name="sums")
    return {"finish": _finished(s, promotion.finish(s, expressions))}


def _shared() -> Queries:
    moments, days = ibis.table({AS_OF: TIME}, name="moments"), ibis.table({"at": TIME}, name="days")
    return {"day": days.select(at=expressions.day(days["at"])), "history_ends": expressions.history_ends(moments, days)}


# those of the families, and what they share
FAMILIES: dict[str, Callable[[], Queries]] = {
    "audience": _audience, "comments": _comments, "engagement": _engagement, "niche": _niche,
    "partnership": _partnership, "promotion": _promotion, "shared": _shared, "track_record": _track_record,
}  # fmt: skip
