"""From a history to a snapshot, by the batch code alone: `FeatureBuilder` builds every creator, every pair that
exists, every brand, and so on, and the results are kept.

A column's entity in the catalogue says what it depends on. What depends on the deal itself is computed with each
request (`models.newest.assembler`); a column of a new kind is refused here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ibis.expr.types as ir
import numpy as np
import pandas as pd

from features.catalogue import BY_NAME, CATALOGUE
from features.families import partnership
from features.families.expressions import DAY_US
from features.matrix import FeatureBuilder
from models.newest.snapshot import DAYS_SINCE, FIRST, MISSING, Snapshot, index, places

AT_ONCE = 50_000  # rows up to which all blocks are built by one query
CHUNK = 500_000  # rows of a query where there are more
# what each array is made of: entities of the catalogue
BLOCKS = {
    "creators": ("creator", "tier", "platform", "all"),
    "by_niche": ("niche pair",),
    "by_country": ("creator and product country",),
    "by_brand": ("brand",),
    "niche_values": ("creator and product niche",),
    "brand_values": ("creator and brand", "pair"),
}


def probe(
    builder: FeatureBuilder,
    facts: Mapping[str, str] | None = None,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> Snapshot:
    """Build everything. progress: takes how many rows of features are built, and of how many.

    Raises ValueError for a column of the catalogue that depends on something unknown here.
    """
    return _Probe(builder, progress).snapshot(dict(facts or {}))


@dataclass(frozen=True)
class _Cells:
    """A spine of deals, and in what shape their features are kept."""

    spine: Mapping[str, Any]
    shape: tuple[int, ...]

    def __len__(self) -> int:
        return math.prod(self.shape)


class _Block:
    """The features of some cells. numbers: (cells, columns). texts: (cells,) by column, None where there is none."""

    def __init__(self, columns: Sequence[str], cells: int) -> None:
        by_kind = {kind: [n for n in columns if BY_NAME[n].kind == kind] for kind in ("number", "category")}
        self.names = by_kind["number"]
        self.numbers = np.empty((cells, len(self.names)))
        self.texts = {name: np.empty(cells, object) for name in by_kind["category"]}
        self.filled = 0

    def add(self, found: pd.DataFrame) -> None:
        """Fill in the next rows."""
        rows = slice(self.filled, self.filled + len(found))
        self.numbers[rows] = found[self.names].to_numpy(float)
        for name, texts in self.texts.items():
            texts[rows] = found[name].to_numpy(object)
        self.filled = rows.stop


class _Probe:
    def __init__(self, builder: FeatureBuilder, progress: Callable[[int, int], None]) -> None:
        self.builder, self.progress = builder, progress
        known = {entity for block in BLOCKS.values() for entity in block}
        strange = [f.name for f in CATALOGUE if f.entity not in known | {"deal"}]
        if strange:
            raise ValueError(f"a request has no way to the columns {strange}: see models/newest/snapshot_builder.py")
        names = ["creator_id", "niche", "country", "language"]
        self.who = builder.history.creators.select(*names).order_by("creator_id").to_pandas()
        deals, posts = builder.history.collaborations, builder.posts
        self.creators, self.niches = self.who.creator_id.tolist(), _texts(self.who.niche)
        self.products = sorted({*self.niches, *_distinct(posts.niche), *_distinct(deals.product_niche)})
        self.countries = _texts(self.who.country)
        self.brands = _distinct(deals.brand)
        self.nobody = _absent([*self.creators, *self.products, *self.countries, *self.brands])
        self.horizon, self.later = _horizon(builder)

    def snapshot(self, facts: dict[str, str]) -> Snapshot:
        """Every array, in the order in which they lie in the snapshot."""
        home, by_country = self.homes()
        niche_keys, niche_pairs = self.creator_niches()
        brand_keys, brand_pairs = self.creator_brands()
        everybody = [*self.creators, self.nobody]
        cells = {
            "creators": _Cells({"creator_id": everybody}, (len(everybody),)),
            "by_niche": self.by_niche(),
            "by_country": by_country,
            "by_brand": _Cells({"brand": [self.nobody, self.nobody, *self.brands]}, (len(self.brands) + FIRST,)),
            "niche_values": niche_pairs,
            "brand_values": brand_pairs,
        }
        found = self.build(cells)
        everyone = found.pop("creators")
        blocks = {name: block.numbers.reshape(*cells[name].shape, -1) for name, block in found.items()}
        for i, name in enumerate(_columns("brand_values")):
            if name in DAYS_SINCE:
                blocks["brand_values"][:, i] = self.horizon - np.round(blocks["brand_values"][:, i] * DAY_US)
        texts, vocabularies = _places(everyone.texts)
        vocabularies |= {"product_niche": self.products, "product_country": self.countries, "brand": self.brands}
        columns = {name: _columns(name) for name in BLOCKS}
        return Snapshot(
            horizon=self.horizon,
            later=self.later,
            columns=columns | {"creators": tuple(everyone.names), "texts": tuple(texts)},
            vocabularies={name: tuple(values) for name, values in vocabularies.items()},
            creators=everyone.numbers,
            texts=np.column_stack(list(texts.values())).astype(np.int32),
            usual_spend=self.usual_spend(everybody),
            home=home,
            niche_keys=niche_keys,
            brand_keys=brand_keys,
            **blocks,
            **index(self.creators),
            facts=facts,
        )

    def build(self, cells: Mapping[str, _Cells]) -> dict[str, _Block]:
        """The features of each spine's deals at the horizon between nobodies, but for the columns given.

        A few are built all at once, since a query takes the engine longer to start than to answer. Of many, each block
        is built by itself, without the families that have nothing to say of it.
        """
        blocks = {name: _Block(_wanted(name), len(one)) for name, one in cells.items()}
        total, done = sum(map(len, cells.values())), 0
        if total <= AT_ONCE:
            columns = [f.name for f in CATALOGUE if f.entity != "deal"]
            spine = pd.concat([self.spine(one, 0, len(one)) for one in cells.values()], ignore_index=True)
            found = self.builder.build(spine, columns)
            for name, one in cells.items():
                blocks[name].add(found[done : done + len(one)])
                done += len(one)
            return blocks
        for name, one in cells.items():
            for at in range(0, len(one), CHUNK):
                blocks[name].add(self.builder.build(self.spine(one, at, at + CHUNK), _wanted(name)))
                self.progress(done + blocks[name].filled, total)
            done += len(one)
        return blocks

    def spine(self, cells: _Cells, first: int, end: int) -> pd.DataFrame:
        """The contract's columns of some cells."""
        given = {name: values[first:end] for name, values in cells.spine.items()}
        rows = min(end, len(cells)) - first
        columns: dict[str, Any] = {
            name: [self.nobody] * rows for name in ("creator_id", "brand", "product_niche", "product_country")
        }
        columns |= {"objective": [None] * rows, "starts_at": [self.horizon] * rows} | given
        frame = pd.DataFrame(columns, dtype=object).assign(promotion_hours=24.0, deliverables=1.0, spend=1.0)
        frame["starts_at"] = pd.to_datetime(frame.starts_at.astype("int64"), unit="us")
        return frame

    def usual_spend(self, creators: Sequence[str]) -> np.ndarray:
        """Median spend of each creator's collaborations, in dollars."""
        deals = self.builder.history.collaborations
        found = deals.group_by("creator_id").aggregate(**partnership.from_deals(deals)).to_pandas()
        return found.set_index("creator_id").usual_spend.astype(float).reindex(creators).to_numpy(float)

    def homes(self) -> tuple[np.ndarray, _Cells]:
        """Each creator's place among the pairs of country and language, and those beside every country of sale."""
        countries = [v if isinstance(v, str) else None for v in self.who.country]
        languages = [v if isinstance(v, str) else None for v in self.who.language]
        at: dict[tuple[str | None, str | None], int] = {}
        creators_of_homes = []
        for creator, pair in zip(self.creators, zip(countries, languages, strict=True), strict=True):
            if pair not in at:
                at[pair] = len(at)
                creators_of_homes.append(creator)
        home = [at[pair] for pair in zip(countries, languages, strict=True)]
        creators_of_homes.append(self.nobody)
        sold_in = [None, self.nobody, *self.countries]
        grid = [(speaker, country) for speaker in creators_of_homes for country in sold_in]
        creator, country = zip(*grid, strict=True)
        cells = _Cells({"creator_id": creator, "product_country": country}, (len(creators_of_homes), len(sold_in)))
        return np.array([*home, len(at)], np.int32), cells

    def by_niche(self) -> _Cells:
        """Every niche of creators beside every product niche, before `later` and from then on."""
        firsts = dict(zip(reversed(self.who.niche.tolist()), reversed(self.creators), strict=True))
        one_of_each = [self.nobody, self.nobody, *(firsts[niche] for niche in self.niches)]
        products = [self.nobody, self.nobody, *self.products]
        grid = [(c, p, t) for c in one_of_each for p in products for t in (self.horizon, self.later)]
        creator, product, at = zip(*grid, strict=True)
        spine = {"creator_id": creator, "product_niche": product, "starts_at": at}
        return _Cells(spine, (len(one_of_each), len(products), 2))

    def creator_niches(self) -> tuple[np.ndarray, _Cells]:
        """Creators with the niches that they post in, and with their own."""
        posted = self.builder.posts.select("creator_id", "niche").distinct().to_pandas()
        posted = pd.concat([posted, self.who[["creator_id", "niche"]]]).dropna().drop_duplicates()
        return self.pairs(posted.creator_id, posted.niche, self.products, "product_niche")

    def creator_brands(self) -> tuple[np.ndarray, _Cells]:
        """Creators with the brands that they worked for."""
        pairs = self.builder.history.collaborations.select("creator_id", "brand").distinct().to_pandas()
        return self.pairs(pairs.creator_id, pairs.brand, self.brands, "brand")

    def pairs(
        self, creators: pd.Series, others: pd.Series, vocabulary: Sequence[str], column: str
    ) -> tuple[np.ndarray, _Cells]:
        """Keys, rising, and the pairs in their order."""
        row = pd.Index(self.creators, dtype=object).get_indexer(pd.Index(creators, dtype=object))
        at = places(vocabulary)
        keys = row.astype(np.int64) * (len(vocabulary) + FIRST) + np.array([at[v] for v in others], np.int64)
        order = np.argsort(keys)
        spine = {"creator_id": creators.to_numpy(object)[order], column: others.to_numpy(object)[order]}
        return keys[order], _Cells(spine, (len(keys),))


