"""From a spine to the feature matrix: the one way, for training, batch and service.

`FeatureBuilder` prepares once what does not depend on the spine (classes of comment texts, what came before each post
and comment, the events of the track record); `build` attaches every family to a spine as of each row's `starts_at`.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType, TracebackType
from typing import Self

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
import pyarrow as pa

from features.catalogue import BY_NAME, CATALOGUE, FAMILIES
from features.comment_classifier.classifier import CommentClassifier
from features.engines import compiled
from features.families import audience, comments, engagement, expressions, niche, partnership, promotion, track_record
from features.families.expressions import AS_OF, RECENT_DAYS, before, day, history_ends, join_all, running_sums
from features.history.contract import TABLES
from features.history.source import History
from features.settings import FeatureSettings
from features.spine import read_spine
from features.staging import Stage

Piece = tuple[ir.Table, tuple[str, ...]]
EVERY = tuple(feature.name for feature in CATALOGUE)


class FeatureBuilder:
    """Builds the matrix of a spine from a history.

    A row's features depend on nothing but the history strictly before its `starts_at`: not on the other rows, their
    order or their number. Intermediate tables live in the history's engine until `close` (or the end of the `with`
    block).
    """

    def __init__(
        self,
        history: History,
        settings: FeatureSettings | None = None,
        classifier: CommentClassifier | None = None,
    ) -> None:
        self.history = history
        self.settings = settings or FeatureSettings()
        self.stage = Stage(history.engine)
        given = {name: getattr(history, name) for name in TABLES}
        self._key = (compiled.shape(given), history.given.get("posts"), self.settings)
        # an absent table is an empty one, whose joins leave missing values
        self.tables = {name: self.stage.empty(name) if table is None else table for name, table in given.items()}
        raw_posts, raw_comments = self.tables["posts"], self.tables["comments"]
        self.posts, self.days, self.sponsors, self.niche_posts, self.events, self.market = self.stage.tables(
            ("prepared", self._key), lambda: self._prepare(raw_posts, raw_comments)
        )
        texts = self.stage.classified(raw_comments.text, classifier or CommentClassifier.load())
        (self.comments,) = self.stage.tables(
            ("comments", self._key), lambda: [self.stage.keep(comments.prepare(raw_comments, raw_posts, texts))]
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Drops the intermediate tables."""
        self.stage.close()

    def build(self, spine: pd.DataFrame, columns: Sequence[str] = EVERY) -> pd.DataFrame:
        """The matrix of a spine.

        spine: the contract's candidate columns (`product_country`, `objective`, `deliverables` may be absent), any
        number of rows; a key that is a whole number is read as its text. columns: of the catalogue; families of which
        none is wanted are not computed.
        Returns one row per spine row in the spine's order with those columns: float64 (NaN missing) and text (None
        missing).
        Raises InputError where the creator or the start is missing, or a text cannot be read as one.
        """
        with Stage(self.history.engine) as stage:
            rows = stage.put(read_spine(spine))
            key = "matrix", self._key, rows.schema(), tuple(columns)
            found = stage.fetch(key, lambda: self.table(stage, rows, columns).order_by("row_id"), self.stage)
        return frame(found, columns)

    def table(self, stage: Stage, rows: ir.Table, columns: Sequence[str] = EVERY) -> ir.Table:
        """Some features of a spine's rows, in any order, beside `row_id`: nothing of them leaves the engine.

        stage: for intermediate tables, of the history's engine. rows: a table of it with the columns of
        `features.spine.SCHEMA`.
        """
        wanted = _families(columns)
        s = stage.keep(_with_history_end(rows.rename({AS_OF: "starts_at"}), self.days))
        creators = stage.keep(_keys(s, "creator_id", "history_end"))
        by_creator = [self._creators()]
        if of_posts := [family for family in (audience, engagement, partnership) if family in wanted]:
            by_creator.append((stage.keep(self._from_posts(creators, of_posts)), ("creator_id", AS_OF)))
        s = join_all(s, by_creator).mutate(month=lambda t: _month(t[AS_OF]))
        if audience in wanted:
            s = s.mutate(**audience.finish(s, self.settings.tier_bounds))
        s = stage.keep(s)
        pieces: list[Piece] = []
        if comments in wanted:
            pieces.append((self._from_comments(creators), ("creator_id", AS_OF)))
        if niche in wanted:
            pieces += self._from_niches(stage, s, creators)
        if partnership in wanted:
            pieces += self._from_deals(s, creators)
        if track_record in wanted:
            pieces += track_record.pieces(s, self.events, self.market)
        s = stage.keep(join_all(s, [(stage.keep(table), keys) for table, keys in pieces]))
        families = [one for one in (engagement, comments, niche, partnership, track_record) if one in wanted]
        s = s.mutate(**{name: value for family in families for name, value in family.finish(s).items()})
        if promotion in wanted:
            s = s.mutate(**promotion.finish(s, expressions))
        return s.select("row_id", *columns)

    def _prepare(self, posts: ir.Table, written: ir.Table) -> list[ir.Table]:
        """Posts, days, sponsors, posts by niche, and the events and the market of the track record."""
        deals, creators = self.history.collaborations, self.history.creators
        noted = self.stage.keep(self._noted_posts(posts))
        days = self.stage.keep(self._days(posts, written))
        sponsors = self.stage.keep(partnership.sponsors(deals, posts))
        by_niche = self.stage.keep(niche.monthly(posts, creators))
        return [noted, days, sponsors, by_niche, *self._prepare_results(noted, days)]

    def _noted_posts(self, posts: ir.Table) -> ir.Table:
        in_time = ibis.window(group_by="creator_id", order_by=["posted_at", "post_id"])
        p = posts.mutate(seq=ibis.row_number().over(in_time))
        p = p.mutate(
            **audience.prepare_posts(p),
            **engagement.prepare_posts(p, self.history.given.get("posts", ("likes", "comments"))),
        )
        return p.drop("post_id", "caption", "brand")

    def _prepare_results(self, noted_posts: ir.Table, days: ir.Table) -> tuple[ir.Table, ir.Table]:
        c = self.history.collaborations
        steps = track_record.checkpoints(c, self.history.conversions, self.settings)
        rated = self.stage.keep(track_record.with_rates(steps))
        market = self.stage.keep(track_record.level_events(rated))
        keys = c.select("collaboration_id", "creator_id", **{AS_OF: c.starts_at})
        keyed = self.stage.keep(_with_history_end(keys, days))
        posts = noted_posts.select("creator_id", "posted_at", "followers", "seq")
        noted = before(posts, "posted_at", _keys(keyed, "creator_id", "history_end"))
        noted = noted.group_by("creator_id", AS_OF).aggregate(followers_posted=audience.followers_noted(noted))
        keyed = join_all(keyed, [self._creators(), (noted, ("creator_id", AS_OF))])
        tier = audience.tier(audience.followers_known(keyed), self.settings.tier_bounds)
        keyed = self.stage.keep(keyed.select("collaboration_id", "creator_niche", "platform", tier=tier))
        return self.stage.keep(track_record.events(rated, market, keyed)), market

    def _days(self, posts: ir.Table, written: ir.Table) -> ir.Table:
        """Every day on which the history knows of anything."""
        moments = (posts.posted_at, written.commented_at, self.history.collaborations.starts_at)
        return ibis.union(*(day(at).name("at").as_table() for at in moments), distinct=True)

    def _creators(self) -> Piece:
        c = self.history.creators
        columns = ("creator_id", "platform", "country", "language")
        return c.select(*columns, creator_niche="niche", followers_listed="followers"), ("creator_id",)

    def _from_posts(self, creators: ir.Table, families: Sequence[ModuleType]) -> ir.Table:
        p = before(self.posts, "posted_at", creators)
        found = {name: value for family in families for name, value in family.from_posts(p).items()}
        return p.group_by("creator_id", AS_OF).aggregate(**found)

    def _from_comments(self, creators: ir.Table) -> ir.Table:
        c = before(self.comments, "commented_at", creators)
        return c.group_by("creator_id", AS_OF).aggregate(**comments.from_comments(c))

    def _from_niches(self, stage: Stage, s: ir.Table, creators: ir.Table) -> list[Piece]:
        p = self.posts.filter(self.posts.niche.notnull()).select("creator_id", "posted_at", "niche")
        p = before(p, "posted_at", creators)
        counts = stage.keep(p.group_by("creator_id", AS_OF, "niche").aggregate(n=p.count()))
        pieces: list[Piece] = [(niche.shares(counts), ("creator_id", AS_OF))]
        for name, column in {"product_niche_posts": "product_niche", "own_niche_posts": "creator_niche"}.items():
            pieces.append((counts.rename({name: "n", column: "niche"}), ("creator_id", AS_OF, column)))
        for name, by in {"near_posts": ("creator_niche", "product_niche"), "near_all": ("creator_niche",)}.items():
            keys = s.select(*by, **{AS_OF: s.month}).distinct().drop_null(list(by))
            sums = running_sums(self.niche_posts, keys, by, ["n"])
            pieces.append((sums.rename({name: "n", "month": AS_OF}), (*by, "month")))
        spoken = niche.languages(self.history.creators)
        known = spoken.select("product_country", country_known=ibis.literal(True)).distinct()
        return [*pieces, (spoken, ("product_country", "language")), (known, ("product_country",))]

    def _from_deals(self, s: ir.Table, creators: ir.Table) -> list[Piece]:
        deals = self.history.collaborations.select("creator_id", "brand", "starts_at", "spend")
        d = before(deals, "starts_at", creators, days=None)
        by_creator = d.group_by("creator_id", AS_OF).aggregate(**partnership.from_deals(d))
        by_pair = d.group_by("creator_id", AS_OF, "brand").aggregate(**partnership.from_pair_deals(d))
        recent = before(self.sponsors, "at", creators, days=RECENT_DAYS)
        brands = recent.group_by("creator_id", AS_OF).aggregate(**partnership.from_sponsors(recent))
        started = deals.select("brand", at="starts_at", brand_deals_n=ibis.literal(1, "int64"))
        by_brand = running_sums(started, _keys(s, "brand"), ["brand"], ["brand_deals_n"])
        creator_keys = ("creator_id", AS_OF)
        return [
            (by_creator, creator_keys),
            (by_pair, (*creator_keys, "brand")),
            (brands, creator_keys),
            (by_brand, ("brand", AS_OF)),
        ]


