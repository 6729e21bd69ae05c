"""A demo market that is met week by week: what is known at each moment, what is offered next, and what is true of it.

The market is `demo.market`'s, put together from the same parts, with two things that happen during the year: the level
of all conversions falls, and a part of the creators buys followers, who buy nothing. Days are counted from the
market's end and negative; moments are Mondays at midnight, UTC. Nobody decides by what is true.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd

from demo.comments import draw_comments
from demo.creators import Brands, Creators, draw_brands, draw_creators
from demo.deals import SECONDS, Deals, hire, joined, terms
from demo.market import collaborations_frame, comments_frame, creators_frame, ids, posts_frame, stamps, terms_frame
from demo.outcomes import Context, Counts, counts, earlier_with_brand, expected, level
from demo.posts import draw_posts, sponsored_before
from demo.settings import Array, MarketSettings

Tables = dict[str, pd.DataFrame]
BEFORE, AFTER = 52, 8  # weeks of results before the year, and of what comes after it, by which its end is judged
END = datetime(2026, 4, 6, tzinfo=UTC)
FALLEN = 0.8  # of the level before
BUYERS, BOUGHT = 0.2, 0.5  # of the creators who have bought none yet; of their followers then
KNOWN_BEFOREHAND = (
    "creator_id", "brand", "product_niche", "product_country", "objective", "starts_at", "promotion_hours",
    "deliverables", "spend",
)  # fmt: skip


@dataclass(frozen=True)
class Calendar:
    """In which weeks of a year something happens; a week is one whose batch has it. Small years have all of it, too.

    fall: first and last week in which the level falls. bought: those in which followers are bought.
    """

    cents: int
    duplicated: int
    shuffled: int
    fall: tuple[int, int]
    bought: tuple[int, int]

    @classmethod
    def of(cls, weeks: int) -> Calendar:
        """Spread over a year of so many weeks, none of the slips in the first, and never two in a row."""

        def at(week: float) -> int:
            return max(round(week * weeks / 52), 1)

        cents, duplicated, shuffled = at(6), max(at(24), at(6) + 2), max(at(30), at(24) + 2, at(6) + 4)
        return cls(cents, duplicated, shuffled, (at(12), at(20)), (at(42), at(46)))


@dataclass(frozen=True)
class Year:
    """A market of so many weeks that are lived through, after BEFORE and before AFTER others.

    collaborations, posts, comments: the contract's, as they are at the market's end. mean: expected final conversions
    of each deal (deals,). by_day: deals (bool) whose conversions by day are known. offers: candidates that
    start in `week` (0: the first one of the year), those that are made as deals among them under the deal's id, with
    their expected conversions `mean`.
    """

    settings: MarketSettings
    weeks: int
    calendar: Calendar
    creators: Creators
    deals: Deals
    counted: Counts
    collaborations: pd.DataFrame
    mean: Array
    posts: pd.DataFrame
    comments: pd.DataFrame
    offers: pd.DataFrame
    by_day: Array

    def day(self, week: float) -> float:
        """The day on which a week of the year begins; that of its batch, which holds what came before."""
        return -7.0 * (self.weeks + AFTER - week)

    def moment(self, week: float) -> datetime:
        """The same as a time, UTC without a zone."""
        return (self.settings.now + timedelta(days=self.day(week))).replace(tzinfo=None)

    def started(self, since: float, until: float) -> Array:
        """Positions of the deals that start within [since, until), in days."""
        return np.flatnonzero((self.deals.start >= since) & (self.deals.start < until))

    def identifiers(self, rows: Array) -> list[str]:
        """collaboration_id of deals (positions)."""
        return self.collaborations.collaboration_id.iloc[rows].tolist()

    def results(self, rows: Array, day: float) -> pd.DataFrame:
        """Collaborations of deals (positions), each counted up to a midnight, or to the end of its window."""
        until = np.minimum(self.counted.until[rows], day)
        whole = np.minimum((day - np.floor(self.deals.start[rows])).astype(int), self.counted.daily.shape[1])
        so_far = np.cumsum(self.counted.daily[rows], axis=1)[np.arange(len(rows)), whole - 1]
        frame = self.collaborations.iloc[rows].reset_index(drop=True)
        return frame.assign(conversions=so_far, observed_until=stamps(self.settings, until))

    def daily(self, rows: Array, since: float, day: float) -> pd.DataFrame:
        """Conversions by day of deals (positions), of the days from `since` to before `day`; of those deals that have
        them. A deal's first day is there even without a conversion, as in the demo market."""
        rows = rows[self.by_day[rows]]
        first = np.floor(self.deals.start[rows])[:, None] + np.arange(self.counted.daily.shape[1])
        found = self.counted.daily[rows]
        keep = (found > 0) & (first >= since) & (first < day)
        keep[:, 0] = (first[:, 0] >= since) & (first[:, 0] < day)
        at, number = np.nonzero(keep)
        return pd.DataFrame(
            {
                "collaboration_id": ids("collab_", rows[at], 6),
                "date": stamps(self.settings, first[at, number]).dt.date,
                "conversions": found[at, number],
            }
        )

    def batch(self, since: float, day: float, again: Array | None = None) -> Tables:
        """What came in from one midnight to the next: deals that started, and all that is counted further; posts,
        comments, the creators as they are now. again: deals (positions) that are delivered once more, as a whole.
        """
        again = np.zeros(0, int) if again is None else again
        fresh = self.started(since, day)
        counting = np.flatnonzero((self.deals.start < since) & (self.counted.until > since))
        rows = np.unique(np.concatenate([fresh, counting, again]))
        further = np.setdiff1d(rows, again)
        daily = [self.daily(further, since, day), self.daily(again, -np.inf, day)]
        return {
            "creators": self._creators(day),
            "posts": self._between(self.posts, "posted_at", since, day),
            "comments": self._between(self.comments, "commented_at", since, day),
            "collaborations": self.results(rows, day),
            "conversions": pd.concat(daily, ignore_index=True),
        }

    def _creators(self, day: float) -> pd.DataFrame:
        everyone = np.arange(len(self.creators))
        shown = np.floor(self.creators.followers_at(everyone, np.full(len(everyone), day)))
        return creators_frame(replace(self.creators, followers=shown))

    def _between(self, table: pd.DataFrame, column: str, since: float, day: float) -> pd.DataFrame:
        low, high = stamps(self.settings, np.array([max(since, -1e5), day]))
        return table[(table[column] >= low) & (table[column] < high)].reset_index(drop=True)

    def offered(self, week: int, through: int) -> pd.DataFrame:
        """Offers that start from a week of the year on, before the week `through`."""
        return self.offers[(self.offers.week >= week) & (self.offers.week < through)].reset_index(drop=True)


