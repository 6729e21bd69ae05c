"""What DATA knew when a list was scored: a part of what is promised, for it cannot be found out later."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from models.estimators.outcomes import Outcomes
from models.evaluation.baselines import OwnRecords
from models.scorer import Scorer

if TYPE_CHECKING:
    from features.history.source import History

OF_RESULTS = (
    "collaboration_id",
    "creator_id",
    "starts_at",
    "promotion_hours",
    "observed_until",
    "spend",
    "conversions",
)


@dataclass(frozen=True)
class Knowledge:
    """data: fingerprint by table. records: of the creators, the rule of thumb that promises are compared with."""

    data: Mapping[str, str]
    records: OwnRecords

    @classmethod
    def of(cls, history: History, scorer: Scorer) -> Knowledge:
        """What a history knows without the results that the scorer leaves out; what is still to come of the others is
        allowed for by the scorer's completion curve for all tiers."""
        from features.history.source import fingerprint  # the service's workers only read what was found

        history = history.without(scorer.facts.kept_out)
        results = history.collaborations.select(*OF_RESULTS).order_by("starts_at", "collaboration_id").to_pandas()
        outcomes = Outcomes.from_tables(results, None, scorer.settings.attribution_days)
        share, _ = scorer.maturity.arrived(outcomes)
        creators = results.creator_id.to_numpy(object)
        return cls(fingerprint(history), OwnRecords.of(outcomes.counts, outcomes.spend * share, creators))

    def own_records(self, creators: list[str]) -> list[float]:
        """Conversions per dollar of each creator's own record."""
        return [float(rate) for rate in self.records.rates(np.array(creators, object))]

    def to_json(self) -> str:
        """As a text; `from_json` is its inverse, to the bit."""
        past, records = self.records.past, self.records
        columns = {"creators": past.index.tolist(), "counts": past.counts.tolist(), "exposure": past.exposure.tolist()}
        return json.dumps({"data": dict(self.data), "rate": records.rate, "prior": records.prior, **columns})

    @classmethod
    def from_json(cls, text: str) -> Knowledge:
        """Inverse of `to_json`."""
        values = json.loads(text)
        index = pd.Index(values["creators"], dtype=object, name="creator")
        past = pd.DataFrame({name: np.array(values[name], float) for name in ("counts", "exposure")}, index)
        return cls(values["data"], OwnRecords(past, values["rate"], values["prior"]))
