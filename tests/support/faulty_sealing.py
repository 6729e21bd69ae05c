"""Seals a list again and again, and lets each run fail at another of its steps.

`python tests/support/faulty_sealing.py WORK EVERY`: WORK/before is a folder with a store, its champion, data, a list
and, or not, a ledger and earlier scores. A run is `predict.py … --ledger` in a copy of it, forked from this process
so that nothing is imported twice. For every step of a whole run (`tests/support/file_faults.py`, requests to MLflow,
and what pyarrow writes) another run is killed there, or meets an error; then the copy is looked at, and the next run
is let go to its end in it. A line of WORK/found.jsonl says how it went. EVERY: 1 tries all faults, N every Nth.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from models.monitoring.anchors import known_heads
from models.monitoring.chain import parse
from models.monitoring.ledger import Checked, verify
from models.registry.store import connect
from tests.support.commands import run_predict
from tests.support.file_faults import DEATH, KILLED, KINDS, NOT_MET, REMOVE, REQUEST, Steps, ended

LEDGER, OUTPUT = Path("ledger.jsonl"), Path("scores.csv")
CALL = ("candidates.parquet", "--data", "data", "--output", str(OUTPUT), "--ledger", str(LEDGER))
CLOSED, CLEARED = ("torn by a run that was killed, is closed", "had written aside for scores.csv was removed")


@dataclass
class Found:
    """What came of one fault. ended: how the run did: killed, or its status. scores: which are there: none, old, new.

    lists: sealed ones, more than before. tail: whether a line is torn, or a list begun and not sealed. aside: whether
    something was left beside the output. said: by the run; next: by the next one. faults: what is wrong.
    """

    step: str
    kind: str
    ended: str = ""
    scores: str = ""
    lists: int = 0
    tail: bool = False
    aside: bool = False
    said: str = ""
    next: str = ""
    faults: list[str] = field(default_factory=list)


class Trial:
    """Runs in copies of a folder. work: WORK."""

    def __init__(self, work: Path) -> None:
        self.before, self.place = work / "before", work / "place"
        self.steps = Steps(self.place)
        self.old = _scores(self.before)
        self.lists = verify(self.before / LEDGER).lists if (self.before / LEDGER).exists() else 0
        watch(self.steps)
        self.new, self.names = b"", list[str]()

    def measure(self) -> None:
        """A whole run: what it writes, and its steps."""
        self._copy()
        status = self._fork(lambda: self._counted(self.place.parent / "seen"))
        assert status == 0, (self.place / "said").read_text()
        self.names = json.loads((self.place.parent / "seen").read_text())
        self.new = _scores(self.place) or b""
        assert self.new
        assert self.new != self.old

    def fail(self, number: int, kind: str) -> Found:
        """A run that fails at a step, and the next."""
        found = Found(self.names[number], kind)
        self._copy()
        status = self._fork(lambda: self._run(number, kind))
        found.ended = {DEATH: KILLED, NOT_MET: "not met"}.get(status, str(status))
        found.said = (self.place / "said").read_text()
        self._look(found)
        found.tail, found.aside = self._left()
        if status := self._fork(lambda: self._run(-1, KILLED)):
            found.faults.append(f"the next run ends with {status}")
        found.next = (self.place / "said").read_text()
        if (CLOSED in found.next or "never sealed" in found.next) != found.tail:
            found.faults.append("the next run does not say what it has closed, or more")
        if (CLEARED in found.next) != found.aside:
            found.faults.append("the next run does not say what it has removed, or more")
        if self._left() != (False, False):
            found.faults.append("the next run leaves what it found")
        after = self._verify()
        if after.broken or after.lists != self.lists + found.lists + 1 or _scores(self.place) != self.new:
            found.faults.append(f"the next run is not whole: {after}")
        return found

    def _look(self, found: Found) -> None:
        """See what is there after the fault."""
        checked, scores = self._verify(), _scores(self.place)
        found.lists = checked.lists - self.lists
        found.scores = "none" if scores is None else "old" if scores == self.old else "new"
        if scores not in (self.old, self.new):
            found.faults.append("the scores are neither the former nor the new ones")
        if found.scores == "new" and found.lists != 1:
            found.faults.append("scores are there that were never sealed")
        if checked.broken and (checked.broken.kind != "torn" or found.kind != KILLED):
            found.faults.append(f"the ledger does not hold: {checked.broken}")
        former = self.before / LEDGER
        if former.exists() and not (self.place / LEDGER).read_bytes().startswith(former.read_bytes()):
            found.faults.append("what was in the ledger is not in it as it was")
        if found.kind != KILLED and self._left() != (False, False):
            found.faults.append("a run that was not killed leaves something behind")

    def _left(self) -> tuple[bool, bool]:
        """Whether the ledger's end is no whole list, and whether something lies beside the output."""
        ledger = self.place / LEDGER
        lines = ledger.read_bytes().splitlines() if ledger.exists() else []
        line = parse(lines[-1]) if lines else None
        return bool(lines) and (line is None or line.kind in ("list", "rows")), any(self.place.glob(f".{OUTPUT}-*"))

    def _verify(self) -> Checked:
        os.chdir(self.place)
        if not LEDGER.exists() or not LEDGER.stat().st_size:
            return Checked(0, 0, 0, None, None)
        return verify(LEDGER, known_heads(connect(create=False)))

    def _copy(self) -> None:
        shutil.rmtree(self.place, ignore_errors=True)
        shutil.copytree(self.before, self.place)

    def _fork(self, act: Callable[[], int]) -> int:
        """Let a fork act in the copy, with its output in the file `said`; its status."""
        if (fork := os.fork()) == 0:
            try:
                os.chdir(self.place)
                said = os.open("said", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
                os.dup2(said, 1)
                os.dup2(said, 2)
                os._exit(act())
            except BaseException:
                traceback.print_exc()
                os._exit(1)
        return ended(fork)

    def _run(self, target: int, kind: str) -> int:
        self.steps.begin(target, kind)
        status = run_predict(*CALL)
        self.steps.counting = False
        sys.stdout.flush()
        sys.stderr.flush()
        return status if target < 0 or self.steps.met else NOT_MET

    def _counted(self, seen: Path) -> int:
        status = self._run(-1, KILLED)
        seen.write_text(json.dumps(self.steps.seen))
        return status


def _scores(folder: Path) -> bytes | None:
    return (folder / OUTPUT).read_bytes() if (folder / OUTPUT).exists() else None


def watch(steps: Steps) -> None:
    """Let the request that keeps the ledger's head, and what pyarrow writes of scores, be steps."""

    keep, write = MlflowClient.set_model_version_tag, pq.ParquetWriter.write_table

    def keeps(*args: Any) -> None:
        steps.step(REQUEST, MlflowException("Max retries exceeded with url: /api/2.0/mlflow (connection refused)"))
        keep(*args)

    def writes(writer: pq.ParquetWriter, *args: Any, **kwargs: Any) -> None:
        if isinstance(writer.where, Path):  # not one in memory
            steps.step(f"bytes {writer.where.name}", OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
        write(writer, *args, **kwargs)

    MlflowClient.set_model_version_tag = keeps  # type: ignore[assignment, method-assign]
    pq.ParquetWriter.write_table = writes


def chosen(names: list[str], every: int) -> list[tuple[int, str]]:
    """Numbers of steps, and kinds of faults to try there: always a kill where the ledger or its head is written."""
    kinds = [(KILLED,) if name.startswith(REMOVE) else KINDS for name in names]
    whole = [(number, kind) for number, some in enumerate(kinds) for kind in some]
    always = {(number, KILLED) for number, name in enumerate(names) if name in (f"bytes {LEDGER}", REQUEST)}
    return [one for at, one in enumerate(whole) if not at % every or one in always]


def main() -> None:
    """Try them all."""
    work, every = Path(sys.argv[1]).resolve(), int(sys.argv[2])
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    trial = Trial(work)
    trial.measure()
    with (work / "found.jsonl").open("w") as lines:
        for number, kind in chosen(trial.names, every):
            lines.write(json.dumps(asdict(trial.fail(number, kind))) + "\n")
            lines.flush()


if __name__ == "__main__":
    main()
