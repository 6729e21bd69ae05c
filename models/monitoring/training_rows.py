"""The rows that a training saw, kept beside its run: the next training knows by them what is new and what changed.

A row is known again by its `collaboration_id`, and compared by two fingerprints: `terms`, of what was agreed, and
`outcome`, of what was counted. Only columns that every export has are in them, so that a column that is added later
changes no row.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from models.registry.artifacts import fetch_file
from models.registry.store_faults import guarded
from models.scorer import FilesMissingError, Scorer
from models.training import TrainingSet

FILE = "training_rows.parquet"
TERMS = ("creator_id", "brand", "product_niche", "starts_at", "promotion_hours", "spend")
OUTCOME = ("conversions", "observed_until")
LINKS = ("posts", "comments", "record", "daily")
COLUMNS = (
    "collaboration_id", "terms", "outcome", "starts_at", "spend", "hours", "conversions", "observed_until", "settled",
    "kept_out", "expected", "promised", *LINKS,
)  # fmt: skip
LATER = ("promised",)  # columns that files of earlier versions lack


def training_rows(
    training: TrainingSet,
    scorer: Scorer | None = None,
    kept_out: Collection[str] = (),
    promised: pd.Series | None = None,
) -> pd.DataFrame:
    """COLUMNS of every row that a training saw, those that were kept out of it included.

    settled: its attribution window had passed when it was counted. expected: conversions that the model, blind to the
    row, expects by then; NaN where it has no such prediction. promised: conversions per dollar that the champion of its
    time expected before it knew the result, by collaboration_id. LINKS: whether the creator's posts, comments and
    earlier deals, and the row's conversions by day, are known.
    """
    spine, results = training.spine, training.results
    identifiers = results.identifiers.astype(str)
    frame = pd.DataFrame(
        {
            "collaboration_id": identifiers,
            "terms": fingerprints(spine, TERMS),
            "outcome": fingerprints(spine, OUTCOME),
            "starts_at": results.starts,
            "spend": results.spend,
            "hours": results.hours,
            "conversions": results.counts,
            "observed_until": results.until,
            "settled": results.until >= results.final,
            "kept_out": np.isin(identifiers, list(kept_out)),
            "expected": np.full(len(spine), np.nan) if scorer is None else expected(scorer, training),
            "promised": np.nan if promised is None else promised.reindex(identifiers).to_numpy(float),
        }
    )
    return frame.assign(**links(training))[list(COLUMNS)]


def fingerprints(spine: pd.DataFrame, columns: Iterable[str]) -> np.ndarray:
    """A hash of these columns' values (rows,), hex; the same wherever the values are."""
    texts = [_texts(spine[column]) for column in columns]
    rows = zip(*texts, strict=True)
    return np.array([hashlib.blake2b("\x1f".join(row).encode(), digest_size=8).hexdigest() for row in rows], str)


def _texts(values: pd.Series) -> list[str]:
    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        return [str(moment) for moment in values.to_numpy("datetime64[us]").astype(np.int64).tolist()]
    if pd.api.types.is_numeric_dtype(values.dtype):
        return [repr(float(value)) for value in values.tolist()]
    return ["" if pd.isna(value) else str(value) for value in values.tolist()]


def links(training: TrainingSet) -> dict[str, np.ndarray]:
    """By name of LINKS, which rows (bool) find something there, as of their start."""
    matrix, rows = training.matrix, len(training.spine)

    def above_zero(name: str) -> np.ndarray:
        return matrix[name].fillna(0).to_numpy(float) > 0 if name in matrix else np.zeros(rows, bool)

    daily = np.zeros(rows, bool)
    if training.results.daily is not None:
        daily[training.results.daily.row.to_numpy()] = True
    posts = matrix.days_since_post.notna().to_numpy() if "days_since_post" in matrix else np.zeros(rows, bool)
    return {
        "posts": posts,
        "comments": above_zero("comments_seen"),
        "record": above_zero("creator_deals"),
        "daily": daily,
    }


def expected(scorer: Scorer, training: TrainingSet, anyway: np.ndarray | None = None) -> np.ndarray:
    """Conversions (rows,) that a model expects by the moment of counting at its `blind_rates`."""
    share, _ = scorer.maturity.arrived(training.results)
    return blind_rates(scorer, training, anyway) * training.results.spend * share


def blind_rates(scorer: Scorer, training: TrainingSet, anyway: np.ndarray | None = None) -> np.ndarray:
    """Conversions per dollar (rows,) from predictions that did not know the row.

    For a row that the model was trained on that is its backtest's prediction, NaN where there is none. anyway: rows
    (bool) for which a prediction of the model stands in then, although it was trained on them.
    Raises ValueError where the matrix lacks a column of the model.
    """
    identifiers = training.results.identifiers.astype(str)
    past = scorer.past.set_index("collaboration_id").rate
    rates = np.array(past.reindex(identifiers), float)
    predicted = ~np.isin(identifiers, past.index.to_numpy(str))
    if anyway is not None:
        predicted |= anyway & np.isnan(rates)
    unseen = np.flatnonzero(predicted)
    if len(unseen):
        matrix = training.matrix.iloc[unseen].reset_index(drop=True)
        rates[unseen] = scorer.rates(matrix, training.creators[unseen])
    return rates


@guarded
def log(client: MlflowClient, run: str, rows: pd.DataFrame) -> None:
    """Keep what `training_rows` gave as an artefact of a run."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / FILE
        rows.to_parquet(path, index=False)
        client.log_artifact(run, str(path))


@guarded
def newest(
    client: MlflowClient, experiment: str, note: Callable[[Iterable[str]], None] = lambda notes: None
) -> pd.DataFrame | None:
    """The rows of the newest finished training of an experiment; None where there is none, or its file cannot be used.

    note: takes a sentence where a file is missing or damaged.
    """
    found = client.get_experiment_by_name(experiment)
    if found is None:
        return None
    # runs of the backtest's folds have a parent
    where = "attributes.status = 'FINISHED'"
    runs = client.search_runs([found.experiment_id], where, order_by=["attributes.start_time DESC"], max_results=200)
    run = next((run for run in runs if "mlflow.parentRunId" not in run.data.tags), None)
    if run is None:
        return None
    try:
        with tempfile.TemporaryDirectory() as scratch:
            return _read(fetch_file(client, run.info.artifact_uri, FILE, scratch))
    except (MlflowException, FilesMissingError, OSError, pa.ArrowException, ValueError) as error:
        missing = isinstance(error, FileNotFoundError | FilesMissingError)
        why = "it is not there" if missing else f"it is damaged, {type(error).__name__}"
        note([
            f"the rows of the last training cannot be read ({FILE} of the run {run.info.run_id}: {why}); "
            "what is new is guessed from the starts, and what vanished cannot be known"
        ])  # fmt: skip
        return None


def _read(path: Path) -> pd.DataFrame:
    """The file's rows. Raises ValueError where columns are missing or an id stands twice."""
    rows = pd.read_parquet(path)
    rows = rows.assign(**{name: np.nan for name in LATER if name not in rows})
    if absent := [name for name in COLUMNS if name not in rows]:
        raise ValueError(f"{path.name} lacks {absent}")
    if rows.collaboration_id.duplicated().any():
        raise ValueError(f"{path.name} has an id twice")
    return rows[list(COLUMNS)]