def _places(found: Mapping[str, np.ndarray]) -> tuple[dict[str, np.ndarray], dict[str, Sequence[str]]]:
    """Places of texts by column, and the vocabularies that they are places in."""
    vocabularies: dict[str, Sequence[str]] = {name: _texts(texts) for name, texts in found.items()}
    of = {name: places(vocabularies[name]) for name in found}
    return {
        name: np.array([of[name][v] if isinstance(v, str) else MISSING for v in texts])
        for name, texts in found.items()
    }, vocabularies  # fmt: skip


def _wanted(block: str) -> list[str]:
    """The columns of a block; a creator's hold what they have with a niche or a brand that is nothing to them, too."""
    parts = ("creators", "niche_values", "brand_values") if block == "creators" else (block,)
    return [name for part in parts for name in _columns(part)]


def _horizon(builder: FeatureBuilder) -> tuple[int, int]:
    """From when on nothing enters or leaves a window any more, and the month after, in microseconds.

    Windows end with the latest day; results become known up to the latest of their events; what creators of a niche
    post about is taken at the begin of the start's month.
    """
    reach = int(_micros(builder.days).max()) + DAY_US
    results = [_micros(table.select("at").distinct()) for table in (builder.events, builder.market)]
    horizon = max(reach, *(int(at.max()) + 1 for at in results if len(at)))
    month = np.datetime64(horizon, "us").astype("datetime64[M]") + np.timedelta64(1, "M")
    return horizon, int(month.astype("datetime64[us]").astype(np.int64))


def _micros(moments: ir.Table) -> np.ndarray:
    return moments.to_pandas()["at"].to_numpy("datetime64[us]").astype(np.int64)


def _columns(block: str) -> tuple[str, ...]:
    return tuple(f.name for f in CATALOGUE if f.entity in BLOCKS[block])


def _texts(column: Iterable[Any]) -> list[str]:
    return sorted({v for v in column if isinstance(v, str)})


def _distinct(column: ir.Column) -> list[str]:
    return _texts(column.name("text").as_table().distinct().to_pandas()["text"])


def _absent(known: Sequence[str]) -> str:
    """A text that is none of the known ones."""
    longest = max(map(len, known), default=0)
    return "∅" * (longest + 1)
