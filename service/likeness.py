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
        self.support, self.assembler = support, assembler
        terms = support.terms
        self.numbers = np.array([assembler.at[name] for name in terms.ladders], np.intp)
        ladders = list(terms.ladders.values())
        self.bent = np.flatnonzero([ladder.shift is not None for ladder in ladders])
        self.shift = np.array([ladder.shift for ladder in ladders if ladder.shift is not None], float)
        self.middle = np.array([ladder.middle for ladder in ladders], float)
        self.scale = np.array([ladder.scale for ladder in ladders], float)
        self.codes = {name: self._codes(name) for name in terms.levels}
        self.levels = {name: {text: i for i, text in enumerate(known)} for name, known in terms.levels.items()}
        sizes = terms.sizes
        self.starts = np.cumsum([0, *sizes[:-1]]) if sizes else np.zeros(0, np.intp)
        self.block = np.repeat(np.arange(len(sizes)), sizes)
        self.last = np.array(sizes, np.intp) - 2
        self.met = np.zeros((0, 0), np.intp)
        if terms.pairs:
            self.met = np.full([len(terms.levels[name]) + 1 for name in PAIR], len(terms.pairs))
            self.met[tuple(zip(*terms.pairs, strict=True))] = np.arange(len(terms.pairs))

    def _codes(self, name: str) -> np.ndarray:
        """From the places of a text of the creators to those among the levels that training met."""
        held = self.assembler.snapshot
        if name in TEXT_TERMS:
            return np.zeros(0)
        known = {text: i for i, text in enumerate(self.support.terms.levels[name])}
        return np.array([-1, len(known), *(known.get(text, len(known)) for text in held.vocabularies[name])])

    def excess(self, assembled: Assembled) -> np.ndarray:
        """As `Support.excess` of the same rows (rows,)."""
        terms = self.support.terms
        values = assembled.features[:, self.numbers]
        values[:, self.bent] = np.log(np.maximum(values[:, self.bent], 0.0) + self.shift)
        places = np.empty((len(values), len(self.last)))
        n = len(terms.ladders)
        places[:, :n] = np.clip((values - self.middle) / self.scale, -REACH, REACH) + REACH
        codes = {name: self._code(name, assembled) for name in terms.levels}
        for i, code in enumerate(codes.values(), n):
            places[:, i] = code
        if terms.pairs:
            first, second = (codes[name] for name in PAIR)
            places[:, -1] = np.where((first >= 0) & (second >= 0), self.met[first, second], -1)
        x = self._describe(places)
        left = np.einsum("ij,ij->i", np.round(x @ self.support.left_open), x)
        return np.maximum(left / OPEN_GRID - self.support.threshold, 0.0)

    def _code(self, name: str, assembled: Assembled) -> np.ndarray:
        if name in TEXT_TERMS:
            known = self.levels[name]
            texts = getattr(assembled.terms, name)
            return np.array([-1 if text is None else known.get(text, len(known)) for text in texts], np.intp)
        held = self.assembler.snapshot
        return self.codes[name][held.texts[assembled.rows, held.columns["texts"].index(name)]]

    def _describe(self, places: np.ndarray) -> np.ndarray:
        """Terms (rows, terms) of rows by their places in each block; what is missing (NaN or -1) counts as usual."""
        known = places >= 0
        x = np.where(known[:, self.block], -self.support.terms.usual, 0.0)
        at = np.where(known, places, 0.0)
        lower = np.minimum(at.astype(np.intp), self.last)
        weight = np.round((at - lower) * WEIGHT_GRID) / WEIGHT_GRID
        rows = np.arange(len(x))[:, None]
        x[rows, self.starts + lower] += np.where(known, 1 - weight, 0.0)
        x[rows, self.starts + lower + 1] += np.where(known, weight, 0.0)
        return x
