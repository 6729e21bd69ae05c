"""What kind of comment a text is: spam, praise with nothing in it, substance, a question, an intent to buy.

A text becomes a handful of integers: hashed words, neighbouring words, word parts of four characters, and binned shape
(length, links, emoji, question marks). A linear model per class looks each up in one small integer table. Sums of
integers are exact, so a score does not depend on the batch it was in or on the number of threads.

`docs/comment-classes.md` says what each class means and how to retrain.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from features.comment_classifier.text import HASH_BITS, SHAPE_BINS, encode

LEARNED = ("spam", "hollow", "substance", "question", "buying_intent")
RULES = ("emoji_only", "mention_only")
CLASSES = ("spam", "emoji_only", "mention_only", "hollow", "substance", "question", "buying_intent")
SHIPPED = Path(__file__).parent / "comment_model"
FORMAT = 1
BATCH = 8_192


class CommentClassifier:
    """A fitted linear model of the learned classes, with the two rules beside it.

    `slots` holds the hash slots that have weights, ascending (int32); `weights` is slots by LEARNED and `shape_weights`
    SHAPE_WIDTH by LEARNED, both int16 in units of `scale` (one float per class).
    """

    def __init__(
        self, slots: np.ndarray, weights: np.ndarray, shape_weights: np.ndarray, scale: Sequence[float]
    ) -> None:
        self.slots, self.weights, self.shape_weights = slots, weights, shape_weights
        self.scale = [float(value) for value in scale]
        self._place = np.zeros(1 << HASH_BITS, np.int32)
        self._place[slots] = np.arange(1, len(slots) + 1)
        self._columns = [np.r_[0, column].astype(np.float64) for column in weights.T]

    @property
    def fingerprint(self) -> str:
        """SHA-256 of all that decides a score; two classifiers with the same one score alike."""
        return hashlib.sha256(_canonical(self._content())).hexdigest()

    def classify(self, texts: Sequence[Any] | np.ndarray | pd.Series | Any) -> pd.DataFrame:
        """Score texts; row i of the result is text i.

        Columns are CLASSES as float32 in 0..1, then `words` (int32). A missing text counts as an empty one. Size and
        order of the input change no bit of a row. Each text is scored, repeated ones again: pass distinct ones.
        Raises TypeError for a text that is neither a string nor missing.
        """
        texts = texts.to_pylist() if hasattr(texts, "to_pylist") else texts
        if isinstance(texts, str):
            raise TypeError("classify takes a sequence of texts, got one string: wrap it in a list")
        texts = list(texts)
        parts = [self._score(texts[at : at + BATCH]) for at in range(0, len(texts), BATCH)] or [self._score([])]
        frame = pd.DataFrame(np.concatenate([part for part, _ in parts]), columns=list(CLASSES))
        frame["words"] = np.concatenate([words for _, words in parts])
        return frame

    def _score(self, texts: list[Any]) -> tuple[np.ndarray, np.ndarray]:
        encoded, n = encode(texts), len(texts)
        logits = self.shape_weights[encoded.shape].sum(axis=1, dtype=np.float64)
        for family in ("tokens", "parts"):
            slots, owner = getattr(encoded, family)
            place = self._place[slots]
            known = np.flatnonzero(place)
            place, owner, share = place[known], owner[known], encoded.weights(family)
            for number, column in enumerate(self._columns):
                logits[:, number] += np.bincount(owner, column[place], n) * share
        learned = 1.0 / (1.0 + np.exp(-np.clip(logits * self.scale, -40, 40)))
        by_rule = encoded.rules.any(axis=1)
        learned[encoded.silent] = 0.0
        learned[encoded.silent & ~by_rule, LEARNED.index("hollow")] = 1.0
        scores = np.empty((n, len(CLASSES)), np.float32)
        scores[:, [CLASSES.index(name) for name in LEARNED]] = learned
        scores[:, [CLASSES.index(name) for name in RULES]] = encoded.rules
        return scores, encoded.words.astype(np.int32)

    def _content(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "hash_bits": HASH_BITS,
            "learned": list(LEARNED),
            "shape_bins": {name: list(edges) for name, edges in SHAPE_BINS.items()},
            "scale": [value.hex() for value in self.scale],
            "shape_weights": self.shape_weights.tolist(),
            "arrays": {name: hashlib.sha256(_bytes(getattr(self, name))).hexdigest() for name in ("slots", "weights")},
        }

    def save(self, path: Path | str) -> None:
        """Write the folder `path` whole or not at all; replaces a saved classifier and refuses anything else."""
        path = Path(path)
        if path.exists() and not (path / "model.json").is_file() and (not path.is_dir() or any(path.iterdir())):
            raise FileExistsError(f"{path} exists and is no saved classifier: choose another folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
        try:
            new, old = aside / "new", aside / "old"
            new.mkdir()
            for name in ("slots", "weights"):
                (new / f"{name}.npy").write_bytes(_bytes(getattr(self, name)))
            manifest = {"fingerprint": self.fingerprint, "content": self._content()}
            (new / "model.json").write_text(json.dumps(manifest, indent=1) + "\n")
            if path.exists():
                path.rename(old)
            new.rename(path)
        finally:
            shutil.rmtree(aside, ignore_errors=True)

    @classmethod
    def load(cls, path: Path | str | None = None) -> CommentClassifier:
        """Read a saved classifier; None is the one that ships.

        Raises FileNotFoundError where there is none, ValueError for another format or files that were changed.
        """
        path = SHIPPED if path is None else Path(path)
        if not (path / "model.json").is_file():
            raise FileNotFoundError(f"no comment classifier in {path}: model.json is missing")
        try:
            manifest = json.loads((path / "model.json").read_text())
            content = manifest["content"]
            arrays = {name: (path / f"{name}.npy").read_bytes() for name in ("slots", "weights")}
        except (ValueError, KeyError, TypeError, OSError) as error:
            raise ValueError(f"the comment classifier in {path} cannot be read: {error}") from error
        if content.get("format") != FORMAT:
            raise ValueError(f"{path} has format {content.get('format')}, this version reads {FORMAT}: train it again")
        for name, data in arrays.items():
            if hashlib.sha256(data).hexdigest() != content["arrays"][name]:
                raise ValueError(f"{path / name}.npy was changed: its checksum differs. Restore or retrain")
        if hashlib.sha256(_canonical(content)).hexdigest() != manifest["fingerprint"]:
            raise ValueError(f"{path / 'model.json'} was changed: its checksum differs. Restore or retrain")
        slots, weights = (np.load(io.BytesIO(arrays[name]), allow_pickle=False) for name in ("slots", "weights"))
        shape_weights = np.array(content["shape_weights"], np.int16)
        loaded = cls(slots, weights, shape_weights, [float.fromhex(value) for value in content["scale"]])
        if loaded.fingerprint != manifest["fingerprint"]:
            raise ValueError(f"{path} was saved by a version with other features: train it again")
        return loaded


def _canonical(content: dict[str, Any]) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()


def _bytes(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=False)
    return stream.getvalue()
