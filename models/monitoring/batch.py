"""The newest batch of results, the older rows that it is held against, and what is expected of both."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import pandas as pd

from models.monitoring import expectations
from models.monitoring.changes import Changes
from models.monitoring.expectations import Expectations
from models.monitoring.residuals import LEAST_OLDER, LEAST_ROWS
from models.scorer import Scorer
from models.training import TrainingSet

# Where the last training's rows are not known, a batch is the newest rows by their start: any share up to a fifth, in
# steps, is held against the rows older than that fifth. Brands and platforms are looked at in a few of them.
WIDEST, NARROWEST, STEP = 0.2, 0.01, 0.0025
PARTED = (0.2, 0.1, 0.05, 0.025)


class Batch:
    """What is examined; `out` marks rows (bool) that something explains already, whoever looks next leaves them out.

    rows: as `training_rows` gives them. changes: since the last training, None where that is not known.
    """

    def __init__(
        self,
        training: TrainingSet,
        rows: pd.DataFrame,
        changes: Changes | None,
        champion: Scorer | None,
        rng: np.random.Generator,
    ) -> None:
        self.training, self.rows, self.changes, self.champion, self.rng = training, rows, changes, champion, rng
        total = len(rows)
        self.out = np.zeros(total, bool) if changes is None else changes.kept_out.copy()
        if changes is None:
            self._candidates = _newest(total)
            self._parted = {_name(share, total) for share in PARTED}
        else:
            kinds = changes.kinds()
            self._candidates = {"all that is new or changed": changes.batch & ~self.out}
            for kind in sorted(set(kinds[changes.batch].tolist())):
                self._candidates[f"results that are {kind}"] = changes.batch & ~self.out & (kinds == kind)
            self._parted = set(self._candidates)
        self.whole = next(iter(self._candidates.values()), np.zeros(total, bool))
        self.older = ~self.whole & ~self.out

    def ids(self, rows: np.ndarray) -> tuple[str, ...]:
        """collaboration_id of rows (bool)."""
        return tuple(self.rows.collaboration_id[rows].tolist())

    @cached_property
    def expectations(self) -> Expectations:
        """What is expected of every row."""
        return expectations.expect(self.training, self.older, self.whole, self.champion, self.rng)

    @property
    def judged(self) -> bool:
        """Whether there is a batch, and enough to hold it against."""
        return bool(self.whole.sum() >= LEAST_ROWS and self.older.sum() >= LEAST_OLDER)

    @property
    def notes(self) -> tuple[str, ...]:
        """Why the batch is not judged, or not by the champion."""
        if not self.whole.any():
            return ()
        if self.judged:
            return self.expectations.notes
        have = f"{self.whole.sum()} new or changed results and {self.older.sum()} older ones"
        return (f"{have}: {LEAST_ROWS} and {LEAST_OLDER} are needed to judge their level",)

    def candidates(self) -> dict[str, np.ndarray]:
        """Rows (bool) that may be one batch, by name, the widest first, without what is explained."""
        return {name: rows & ~self.out for name, rows in self._candidates.items()}

    def parted(self) -> dict[str, np.ndarray]:
        """Those of the candidates whose parts are looked at, too."""
        return {name: rows for name, rows in self.candidates().items() if name in self._parted}

    def groupings(self) -> dict[str, np.ndarray]:
        """By the words before it, a value of every row (rows,) that parts of a batch may have in common."""
        spine, matrix = self.training.spine, self.training.matrix
        found = {
            "brand": spine.brand.fillna("unknown").to_numpy(object).astype(str),
            "rows of": np.where(self.rows.record, "creators with earlier deals", "creators without earlier deals"),
            "the week from": self.rows.starts_at.to_numpy("datetime64[W]").astype(str),
        }
        if "platform" in matrix:
            found["platform"] = matrix.platform.fillna("unknown").to_numpy(object).astype(str)
        return {name: values for name, values in found.items() if len(set(values[self.whole].tolist())) > 1}


def _newest(total: int) -> dict[str, np.ndarray]:
    place, step = np.arange(total), max(round(total * STEP), 1)
    widest = round(total * WIDEST)
    sizes = [
        *range(widest, max(round(total * NARROWEST), LEAST_ROWS) - 1, -step),
        *(round(total * share) for share in PARTED),
    ]
    return {f"the newest {size:,}": place >= total - size for size in sorted(set(sizes), reverse=True)}


def _name(share: float, total: int) -> str:
    return f"the newest {round(total * share):,}"
