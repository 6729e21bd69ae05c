"""What a saved model knows of the training that made it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from models.evaluation.skill import Skill


@dataclass(frozen=True)
class TrainingFacts:
    """Facts of a training; `to_dict` gives them as plain JSON values.

    results, conversions, spend: number of past deals, and the sums over them (US dollars). first_start, last_start:
    ISO 8601, UTC. maturity: where the completion curve is from. recipes: weight by recipe. cutoffs: days, one a fold.
    data: fingerprint by table. columns: by table, the columns that features read. kept_out: collaboration_id of results
    that the door kept out of the training; whatever scores with this model leaves them out of the features, too.
    """

    seed: int
    results: int
    conversions: float
    spend: float
    first_start: str
    last_start: str
    maturity: str
    recipes: Mapping[str, float]
    cutoffs: tuple[str, ...]
    skill: Skill
    data: Mapping[str, str] = field(default_factory=dict)
    columns: Mapping[str, list[str]] = field(default_factory=dict)
    kept_out: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values; `from_dict` is its inverse."""
        values = asdict(self) | {"cutoffs": list(self.cutoffs), "kept_out": list(self.kept_out)}
        return values if self.kept_out else {k: v for k, v in values.items() if k != "kept_out"}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TrainingFacts:
        """Inverse of `to_dict`."""
        cutoffs, kept_out = tuple(values["cutoffs"]), tuple(values.get("kept_out", ()))
        return cls(**{**values, "cutoffs": cutoffs, "kept_out": kept_out, "skill": Skill(**values["skill"])})
