"""What is published is checked first: random rows, scored the service's way and the batch's, must agree to the bit."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd

from features.history.source import History
from features.matrix import FeatureBuilder
from models.newest.assembler import RequestScorer, Terms, cut
from models.newest.snapshot import Snapshot
from models.scorer import Scorer
from models.scoring import Scores
from models.uncertainty.target import Target

ROWS = 300
ALONE = 8  # rows that are scored one by one, too: what is compiled for few rows is another loop
NUMBERS = ("rate", "low", "high", "conversions", "cost", "within", "walk_away")
TARGET = Target(25.0)
DAY_US = 86_400e6


class CheckError(Exception):
    """A snapshot or a model that does not answer as the batch does."""


def check(
    snapshot: Snapshot, scorer: Scorer, builder: FeatureBuilder, rows: int = ROWS, seed: int = 0
) -> tuple[str, ...]:
    """Score random rows both ways: the batch's with LightGBM, the service's as its workers do, in compiled code where
    there is any, together and the first of them one by one. Returns notes on the latter.

    Raises CheckError where a bit differs.
    """
    spine = random_spine(snapshot, builder.history, rows, seed)
    expected = scorer.score(builder.build(spine), spine, target=TARGET)
    notes = scorer.rate.prepare(math.inf)
    service, terms = RequestScorer(snapshot, scorer), terms_of(spine)
    _compare(expected, service.score(terms, level=0.8, reasons=True, target=TARGET))
    for row in range(min(rows, ALONE)):
        alone = service.score(cut(terms, slice(row, row + 1)), level=0.8, reasons=True, target=TARGET)
        _compare(expected.iloc[row : row + 1], alone)
    return notes


def _compare(expected: pd.DataFrame, found: Scores) -> None:
    """Raise CheckError where the service's scores are not the batch's."""
    columns = [*(getattr(found, name) for name in NUMBERS), found.reasons, [json.dumps(w) for w in found.warnings]]
    for name, column in zip(expected, columns, strict=True):
        wrong = [i for i, (a, b) in enumerate(zip(expected[name], column, strict=True)) if a != b]
        if wrong:
            i, rows = wrong[0], len(expected)
            raise CheckError(
                f"{name}: {len(wrong)} of {rows} rows differ from the batch, {column[i]} for {expected[name].iloc[i]}"
            )


def random_spine(snapshot: Snapshot, history: History, rows: int, seed: int) -> pd.DataFrame:
    """Deals from the horizon on, between known and unknown ones, many of them pairs that met before; with gaps."""
    rng = np.random.default_rng(seed)
    vocabulary = snapshot.vocabularies
    creators = [snapshot.identifier(row) for row in rng.integers(0, snapshot.unknown, rows)]
    met = history.collaborations.select("creator_id", "brand", "product_niche").limit(10_000).to_pandas()
    met = met.iloc[rng.integers(0, len(met), rows)].reset_index(drop=True)
    frame = pd.DataFrame(
        {
            "creator_id": np.where(rng.random(rows) < 0.15, "nobody knows me ∅", creators),
            "brand": rng.choice([*vocabulary["brand"], "a new brand ∅"], rows),
            "product_niche": rng.choice([*vocabulary["product_niche"], "a new niche ∅"], rows),
            "product_country": rng.choice([*vocabulary["product_country"], "a new country ∅"], rows),
            "objective": rng.choice(["sales", "awareness", "launch", "a new objective ∅"], rows),
            "promotion_hours": rng.choice([0.001, 24.0, 48.5, 168.0, 720.0, 1e6], rows),
            "deliverables": rng.integers(1, 9, rows).astype(float),
            "spend": np.exp(rng.normal(6, 3, rows)),
        }
    )
    same = rng.random(rows) < 0.4
    frame[met.columns] = met.where(np.repeat(same[:, None], len(met.columns), axis=1), frame[met.columns])
    days = rng.exponential(90, rows) * (rng.random(rows) < 0.9)
    days = np.where(rng.random(rows) < 0.05, rng.random(rows) * (snapshot.later - snapshot.horizon) / DAY_US, days)
    days[::100] += 2000  # far ahead
    frame["starts_at"] = pd.to_datetime(snapshot.horizon + (days * DAY_US).astype(np.int64), unit="us")
    for name in ("product_country", "objective", "deliverables"):
        frame[name] = frame[name].mask(rng.random(rows) < 0.1)
    return frame


def terms_of(spine: pd.DataFrame) -> Terms:
    """A spine, column by column."""
    texts = {
        name: [v if isinstance(v, str) else None for v in spine[name]] for name in ("product_country", "objective")
    }
    return Terms(
        creator_id=spine.creator_id.tolist(),
        brand=spine.brand.tolist(),
        product_niche=spine.product_niche.tolist(),
        starts_at=spine.starts_at.to_numpy("datetime64[us]").astype(np.int64),
        promotion_hours=spine.promotion_hours.to_numpy(float),
        deliverables=spine.deliverables.to_numpy(float, na_value=np.nan),
        spend=spine.spend.to_numpy(float),
        **texts,
    )
