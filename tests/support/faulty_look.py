"""What a training that met a fault left: what serves, what is half done, and whether the next one clears it up."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from mlflow import MlflowClient

from models.monitoring.anchors import known_heads
from models.monitoring.ledger import verify
from models.registry import recovery, runs
from models.registry.processes import is_dead, name_process
from models.registry.registry import champion_version, load
from models.registry.store import connect

NAME = "conversions-per-dollar"
BEGAN = 1_790_000_000.0
LEDGER = "ledger.jsonl"
OVER = ("FAILED", "KILLED")
END_OF_RUN, END_OF_MODEL = "was cut off; it is marked as killed.", "while it was written; it is marked as failed."


@dataclass
class Found:
    """What came of one fault. ended: how the training did: killed, done, refused (one message for its user) or crashed.

    number: of the request, from 1. champion: what serves afterwards. running, pending: runs and models that were left
    so. notes: what the next training says that it has cleared up. faults: what is wrong.
    """

    number: int
    request: str
    step: str
    kind: str
    ended: str = ""
    said: str = ""
    champion: str | None = None
    running: int = 0
    pending: int = 0
    notes: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def look(found: Found, project: Path, data: Path, before: dict[str, bytes]) -> None:
    """See what serves, whether all versions are whole, and what the next training does about what was left."""
    try:
        runs.name_process, recovery.is_dead = name_process, is_dead
        client = connect(create=False)
        found.champion = champion_version(client, NAME)
        files = [_require_whole(client, version.version) for version in client.search_model_versions(f"name='{NAME}'")]
        if any(names != files[0] for names in files):
            found.faults.append("a version lacks files")
        if contents(data) != before:
            found.faults.append("DATA is not what it was")
        checked = verify(project / LEDGER, known_heads(client))
        if checked.broken and (checked.broken.kind != "torn" or found.kind != "killed"):
            found.faults.append(f"the ledger does not hold: {checked.broken}")
        left = half_done(client)
        with runs.open_run(NAME, int(BEGAN * 1000) + 1) as run:
            found.notes = [*run.notes]
            found.running, found.pending = left
            found.faults += wrongly_cleared(found.notes, *left)
            found.faults += _out_of_order(client, run.id)
        if champion_version(client, NAME) != found.champion:
            found.faults.append("the next training changed the champion when it began")
    except BaseException:
        found.faults.append(traceback.format_exc())


def half_done(client: MlflowClient) -> tuple[int, int]:
    """How many trainings' runs are still running, and how many models of trainings that are over, or are among those,
    are still pending."""
    experiment = client.get_experiment_by_name(NAME)
    assert experiment
    found = {run.info.run_id: run for run in client.search_runs([experiment.experiment_id])}
    running = {key for key, run in found.items() if run.info.status == "RUNNING"}
    ending = running | {key for key, run in found.items() if run.info.status in OVER}
    pending = [
        model
        for model in client.search_logged_models([experiment.experiment_id])
        if model.status == "PENDING" and model.source_run_id in ending
    ]
    return sum("mlflow.parentRunId" not in found[key].data.tags for key in running), len(pending)


def wrongly_cleared(notes: Sequence[str], running: int, pending: int) -> list[str]:
    """Where a training does not say, thing by thing, that it has ended what was half done."""
    said = tuple(sum(note.endswith(end) for note in notes) for end in (END_OF_RUN, END_OF_MODEL))
    return [] if said == (running, pending) else [f"left were {(running, pending)} runs and models, but said: {notes}"]


def _require_whole(client: MlflowClient, version: str) -> list[str]:
    """Load a version, and score a deal of which nothing is known with it; the names of its files."""
    scorer = load(client, f"models:/{NAME}/{version}").scorer
    encoding = scorer.encoding
    row = pd.DataFrame({name: [None if name in encoding.levels else np.nan] for name in encoding.columns})
    scores = scorer.score(row, pd.DataFrame({"creator_id": ["nobody"], "spend": [100.0]}))
    assert np.isfinite(scores["conversions_per_dollar"]).all()
    folder = Path(client.get_model_version_download_uri(NAME, version).removeprefix("file://"))
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def _out_of_order(client: MlflowClient, own: str) -> list[str]:
    """What a beginning training has left as an interrupted one left it."""
    experiment = client.get_experiment_by_name(NAME)
    assert experiment
    faults = [
        f"the run {run.info.run_name} is still {run.info.status}"
        for run in client.search_runs([experiment.experiment_id])
        if run.info.status == "RUNNING" and run.info.run_id != own
    ]
    champion = champion_version(client, NAME)
    for version in client.search_model_versions(f"name='{NAME}'"):
        tags, run = version.tags, client.get_run(version.run_id or "")
        if tags.get("promoted", "").startswith("yes") != ("champion_since" in tags) or "promoted" not in tags:
            faults.append(f"version {version.version} does not say whether it was promoted: {tags}")
        if version.version == champion and run.info.status != "FINISHED":
            faults.append(f"the champion's run is {run.info.status}")
    faults += [
        f"the model {model.model_id} is still {model.status}"
        for model in client.search_logged_models([experiment.experiment_id])
        if model.status == "PENDING"
    ]
    left = list(Path(experiment.artifact_location.removeprefix("file://")).rglob(".artifact*"))
    return faults + [f"{path.name} is left" for path in left]
