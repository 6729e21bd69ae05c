"""The batch code of one publication, in a process of its own, so that a crash cannot take the publisher down. It copies
DATA, builds the features, checks that the model scores with them as the batch does, reports the result, and from then
on builds what the arrays cannot answer.

python -m service.publish.batch_process STATE TASK
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import sys
import threading
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from features.history.notes import notes_on_left_out
from features.history.source import open_history
from features.matrix import FeatureBuilder
from models.monitoring.knowledge import Knowledge
from models.newest.assembler import RequestScorer
from models.newest.snapshot import Snapshot
from models.newest.snapshot_builder import probe
from models.scorer import Scorer
from service.publish import added_history, batch_path, children, parity
from service.publish.kept_history import HISTORY, STAMP, keep
from service.publish.publication import KNOWLEDGE, warm_up
from service.variables import LEDGER

log = logging.getLogger("creator_yield")


@dataclass(frozen=True)
class Task:
    """Names within the state folder. model: a folder that is there. data, features: folders, made where they are not
    there yet, the former from `source`. socket: where to answer. kept_out_by: the run that kept out what
    the model leaves out.
    """

    model: str
    data: str
    features: str
    socket: str
    source: str
    kept_out_by: str | None

    def text(self) -> str:
        """As an argument."""
        return json.dumps(asdict(self))


def work(state: Path, task: Task, reply: children.Reply) -> None:
    """Prepare, reply with the notes on DATA that was read anew, and answer until the process is ended.

    Raises InputError for data that is at fault, CheckError or ValueError for a model that does not go with it.
    """
    scorer = Scorer.load(state / task.model)
    notes: tuple[str, ...] = ()
    if not (state / task.data / STAMP).exists():  # written last: without it the copy is not whole
        shutil.rmtree(state / task.data, ignore_errors=True)
        notes = keep(task.source, state / task.data)
    with ExitStack() as stack:
        history = stack.enter_context(open_history(f"duckdb://{state / task.data / HISTORY}"))
        notes += notes_on_left_out(history.collaborations, scorer.facts.kept_out, task.kept_out_by)
        history = history.without(scorer.facts.kept_out)
        builder = stack.enter_context(FeatureBuilder(history, scorer.settings, scorer.classifier))
        if not (state / task.features).exists():
            probe(builder).save(state / task.features)
        snapshot = Snapshot.load(state / task.features)
        for note in parity.check(snapshot, scorer, builder):
            log.warning("a note on the model", extra={"facts": {"note": note}})
        warm_up(RequestScorer(snapshot, scorer))
        if os.environ.get(LEDGER):
            aside = state / f".{task.socket}{KNOWLEDGE}"
            aside.write_text(Knowledge.of(history, scorer).to_json(), encoding="utf-8")
            aside.replace(state / f"{task.socket}{KNOWLEDGE}")
        turn = threading.Lock()

        def build(question: batch_path.Question, spine: pd.DataFrame) -> pd.DataFrame:
            with turn:
                if question.history:
                    return added_history.matrix(history, scorer, question.history, spine)
                return builder.build(spine)

        batch_path.serve(state / task.socket, build)
        reply({"notes": notes})
        threading.Event().wait()


if __name__ == "__main__":
    children.run(lambda reply: work(Path(sys.argv[1]), Task(**json.loads(sys.argv[2])), reply))
