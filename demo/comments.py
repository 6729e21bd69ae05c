"""A sample of the comments under the posts: who wrote them, of which kind, in which words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from demo import settings as s
from demo.creators import Creators
from demo.deals import SECONDS
from demo.posts import Posts
from demo.settings import Array, MarketSettings
from demo.texts import CLASSES, pool

KINDS = (*CLASSES, "reply")
REPLY = KINDS.index("reply")
# Log odds of the classes at average closeness, and what one standard unit of closeness adds. The level: half of the
# comments are hollow or worse (HypeAuditor 2019, as quoted by ION); the slopes are assumptions.
CLASS_LEVEL = np.array([0.5, 0.2, -1.2, -0.5, -1.2, -0.1])
CLASS_SLOPE = np.array([-0.35, -0.25, -0.30, 0.15, 0.40, 0.40])
REGULARS, STRANGERS, POD_MEMBERS = 40, 2_000_000, 30


@dataclass(frozen=True)
class Comments:
    """One entry a comment, by post and time. `author` numbers: the creator's own reply is -1 - creator."""

    post: Array
    day: Array
    author: Array
    kind: Array
    text: pd.Series

    def __len__(self) -> int:
        return len(self.post)


def sampled_posts(settings: MarketSettings, creators: Creators, posts: Posts, rng: np.random.Generator) -> Array:
    """Posts (indices, ascending) the sampled comments belong to, no more of a post than it has comments."""
    per_creator = np.bincount(posts.creator, weights=posts.comments, minlength=len(creators))
    # A post's share of its creator's comments is dampened, or one viral post would be all of the sample.
    weight = np.sqrt(posts.comments)
    total = np.bincount(posts.creator, weights=weight, minlength=len(creators))
    wanted = np.minimum(settings.comments_per_creator, per_creator)
    mean = weight / np.maximum(total, 1e-9)[posts.creator] * wanted[posts.creator]
    return np.repeat(np.arange(len(posts)), np.minimum(rng.poisson(mean), posts.comments))


def kinds(creators: Creators, who: Array, sponsored: Array, from_pod: Array, rng: np.random.Generator) -> Array:
    """Class of each comment, an index into `KINDS`: Gumbel noise on the log odds picks one."""
    close = creators.closeness[who]
    best, kind = np.full(len(who), -np.inf), np.zeros(len(who), dtype=np.int64)
    fake = 2.0 * creators.fake_share[who]
    for i, (level, slope) in enumerate(zip(CLASS_LEVEL, CLASS_SLOPE, strict=True)):
        odds = level + slope * close + (fake if i < 3 else 0.0) + (0.4 * sponsored if CLASSES[i] == "intent" else 0.0)
        score = odds + rng.gumbel(size=len(who))
        kind, best = np.where(score > best, i, kind), np.maximum(score, best)
    kind = np.where(from_pod, (rng.random(len(who)) < 0.3).astype(np.int64), kind)
    replies = rng.random(len(who)) < 0.22 / (1 + np.exp(-0.8 * close))
    return np.where(replies & ~from_pod, REPLY, kind)


def authors(creators: Creators, who: Array, kind: Array, from_pod: Array, rng: np.random.Generator) -> Array:
    """Author numbers: regulars of the creator, strangers, pod members shared by the pod, or the creator."""
    returning = rng.random(len(who)) < 1 / (1 + np.exp(1.0 - 0.8 * creators.closeness[who]))
    # Squaring makes a few regulars write most.
    regular = STRANGERS + who * REGULARS + (REGULARS * rng.random(len(who)) ** 2).astype(np.int64)
    author = np.where(returning & (kind >= 3), regular, rng.integers(STRANGERS, size=len(who)))
    first_pod = STRANGERS + REGULARS * len(creators)
    member = first_pod + creators.pod[who] * POD_MEMBERS + rng.integers(POD_MEMBERS, size=len(who))
    return np.where(kind == REPLY, -1 - who, np.where(from_pod, member, author))


def words(language: Array, kind: Array, rng: np.random.Generator) -> pd.Series:
    """A text per comment from the pool of its language and class; hollow ones repeat the first of theirs most."""
    pools = [pool(lang, k) for lang in s.LANGUAGES for k in KINDS]
    sizes = np.array([len(p) for p in pools])
    start = np.cumsum(sizes) - sizes
    at = language * len(KINDS) + kind
    skew = np.where(kind < 2, 2.5, 1.0)
    chosen = start[at] + np.floor(sizes[at] * rng.random(len(kind)) ** skew).astype(np.int64)
    return pd.Series([text for p in pools for text in p], dtype="str").take(chosen).reset_index(drop=True)


def draw_comments(settings: MarketSettings, creators: Creators, posts: Posts, rng: np.random.Generator) -> Comments:
    """Comments of all sampled posts, each after its post and before `now`."""
    post = sampled_posts(settings, creators, posts, rng)
    who, n = posts.creator[post], len(post)
    pod_share = np.where(creators.pod[who] >= 0, 12.0 / np.maximum(posts.comments[post], 12), 0.0)
    from_pod = rng.random(n) < pod_share
    kind = kinds(creators, who, posts.sponsored[post], from_pod, rng)
    delay = np.exp(rng.normal(np.log(0.2), 1.2, n))
    room = -posts.day[post]
    late = np.where(delay < room, delay, room * rng.random(n))
    seconds = np.floor((posts.day[post] + late) * SECONDS)
    day = np.clip(seconds, np.round(posts.day[post] * SECONDS), -1) / SECONDS
    language = np.where(rng.random(n) < 0.85, creators.language[who], 0)
    order = np.lexsort((day, post))
    text = words(language, kind, rng).take(order).reset_index(drop=True)
    author = authors(creators, who, kind, from_pod, rng)
    return Comments(post=post[order], day=day[order], author=author[order], kind=kind[order], text=text)
