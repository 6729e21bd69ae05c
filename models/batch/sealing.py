"""What a scored list promises, into the ledger, before its file of scores appears.

So a file that is there was sealed. The other way round, a list may be in the ledger whose file is not there: the disk
filled up in between, or the run was killed. That hides nothing; the next run seals the list again, and of two promises
for a deal the newer one counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
from mlflow import MlflowClient

from features.faults import refuse
from features.history.freshness import Stamp
from features.history.source import History
from models.batch.file_columns import PROMISED
from models.batch.output_file import behind, check_not_kept, check_not_read
from models.monitoring.anchors import anchor, known_heads
from models.monitoring.chain import Head
from models.monitoring.knowledge import Knowledge
from models.monitoring.ledger import ListFacts, Note, seal
from models.registry.registry import Model
from models.registry.store_faults import StoreError

TERMS = ("candidate_id", "creator_id", "brand", "product_niche", "starts_at", "promotion_hours", "spend")


class Sealing:
    """Seals the list that a run scores, and keeps the ledger's head with the model version. head: once it is sealed."""

    def __init__(
        self,
        path: Path,
        client: MlflowClient,
        model: Model,
        history: History,
        *,
        level: float,
        clock: Callable[[], datetime],
        kept_out_by: str | None = None,
        note: Note = lambda notes: None,
    ) -> None:
        """level: of the intervals. clock: UTC without a zone; the moment of sealing is that of the promises.
        kept_out_by: the run that kept out what the model leaves out. note: takes what killed runs had left in the
        ledger.

        Raises StoreError where the known heads cannot be read.
        """
        self.path, self.client, self.model, self.level = path, client, model, level
        self.clock, self.note = clock, note
        self.kept_out_by = kept_out_by if model.scorer.facts.kept_out else None
        self.heads = known_heads(client)
        self.knowledge = Knowledge.of(history, model.scorer)
        self.head: Head | None = None

    def seal(self, rows: int, batches: Iterable[pa.RecordBatch]) -> None:
        """Seal a list. batches: candidates with their scores. Raises as `models.monitoring.ledger.seal` does."""
        facts = ListFacts(
            self.clock(), self.model.label, self.knowledge.data, self.level, rows, self.kept_out_by,
        )  # fmt: skip
        self.head = seal(self.path, facts, self._rows(batches), self.heads, note=self.note).head

    def anchor(self) -> str:
        """Keep the head in MLflow; what was done, in a sentence. Scores stand even where the store takes no tag."""
        assert self.head
        done = f"Sealed in {self.path}, whose head is now {self.head}."
        try:
            anchor(self.client, self.model.name, self.model.version, self.head)
        except StoreError as error:
            return f"{done} MLflow could not keep it, so keep it yourself: {error}"
        return done

    def _rows(self, batches: Iterable[pa.RecordBatch]) -> Iterator[Sequence[Any]]:
        for batch in batches:
            values = {name: batch.column(name).to_pylist() for name in (*TERMS, *PROMISED)}
            values["starts_at"] = [start.isoformat() for start in values["starts_at"]]
            yield from zip(*values.values(), self.knowledge.own_records(values["creator_id"]), strict=True)


def check_apart(path: Path, output: Path, inputs: Stamp, kept: Iterable[Path]) -> None:
    """Raise InputError where the ledger would be the output, a part of the input, or of where models are kept."""
    if behind(path) == behind(output):
        refuse("--ledger", path, "it is the file of scores, too", "Give another file.")
    check_not_read(path, inputs, "--ledger")
    check_not_kept(path, kept, "--ledger")
