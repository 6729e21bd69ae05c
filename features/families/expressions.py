"""Building blocks of the families: exact sums, windows before a moment, running sums up to a moment.

Sums of floating-point numbers depend on the order in which they are added, and an engine that works in parallel adds in
any order. So every sum here is a sum of integers: fractions are first put on a fixed grid (`fixed`). The same rows give
the same bits, whatever their order and however many threads there are.
"""

from __future__ import annotations

from collections.abc import Sequence

import ibis
import ibis.expr.types as ir

GRID_BITS = 24
COARSE_BITS = 16
RECENT_DAYS = 90
LONG_DAYS = 365
DAY_US = 86_400_000_000
AS_OF = "as_of"


def fixed(value: ir.NumericValue) -> ir.IntegerValue:
    """`value` on a grid of 2**-24 as a whole number; `unfixed` of a sum divides it out again."""
    return (value * 2**GRID_BITS).round().cast("int64")


def unfixed(total: ir.NumericValue) -> ir.FloatingValue:
    """Inverse of `fixed` for a sum: the exact total, rounded once."""
    return total.cast("float64") / 2**GRID_BITS


def ratio(above: ir.NumericValue, below: ir.NumericValue) -> ir.FloatingValue:
    """above / below as float64, missing where below is 0 or either is missing."""
    return above.cast("float64") / below.cast("float64").nullif(0.0)


def whole(flag: ir.BooleanValue) -> ir.IntegerValue:
    """1 where a flag is true, 0 where it is false; missing where it is."""
    return flag.cast("int32").cast("int64")  # PostgreSQL has no cast to 64 bits at once


def later(one: ir.TimestampValue, other: ir.TimestampValue) -> ir.TimestampValue:
    """The later of two moments; where one is missing, the other: some engines' `greatest` is missing then."""
    return ibis.greatest(ibis.coalesce(one, other), ibis.coalesce(other, one))


def month(moment: ir.TimestampValue) -> ir.FloatingValue:
    """Month of a moment, 1 to 12, UTC."""
    return moment.month().cast("float64")


def weekday(moment: ir.TimestampValue) -> ir.FloatingValue:
    """Day of the week of a moment, 0 is Monday, UTC."""
    return moment.day_of_week.index().cast("float64")


def coarse(value: ir.NumericValue) -> ir.IntegerValue:
    """`value` on a grid of 2**-16 as a whole number, for `spread`: its square, too, fits 64 bits up to 46,000."""
    return (value * 2**COARSE_BITS).round().cast("int64")


def spread(total: ir.NumericValue, squares: ir.NumericValue, n: ir.NumericValue) -> ir.FloatingValue:
    """Standard deviation (population) from sums of `coarse` numbers and of their squares; missing below two values.

    The squares are those of the rounded numbers: equal values have no spread at all.
    """
    mean = ratio(total, n)
    variance = ratio(squares, n) - mean * mean
    return ibis.ifelse(n >= 2, variance.clip(lower=0.0).sqrt() / 2**COARSE_BITS, ibis.null("float64"))


def days_between(later: ir.TimestampValue, earlier: ir.TimestampValue) -> ir.FloatingValue:
    """Days from `earlier` to `later`, to the microsecond."""
    return later.delta(earlier, unit="microsecond").cast("float64") / DAY_US


def day(at: ir.TimestampValue) -> ir.TimestampValue:
    """Midnight, UTC, of the day of a moment."""
    return at.truncate("D").cast("timestamp(6)")


def history_ends(moments: ir.Table, days: ir.Table) -> ir.Table:
    """Where the history ends before each `as_of` of `moments`, one row each, as `history_end`.

    It is the end of the latest day before that of `as_of` on which anything is known (`days`, one row each with `at`),
    and `as_of` itself where nothing is. Windows of 90 or 365 days end there: so a deal that starts months after the
    latest known post is described by the last days that there are, as past ones were, and not by an empty window.
    """
    days_of = moments.select(AS_OF, _day=day(moments[AS_OF])).distinct()
    latest_day = days_of.select("_day").distinct()
    # an inner join: BigQuery has no left one without an equality, and a day without any before it comes back below
    latest_day = latest_day.inner_join(days, [days.at < latest_day._day])
    latest_day = latest_day.group_by(_of="_day").aggregate(_latest=latest_day["at"].max())
    found = days_of.left_join(latest_day, [days_of._day == latest_day._of])
    return found.select(AS_OF, history_end=ibis.coalesce(found._latest + ibis.interval(days=1), found[AS_OF]))


