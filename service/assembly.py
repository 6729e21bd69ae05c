"""A request's rows as the model sees them: looked up in a snapshot, computed where the deal's own terms decide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.encoding import FIRST_LEVEL, MISSING, OTHER, Encoding
from models.results import DAY_US
from service.snapshot import DAYS_SINCE, Snapshot
from service.snapshot import MISSING as NO_TEXT
from service.snapshot import OTHER as STRANGE

MICROSECONDS, MONTHS = np.dtype("datetime64[us]"), np.dtype("datetime64[M]")
TEXT_TERMS = ("brand", "product_niche", "product_country", "objective")
COMPUTED = (
    "promotion_hours", "deliverables", "spend", "start_month", "start_weekday", "hours_per_deliverable",
    "spend_per_deliverable", "spend_per_follower", "spend_per_view", "spend_vs_usual",
)  # fmt: skip


@dataclass(frozen=True)
class Terms:
    """What is asked about, column by column, as the contract has it; n rows.

    starts_at: int64 microseconds (n,). promotion_hours, deliverables (NaN: not told), spend: float64 (n,).
    """

    creator_id: Sequence[str]
    brand: Sequence[str]
    product_niche: Sequence[str]
    product_country: Sequence[str | None]
    objective: Sequence[str | None]
    starts_at: np.ndarray
    promotion_hours: np.ndarray
    deliverables: np.ndarray
    spend: np.ndarray

    def __len__(self) -> int:
        return len(self.creator_id)


@dataclass(frozen=True)
class Assembled:
    """Encoded features (n, columns + 1) as `Encoding.transform` makes them, places of the creators' texts in the
    snapshot's vocabularies (n, text columns), and the terms that they come from.
    """

    features: np.ndarray
    texts: np.ndarray
    terms: Terms


class Assembler:
    """Makes a model's matrix from a snapshot, to the bit as the batch does. Several threads may use it at a time.

    All columns that a request comes by are laid side by side, block by block; the model's are taken from them in its
    own order at the end.
    """

    def __init__(self, snapshot: Snapshot, encoding: Encoding) -> None:
        """Raises ValueError for a column that the model wants and nothing here provides."""
        self.snapshot, self.encoding = snapshot, encoding
        self.at = {name: i for i, name in enumerate(encoding.columns)}
        held = snapshot.columns
        self.blocks: dict[str, slice] = {}
        wide: list[str] = []
        for name, columns in (
            *((block, held[block]) for block in ("creators", "by_niche", "by_country", "by_brand", "texts")),
            ("text_terms", TEXT_TERMS),
            ("terms", COMPUTED),
        ):
            self.blocks[name] = slice(len(wide), len(wide) + len(columns))
            wide += columns
        self.width = len(wide) + 1
        if strange := sorted(set(encoding.columns) - set(wide)):
            raise ValueError(f"the model wants columns that a request does not come by: {strange}")
        place = {name: i for i, name in enumerate(wide)}
        self.order = np.array([*(place[name] for name in encoding.columns), self.width - 1], np.intp)
        # what a pair that exists has takes the place of what its creator has with strangers
        self.of_niche, self.of_brand = (
            slice(place[held[pair][0]], place[held[pair][-1]] + 1) for pair in ("niche_values", "brand_values")
        )
        self.since = [i for i, name in enumerate(held["brand_values"]) if name in DAYS_SINCE]
        self.followers, self.views = place["followers"], place["views_per_follower"]
        self.own_niche = held["texts"].index("creator_niche")
        self.creator_codes = {creator: i for i, creator in enumerate(encoding.creators, 1)}
        self.levels = {name: {v: i for i, v in enumerate(told, FIRST_LEVEL)} for name, told in encoding.levels.items()}
        self.text_codes, self.text_first = self._text_codes()

    def _text_codes(self) -> tuple[np.ndarray, np.ndarray]:
        """From the places of the creators' texts to the model's codes, all columns end to end."""
        parts = []
        for name in self.snapshot.columns["texts"]:
            levels = self.levels.get(name, {})
            codes = [levels.get(text, OTHER) for text in self.snapshot.vocabularies[name]]
            parts.append(np.array([MISSING, OTHER, *codes], float))
        return np.concatenate(parts), np.cumsum([0, *map(len, parts[:-1])])

    def assemble(self, terms: Terms, rows: np.ndarray | None = None) -> Assembled:
        """The matrix of rows that start at the snapshot's horizon or later.

        rows: the creators' rows in the snapshot where they are known already (n,).
        """
        held, blocks = self.snapshot, self.blocks
        if rows is None:
            rows = held.rows(terms.creator_id)
        wide = np.empty((len(terms), self.width))
        wide[:, blocks["creators"]] = held.creators.take(rows, axis=0)
        texts = held.texts.take(rows, axis=0)
        wide[:, blocks["texts"]] = self.text_codes.take(texts + self.text_first)
        self._put_pairs(wide, terms, rows, texts[:, self.own_niche])
        first = blocks["text_terms"].start
        for i, name in enumerate(TEXT_TERMS):
            codes = self.levels.get(name, {})
            wide[:, first + i] = [MISSING if v is None else codes.get(v, OTHER) for v in getattr(terms, name)]
        self._put_terms(wide, terms, rows)
        known = self.creator_codes
        wide[:, -1] = [known.get(creator, 0) for creator in terms.creator_id]
        return Assembled(wide.take(self.order, axis=1), texts, terms)

    def _put_pairs(self, wide: np.ndarray, terms: Terms, rows: np.ndarray, own_niche: np.ndarray) -> None:
        held, blocks = self.snapshot, self.blocks
        niche = self._places("product_niche", terms.product_niche)
        country = self._places("product_country", terms.product_country)
        brand = self._places("brand", terms.brand)
        later = (terms.starts_at >= held.later).astype(np.intp)
        wide[:, blocks["by_niche"]] = held.by_niche[own_niche, niche, later]
        wide[:, blocks["by_country"]] = held.by_country[held.home.take(rows), country]
        wide[:, blocks["by_brand"]] = held.by_brand.take(brand, axis=0)
        there, at = held.niches.find(rows * held.by_niche.shape[1] + niche)
        if len(at):
            wide[there, self.of_niche] = held.niches.values.take(at, axis=0)
        there, at = held.brands.find(rows * len(held.by_brand) + brand)
        if len(at):
            values = held.brands.values.take(at, axis=0)
            for i in self.since:
                values[:, i] = (terms.starts_at[there] - values[:, i]) / DAY_US
            wide[there, self.of_brand] = values

    def _places(self, vocabulary: str, texts: Sequence[str | None]) -> np.ndarray:
        place = self.snapshot.place[vocabulary]
        return np.array([NO_TEXT if text is None else place.get(text, STRANGE) for text in texts], np.intp)

    def _put_terms(self, wide: np.ndarray, terms: Terms, rows: np.ndarray) -> None:
        """The columns of `features.promotion`, by the same operations on the same 64 bits, in COMPUTED's order."""
        followers, spend = wide[:, self.followers], terms.spend
        out = wide[:, self.blocks["terms"]]
        out[:, 0], out[:, 1], out[:, 2] = terms.promotion_hours, terms.deliverables, spend
        out[:, 3] = terms.starts_at.view(MICROSECONDS).astype(MONTHS).view(np.int64) % 12 + 1
        out[:, 4] = (terms.starts_at // DAY_US + 3) % 7  # 1970 began on a Thursday
        below = np.empty((len(terms), 4))
        below[:, 0], below[:, 1] = terms.deliverables, followers
        below[:, 2], below[:, 3] = wide[:, self.views] * followers, self.snapshot.usual_spend.take(rows)
        below[below == 0] = np.nan
        out[:, 5] = terms.promotion_hours / below[:, 0]
        out[:, 6:] = spend[:, None] / below

    def values(self, assembled: Assembled) -> dict[str, np.ndarray]:
        """The columns of the model's matrix as `top_reasons` reads them: numbers, and texts as they are."""
        out: dict[str, np.ndarray] = {}
        texts = self.snapshot.columns["texts"]
        for name, place in self.at.items():
            if name in TEXT_TERMS:
                out[name] = np.array(getattr(assembled.terms, name), object)
            elif name in texts:
                vocabulary = np.array([None, None, *self.snapshot.vocabularies[name]], object)
                out[name] = vocabulary[assembled.texts[:, texts.index(name)]]
            else:
                out[name] = assembled.features[:, place]
        return out
