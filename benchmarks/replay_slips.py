"""Slips of one batch, as they happen to exports; none of them breaks the contract."""

from __future__ import annotations

import numpy as np
import pandas as pd

from benchmarks.replay_market import Tables

COPY = "again_"


def in_cents(batch: Tables) -> Tables:
    """All spend of the batch in cents."""
    collaborations = batch["collaborations"]
    return batch | {"collaborations": collaborations.assign(spend=(collaborations.spend * 100).round(2))}


def delivered_again(batch: Tables, earlier: Tables, rows: list[str]) -> Tables:
    """The batch, and collaborations (ids) of an earlier one once more, with their days, under other ids."""
    out = dict(batch)
    for name in ("collaborations", "conversions"):
        copies = earlier[name][earlier[name].collaboration_id.isin(rows)]
        copies = copies.assign(collaboration_id=COPY + copies.collaboration_id)
        out[name] = pd.concat([batch[name], copies], ignore_index=True)
    return out


def shuffled(batch: Tables, rows: list[str], rng: np.random.Generator) -> Tables:
    """The conversions of these collaborations (ids) dealt out anew among them; which day they came on is not said, for
    a contradiction between the two tables would be refused."""
    collaborations, daily = batch["collaborations"].copy(), batch["conversions"]
    chosen = collaborations.collaboration_id.isin(rows)
    collaborations.loc[chosen, "conversions"] = rng.permutation(collaborations.conversions[chosen].to_numpy())
    return batch | {"collaborations": collaborations, "conversions": daily[~daily.collaboration_id.isin(rows)]}