def _families(columns: Sequence[str]) -> list[ModuleType]:
    """The families that these columns need: their own, and those whose values they are made from."""
    wanted = [FAMILIES[BY_NAME[name].family] for name in columns]
    if promotion in wanted or track_record in wanted:
        wanted.append(audience)  # followers, and the size class
    if promotion in wanted:
        wanted.append(partnership)  # the usual spend
    return wanted


def _with_history_end(s: ir.Table, days: ir.Table) -> ir.Table:
    return join_all(s, [(history_ends(s, days), (AS_OF,))])


def _month(at: ir.TimestampValue) -> ir.TimestampValue:
    return at.truncate("M").cast("timestamp(6)")


def _keys(s: ir.Table, *columns: str) -> ir.Table:
    return s.select(*columns, AS_OF).distinct()


def frame(found: pa.Table, columns: Sequence[str]) -> pd.DataFrame:
    """Columns as float64 and text; not a number is missing, as is what was never there."""
    made = {}
    for name in columns:
        if BY_NAME[name].kind == "category":
            encoded = found[name].combine_chunks().dictionary_encode(null_encoding="encode")
            texts = np.array(encoded.dictionary.to_pylist(), object)
            made[name] = pd.Series(texts[encoded.indices.to_numpy()], dtype="object")
        else:
            made[name] = pd.Series(found[name].to_numpy(zero_copy_only=False).astype("float64"))
    return pd.DataFrame(made)
