"""Track record: what earlier collaborations brought per dollar, as far as it was known at the moment.

A result becomes known in steps. Where `conversions` lists its days, its count so far is known at 2, 5, 10, 20 and 40
days, from its first day on: of the whole UTC days that have ended by then, whose number is the count's age. Listed or
not, it settles at `observed_until` or at the end of its attribution window, whichever is earlier; conversions listed
after that count at `observed_until`. Each step is an event that replaces the one before, and carries the change in two
sums,

    evidence  Σ w      w = m / (m + 2), m = market rate × exposure: the conversions that such a deal usually had by then
    record    Σ w·s    s = ln((conversions + ½) / exposure) − ln(market rate)

with exposure = spend × share of conversions that usually has arrived at that age, and the market rate that of the 180
days up to the step. A record is exp(Σ w·s / (Σ w + k)): the factor on the market's rate, shrunk towards 1 by k usual
results (Bühlmann credibility on the log scale; w is 1 / (1 + 2/m), the weight for a count noise of variance 1/m and a
spread between deals of ½). The log scale and w let a celebrity's thousands of conversions count as one result, not as
thousands.
"""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from features.families.expressions import AS_OF, DAY_US, days_between, fixed, join_all, ratio, running_sums, unfixed
from features.families.feature import RESULTS, Feature
from features.settings import FeatureSettings

FAMILY = "track_record"
LEVEL_DAYS = 180
RIPE_DAYS = 20
CHECKPOINT_DAYS = (2, 5, 10, 20, 40)
# days until 1 − 1/e of all conversions usually arrived; fixed: a curve learnt from all data would see the future
ARRIVAL_DAYS = 7.0
NOISE = 2.0
LONGEST_DAYS = 1e5  # beyond all times of the contract; a longer window could overflow

# name: (columns of the key, k, words)
RECORDS: dict[str, tuple[tuple[str, ...], float, str]] = {
    "creator": (("creator_id",), 1.0, "the creator"),
    "brand": (("brand",), 2.0, "the brand"),
    "pair": (("creator_id", "brand"), 1.0, "creator and brand together"),
    "niche_pair": (("creator_niche", "product_niche"), 5.0, "this niche for this product niche"),
    "tier": (("tier",), 5.0, "creators of this size"),
    "platform": (("platform",), 5.0, "the platform"),
}

FEATURES = (
    Feature(
        name="market_rate",
        family=FAMILY,
        entity="all",
        label="conversions per dollar of the whole market lately",
        unit="conversions per dollar",
        formula="exp of the mean of ln((conversions + ½) / exposure) over results known "
        "from 180 days before the history's end on",
        low=0,
        as_of=RESULTS,
    ),
    *(
        feature
        for name, (_, k, words) in RECORDS.items()
        for feature in (
            Feature(
                name=f"{name}_record",
                family=FAMILY,
                entity=name.replace("_", " "),
                label=f"earlier conversions per dollar of {words}",
                unit="× market rate",
                formula=f"exp(Σ w·s / (Σ w + {k:g}))",
                low=0,
                as_of=RESULTS,
            ),
            Feature(
                name=f"{name}_evidence",
                family=FAMILY,
                entity=name.replace("_", " "),
                label=f"evidence on {words} in earlier results",
                unit="results",
                formula="Σ w",
                low=0,
                as_of=RESULTS,
            ),
        )
    ),
    Feature(
        name="creator_click_record",
        family=FAMILY,
        entity="creator",
        label="earlier clicks per dollar of the creator",
        unit="× market rate of clicks",
        formula="exp(Σ w·c / (Σ w + 1)), c = ln((clicks + ½) / exposure) − the market's mean of it",
        low=0,
        as_of=RESULTS,
    ),
)


def checkpoints(collaborations: ir.Table, conversions: ir.Table | None, settings: FeatureSettings) -> ir.Table:
    """One row per collaboration and moment `at` at which more of its result became known: `count`, `clicks` (from
    when it is `settled` on), `age` (days).
    """
    c = collaborations
    window_days = (c.promotion_hours / 24.0 + settings.attribution_days).clip(upper=LONGEST_DAYS)
    window_us = (window_days * DAY_US).round().cast("int64")
    settled_at = ibis.least(c.observed_until, c.starts_at + window_us.as_interval("us"))
    base = c.select(*_DEAL, "observed_until", "conversions", "clicks", settled_at=settled_at)
    if conversions is None:
        return _whole(base, "settled_at")
    listed = base.semi_join(conversions, "collaboration_id")
    unlisted = base.anti_join(conversions, "collaboration_id")
    return ibis.union(
        _whole(unlisted, "settled_at"), _whole(listed, "observed_until"), _by_days(listed, conversions), distinct=False
    )


