"""Scores that a request wants sealed, into the ledger that all workers share, before the answer goes out."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from features.faults import InputError, OutputError
from models.monitoring.chain import START
from models.monitoring.knowledge import Knowledge
from models.monitoring.ledger import ListFacts, seal
from models.newest.assembler import Terms
from service.problems import FieldError, Problem
from service.publish.publication import KNOWLEDGE, Serving

NAMES = ("conversions_per_dollar", "conversions_per_dollar_low", "conversions_per_dollar_high")
log = logging.getLogger("creator_yield")


def now() -> datetime:
    """The moment, UTC without a zone."""
    return datetime.now(UTC).replace(tzinfo=None)


class Sealer:
    """A worker's side of the ledger. Several requests at a time wait for each other, as workers do."""

    def __init__(self, state: Path, ledger: str | None, clock: Callable[[], datetime] = now) -> None:
        """state: the folder that all processes share. ledger: None where the service keeps none."""
        self.state, self.path, self.clock = state, Path(ledger) if ledger else None, clock
        self._known: tuple[str, Knowledge] | None = None
        self._checked = START  # up to where this worker has read the ledger
        self._turn = threading.Lock()

    def require(self) -> None:
        """Raise Problem where the service keeps no ledger."""
        if self.path is None:
            detail = "this service keeps no ledger; serve.py --ledger FILE makes it keep one"
            raise Problem(422, "invalid-parameter", f"seal: {detail}.", [FieldError(detail, "seal")])

    async def seal(self, serving: Serving, terms: Terms, rows: Sequence[dict[str, Any]], level: float) -> str:
        """Seal an answer's rows, which have intervals, and return the ledger's head. Raises Problem where it cannot."""
        try:
            return await asyncio.to_thread(self._seal, serving, terms, rows, level)
        except (InputError, OutputError, OSError) as error:
            log.error("scores cannot be sealed", extra={"facts": {"why": str(error)}})
            detail = "The scores could not be sealed, so there are none. The service's log says why."
            raise Problem(503, "not-sealed", detail, retry_after="60") from None

    def _seal(self, serving: Serving, terms: Terms, rows: Sequence[dict[str, Any]], level: float) -> str:
        assert self.path
        with self._turn:
            known = self._knowledge(serving.published.socket)
            published = serving.published
            facts = ListFacts(
                self.clock(), published.label, known.data, level, len(rows), published.kept_out_by,
            )  # fmt: skip
            self._checked = seal(self.path, facts, _promises(terms, rows, known), since=self._checked)
            return str(self._checked.head)

    def _knowledge(self, socket: str) -> Knowledge:
        """What the data of a publication knew; read once for each."""
        if self._known is None or self._known[0] != socket:
            text = (self.state / f"{socket}{KNOWLEDGE}").read_text(encoding="utf-8")
            self._known = socket, Knowledge.from_json(text)
        return self._known[1]


def _promises(terms: Terms, rows: Sequence[dict[str, Any]], known: Knowledge) -> list[tuple[Any, ...]]:
    """The columns of the ledger, row by row."""
    creators = list(terms.creator_id)
    columns = (
        [row.get("candidate_id") for row in rows], creators, terms.brand, terms.product_niche,
        [str(np.datetime64(start, "us")) for start in terms.starts_at.tolist()],
        terms.promotion_hours.tolist(), terms.spend.tolist(), *([row[name] for row in rows] for name in NAMES),
        known.own_records(creators),
    )  # fmt: skip
    return list(zip(*columns, strict=True))
