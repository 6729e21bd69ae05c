"""The newest features of everybody in flat arrays, as they lie in a folder and, mapped into memory, in every worker.

They hold for deals that start at `horizon` or later: from then on nothing that the history knows of enters or leaves a
window, and what a start says by itself is computed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

FORMAT = 1
META = "snapshot.json"
MISSING, OTHER = 0, 1  # places of a text that is not there, and of one that the history does not know
FIRST = 2
DAYS_SINCE = ("days_since_first_deal", "days_since_deal")  # held as moments


def places(texts: Iterable[str]) -> dict[str, int]:
    """Text → place; MISSING and OTHER come before."""
    return {text: i for i, text in enumerate(texts, FIRST)}


@dataclass(frozen=True)
class Sparse:
    """Rows of values for the pairs that exist, by their key: row of the creator × places of the other + its place.

    keys: int64 (pairs,), rising. values: (pairs, columns); of DAYS_SINCE the moment itself, in microseconds.
    """

    keys: np.ndarray
    values: np.ndarray

    def find(self, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which of the keys exist (bool), and where those lie."""
        if not len(self.keys):
            return np.zeros(len(keys), bool), np.zeros(0, np.intp)
        at = self.keys.searchsorted(keys)
        there = self.keys.take(at, mode="clip") == keys
        return there, at[there]


@dataclass(frozen=True)
class Snapshot:
    """Arrays by what they belong to; `columns` lists which features each holds, in order.

    Row `len(ids)` of the creators' arrays is that of a creator whom the history does not know. Places of texts are
    those of `places`.

    creators: float64 (creators + 1, columns). texts: int32 (creators + 1, text columns), places in `vocabularies`.
    usual_spend: dollars (creators + 1,). home: int32 (creators + 1,), place in the first axis of by_country.
    by_niche: (niches of creators + 2, niches + 2, 2, columns): before `later` and from then on.
    by_country: (homes, countries + 2, columns). by_brand: (brands + 2, columns).
    """

    horizon: int
    later: int
    columns: dict[str, tuple[str, ...]]
    vocabularies: dict[str, tuple[str, ...]]
    creators: np.ndarray
    texts: np.ndarray
    usual_spend: np.ndarray
    home: np.ndarray
    by_niche: np.ndarray
    by_country: np.ndarray
    by_brand: np.ndarray
    niche_keys: np.ndarray
    niche_values: np.ndarray
    brand_keys: np.ndarray
    brand_values: np.ndarray
    hashes: np.ndarray
    hashed_rows: np.ndarray
    id_bytes: np.ndarray
    id_ends: np.ndarray
    facts: dict[str, str] = field(default_factory=dict)

    @property
    def unknown(self) -> int:
        """The row of creators whom the history does not know."""
        return len(self.id_ends)

    @cached_property
    def niches(self) -> Sparse:
        """Creator and product niche."""
        return Sparse(self.niche_keys, self.niche_values)

    @cached_property
    def brands(self) -> Sparse:
        """Creator and brand."""
        return Sparse(self.brand_keys, self.brand_values)

    @cached_property
    def place(self) -> dict[str, dict[str, int]]:
        """By vocabulary, text → place."""
        return {name: places(texts) for name, texts in self.vocabularies.items()}

    def row(self, creator_id: str) -> int:
        """The row of a creator, `unknown` where there is none."""
        wanted = creator_id.encode(errors="surrogatepass")
        hashed = _hash(wanted)
        at = int(self.hashes.searchsorted(hashed))
        while at < len(self.hashes) and self.hashes[at] == hashed:
            row = int(self.hashed_rows[at])
            if self._id(row) == wanted:
                return row
            at += 1
        return self.unknown

    def rows(self, creator_ids: Sequence[str]) -> np.ndarray:
        """The rows of creators (n,)."""
        if len(creator_ids) == 1:
            return np.array([self.row(creator_ids[0])])
        wanted = [one.encode(errors="surrogatepass") for one in creator_ids]
        hashed = np.array([_hash(one) for one in wanted], np.uint64)
        at = np.minimum(self.hashes.searchsorted(hashed), max(len(self.hashes) - 1, 0))
        rows = self.hashed_rows[at].tolist()
        return np.array(
            [row if self._id(row) == one else self.row(one.decode(errors="surrogatepass"))
             for row, one in zip(rows, wanted, strict=True)],
            np.intp,
        )  # fmt: skip

    def identifier(self, row: int) -> str:
        """The creator_id of a row."""
        return self._id(row).decode(errors="surrogatepass")

    def _id(self, row: int) -> bytes:
        return self.id_bytes[self.id_ends[row - 1] if row else 0 : self.id_ends[row]].tobytes()

    def save(self, folder: Path) -> None:
        """Write it into a folder that does not exist yet."""
        folder.mkdir(parents=True)
        meta: dict[str, object] = {"format": FORMAT}
        for one in fields(self):
            value = getattr(self, one.name)
            if isinstance(value, np.ndarray):
                # rows lie together: to take some from another layout NumPy copies the whole array first
                np.save(folder / f"{one.name}.npy", np.ascontiguousarray(value), allow_pickle=False)
            else:
                meta[one.name] = value
        (folder / META).write_text(json.dumps(meta), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Snapshot:
        """Map what `save` wrote into memory, where all processes share it.

        Raises ValueError for another format, OSError for a file that is missing.
        """
        meta = json.loads((folder / META).read_text(encoding="utf-8"))
        if meta.pop("format") != FORMAT:
            raise ValueError(f"{folder}: a snapshot of another format")
        for name in ("columns", "vocabularies"):
            meta[name] = {key: tuple(values) for key, values in meta[name].items()}
        arrays: dict[str, Any] = {
            one.name: np.asarray(np.load(folder / f"{one.name}.npy", mmap_mode="r", allow_pickle=False))
            for one in fields(cls)
            if one.name not in meta
        }
        return cls(**meta, **arrays)


def index(creator_ids: Sequence[str]) -> dict[str, np.ndarray]:
    """The arrays by which a creator's row is found: 24 bytes and the id itself for each."""
    encoded = [one.encode(errors="surrogatepass") for one in creator_ids]
    hashes = np.array([_hash(one) for one in encoded], np.uint64)
    order = np.argsort(hashes, kind="stable")
    return {
        "hashes": hashes[order],
        "hashed_rows": order.astype(np.int32),
        "id_bytes": np.frombuffer(b"".join(encoded), np.uint8),
        "id_ends": np.cumsum([len(one) for one in encoded], dtype=np.int64),
    }


def _hash(creator_id: bytes) -> np.uint64:
    return np.uint64(int.from_bytes(hashlib.blake2b(creator_id, digest_size=8).digest(), "little"))
