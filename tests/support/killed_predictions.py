"""Kills `predict.py --resume` at one of its steps after the other, and lets the next run go on.

`python tests/support/killed_predictions.py WORK CHUNK EVERY`, in a folder with `data` and a store: WORK holds
`list.parquet`, which is scored in chunks of CHUNK rows. Each run is forked from this process and killed at a step below
WORK (`tests/support/file_faults.py`), every EVERYth of them in turn; then the scores must be absent or whole, and the
next run must end with the whole ones and leave nothing. A line of WORK/found.jsonl says how it went.
"""

from __future__ import annotations

import functools
import json
import os
import sys
import traceback
from pathlib import Path

from models.batch import score_file as module
from tests.support.commands import run_predict
from tests.support.file_faults import DEATH, Steps, ended

SAID = "candidates had been scored by a run that was killed"


class Trial:
    """Runs of one call. work: WORK. chunk: CHUNK."""

    def __init__(self, work: Path, chunk: int) -> None:
        self.work, self.output = work, work / "scores.csv"
        self.steps = Steps(work)
        module.score_file = functools.partial(module.score_file, chunk=chunk)

    def run(self, target: int = -1) -> int:
        """A run, killed at a step of this number if there is one; its status."""
        if (fork := os.fork()) == 0:
            try:
                said = os.open(self.work.with_suffix(".said"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
                os.dup2(said, 1)
                os.dup2(said, 2)
                self.steps.begin(target)
                status = run_predict(
                    str(self.work / "list.parquet"), "--data", "data", "--output", str(self.output), "--resume"
                )
                self.steps.counting = False
                sys.stdout.flush()
                sys.stderr.flush()
                if target < 0:
                    self.work.with_suffix(".steps").write_text(json.dumps(self.steps.seen))
                os._exit(status)
            except BaseException:
                traceback.print_exc()
                os._exit(1)
        return ended(fork)

    def steps_seen(self) -> list[str]:
        return [str(one) for one in json.loads(self.work.with_suffix(".steps").read_text())]

    def kill(self, step: int, whole: bytes) -> dict[str, object]:
        """What came of a kill at a step, and of the next run."""
        faults = []
        if (status := self.run(step)) != DEATH:
            faults.append(f"it was not killed but ended with {status}")
        if self.output.exists() and self.output.read_bytes() != whole:
            faults.append("the scores are half written")
        if status := self.run():
            faults.append(f"the next run ended with {status}")
        if not self.output.exists() or self.output.read_bytes() != whole:
            faults.append("the next run's scores are others")
        if list(self.work.glob(".*")):
            faults.append("the next run leaves something behind")
        said = self.work.with_suffix(".said").read_text()
        scored = next((line.split()[1] for line in said.splitlines() if SAID in line), "0")
        self.output.unlink(missing_ok=True)
        return {"step": step, "scored": int(scored), "faults": faults, "said": said if faults else ""}


def main() -> None:
    """Try them all."""
    work, chunk, every = Path(sys.argv[1]).resolve(), int(sys.argv[2]), int(sys.argv[3])
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    trial = Trial(work, chunk)
    assert trial.run() == 0, work.with_suffix(".said").read_text()
    whole, steps = trial.output.read_bytes(), trial.steps_seen()
    trial.output.unlink()
    with (work / "found.jsonl").open("w") as found:
        for step in range(0, len(steps), every):
            found.write(json.dumps({"name": steps[step]} | trial.kill(step, whole)) + "\n")
            found.flush()


if __name__ == "__main__":
    main()
