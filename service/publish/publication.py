"""The published model and features that workers load: folders named by a file that is replaced atomically, so that a
worker never mixes two publications.
"""

from __future__ import annotations

import json
import logging
import math
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from models.estimators.outcomes import DAY_US
from models.newest.assembler import RequestScorer, Terms
from models.newest.snapshot import Snapshot
from models.scorer import Scorer
from service.publish.heartbeat import CURRENT, SILENT_SECONDS, silence, silence_text

KNOWLEDGE = ".knowledge"  # added to a socket's name: what DATA knew, for sealing
log = logging.getLogger("creator_yield")


@dataclass(frozen=True)
class Publication:
    """serial: rises with each. label: registry name and version. model, features: folders within the state's.

    card: what a reader may know of the model. catalogue: by feature, its label, unit and formula. alarms: what went
    wrong since, by what it is about. run: of the training in the registry. left_out: the run whose kept-out results no
    feature is to see. kept_out_by: the one whose none sees; another where those of the former are gone, None where
    all are seen. key: what decides the features beside the data. data: folder of DATA's private copy. socket: where the
    batch code answers. known: tables and columns (`posts`, `posts.views`) that DATA has had since the server's start.
    missing: those that it lacks now.
    """

    serial: int
    label: str
    model: str
    features: str
    card: dict[str, Any]
    catalogue: dict[str, dict[str, Any]]
    alarms: dict[str, str] = field(default_factory=dict)
    run: str | None = None
    left_out: str | None = None
    kept_out_by: str | None = None
    key: str = ""
    data: str = ""
    socket: str = ""
    known: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    def write(self, folder: Path) -> None:
        """Make it the current one."""
        aside = folder / f".{CURRENT}"
        aside.write_text(json.dumps(asdict(self)), encoding="utf-8")
        aside.replace(folder / CURRENT)

    @classmethod
    def read(cls, folder: Path) -> Publication:
        """The current one. Raises FileNotFoundError where there is none yet."""
        return cls(**json.loads((folder / CURRENT).read_text(encoding="utf-8")))


@dataclass(frozen=True)
class Serving:
    """A publication, loaded: every answer comes from one of these."""

    published: Publication
    snapshot: Snapshot
    scorer: RequestScorer


class Holder:
    """The newest publication that could be loaded. Looks for another in a thread of its own and swaps it in whole."""

    def __init__(self, folder: Path, every: float = 0.5, swapped: Callable[[], None] = lambda: None) -> None:
        self.folder, self.every, self.swapped = folder, every, swapped
        self.serving: Serving | None = None
        self._published_alarms: dict[str, str] = {}
        self._stamp: tuple[int, ...] = ()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="publications", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def published(self) -> bool:
        """Whether there is anything to load."""
        return (self.folder / CURRENT).exists()

    def stop(self) -> None:
        """Look no more."""
        self._stop.set()

    def _watch(self) -> None:
        while True:
            try:
                self.look()
            except FileNotFoundError:
                pass  # nothing yet
            except Exception as error:  # the old one stays, with an alarm, and the next look may succeed
                self._published_alarms = {"worker": f"a publication cannot be loaded ({type(error).__name__})"}
                log.exception("a publication cannot be loaded")
            if self._stop.wait(self.every):
                return

    def look(self) -> None:
        """Take up the current publication if it is a new one."""
        found = (self.folder / CURRENT).stat()
        stamp = (found.st_mtime_ns, found.st_ino)
        if stamp == self._stamp:
            return
        published = Publication.read(self.folder)
        held = self.serving
        if held is None or held.published.serial != published.serial:
            serving = load(self.folder, published, held)
            self.serving = serving
            if held is not None:
                self.swapped()
        self._stamp, self._published_alarms = stamp, published.alarms

    @property
    def alarms(self) -> dict[str, str]:
        """What went wrong, by what it is about."""
        silent = silence(self.folder)
        return self._published_alarms | ({"publisher": silence_text(silent)} if silent > SILENT_SECONDS else {})


def load(folder: Path, published: Publication, held: Serving | None = None) -> Serving:
    """Load and warm up a publication; what `held` has of it already is used again."""
    if held is not None and held.published.features == published.features:
        snapshot = held.snapshot
    else:
        snapshot = Snapshot.load(folder / published.features)
    if held is not None and held.published.model == published.model:
        model = held.scorer.scorer
    else:
        model = Scorer.load(folder / published.model)
        model.rate.prepare(math.inf)  # its notes are logged where the publication is checked
    scorer = RequestScorer(snapshot, model)
    warm_up(scorer)
    return Serving(published, snapshot, scorer)


def warm_up(scorer: RequestScorer) -> None:
    """Score once with everything, so that the first request finds all tables made."""
    day, hours, spend = np.array([2 * DAY_US]), np.array([24.0]), np.array([100.0])
    start = scorer.assembler.snapshot.horizon + day
    deal = Terms(["-"], ["-"], ["-"], [None], [None], start, hours, np.array([np.nan]), spend)
    scorer.score(deal, level=0.8, reasons=True)