def before(events: ir.Table, at: str, keys: ir.Table, days: int | None = LONG_DAYS) -> ir.Table:
    """The rows of `events` strictly before each key's `as_of`, from `days` days before its `history_end` on.

    `keys` has `creator_id`, `as_of` and `history_end`; the result has the columns of `events`, those of `keys`, `since`
    (the window's begin) and `recent` (in the last 90 days of `history_end`).
    """
    k = keys.mutate(
        since=keys.history_end - ibis.interval(days=days or LONG_DAYS),
        _recent=keys.history_end - ibis.interval(days=RECENT_DAYS),
    ).rename(_creator="creator_id")
    on = [events.creator_id == k._creator, events[at] < k[AS_OF]]
    if days is not None:
        on.append(events[at] >= k.since)
    joined = events.inner_join(k, on)
    return joined.mutate(recent=joined[at] >= joined._recent).drop("_creator", "_recent")


def running_sums(
    events: ir.Table, keys: ir.Table, by: Sequence[str], values: Sequence[str], days: int | None = None
) -> ir.Table:
    """For each key, the sums of `values` over the events of its group strictly before its `as_of`.

    events: `by`, `at` and whole-number `values`; keys: `by` and `as_of`, without repetition. `days` limits how far
    back: from that many days before the `history_end` on that keys then have too. One sort of both together instead of
    a join of every key with every event of its group.
    """
    if days is None:
        return _sums_before(events, keys, by, values)
    # the sums of all that came before less those of what came before the window: exact, since they are whole numbers
    k = keys.mutate(_since=keys.history_end - ibis.interval(days=days))
    both = keys.select(*by, AS_OF).union(k.select(*by, **{AS_OF: k._since}), distinct=True)
    late = _sums_before(events, both, by, values)
    early = late.view()
    found = k.inner_join(late, [*by, AS_OF])
    same = [*(found[b] == early[b] for b in by), found._since == early[AS_OF]]
    found = found.inner_join(early, same, rname="_early_{name}")
    return found.select(*by, AS_OF, **{v: found[v] - found[f"_early_{v}"] for v in values})


def _sums_before(events: ir.Table, keys: ir.Table, by: Sequence[str], values: Sequence[str]) -> ir.Table:
    """Sums of all events strictly before each key's `as_of`."""
    e = events.select(*by, "at", *values, is_key=ibis.literal(False))
    k = keys.select(
        *by,
        at=keys[AS_OF] - ibis.interval(microseconds=1),
        **{v: ibis.literal(0, type="int64") for v in values},
        is_key=ibis.literal(True),
    )
    both = e.union(k, distinct=False)
    window = ibis.range_window(preceding=None, following=0, group_by=list(by), order_by="at")
    summed = both.mutate(**{v: both[v].sum().over(window) for v in values})
    found = summed.filter(summed.is_key)
    return found.select(*by, **{AS_OF: found.at + ibis.interval(microseconds=1)}, **{v: found[v] for v in values})


def latest(column: ir.Value, order: ir.Value, where: ir.BooleanValue) -> ir.Value:
    """The value of `column` in the row of highest `order` (unique in its group) among rows where `where` holds and it
    is known.
    """
    return column.argmax(order, where=where & column.notnull())


def join_all(spine: ir.Table, pieces: Sequence[tuple[ir.Table, Sequence[str]]]) -> ir.Table:
    """Left joins that keep the spine's rows once each: every piece has one row per its keys and adds its other columns.

    One chain of joins, since a query nested once a piece takes longer to compile than to run.
    """
    joined = spine
    added: list[str] = []
    for i, (table, keys) in enumerate(pieces):
        right = table.rename({f"_{i}_{k}": k for k in keys})
        joined = joined.left_join(right, [spine[k] == right[f"_{i}_{k}"] for k in keys])
        added += [c for c in table.columns if c not in keys]
    return joined.select(*spine.columns, *added)
