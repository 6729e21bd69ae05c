"""From a spine to the feature matrix: the one way, for training, batch and service.

`FeatureBuilder` prepares once what does not depend on the spine (classes of comment texts, what came before each post and comment,
the events of the track record); `build` attaches every family to a spine as of each row's `starts_at`.
"""

from __future__ import annotations

from types import TracebackType
from typing import Self

import ibis
import ibis.expr.types as ir
import pandas as pd
import pyarrow as pa

from features import audience, comments, engagement, niche, partnership, promotion, track_record
from features.catalogue import CATALOGUE
from features.comment_classes import CommentClassifier
from features.expressions import AS_OF, RECENT_DAYS, before, join_on, running_sums
from features.settings import FeatureSettings
from features.source import History
from features.staging import Stage

SPINE_SCHEMA = pa.schema(
    [
        ("row_id", pa.int64()),
        ("creator_id", pa.string()),
        ("brand", pa.string()),
        ("product_niche", pa.string()),
        ("product_country", pa.string()),
        ("objective", pa.string()),
        ("starts_at", pa.timestamp("us")),
        ("promotion_hours", pa.float64()),
        ("deliverables", pa.float64()),
        ("spend", pa.float64()),
    ]
)


class FeatureBuilder:
    """Builds the matrix of a spine from a history.

    A row's features depend on nothing but the history strictly before its `starts_at`: not on the other rows, their order or their number.
    Intermediate tables live in the history's engine until `close` (or the end of the `with` block).
    """

    def __init__(
        self,
        history: History,
        settings: FeatureSettings | None = None,
        classifier: CommentClassifier | None = None,
    ) -> None:
        self.history = history
        self.settings = settings or FeatureSettings()
        self.stage = Stage(history.backend)
        raw_posts = self._table("posts")
        self.posts = self._prepare_posts(raw_posts)
        self.comments = self._prepare_comments(raw_posts, classifier)
        self.sponsors = self.stage.keep(partnership.sponsors(history.collaborations, raw_posts))
        self.niche_posts = self.stage.keep(niche.monthly(raw_posts, history.creators))
        self.events, self.market = self._prepare_results()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Drops the intermediate tables."""
        self.stage.close()

    def build(self, spine: pd.DataFrame) -> pd.DataFrame:
        """The matrix of a spine.

        spine: the contract's candidate columns (`product_country`, `objective`, `deliverables` may be absent), any number of rows.
        Returns one row per spine row in the spine's order with the catalogue's columns: float64 (NaN missing) and text (None missing).
        """
        with Stage(self.history.backend) as stage:
            s = self._with_creators(stage.put(_spine(spine)).rename({AS_OF: "starts_at"}))
            s = self._attach_posts(stage, s)
            s = s.mutate(**audience.finish(s, self.settings.tier_bounds))
            s = stage.keep(self._attach_comments(stage, s))
            s = stage.keep(self._attach_niche(stage, s))
            s = stage.keep(self._attach_deals(stage, s))
            s = stage.keep(track_record.attach(s, self.events, self.market))
            for family in (engagement, comments, niche, promotion, partnership, track_record):
                s = s.mutate(**family.finish(s))
            found = s.select("row_id", *(f.name for f in CATALOGUE)).order_by("row_id").to_pyarrow()
        return _frame(found)

    def _table(self, name: str) -> ir.Table:
        """A table of the history; an absent one as an empty one, whose joins leave missing values."""
        table = getattr(self.history, name)
        return self.stage.empty(name) if table is None else table

    def _prepare_posts(self, posts: ir.Table) -> ir.Table:
        in_time = ibis.window(group_by="creator_id", order_by=["posted_at", "post_id"])
        p = posts.mutate(seq=ibis.row_number().over(in_time))
        p = p.mutate(**audience.prepare_posts(p), **engagement.prepare_posts(p))
        return self.stage.keep(p.drop("post_id", "caption", "brand"))

    def _prepare_comments(self, posts: ir.Table, classifier: CommentClassifier | None) -> ir.Table:
        told = self._table("comments")
        texts = self.stage.classified(told.text, classifier or CommentClassifier.load())
        return self.stage.keep(comments.prepare(told, posts, texts).drop("comment_id", "author_id"))

    def _prepare_results(self) -> tuple[ir.Table, ir.Table]:
        c = self.history.collaborations
        steps = track_record.checkpoints(c, self.history.conversions, self.settings)
        rated = self.stage.keep(track_record.with_rates(steps))
        market = self.stage.keep(track_record.level_events(rated))
        keyed = self._with_creators(c.select("collaboration_id", "creator_id", **{AS_OF: c.starts_at}))
        p = before(self.posts.select("creator_id", "posted_at", "followers", "seq"), "posted_at", _keys(keyed, "creator_id"))
        noted = p.group_by("creator_id", AS_OF).aggregate(followers_posted=audience.followers_noted(p))
        keyed = join_on(keyed, noted, ["creator_id", AS_OF])
        tier = audience.tier(audience.followers_known(keyed), self.settings.tier_bounds)
        keyed = keyed.select("collaboration_id", "creator_niche", "platform", tier=tier)
        return self.stage.keep(track_record.events(rated, market, keyed)), market

    def _with_creators(self, s: ir.Table) -> ir.Table:
        """Adds the creators table's columns; those of an unknown creator are missing."""
        c = self.history.creators
        known = c.select(
            "creator_id", "platform", "country", "language", creator_niche="niche", followers_listed="followers"
        )
        return join_on(s, known, ["creator_id"])

    def _attach_posts(self, stage: Stage, s: ir.Table) -> ir.Table:
        p = before(self.posts, "posted_at", stage.keep(_keys(s, "creator_id")))
        found = p.group_by("creator_id", AS_OF).aggregate(
            **audience.from_posts(p), **engagement.from_posts(p), **partnership.from_posts(p)
        )
        return stage.keep(join_on(s, found, ["creator_id", AS_OF]))

    def _attach_comments(self, stage: Stage, s: ir.Table) -> ir.Table:
        c = before(self.comments, "commented_at", stage.keep(_keys(s, "creator_id")))
        found = c.group_by("creator_id", AS_OF).aggregate(**comments.from_comments(c))
        return join_on(s, found, ["creator_id", AS_OF])

    def _attach_niche(self, stage: Stage, s: ir.Table) -> ir.Table:
        p = self.posts.filter(self.posts.niche.notnull()).select("creator_id", "posted_at", "niche")
        p = before(p, "posted_at", stage.keep(_keys(s, "creator_id")))
        counts = stage.keep(p.group_by("creator_id", AS_OF, "niche").aggregate(n=p.count()))
        s = join_on(s, niche.shares(counts), ["creator_id", AS_OF])
        for name in ("product", "own"):
            niche_column = "product_niche" if name == "product" else "creator_niche"
            share = counts.rename({f"{name}_niche_posts": "n", niche_column: "niche"})
            s = join_on(s, share, ["creator_id", AS_OF, niche_column])
        s = s.mutate(month=s[AS_OF].truncate("M").cast("timestamp(6)"))
        for name, by in {"near_posts": ("creator_niche", "product_niche"), "near_all": ("creator_niche",)}.items():
            keys = s.select(*by, **{AS_OF: s.month}).distinct().drop_null(list(by))
            sums = running_sums(self.niche_posts, keys, by, ["n"])
            s = join_on(s, sums.rename({name: "n", "month": AS_OF}), [*by, "month"])
        s = join_on(s, niche.languages(self.history.creators), ["product_country", "language"])
        told = self.history.creators.filter(lambda c: c.language.notnull() & c.country.notnull())
        told = told.select(product_country="country", country_told=ibis.literal(True)).distinct()
        return join_on(s, told, ["product_country"])

    def _attach_deals(self, stage: Stage, s: ir.Table) -> ir.Table:
        deals = self.history.collaborations.select("creator_id", "brand", "starts_at", "spend")
        d = before(deals, "starts_at", stage.keep(_keys(s, "creator_id")), days=None)
        s = join_on(s, d.group_by("creator_id", AS_OF).aggregate(**partnership.from_deals(d)), ["creator_id", AS_OF])
        pair = d.group_by("creator_id", AS_OF, "brand").aggregate(**partnership.from_pair_deals(d))
        s = join_on(s, pair, ["creator_id", AS_OF, "brand"])
        b = before(self.sponsors, "at", stage.keep(_keys(s, "creator_id")), days=RECENT_DAYS)
        s = join_on(s, b.group_by("creator_id", AS_OF).aggregate(**partnership.from_sponsors(b)), ["creator_id", AS_OF])
        started = deals.select("brand", at="starts_at", brand_deals_n=ibis.literal(1, "int64"))
        keys = s.select("brand", AS_OF).distinct()
        return join_on(s, running_sums(started, keys, ["brand"], ["brand_deals_n"]), ["brand", AS_OF])


def _keys(s: ir.Table, *columns: str) -> ir.Table:
    return s.select(*columns, AS_OF).distinct()


def _spine(rows: pd.DataFrame) -> pa.Table:
    frame = rows.reset_index(drop=True).reindex(columns=SPINE_SCHEMA.names)
    frame["row_id"] = range(len(frame))
    frame["starts_at"] = pd.to_datetime(frame["starts_at"], utc=True).dt.tz_localize(None)
    return pa.Table.from_pandas(frame, schema=SPINE_SCHEMA, preserve_index=False)


def _frame(found: pa.Table) -> pd.DataFrame:
    """Columns of the catalogue as float64 and text; not a number is missing, as is what was never there."""
    columns = {}
    for feature in CATALOGUE:
        column = found[feature.name]
        if feature.kind == "category":
            columns[feature.name] = pd.Series(column.to_pylist(), dtype="object")
        else:
            columns[feature.name] = pd.Series(column.to_numpy(zero_copy_only=False).astype("float64"))
    return pd.DataFrame(columns)
