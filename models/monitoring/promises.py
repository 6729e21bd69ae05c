"""What came of promises: each is matched with the deal that was made of it, and judged once its result is mature.

A promise belongs to the deal with the candidate's key and creator, else to one with its creator, brand, niche and day
of start, the nearest in spend. Of a list's promises for a deal the nearest in spend counts, and of several lists' the
newest that was made before the deal began. What is not judged is counted under its reason.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from models.estimators.maturity import Maturity
from models.estimators.outcomes import Outcomes
from models.evaluation.backtest import RIPE_SHARE
from models.monitoring.chain import Position, Writer
from models.monitoring.e_process import Week, advantages
from models.monitoring.ledger import Note, add, read, stamp

TERMS = ["creator_id", "brand", "product_niche", "day"]
AHEAD, UNMATCHED, AMBIGUOUS, LATE = "ahead", "unmatched", "ambiguous", "late"
ALTERNATIVE, SUPERSEDED, YOUNG, JUDGED = "alternative", "superseded", "young", "judged"
REASONS = {
    JUDGED: "judged: their results are mature",
    YOUNG: f"of deals whose results are still arriving (below {RIPE_SHARE:.0%} of the final count)",
    AHEAD: "of deals that would begin later",
    UNMATCHED: "of deals that were not made, or are not in DATA",
    SUPERSEDED: "superseded by a newer promise for the same deal",
    ALTERNATIVE: "of the same list for the same deal, at a price or terms less near to it",
    LATE: "made when the deal had begun",
    AMBIGUOUS: "that fit several deals equally well, or several for one deal, and are not used",
}
OTHER_PRICE = 0.1  # log of the spend, from which on a deal was made at another price than the promised one
CLOSES_AFTER = np.timedelta64(120, "D")  # a week closes then without the results that are still missing


@dataclass(frozen=True)
class Settled:
    """What came of all promises.

    deals: a row for each judged deal in the order of its start, with its promise's list, when, model, level, rate, low,
    high, own_record, promised_spend; collaboration_id, creator_id, starts_at, spend, counts, exposure (spend × share
    arrived). reasons: promises by what became of them, all of REASONS. other_price: judged deals that were made at
    another price. weeks: that have closed, in the order in which they did; the first `sealed` of them are in the
    ledger. members: by Monday, of the weeks that are not: collaboration_id, list, counts and exposure of each deal.
    """

    deals: pd.DataFrame
    reasons: Mapping[str, int]
    other_price: int
    weeks: tuple[Week, ...]
    sealed: int
    members: Mapping[str, list[list[Any]]]


def settle(ledger: Path, spine: pd.DataFrame, results: Outcomes, maturity: Maturity, now: datetime) -> Settled:
    """Judge a ledger's promises by the results known now.

    spine: the contract's columns of collaborations, row by row those of `results`. now: UTC without a zone. Raises
    InputError for a ledger that does not hold.
    """
    contents = read(ledger)
    share, _ = maturity.arrived(results)
    deals = pd.DataFrame({
        "collaboration_id": spine.collaboration_id.to_numpy(object), "creator_id": spine.creator_id.to_numpy(object),
        "brand": spine.brand.to_numpy(object), "product_niche": spine.product_niche.to_numpy(object),
        "starts_at": results.starts, "spend": results.spend, "counts": results.counts,
        "exposure": results.spend * share, "ripe": share >= RIPE_SHARE,
    })  # fmt: skip
    moment = np.datetime64(now, "us")
    matched, reasons = match(contents.promises, deals, moment)
    ripe = matched.ripe.to_numpy(bool)
    reasons[ripe_places(matched, True)] = JUDGED
    reasons[ripe_places(matched, False)] = YOUNG
    judged = matched[ripe].sort_values(["starts_at", "collaboration_id"], kind="stable", ignore_index=True)
    known = tuple(Week(**line["figures"]) for line in contents.results)
    closed, members = _newly_closed(matched, moment, {week.monday for week in known})
    counted = pd.Series(reasons).value_counts()
    other = int((np.abs(np.log(judged.spend / judged.promised_spend)) > OTHER_PRICE).sum())
    tallies = {name: int(counted.get(name, 0)) for name in REASONS}
    return Settled(judged.drop(columns=["ripe", "place"]), tallies, other, known + closed, len(known), members)


def ripe_places(matched: pd.DataFrame, ripe: bool) -> np.ndarray:
    """Positions among the promises of those matched with a result that is ripe, or not."""
    return matched.place[matched.ripe == ripe].to_numpy(int)


def match(promises: pd.DataFrame, deals: pd.DataFrame, now: np.datetime64) -> tuple[pd.DataFrame, np.ndarray]:
    """The promise that counts for each deal that has one, and for each promise (rows,) why it does not; "" if it does.

    deals: as in `settle`. The frame has the columns of the deal, and of the promise, whose position is `place`.
    """
    starts = promises.starts_at.to_numpy("datetime64[us]")
    reasons = np.where(starts > now, AHEAD, UNMATCHED).astype(object)
    pairs = _pairs(promises, deals)
    distance = np.abs(np.log(pairs.spend.to_numpy(float) / pairs.promised_spend.to_numpy(float)))
    pairs = pairs.assign(distance=np.where(pairs.by_key, -1.0, distance.round(9)))
    # the deals nearest to a promise; where there are several, nobody can say which is meant
    nearest = pairs[pairs.distance == pairs.groupby("place").distance.transform("min")]
    several = nearest.place.duplicated(keep=False)
    reasons[nearest.place[several].to_numpy(int)] = AMBIGUOUS
    left = nearest[~several]
    late = left.when >= left.starts_at
    reasons[left.place[late].to_numpy(int)] = LATE
    left = left[~late]
    # of a list's promises for a deal, the nearest
    best = left.distance == left.groupby(["list", "deal"]).distance.transform("min")
    reasons[left.place[~best].to_numpy(int)] = ALTERNATIVE
    left = left[best]
    several = left.duplicated(["list", "deal"], keep=False)
    reasons[left.place[several].to_numpy(int)] = AMBIGUOUS
    left = left[~several].sort_values(["when", "list"], kind="stable")
    newest = ~left.duplicated("deal", keep="last")
    reasons[left.place[~newest].to_numpy(int)] = SUPERSEDED
    left = left[newest]
    reasons[left.place.to_numpy(int)] = ""
    return left.drop(columns=["by_key", "distance", "deal"]).reset_index(drop=True), reasons


def _pairs(promises: pd.DataFrame, deals: pd.DataFrame) -> pd.DataFrame:
    """Promises with the deals that they may be of: that of their key, or else all of their terms."""
    made = deals.assign(deal=np.arange(len(deals)), day=deals.starts_at.dt.floor("D"))
    given = promises.assign(place=np.arange(len(promises)), day=promises.starts_at.dt.floor("D"))
    given = given.rename(columns={"spend": "promised_spend"}).drop(columns=["starts_at", "promotion_hours"])
    columns = ["place", "list", "when", "model", "level", "rate", "low", "high", "own_record", "promised_spend"]
    keyed = given[given.candidate_id.notna()].astype({"candidate_id": object})
    by_key = keyed[["candidate_id", "creator_id", *columns]].merge(
        made.drop(columns="day"), left_on=["candidate_id", "creator_id"], right_on=["collaboration_id", "creator_id"]
    )
    rest = given[~given.place.isin(by_key.place)]
    by_terms = rest[[*TERMS, *columns]].merge(made, on=TERMS)
    wanted = [*(name for name in made if name != "day"), *columns]
    return pd.concat([by_key[wanted].assign(by_key=True), by_terms[wanted].assign(by_key=False)], ignore_index=True)


def _newly_closed(
    matched: pd.DataFrame, now: np.datetime64, known: set[str]
) -> tuple[tuple[Week, ...], dict[str, list[list[Any]]]]:
    """Weeks of starts that are over, whose deals are all ripe or have had CLOSES_AFTER, without the known ones."""
    weeks, members = [], {}
    days = matched.starts_at.dt.floor("D")
    mondays = days - pd.to_timedelta(days.dt.day_of_week, unit="D")
    for monday, part in matched.groupby(mondays, sort=True):
        name, end = str(monday)[:10], np.datetime64(monday, "us") + np.timedelta64(7, "D")
        over = now >= end and (part.ripe.all() or now >= end + CLOSES_AFTER)
        part = part[part.ripe].sort_values("collaboration_id")
        if name in known or not over or part.empty:
            continue
        weeks.append(_week(name, part))
        columns = ["collaboration_id", "list", "counts", "exposure"]
        members[name] = part[columns].astype(object).to_numpy().tolist()
    return tuple(weeks), members


def _week(monday: str, part: pd.DataFrame) -> Week:
    counts, exposure, ours, theirs = (
        part[name].to_numpy(float) for name in ("counts", "exposure", "rate", "own_record")
    )
    better = advantages(counts, exposure, ours, theirs)
    better = better[np.isfinite(better)]  # DATA without any result knows no record
    mean = float(better.mean()) if len(better) else 0.0
    return Week(monday, len(part), float(part.level.mean()), float(inside(part).mean()), mean)


def inside(deals: pd.DataFrame) -> np.ndarray:
    """Whether the realised rate lay in the promised interval (rows,)."""
    rate = deals.counts / deals.exposure
    return ((rate >= deals.low - 1e-12) & (rate <= deals.high + 1e-12)).to_numpy(bool)


def seal_results(ledger: Path, settled: Settled, when: datetime, note: Note = lambda notes: None) -> Position | None:
    """Append the weeks that have closed since: what the alarm has seen of them stays as it is from then on.

    None where there are none. Raises as `models.monitoring.ledger.seal` does.
    """
    fresh = settled.weeks[settled.sealed :]
    if not fresh:
        return None

    def lines(writer: Writer) -> Iterator[bytes]:
        for week in fresh:
            content = {"when": stamp(when), "figures": vars(week), "deals": settled.members[week.monday]}
            yield writer.line("results", content)

    return add(ledger, lines, when, note=note)