_DEAL = ("collaboration_id", "creator_id", "brand", "product_niche", "spend", "starts_at")
_COLUMNS = (*_DEAL, "at", "count", "clicks", "age", "settled")


def _whole(base: ir.Table, at: str) -> ir.Table:
    """The last checkpoint: the whole count.

    A count that settled is of that age, however much longer it was watched: what comes later shapes nothing.
    """
    return base.mutate(
        at=base[at],
        count=base.conversions,
        age=days_between(base[at], base.starts_at),
        settled=base[at] == base.settled_at,
    ).select(*_COLUMNS)


def _by_days(listed: ir.Table, conversions: ir.Table) -> ir.Table:
    """Checkpoints before `observed_until`: at fixed ages, and when the count settled.

    Before its first day a deal is like one that is not listed at all: at that time nobody could tell the two apart.
    """
    days = conversions.select(
        "collaboration_id",
        at=conversions.date.cast("timestamp(6)") + ibis.interval(days=1),
        count=conversions.conversions,
        rows=ibis.literal(1, "int64"),
    )
    moments = [(listed.starts_at + ibis.interval(days=age), False) for age in CHECKPOINT_DAYS]
    steps = ibis.union(
        *(listed.mutate(at=at, settled=ibis.literal(settled)) for at, settled in (*moments, (listed.settled_at, True))),
        distinct=False,
    )
    steps = steps.filter(steps["at"] < steps.observed_until).drop("conversions")
    steps = steps.mutate(**{AS_OF: steps["at"] + ibis.interval(microseconds=1)})
    sums = running_sums(
        days, steps.select("collaboration_id", AS_OF).distinct(), ["collaboration_id"], ["count", "rows"]
    )
    steps = join_all(steps, [(sums, ("collaboration_id", AS_OF))])
    steps = steps.filter(steps.settled | (steps.rows > 0))
    # only days that ended are counted, so the count is as old as the day is young
    counted_at = ibis.ifelse(steps.settled, steps["at"], steps["at"].truncate("D").cast("timestamp(6)"))
    return steps.mutate(
        age=days_between(counted_at, steps.starts_at),
        clicks=ibis.ifelse(steps.settled, steps.clicks, ibis.null("float64")),
    ).select(*_COLUMNS)


def arrived(age: ir.FloatingValue) -> ir.FloatingValue:
    """Usual share of conversions that has arrived `age` days after the start; never below 2 %, where a count says
    nothing yet.
    """
    # after 40 such spans the share is 1 to the bit, and some engines end with an error where `exp` underflows
    return (1.0 - (-age.clip(upper=40 * ARRIVAL_DAYS) / ARRIVAL_DAYS).exp()).clip(lower=0.02)


def with_rates(steps: ir.Table) -> ir.Table:
    """Adds the exposure (US dollars × share arrived) and the log rates of conversions and clicks to checkpoints."""
    exposure = steps.spend * arrived(steps.age)
    return steps.mutate(
        exposure=exposure,
        log_rate=((steps["count"] + 0.5) / exposure).ln(),
        log_clicks=((steps.clicks + 0.5) / exposure).ln(),
    )


def events(s: ir.Table, market: ir.Table, keyed: ir.Table) -> ir.Table:
    """Checkpoints (`with_rates`) as changes of exact sums.

    market: `level_events`; keyed: collaboration_id with creator_niche, tier, platform.
    """
    levelled = _with_level(s, market)
    usual = levelled.level.exp() * levelled.exposure
    w = ibis.ifelse(levelled.level.notnull(), usual / (usual + NOISE), 0.0)
    clicks_known = levelled.log_clicks.notnull() & levelled.click_level.notnull()
    value = levelled.mutate(
        w=fixed(w),
        ws=fixed(w * (levelled.log_rate - levelled.level)).fill_null(0),
        cw=ibis.ifelse(clicks_known, fixed(w), 0),
        cs=ibis.ifelse(clicks_known, fixed(w * (levelled.log_clicks - levelled.click_level)), 0),
    )
    before = ibis.window(group_by="collaboration_id", order_by=["at", "settled"])
    changes = value.mutate(**{v: value[v] - value[v].lag(1).over(before).fill_null(0) for v in SUMS})
    k = keyed.rename(_id="collaboration_id")
    return changes.left_join(k, [changes.collaboration_id == k._id]).drop("_id")


