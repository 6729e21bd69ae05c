"""How far deals lie beyond what past results support, for a request's few rows: `Support.excess`, to the bit.

The same terms and sums, all columns beside each other; they are whole multiples, exact in any order.
"""

from __future__ import annotations

import numpy as np

from models.support import OPEN_GRID, PAIR, REACH, WEIGHT_GRID, Support
from service.assembly import TEXT_TERMS, Assembled, Assembler


class Likeness:
    """A model's support beside the newest features."""

    def __init__(self, support: Support, assembler: Assembler) -> None:
        self.support = support
        terms, held = support.terms, assembler.snapshot
        # numbers whose logarithm is taken come first, so that they are one slice
        ladders = sorted(enumerate(terms.ladders.items()), key=lambda told: told[1][1].shift is None)
        self.number_blocks = np.array([block for block, _ in ladders], np.intp)
        self.numbers = np.array([assembler.at[name] for _, (name, _) in ladders], np.intp)
        self.shift = np.array([one.shift for _, (_, one) in ladders if one.shift is not None], float)
        self.middle = np.array([one.middle for _, (_, one) in ladders], float)
        self.scale = np.array([one.scale for _, (_, one) in ladders], float)
        # categories: of the creator by their places in the snapshot, of the deal by their texts
        blocks = {name: i for i, name in enumerate(terms.levels, len(ladders))}
        levels = {name: {text: i for i, text in enumerate(known)} for name, known in terms.levels.items()}
        self.of_deal = [(blocks[name], name, levels[name]) for name in levels if name in TEXT_TERMS]
        own = [name for name in levels if name not in TEXT_TERMS]
        self.text_blocks = np.array([blocks[name] for name in own], np.intp)
        self.texts = np.array([held.columns["texts"].index(name) for name in own], np.intp)
        codes = [self._codes(levels[name], held.vocabularies[name]) for name in own]
        self.text_codes = np.concatenate([*codes, np.zeros(0)])
        self.text_first = np.cumsum([0, *map(len, codes)])[:-1]
        # pairs by both codes, which are -1 where missing: then the last row or column counts
        self.pair = np.array([blocks[name] for name in PAIR if terms.pairs], np.intp)
        self.met = np.full([len(levels.get(name, ())) + 2 for name in PAIR], len(terms.pairs))
        self.met[-1, :] = self.met[:, -1] = -1
        if terms.pairs:
            self.met[tuple(zip(*terms.pairs, strict=True))] = np.arange(len(terms.pairs))
        self.starts = np.cumsum([0, *terms.sizes])[:-1]
        self.block = np.repeat(np.arange(len(terms.sizes)), terms.sizes)
        self.last = np.array(terms.sizes, np.intp) - 2
        self.nothing_told = -terms.usual

    @staticmethod
    def _codes(known: dict[str, int], vocabulary: tuple[str, ...]) -> np.ndarray:
        """From the places of a creator's text to those among the levels that training met."""
        return np.array([-1, len(known), *(known.get(text, len(known)) for text in vocabulary)], float)

    def excess(self, assembled: Assembled) -> np.ndarray:
        """As `Support.excess` of the same rows (rows,)."""
        values = assembled.features.take(self.numbers, axis=1)
        bent = values[:, : len(self.shift)]
        np.log(np.maximum(bent, 0.0) + self.shift, out=bent)
        places = np.empty((len(values), len(self.last)))
        values = np.maximum((values - self.middle) / self.scale, -REACH)
        places[:, self.number_blocks] = np.minimum(values, REACH) + REACH
        places[:, self.text_blocks] = self.text_codes.take(assembled.texts.take(self.texts, axis=1) + self.text_first)
        for block, name, known in self.of_deal:
            texts = getattr(assembled.terms, name)
            places[:, block] = [-1 if text is None else known.get(text, len(known)) for text in texts]
        if len(self.pair):
            first, second = places.take(self.pair, axis=1).astype(np.intp).T
            places[:, -1] = self.met[first, second]
        x = self._describe(places)
        left = np.vecdot(np.rint(x @ self.support.left_open), x)
        return np.maximum(left / OPEN_GRID - self.support.threshold, 0.0)

    def _describe(self, places: np.ndarray) -> np.ndarray:
        """Terms (rows, terms) of rows by their places in each block; what is missing (NaN or -1) counts as usual."""
        known = places >= 0
        x = known.take(self.block, axis=1) * self.nothing_told
        at = np.fmax(places, 0.0)
        lower = np.minimum(at.astype(np.intp), self.last)
        weight = np.rint((at - lower) * WEIGHT_GRID) / WEIGHT_GRID
        flat = np.arange(len(x))[:, None] * x.shape[1] + self.starts + lower
        x.reshape(-1)[flat] += (1 - weight) * known
        x.reshape(-1)[flat + 1] += weight * known
        return x
