"""A request's rows as the model sees them: looked up in a snapshot, computed where the deal's own terms decide."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter

import numpy as np

from features.catalogue import CATALOGUE
from features.families import arrays, promotion, scalars
from features.families.expressions import AS_OF
from features.history.column_types import kind_of
from features.history.contract import CANDIDATES
from models.estimators.encoding import FIRST_LEVEL, MISSING, OTHER, Encoding
from models.estimators.outcomes import DAY_US
from models.newest.repeated import each
from models.newest.snapshot import DAYS_SINCE, Snapshot
from models.newest.snapshot import MISSING as NO_TEXT
from models.newest.snapshot import OTHER as STRANGE
from models.scorer import Scorer
from models.scoring import Scores
from models.uncertainty.target import Target

CREATOR = "creator_id"
TEXT_TERMS = tuple(f.name for f in CATALOGUE if f.entity == "deal" and f.kind == "category")
NUMBER_TERMS = tuple(f.name for f in CATALOGUE if f.entity == "deal" and f.kind == "number")
GIVEN = tuple(name for name, column in CANDIDATES.columns.items() if kind_of(column) in ("number", "hours", "count"))
PLACED = ("product_niche", "product_country", "brand")  # texts that the snapshot has values for
FEW = 8  # rows up to which the numbers are computed one by one
_number_terms = itemgetter(*NUMBER_TERMS)


@dataclass(frozen=True)
class Terms:
    """The deals to score, column by column, as the contract has it; n rows.

    starts_at: int64 microseconds (n,). promotion_hours, deliverables (NaN: absent), spend: float64 (n,).
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


def cut(terms: Terms, place: slice) -> Terms:
    """Some of the rows."""
    return Terms(**{name: getattr(terms, name)[place] for name in Terms.__dataclass_fields__})


@dataclass(frozen=True)
class Assembled:
    """Encoded features (n, columns + 1) as `Encoding.transform` makes them, places of the creators' texts in the
    snapshot's vocabularies (n, text columns), and the terms that they come from.
    """

    features: np.ndarray
    texts: np.ndarray
    terms: Terms


