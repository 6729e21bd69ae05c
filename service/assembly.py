"""A request's rows as the model sees them: looked up in a snapshot, computed where the deal's own terms decide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.encoding import FIRST_LEVEL, MISSING, OTHER, Encoding
from models.results import DAY_US
from service.snapshot import DAYS_SINCE, STEPPED, Snapshot
from service.snapshot import MISSING as NO_TEXT
from service.snapshot import OTHER as STRANGE

TEXT_TERMS = ("brand", "product_niche", "product_country", "objective")


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
    """Encoded features (n, columns + 1) as `Encoding.transform` makes them, the creators' rows in the snapshot (n,),
    and the terms that they come from.
    """

    features: np.ndarray
    rows: np.ndarray
    terms: Terms


class Assembler:
    """Makes a model's matrix from a snapshot, to the bit as the batch does. Several threads may use it at a time."""

    def __init__(self, snapshot: Snapshot, encoding: Encoding) -> None:
        """Raises ValueError for a column that the model wants and nothing here provides."""
        self.snapshot, self.encoding = snapshot, encoding
        self.at = {name: i for i, name in enumerate(encoding.columns)}
        self.blocks = {name: self._block(columns) for name, columns in snapshot.columns.items()}
        self.creator_codes = {creator: i for i, creator in enumerate(encoding.creators, 1)}
        self.levels = {
            name: {v: i for i, v in enumerate(found, FIRST_LEVEL)} for name, found in encoding.levels.items()
        }
        self.text_codes, self.text_first = self._text_codes()
        self.deal = self._deal()

    def _block(self, columns: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
        """Which of a block's columns the model uses, and their places in its matrix."""
        used = [i for i, name in enumerate(columns) if name in self.at]
        return np.array(used, np.intp), np.array([self.at[columns[i]] for i in used], np.intp)

    def _text_codes(self) -> tuple[np.ndarray, np.ndarray]:
        """From the places of the creators' texts to the model's codes, all columns end to end."""
        parts = []
        used = self.blocks["texts"][0]
        for name in np.array(self.snapshot.columns["texts"], object)[used].tolist():
            codes = [self.levels[name].get(text, OTHER) for text in self.snapshot.vocabularies[name]]
            parts.append(np.array([MISSING, OTHER, *codes], float))
        starts = np.cumsum([0, *map(len, parts[:-1])]) if parts else np.zeros(0)
        return np.concatenate([*parts, np.zeros(0)]), starts.astype(np.intp)

    def _deal(self) -> list[tuple[int, str]]:
        held = {name for columns in self.snapshot.columns.values() for name in columns}
        names = [name for name in self.encoding.columns if name not in held and name not in TEXT_TERMS]
        if strange := sorted(set(names) - COMPUTED):
            raise ValueError(f"the model wants columns that a request does not come by: {strange}")
        return [(self.at[name], name) for name in names]

    def assemble(self, terms: Terms, rows: np.ndarray | None = None) -> Assembled:
        """The matrix of rows that start at the snapshot's horizon or later.

        rows: the creators' rows in the snapshot where they are known already (n,).
        """
        held = self.snapshot
        if rows is None:
            rows = held.rows(terms.creator_id)
        out = np.empty((len(terms), len(self.encoding.columns) + 1))
        creators = held.creators.take(rows, axis=0)
        self._put(out, "creators", creators)
        used, places = self.blocks["texts"]
        if len(used):
            texts = held.texts.take(rows, axis=0)[:, used]
            out[:, places] = self.text_codes.take(texts + self.text_first)
        self._put_pairs(out, terms, rows)
        step = held.by_step.take(held.steps.searchsorted(terms.starts_at, "right") - 1, axis=0)
        self._put(out, "by_step", step)
        if STEPPED in self.at and np.isnan(step[:, -1]).any():
            out[np.isnan(step[:, -1]), self.at[STEPPED]] = np.nan
        self._put_terms(out, terms, rows, creators)
        codes = self.creator_codes
        out[:, -1] = [codes.get(creator, 0) for creator in terms.creator_id]
        return Assembled(out, rows, terms)

    def _put(self, out: np.ndarray, block: str, values: np.ndarray) -> None:
        used, places = self.blocks[block]
        out[:, places] = values[:, used]

    def _put_pairs(self, out: np.ndarray, terms: Terms, rows: np.ndarray) -> None:
        held = self.snapshot
        niche = self._places("product_niche", terms.product_niche)
        country = self._places("product_country", terms.product_country)
        brand = self._places("brand", terms.brand)
        own = held.texts[rows, held.columns["texts"].index("creator_niche")]
        later = (terms.starts_at >= held.later).astype(np.intp)
        self._put(out, "by_niche", held.by_niche[own, niche, later])
        self._put(out, "by_country", held.by_country[held.home.take(rows), country])
        self._put(out, "by_brand", held.by_brand.take(brand, axis=0))
        row = rows.astype(np.int64)
        there, at = held.niches.find(row * len(held.by_niche[0]) + niche)
        if len(at):
            used, places = self.blocks["niche_values"]
            out[np.ix_(there, places)] = held.niches.values[at][:, used]
        there, at = held.brands.find(row * len(held.by_brand) + brand)
        if len(at):
            values = held.brands.values[at]
            for i, name in enumerate(held.columns["brand_values"]):
                if name in DAYS_SINCE:
                    values[:, i] = (terms.starts_at[there] - values[:, i]) / DAY_US
            used, places = self.blocks["brand_values"]
            out[np.ix_(there, places)] = values[:, used]

    def _places(self, vocabulary: str, texts: Sequence[str | None]) -> np.ndarray:
        place = self.snapshot.place[vocabulary]
        return np.array([NO_TEXT if text is None else place.get(text, STRANGE) for text in texts], np.intp)

    def _put_terms(self, out: np.ndarray, terms: Terms, rows: np.ndarray, creators: np.ndarray) -> None:
        for name in TEXT_TERMS:
            if name in self.at:
                codes = self.levels[name]
                told = getattr(terms, name)
                out[:, self.at[name]] = [MISSING if v is None else codes.get(v, OTHER) for v in told]
        known = self.snapshot.columns["creators"]
        for place, name in self.deal:
            out[:, place] = _term(name, terms, self.snapshot.usual_spend, rows, creators, known)

    def values(self, assembled: Assembled) -> dict[str, np.ndarray]:
        """The columns of the model's matrix as `top_reasons` reads them: numbers, and texts as they are."""
        out: dict[str, np.ndarray] = {}
        texts = self.snapshot.columns["texts"]
        for name, place in self.at.items():
            if name in TEXT_TERMS:
                out[name] = np.array(getattr(assembled.terms, name), object)
            elif name in texts:
                vocabulary = np.array([None, None, *self.snapshot.vocabularies[name]], object)
                out[name] = vocabulary[self.snapshot.texts[assembled.rows, texts.index(name)]]
            else:
                out[name] = assembled.features[:, place]
        return out


COMPUTED = {
    "promotion_hours", "deliverables", "spend", "start_month", "start_weekday", "hours_per_deliverable",
    "spend_per_deliverable", "spend_per_follower", "spend_per_view", "spend_vs_usual",
}  # fmt: skip


def _term(
    name: str, terms: Terms, usual_spend: np.ndarray, rows: np.ndarray, creators: np.ndarray, known: tuple[str, ...]
) -> np.ndarray:
    """A column of `features.promotion`, by the same operations on the same 64 bits."""
    if name in ("promotion_hours", "deliverables", "spend"):
        return getattr(terms, name)
    if name == "start_month":
        return terms.starts_at.view("datetime64[us]").astype("datetime64[M]").astype(np.int64) % 12 + 1
    if name == "start_weekday":
        return (terms.starts_at // DAY_US + 3) % 7  # 1970 began on a Thursday
    if name == "hours_per_deliverable":
        return _ratio(terms.promotion_hours, terms.deliverables)
    if name == "spend_per_deliverable":
        return _ratio(terms.spend, terms.deliverables)
    if name == "spend_vs_usual":
        return _ratio(terms.spend, usual_spend.take(rows))
    followers = creators[:, known.index("followers")]
    if name == "spend_per_follower":
        return _ratio(terms.spend, followers)
    return _ratio(terms.spend, creators[:, known.index("views_per_follower")] * followers)


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return above / np.where(below == 0, np.nan, below)