def candidates(offers: pd.DataFrame) -> pd.DataFrame:
    """What is known beforehand of offers: the contract's columns of a list."""
    return offers[["candidate_id", *KNOWN_BEFOREHAND]]


def make_year(results: int, creators: int, weeks: int, seed: int) -> Year:
    """A market with so many results in all of its BEFORE + weeks + AFTER weeks; same arguments, same year."""
    settings = MarketSettings(
        creators=creators, results=results, candidates=1, now=END, history_days=7 * (BEFORE + weeks + AFTER)
    )
    streams = [np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(8)]
    calendar, first = Calendar.of(weeks), -7.0 * (weeks + AFTER)
    bought = [first + 7 * week for week in calendar.bought]
    people = buy_followers(draw_creators(settings, streams[0]), bought[0], bought[1], streams[7])
    brands = draw_brands(settings, streams[1])
    deals, _ = hire(settings, people, brands, streams[2])
    posts = draw_posts(settings, people, deals, streams[3])
    comments = draw_comments(settings, people, posts, streams[4])
    others, of_week = _not_made(settings, people, brands, deals, weeks, streams[5])
    fallen = np.array([[first + 7.0 * week, share] for week, share in zip(calendar.fall, (0.0, 1.0), strict=True)])
    day = np.concatenate([deals.start, others.start])
    levels = level(settings, day, streams[6]) + np.log(FALLEN) * np.interp(day, fallen[:, 0], fallen[:, 1])
    pairs = _earlier(others, of_week, deals, first)
    mean = expected(
        settings, people, brands, deals,
        Context(levels[: len(deals)], sponsored_before(posts, deals), earlier_with_brand(deals, None)),
    )  # fmt: skip
    others_mean = expected(
        settings, people, brands, others, Context(levels[len(deals) :], sponsored_before(posts, others), pairs)
    )
    counted = counts(settings, people, deals, mean, streams[6])
    collaborations = collaborations_frame(settings, brands, deals, counted, streams[6])
    keys = ["collaboration_id", "campaign_id", *KNOWN_BEFOREHAND]
    made = np.floor((deals.start - first) / 7).astype(int)
    offers = [
        terms_frame(settings, deals).assign(candidate_id=collaborations.collaboration_id, week=made, mean=mean),
        terms_frame(settings, others).assign(
            candidate_id=ids("offer_", np.arange(len(others)), 6), week=of_week, mean=others_mean
        ),
    ]
    offered = pd.concat(offers, ignore_index=True)
    offered = offered[offered.week >= 0].sort_values(["starts_at", "candidate_id"], kind="stable", ignore_index=True)
    return Year(
        settings, weeks, calendar, people, deals, counted, collaborations[keys], mean,
        posts_frame(settings, posts), comments_frame(settings, posts, comments), offered,
        streams[6].random(len(deals)) < settings.by_day_share,
    )  # fmt: skip


def buy_followers(creators: Creators, since: float, until: float, rng: np.random.Generator) -> Creators:
    """The same creators, of whom some buy followers within [since, until); those they had stay as they were."""
    buys = (creators.fake_share == 0) & (rng.random(len(creators)) < BUYERS)
    return replace(
        creators,
        followers=np.where(buys, np.floor(creators.followers / (1 - BOUGHT)), creators.followers),
        fake_share=np.where(buys, BOUGHT, creators.fake_share),
        jump_at=np.where(buys, rng.uniform(since, until, len(creators)), creators.jump_at),
    )


def _not_made(
    settings: MarketSettings, creators: Creators, brands: Brands, deals: Deals, weeks: int, rng: np.random.Generator
) -> tuple[Deals, Array]:
    """Offers by creators at random, as many in every week as there are deals, which nobody takes; and their weeks."""
    parts, of_week = [], []
    for week in range(weeks + AFTER):
        low = -7.0 * (weeks + AFTER - week)
        size = int(((deals.start >= low) & (deals.start < low + 7)).sum())
        brand = rng.choice(len(brands), size=size, p=brands.share)
        start = (np.floor((low + 7 * np.sort(rng.random(size))) * SECONDS) + 1) / SECONDS
        drawn = (rng.integers(len(creators), size=size), brand, np.minimum(start, -1 / SECONDS), week)
        parts.append(terms(settings, creators, brands, drawn, rng))
        of_week.append(np.full(size, week))
    return joined(parts), np.concatenate(of_week)


def _earlier(others: Deals, of_week: Array, deals: Deals, first: float) -> Array:
    """Earlier deals of the same creator and brand, of each offer that is not made."""
    found = np.zeros(len(others), int)
    for week in np.unique(of_week):
        rows = np.flatnonzero(of_week == week)
        before = deals.rows(deals.start < first + 7.0 * week)
        found[rows] = earlier_with_brand(others.rows(rows), before)
    return found
