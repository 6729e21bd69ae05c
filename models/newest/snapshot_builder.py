"""From a history to a snapshot, by the batch code alone: `FeatureBuilder` builds every creator, every pair that
exists, every brand, and so on, and the results are kept.

A column's entity in the catalogue says what it depends on. What depends on the deal itself is computed with each
request (`models.newest.assembler`); a column of a new kind is refused here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
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

CHUNK = 50_000
# what each array is made of: entities of the catalogue
BLOCKS = {
    "creators": ("creator", "tier", "platform", "all"),
    "by_niche": ("niche pair",),
    "by_country": ("creator and product country",),
    "by_brand": ("brand",),
    "niche_values": ("creator and product niche",),
    "brand_values": ("creator and brand", "pair"),
}


def probe(builder: FeatureBuilder, facts: Mapping[str, str] | None = None) -> Snapshot:
    """Build everything. Raises ValueError for a column of the catalogue that depends on something unknown here."""
    return _Probe(builder).snapshot(dict(facts or {}))


@dataclass(frozen=True)
class _Cells:
    """A spine of deals, and in what shape their features are kept."""

    spine: Mapping[str, Any]
    shape: tuple[int, ...]

    def __len__(self) -> int:
        return math.prod(self.shape)


class _Probe:
    def __init__(self, builder: FeatureBuilder) -> None:
        self.builder = builder
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
        blocks = {name: _values(found[name], cells[name].shape, _columns(name)) for name in cells if name != "creators"}
        for i, name in enumerate(_columns("brand_values")):
            if name in DAYS_SINCE:
                blocks["brand_values"][:, i] = self.horizon - np.round(blocks["brand_values"][:, i] * DAY_US)
        numbers, texts, vocabularies = _of_creators(found["creators"])
        vocabularies |= {"product_niche": self.products, "product_country": self.countries, "brand": self.brands}
        columns = {name: _columns(name) for name in BLOCKS}
        return Snapshot(
            horizon=self.horizon,
            later=self.later,
            columns=columns | {"creators": tuple(numbers), "texts": tuple(texts)},
            vocabularies={name: tuple(values) for name, values in vocabularies.items()},
            creators=np.column_stack(list(numbers.values())),
            texts=np.column_stack(list(texts.values())).astype(np.int32),
            usual_spend=self.usual_spend(everybody),
            home=home,
            niche_keys=niche_keys,
            brand_keys=brand_keys,
            **blocks,
            **index(self.creators),
            facts=facts,
        )

    def build(self, cells: Mapping[str, _Cells]) -> dict[str, pd.DataFrame]:
        """The matrix of each spine: deals at the horizon between nobodies, but for the columns given. All at once,
        since a query takes the engine longer to start than to answer.
        """
        spine = pd.concat([self.spine(one) for one in cells.values()], ignore_index=True)
        parts = [self.builder.build(spine[at : at + CHUNK]) for at in range(0, len(spine), CHUNK)]
        found = pd.concat(parts, ignore_index=True)
        ends = np.cumsum([len(one) for one in cells.values()]).tolist()
        return {
            name: found[end - len(one) : end].reset_index(drop=True)
            for (name, one), end in zip(cells.items(), ends, strict=True)
        }

    def spine(self, cells: _Cells) -> pd.DataFrame:
        """The contract's columns of some cells."""
        columns: dict[str, Any] = {
            name: [self.nobody] * len(cells) for name in ("creator_id", "brand", "product_niche", "product_country")
        }
        columns |= {"objective": [None] * len(cells), "starts_at": [self.horizon] * len(cells)} | dict(cells.spine)
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


def _of_creators(
    found: pd.DataFrame,
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], dict[str, Sequence[str]]]:
    """Numbers and places of texts by column, and the vocabularies of these.

    What a creator has with a niche or a brand that they have nothing in common with is among the numbers.
    """
    numbers, texts = {}, {}
    vocabularies: dict[str, Sequence[str]] = {}
    for name in (n for block in ("creators", "niche_values", "brand_values") for n in _columns(block)):
        if BY_NAME[name].kind == "number":
            numbers[name] = found[name].to_numpy(float)
        else:
            vocabularies[name] = _texts(found[name])
            at = places(vocabularies[name])
            texts[name] = np.array([at[v] if isinstance(v, str) else MISSING for v in found[name]])
    return numbers, texts, vocabularies


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


def _values(found: pd.DataFrame, shape: tuple[int, ...], columns: tuple[str, ...]) -> np.ndarray:
    return found[list(columns)].to_numpy(float, copy=True).reshape(*shape, len(columns))


def _texts(column: pd.Series) -> list[str]:
    return sorted({v for v in column if isinstance(v, str)})


def _distinct(column: ir.Column) -> list[str]:
    return _texts(column.name("text").as_table().distinct().to_pandas()["text"])


def _absent(known: Sequence[str]) -> str:
    """A text that is none of the known ones."""
    longest = max(map(len, known), default=0)
    return "∅" * (longest + 1)