SUMS = ("w", "ws", "cw", "cs")
LEVEL_SUMS = ("level_n", "level_sum", "click_n", "click_sum")


def level_events(s: ir.Table) -> ir.Table:
    """One event per collaboration for the market's level: its first checkpoint of 20 days or more, or when it settled
    if that is sooner; and one for that of clicks, when they are first known.
    """
    ripe = s.filter(s.settled | (s.at >= s.starts_at + ibis.interval(days=RIPE_DAYS)))
    first = ibis.row_number().over(ibis.window(group_by="collaboration_id", order_by=["at", "settled"]))
    ripe = ripe.mutate(place=first).filter(lambda t: t.place == 0)
    clicks = s.filter(s.settled & s.log_clicks.notnull())
    return ibis.union(
        ripe.select(
            "at",
            level_n=ibis.literal(1, "int64"),
            level_sum=fixed(ripe.log_rate),
            click_n=ibis.literal(0, "int64"),
            click_sum=ibis.literal(0, "int64"),
            everything=ibis.literal(1, "int64"),
        ),
        clicks.select(
            "at",
            level_n=ibis.literal(0, "int64"),
            level_sum=ibis.literal(0, "int64"),
            click_n=ibis.literal(1, "int64"),
            click_sum=fixed(clicks.log_clicks),
            everything=ibis.literal(1, "int64"),
        ),
        distinct=False,
    )


def levels(s_events: ir.Table, moments: ir.Table) -> ir.Table:
    """Mean log rate of conversions and of clicks, from 180 days before its `history_end` until strictly before each
    `as_of` of `moments`.
    """
    keys = moments.select(AS_OF, "history_end", everything=ibis.literal(1, "int64")).distinct()
    sums = running_sums(s_events, keys, ["everything"], LEVEL_SUMS, days=LEVEL_DAYS)
    return sums.select(
        AS_OF,
        level=ratio(unfixed(sums.level_sum), sums.level_n),
        click_level=ratio(unfixed(sums.click_sum), sums.click_n),
    )


def _with_level(s: ir.Table, market: ir.Table) -> ir.Table:
    """Adds the market's level of the 180 days up to each checkpoint, that checkpoint included."""
    s = s.mutate(_after=s.at + ibis.interval(microseconds=1))
    found = levels(market, s.select(**{AS_OF: s._after}, history_end=s._after)).rename(_at=AS_OF)
    return s.left_join(found, [s._after == found._at]).drop("_at", "_after")


def pieces(s: ir.Table, changes: ir.Table, market: ir.Table) -> list[tuple[ir.Table, tuple[str, ...]]]:
    """Sums of every record and the market's level for a spine with the columns of all keys, each with its keys."""
    found: list[tuple[ir.Table, tuple[str, ...]]] = []
    for name, (by, _, _words) in RECORDS.items():
        values = SUMS if name == "creator" else SUMS[:2]
        keys = s.select(*by, AS_OF).distinct().drop_null(list(by))
        sums = running_sums(changes, keys, by, values)
        found.append((sums.rename({f"{name}_{v}": v for v in values}), (*by, AS_OF)))
    return [*found, (levels(market, s), (AS_OF,))]


def finish(t: ir.Table) -> dict[str, ir.Value]:
    """Records from sums named `{record}_{w|ws}`; a key without a known result has record 1, evidence 0."""
    out: dict[str, ir.Value] = {"market_rate": t.level.exp()}
    for name, (_, k, _words) in RECORDS.items():
        w, ws = unfixed(t[f"{name}_w"]), unfixed(t[f"{name}_ws"])
        out[f"{name}_record"] = (ws / (w + k)).exp()
        out[f"{name}_evidence"] = w
    cw, cs = unfixed(t.creator_cw), unfixed(t.creator_cs)
    out["creator_click_record"] = ibis.ifelse(
        t.click_level.notnull(), (cs / (cw + RECORDS["creator"][1])).exp(), ibis.null("float64")
    )
    return out