class _Codes(dict[str | None, int]):
    """Text → code; `other` for one that is not among them."""

    def __init__(self, known: Mapping[str, int], missing: int, other: int) -> None:
        super().__init__(known.items())
        self[None] = missing
        self.other = other

    def __missing__(self, text: str | None) -> int:
        return self.other

    def of(self, texts: Sequence[str | None]) -> np.ndarray:
        """Codes of texts (n,)."""
        return np.array([*map(self.__getitem__, texts)], np.intp)


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
            ("codes", (*TEXT_TERMS, CREATOR)),
            ("numbers", NUMBER_TERMS),
        ):
            self.blocks[name] = slice(len(wide), len(wide) + len(columns))
            wide += columns
        self.width = len(wide)
        if strange := sorted(set(encoding.columns) - set(wide)):
            raise ValueError(f"the model wants columns that a request does not come by: {strange}")
        place = {name: i for i, name in enumerate(wide)}
        self.order = np.array([place[name] for name in (*encoding.columns, CREATOR)], np.intp)
        # what a pair that exists has takes the place of what its creator has with strangers
        self.of_niche, self.of_brand = (
            slice(place[held[pair][0]], place[held[pair][-1]] + 1) for pair in ("niche_values", "brand_values")
        )
        self.since = [i for i, name in enumerate(held["brand_values"]) if name in DAYS_SINCE]
        looked_up: defaultdict[str, int] = defaultdict(lambda: 1)  # by the formulas, whatever the values
        promotion.finish(looked_up, scalars)
        self.inputs = {name: place[name] for name in looked_up if name not in (*GIVEN, AS_OF, "usual_spend")}
        self.own_niche = held["texts"].index("creator_niche")
        self.levels = {
            name: {v: i for i, v in enumerate(levels, FIRST_LEVEL)} for name, levels in encoding.levels.items()
        }
        self.text_codes, self.text_first = self._text_codes()
        # what a request's texts become: places in the snapshot, then the model's codes
        self.lookups = (
            *((name, _Codes(snapshot.place[name], NO_TEXT, STRANGE)) for name in PLACED),
            *((name, _Codes(self.levels.get(name, {}), MISSING, OTHER)) for name in TEXT_TERMS),
            (CREATOR, _Codes({creator: i for i, creator in enumerate(encoding.creators, 1)}, 0, 0)),
        )

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
            rows = each(terms.creator_id, held.rows)
        wide = np.empty((len(terms), self.width))
        wide[:, blocks["creators"]] = held.creators.take(rows, axis=0)
        texts = held.texts.take(rows, axis=0)
        wide[:, blocks["texts"]] = self.text_codes.take(texts + self.text_first)
        found = np.array([each(getattr(terms, name), codes.of) for name, codes in self.lookups])
        self._put_pairs(wide, terms, rows, texts[:, self.own_niche], found[: len(PLACED)])
        wide[:, blocks["codes"]] = found[len(PLACED) :].T
        self._put_numbers(wide, terms, rows)
        return Assembled(wide.take(self.order, axis=1), texts, terms)

    def _put_pairs(
        self, wide: np.ndarray, terms: Terms, rows: np.ndarray, own_niche: np.ndarray, places: np.ndarray
    ) -> None:
        held, blocks = self.snapshot, self.blocks
        niche, country, brand = places
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

    def _put_numbers(self, wide: np.ndarray, terms: Terms, rows: np.ndarray) -> None:
        """NUMBER_TERMS, by the formulas of `features.families.promotion`."""
        block = self.blocks["numbers"]
        given = {name: getattr(terms, name) for name in GIVEN}
        given[AS_OF], given["usual_spend"] = terms.starts_at, self.snapshot.usual_spend.take(rows)
        if len(terms) > FEW:
            given |= {name: wide[:, at] for name, at in self.inputs.items()}
            wide[:, block] = np.array(_number_terms(given | promotion.finish(given, arrays))).T
            return
        for row, values in enumerate(zip(*[column.tolist() for column in given.values()], strict=True)):
            one = dict(zip(given, values, strict=True))
            for name, at in self.inputs.items():
                one[name] = wide.item(row, at)
            wide[row, block] = _number_terms(one | promotion.finish(one, scalars))

    def values(self, assembled: Assembled) -> Mapping[str, np.ndarray]:
        """The columns of the model's matrix as `top_reasons` reads them: numbers, and texts as they are."""
        return _Columns(self, assembled)

    @cached_property
    def words(self) -> dict[str, np.ndarray]:
        """By column of the creators' texts, what stands at each place."""
        vocabularies = self.snapshot.vocabularies
        return {name: np.array([None, None, *vocabularies[name]], object) for name in self.snapshot.columns["texts"]}


class _Columns(Mapping[str, np.ndarray]):
    """Columns that are made where they are read: a few rows' reasons show few of them."""

    def __init__(self, assembler: Assembler, assembled: Assembled) -> None:
        self._assembler, self._assembled = assembler, assembled

    def __getitem__(self, name: str) -> np.ndarray:
        if name in TEXT_TERMS:
            return np.array(getattr(self._assembled.terms, name), object)
        if name in (texts := self._assembler.snapshot.columns["texts"]):
            return self._assembler.words[name][self._assembled.texts[:, texts.index(name)]]
        return self._assembled.features[:, self._assembler.at[name]]

    def __iter__(self) -> Iterator[str]:
        return iter(self._assembler.at)

    def __len__(self) -> int:
        return len(self._assembler.at)


class RequestScorer:
    """A model beside the newest features. Several threads may use it at a time."""

    def __init__(self, snapshot: Snapshot, scorer: Scorer) -> None:
        """Raises ValueError for a model whose columns a request does not come by."""
        self.scorer = scorer
        self.assembler = Assembler(snapshot, scorer.scoring.coding)

    def score(
        self,
        terms: Terms,
        rows: np.ndarray | None = None,
        *,
        level: float | None = None,
        reasons: bool = False,
        target: Target | None = None,
    ) -> Scores:
        """Score rows that start at the snapshot's horizon or later.

        rows: of the creators in the snapshot, where known already. level: of the interval, None for none.
        """
        assembled = self.assembler.assemble(terms, rows)
        values = self.assembler.values(assembled) if reasons else None
        return self.scorer.scoring.score(
            assembled.features, terms.spend, starts=terms.starts_at, level=level, values=values, target=target
        )
