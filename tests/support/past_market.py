"""Past results with a known rate, for tests of models: a matrix as features make it, and the same as tables on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from features.comment_classifier.classifier import CommentClassifier
from features.settings import FeatureSettings
from models.estimators.outcomes import Outcomes
from models.training import Trained, TrainingSet, fit

BEGIN = pd.Timestamp("2024-01-01")
COUNTED = pd.Timestamp("2026-01-01")


def spine(rows: int, seed: int = 0, *, dispersion: float = 0.4, creators: int = 60) -> pd.DataFrame:
    """Collaborations of known `rate`, in the order of their start; counts are over-dispersed (gamma-Poisson)."""
    rng = np.random.default_rng(seed)
    starts = np.sort(rng.integers(0, 640 * 24, rows))
    frame = pd.DataFrame(
        {
            "collaboration_id": [f"r{i:05}" for i in range(rows)],
            "creator_id": [f"c{i:03}" for i in rng.integers(0, creators, rows)],
            "brand": rng.choice(["north", "south", "west"], rows),
            "product_niche": rng.choice(["beauty", "sport"], rows),
            "product_country": "NO",
            "objective": rng.choice(["sales", "awareness"], rows),
            "starts_at": BEGIN + pd.to_timedelta(starts, unit="h"),
            "promotion_hours": rng.choice([24.0, 72.0, 168.0], rows),
            "deliverables": rng.integers(1, 4, rows),
            "spend": np.round(np.exp(rng.normal(6.2, 1.0, rows)), 2),
            "observed_until": COUNTED,
            "appeal": rng.normal(0, 1, rows),
            "noise": rng.normal(0, 1, rows),
        }
    )
    frame["rate"] = 0.03 * np.exp(0.8 * frame.appeal + 0.5 * (frame.objective == "sales"))
    luck = rng.gamma(1 / dispersion, dispersion, rows)
    frame["conversions"] = rng.poisson(frame.rate * frame.spend * luck)
    return frame


def arriving(rows: int, tau: float, seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Collaborations counted at one moment, young ones among them, whose conversions come with an exponential delay."""
    rng = np.random.default_rng(seed)
    frame = spine(rows, seed)
    frame["starts_at"] = COUNTED - pd.to_timedelta(np.sort(rng.integers(12, 120 * 24, rows))[::-1], unit="h")
    final = rng.poisson(40, rows)
    row = np.repeat(np.arange(rows), final)
    came = frame.starts_at.to_numpy()[row] + (rng.exponential(tau, len(row)) * 86400e6).astype("timedelta64[us]")
    seen = came < COUNTED.to_datetime64()
    frame["conversions"] = np.bincount(row[seen], minlength=rows)
    date = pd.Series(came[seen].astype("datetime64[D]").astype("datetime64[us]"))
    daily = pd.DataFrame({"collaboration_id": frame.collaboration_id.to_numpy()[row[seen]], "date": date})
    daily = daily.groupby(["collaboration_id", "date"], as_index=False).size().rename(columns={"size": "conversions"})
    return frame, daily


def matrix(frame: pd.DataFrame) -> pd.DataFrame:
    """A matrix of a spine: numbers, categories with holes, a constant and a column that is always missing."""
    rows = np.arange(len(frame))
    platform = frame.creator_id.map(lambda c: ["instagram", "tiktok", None][int(c[1:]) % 3])
    out = pd.DataFrame(
        {
            "appeal": frame.appeal.mask(rows % 17 == 0),
            "noise": frame.noise,
            "constant": 1.0,
            "never_known": np.nan,
            "spend": frame.spend,
            "promotion_hours": frame.promotion_hours,
            "objective": frame.objective.astype(object),
            "platform": platform.astype(object),
            "tier": np.where(frame.creator_id < "c030", "nano", "micro").astype(object),
        }
    )
    return out.astype({"tier": object, "objective": object, "platform": object})


def training(frame: pd.DataFrame) -> TrainingSet:
    """As `TrainingSet.from_history` makes it."""
    made = matrix(frame)
    return TrainingSet(made, frame, Outcomes.from_tables(frame, None, 30.0).with_kinds(made))


def fitted(frame: pd.DataFrame, seed: int = 0) -> Trained:
    """A model of the results."""
    return fit(training(frame), FeatureSettings(), CommentClassifier.load(), seed=seed)


def write_tables(folder: Path, rows: int = 300, candidates: int = 40, seed: int = 0) -> None:
    """DATA and candidates.parquet in `folder`; the creators' appeal shows in their posts."""
    (folder / "data").mkdir(parents=True)
    frame = spine(rows, seed)
    creators = pd.DataFrame({"creator_id": sorted(frame.creator_id.unique())})
    creators["platform"] = np.where(np.arange(len(creators)) % 2, "instagram", "tiktok")
    creators["niche"], creators["followers"] = "beauty", 1000 * (1 + np.arange(len(creators)))
    creators.to_parquet(folder / "data" / "creators.parquet", index=False)
    table = frame.drop(columns=["appeal", "noise", "rate"])
    table.to_parquet(folder / "data" / "collaborations.parquet", index=False)
    proposed = spine(candidates, seed + 1).rename(columns={"collaboration_id": "candidate_id"})
    proposed["starts_at"] = COUNTED + (proposed.starts_at - BEGIN) / 10
    proposed["starts_at"] = proposed.starts_at.dt.floor("s")
    proposed.loc[0, "creator_id"] = "nobody"
    proposed["note"] = [f"extra, {i}" for i in range(candidates)]
    proposed.drop(columns=["conversions", "observed_until", "appeal", "noise", "rate"]).to_parquet(
        folder / "candidates.parquet", index=False
    )
