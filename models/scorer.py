"""A fitted model as it is saved, loaded and applied: all that scoring needs, wherever it happens.

The folder that `save` writes holds LightGBM's text for the trees, JSON for the rest, Parquet for the backtest's
predictions, the comment classifier's own files, and `checksums.json` over them all. Nothing in it is executed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from features.comment_classifier.classifier import CommentClassifier
from features.history.score_columns import row_columns
from features.settings import FeatureSettings
from models.estimators.encoding import Encoding
from models.estimators.maturity import Maturity
from models.estimators.mixed import MixedModel
from models.estimators.rate import Component, RateModel, Trees
from models.learnt import Learnt
from models.scoring import Scoring
from models.training_facts import TrainingFacts
from models.uncertainty.interval import POOLED, Intervals
from models.uncertainty.support import Support
from models.uncertainty.target import Target

FORMAT = 5
CHECKSUMS = "checksums.json"
SCORES = row_columns(target=False)
RANGED = ("spend", "promotion_hours", "deliverables", "followers")


class ModelError(Exception):
    """A saved model that cannot be used: missing, damaged, or of another format."""


class FilesMissingError(ModelError):
    """Files of a saved model are not there or cannot be read; they may be there again later."""


class NewerFormatError(ModelError):
    """A model that a newer version of this project saved."""


class OlderFormatError(ModelError):
    """A model that an earlier version of this project saved, in a form that is no longer read."""


@dataclass(frozen=True)
class Scorer:
    """Everything from a feature matrix to scores.

    ranges: lowest and highest value of the deal's terms in training. facts: of the training. past: collaboration_id and
    the rate that the backtest predicted for it. learnt: how features were distributed; None where a training was too
    small for it, or by an earlier version.
    """

    rate: RateModel
    encoding: Encoding
    intervals: Intervals
    support: Support
    maturity: Maturity
    settings: FeatureSettings
    classifier: CommentClassifier
    ranges: Mapping[str, tuple[float, float]]
    facts: TrainingFacts
    past: pd.DataFrame
    learnt: Learnt | None = None

    @cached_property
    def scoring(self) -> Scoring:
        """What scores rows."""
        last = np.datetime64(self.facts.last_start).astype("datetime64[us]")
        return Scoring(self.rate, self.encoding, self.intervals, self.support, self.ranges, int(last.astype(np.int64)))

    def rates(self, matrix: pd.DataFrame, creators: np.ndarray) -> np.ndarray:
        """Expected final conversions per dollar (rows,). Raises ValueError for a column that is missing."""
        return self.scoring.rates(self.scoring.coding.transform(matrix, creators))

    def score(
        self,
        matrix: pd.DataFrame,
        spine: pd.DataFrame,
        level: float = 0.8,
        reasons: bool = True,
        target: Target | None = None,
    ) -> pd.DataFrame:
        """The contract's score columns but rank and model_version, a row per row of the matrix, in its order.

        matrix: the catalogue's columns. spine: `creator_id` and `spend` in dollars, row by row; `starts_at` too, else
        there is no warning of deals far ahead.
        level: of the central interval. target: adds its two columns (`Target.worth`).
        Raises ValueError for a column that is missing or a level outside (0, 1).
        """
        coded = self.scoring.coding.transform(matrix, spine["creator_id"].to_numpy(object))
        values = matrix if reasons else None
        spend, starts = spine["spend"].to_numpy(float), None
        if "starts_at" in spine:
            moments = pd.to_datetime(spine["starts_at"], utc=True).dt.tz_localize(None)
            starts = moments.to_numpy("datetime64[us]").astype(np.int64)
        found = self.scoring.score(coded, spend, starts=starts, level=level, values=values, target=target)
        columns = found.columns() | {"warnings": [json.dumps(codes) for codes in found.warnings]}
        columns.setdefault("reasons", ["[]"] * len(matrix))
        return pd.DataFrame({name: columns[name] for name in row_columns(target is not None)})

    def groups(self, matrix: pd.DataFrame) -> np.ndarray:
        """The group of every row whose intervals are calibrated together: its follower tier."""
        if "tier" not in matrix:
            return np.full(len(matrix), POOLED)
        return matrix["tier"].fillna("unknown").to_numpy(object).astype(str)

    def save(self, folder: Path) -> None:
        """Write the model into a folder that does not exist yet; the same model gives the same bytes.

        Raises FileExistsError where it exists.
        """
        folder.mkdir(parents=True)
        for i, component in enumerate(self.rate.components):
            if isinstance(component, Trees):
                (folder / f"rate_{i}.txt").write_text(component.text, encoding="utf-8", newline="\n")
            else:
                _write_json(folder / f"rate_{i}.json", component.to_dict())
        _write_json(folder / "scorer.json", self._to_dict())
        self.past.to_parquet(folder / "backtest.parquet", index=False)
        self.classifier.save(folder / "comment_classifier")
        _write_json(folder / CHECKSUMS, _checksums(folder))

    @classmethod
    def load(cls, folder: Path) -> Scorer:
        """Read what `save` wrote.

        Raises FilesMissingError for a file that is missing, OlderFormatError or NewerFormatError for another format,
        ModelError for a file that was added or changed.
        """
        _verify(folder)
        values = json.loads((folder / "scorer.json").read_text(encoding="utf-8"))
        _require_format(values["format"])
        rate = values["rate"]
        components = [_component(folder, i, saved) for i, saved in enumerate(rate["components"])]
        return cls(
            RateModel(components, rate["weights"], rate["level_correction"], rate["constant"]),
            Encoding.from_dict(values["encoding"]),
            Intervals.from_dict(values["intervals"]),
            Support.from_dict(values["support"]),
            Maturity.from_dict(values["maturity"]),
            FeatureSettings.from_dict(values["settings"]),
            CommentClassifier.load(folder / "comment_classifier"),
            {k: (v[0], v[1]) for k, v in values["ranges"].items()},
            TrainingFacts.from_dict(values["facts"]),
            pd.read_parquet(folder / "backtest.parquet"),
            Learnt.from_dict(values["learnt"]) if "learnt" in values else None,
        )

    def _to_dict(self) -> dict[str, Any]:
        rate = self.rate
        components = [{"recipe": c.recipe, "offset": c.offset, "centre": c.centre} for c in rate.components]
        return {
            "format": FORMAT,
            "rate": {
                "components": components,
                "weights": rate.weights,
                "level_correction": rate.level_correction,
                "constant": rate.constant,
            },
            "encoding": self.encoding.to_dict(),
            "intervals": self.intervals.to_dict(),
            "support": self.support.to_dict(),
            "maturity": self.maturity.to_dict(),
            "settings": self.settings.to_dict(),
            "ranges": {k: list(v) for k, v in self.ranges.items()},
            "facts": self.facts.to_dict(),
        } | ({"learnt": self.learnt.to_dict()} if self.learnt else {})


def _require_format(found: int) -> None:
    if found < FORMAT:
        raise OlderFormatError(f"an earlier version saved it, in format {found}; this version reads format {FORMAT}")
    if found > FORMAT:
        raise NewerFormatError(f"a newer version saved it, in format {found}; this version reads format {FORMAT}")


def _component(folder: Path, number: int, saved: Mapping[str, Any]) -> Component:
    if (file := folder / f"rate_{number}.json").is_file():
        return replace(MixedModel.from_dict(json.loads(file.read_text(encoding="utf-8"))), recipe=saved["recipe"])
    text = (folder / f"rate_{number}.txt").read_text(encoding="utf-8")
    return Trees(saved["recipe"], text, saved["offset"], saved["centre"])


def training_ranges(matrix: pd.DataFrame, spend: np.ndarray) -> dict[str, tuple[float, float]]:
    """Lowest and highest known value of each of RANGED in the matrix, and of `spend`."""
    values = {name: matrix[name].to_numpy(float) for name in RANGED if name in matrix} | {"spend": spend}
    return {k: (float(np.nanmin(v)), float(np.nanmax(v))) for k, v in values.items() if not np.isnan(v).all()}


def _write_json(path: Path, values: Mapping[str, Any]) -> None:
    path.write_text(
        json.dumps(values, indent=1, sort_keys=True, allow_nan=False) + "\n", encoding="utf-8", newline="\n"
    )


def _checksums(folder: Path) -> dict[str, str]:
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != CHECKSUMS)
    return {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def _verify(folder: Path) -> None:
    if not (folder / CHECKSUMS).is_file():
        raise FilesMissingError(f"{folder}: no {CHECKSUMS}; this is not a saved model")
    try:
        stated = json.loads((folder / CHECKSUMS).read_text(encoding="utf-8"))
    except ValueError:
        raise ModelError(f"{folder}: {CHECKSUMS} is damaged; fetch the model again") from None
    found = _checksums(folder)
    wrong = [f"{name} is missing" for name in stated if name not in found]
    wrong += [f"{name} does not belong to it" for name in found if name not in stated]
    wrong += [f"{name} was changed" for name in found if name in stated and found[name] != stated[name]]
    if wrong:
        kind = FilesMissingError if stated.keys() - found else ModelError
        raise kind(f"{folder}: not the model that was saved: {'; '.join(wrong)}. Fetch it again or train again")
