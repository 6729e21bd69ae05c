"""Posts with their reach and engagement, and which of them were sponsored."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from demo import settings as s
from demo.creators import Creators
from demo.deals import SECONDS, Deals
from demo.outcomes import FATIGUE_DAYS
from demo.settings import Array, MarketSettings

# A creator's number and a time in days make one sortable number; no day lies further off than half of this.
FAR = 1_000_000.0


@dataclass(frozen=True)
class Posts:
    """One entry a post, by creator and time. `brand` is -1 for none of the market's; `views` is NaN where not shown."""

    creator: Array
    day: Array
    followers: Array
    views: Array
    likes: Array
    comments: Array
    shares: Array
    saves: Array
    sponsored: Array
    brand: Array
    niche: Array

    def __len__(self) -> int:
        return len(self.creator)

    def key(self) -> Array:
        return self.creator * FAR + self.day


def post_days(settings: MarketSettings, creators: Creators, rng: np.random.Generator) -> tuple[Array, Array]:
    """Creator and day of each post; gaps are gamma, the more regular the creator the more alike."""
    span = -creators.first_post / (settings.history_days + 60.0)
    # exp(0.125) is the mean of the log-normal activity, so that the setting is the mean number of posts
    count = rng.poisson(settings.posts_per_creator * creators.activity / np.exp(0.125) * span)
    who = np.repeat(np.arange(len(creators)), count + (count > 0))
    gap = rng.gamma(creators.regularity[who], 1.0)
    total = np.cumsum(gap)
    sizes = np.bincount(who, minlength=len(creators))
    last = np.cumsum(sizes) - 1
    before = np.where(last - sizes >= 0, total[np.maximum(last - sizes, 0)], 0.0) if len(total) else np.zeros(0)
    if not len(total):
        return who, total
    share = (total - before[who]) / (total[last] - before)[who]
    inner = np.ones(len(who), dtype=bool)
    inner[last[sizes > 0]] = False  # the last gap ends at the cut-off itself, where nothing is posted
    day = np.floor(creators.first_post[who] * (1 - share) * SECONDS - 1) / SECONDS
    return who[inner], day[inner]


def sponsors(settings: MarketSettings, who: Array, day: Array, deals: Deals, rng: np.random.Generator) -> Array:
    """Brand of each post: a deal's next posts are its deliverables; -2 is a sponsor outside the market, -1 none."""
    brand = np.where(rng.random(len(who)) < settings.sponsored_habit, -2, -1)
    first = np.searchsorted(who * FAR + day, deals.creator * FAR + deals.start)
    for k in range(int(deals.deliverables.max())):
        at = first + k
        ok = (k < deals.deliverables) & (at < len(who))
        at, by, since = at[ok], deals.brand[ok], deals.start[ok]
        mine = (who[at] == deals.creator[ok]) & (day[at] < since + 30)
        brand[at[mine]] = by[mine]
    return brand


def engagement(settings: MarketSettings, creators: Creators, who: Array, genuine: Array) -> Array:
    """Usual likes per genuine follower of these creators at these sizes; closeness shows in it only a little."""
    size = settings.engagement_exponent * np.log(genuine / 10_000)
    own = 0.10 * creators.closeness[who] + creators.engagement[who]
    return np.asarray(s.PLATFORM_ENGAGEMENT)[creators.platform[who]] * np.exp(size + own)


def draw_posts(settings: MarketSettings, creators: Creators, deals: Deals, rng: np.random.Generator) -> Posts:
    """Posts of all creators before `now`. Likes follow the genuine followers; a pod adds some of its own."""
    who, day = post_days(settings, creators, rng)
    brand = sponsors(settings, who, day, deals, rng)
    n, sponsored = len(who), brand != -1
    genuine = creators.genuine_at(who, day)
    size, platform = np.log(genuine / 10_000), creators.platform[who]
    close, pod = creators.closeness[who], creators.pod[who] >= 0
    moment = 0.45 * rng.standard_normal(n)
    paid = np.where(sponsored, settings.sponsored_engagement, 1.0)
    rate = engagement(settings, creators, who, genuine) * np.exp(moment)
    likes = rng.poisson(genuine * np.minimum(rate, 0.6) * paid) + np.where(pod, rng.poisson(40.0, n), 0)
    talk = np.exp(-3.6 + 0.15 * close + 0.3 * rng.standard_normal(n))
    comments = rng.poisson(likes * np.minimum(talk, 0.5)) + np.where(pod, rng.poisson(12.0, n), 0)
    views = np.asarray(s.PLATFORM_VIEWS)[platform] * np.exp(
        s.VIEWS_EXPONENT * size + 0.7 * moment + 0.3 * rng.standard_normal(n)
    )
    shown = (platform != 0) | (rng.random(n) < 0.85)
    own = rng.random(n) < creators.own_niche_share[who]
    return Posts(
        creator=who,
        day=day,
        followers=np.floor(creators.followers_at(who, day)).astype(np.int64),
        views=np.where(shown, np.maximum(np.floor(genuine * views), likes), np.nan),
        likes=likes,
        comments=comments,
        shares=rng.poisson(likes * np.exp(-3.4 + 0.22 * close + 0.35 * rng.standard_normal(n))),
        saves=rng.poisson(likes * np.exp(-3.0 + 0.25 * close + 0.35 * rng.standard_normal(n))),
        sponsored=sponsored,
        brand=np.maximum(brand, -1),
        niche=np.where(own, creators.niche[who], creators.second_niche[who]),
    )


def sponsored_before(posts: Posts, deals: Deals) -> Array:
    """Sponsored posts of the deal's creator within `FATIGUE_DAYS` strictly before its start."""
    key, seen = posts.key(), np.concatenate([[0], np.cumsum(posts.sponsored)])
    base = deals.creator * FAR + deals.start
    return seen[np.searchsorted(key, base)] - seen[np.searchsorted(key, base - FATIGUE_DAYS)]
