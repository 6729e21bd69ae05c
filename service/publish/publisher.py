"""Keeps what the workers serve up to date: a process that polls the registry and DATA, has other processes build and
check what is new, and publishes it. What cannot be used is refused with an alarm and tried again later; until then the
workers go on with what they have.

python -m service.publish.publisher STATE DATA MODEL
"""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from features.catalogue import CATALOGUE
from features.faults import AT_FAULT, FAILED
from features.history.freshness import Stamp
from service import logs
from service.publish import lifeline, state
from service.publish.batch_path import SECONDS
from service.publish.batch_process import Task
from service.publish.children import Child, TrialError
from service.publish.heartbeat import beat
from service.publish.kept_history import missing_text, names_in, stamp_of
from service.publish.publication import KNOWLEDGE, Publication
from service.publish.refusals import Refusal
from service.publish.registry_watch import RegistryWatch, Version

EVERY = 1.0  # seconds between two looks
DATABASE_EVERY = 5.0  # and between two questions to a database server
CATALOGUE_TEXTS = {
    f.name: {"label": f.label, "unit": f.unit, "formula": f.formula, "family": f.family, "entity": f.entity,
             "as_of": f.as_of}
    for f in CATALOGUE
}  # fmt: skip
log = logging.getLogger("creator_yield")


@dataclass(frozen=True)
class Prepared:
    """A publication that was checked, and the process that answers what its arrays cannot."""

    publication: Publication
    batch: Child


@dataclass(frozen=True)
class Job:
    """Something that is being tried: about what, which state of it, and since when."""

    about: str
    what: Any
    began: float
    result: Future[Prepared]


class Publisher:
    """Looks, has what is new prepared, and publishes it."""

    def __init__(self, folder: Path, data: str, uri: str) -> None:
        """folder: the state's; a publisher that is started again begins with what is published there."""
        self.folder, self.data, self.uri = folder, data, uri
        self.published: Publication | None = None
        self.held: Stamp | None = None  # of what the published features were made from
        self.batch: Child | None = None
        self.registry = RegistryWatch(uri)
        self.job: Job | None = None
        self.refused: dict[str, Refusal] = {}
        self.retired: list[tuple[float, Child, Publication]] = []
        self._last_seen: Stamp | None = None
        self._asked_again = 0.0
        self._unwritten: dict[str, str] = {}
        self._tries = ThreadPoolExecutor(1, "trial")
        try:
            self.published = Publication.read(folder)
            self.held = stamp_of(folder / self.published.data, data)
        except FileNotFoundError:
            pass  # nothing was published yet, or it is there no more: then it is made anew

    def first(self) -> None:
        """Publish for the first time. Raises TrialError: nothing is served without it."""
        prepared = self._prepare(self.uri, None)
        self._publish(prepared)

    def look(self) -> None:
        """Publish what was prepared, begin with what is new, raise or clear alarms."""
        assert self.published is not None
        self._finish()  # first, or what it publishes still looks new below
        version = self._new_version()
        seen = self._new_data()
        self._reap()
        if self.job is None:
            self._begin(version, seen)
        alarms = self._alarms()
        if alarms != self.published.alarms:
            changed = replace(self.published, alarms=alarms)
            try:
                changed.write(self.folder)
            except OSError as error:  # a full disk: without a heartbeat the workers raise an alarm of their own
                if alarms != self._unwritten:
                    log.error("alarms cannot be written", extra={"facts": {"why": error.strerror, "alarms": alarms}})
                self._unwritten = alarms
                return
            self.published = changed
        beat(self.folder)

    def _alarms(self) -> dict[str, str]:
        """What a person should look at, by what it is about."""
        assert self.published is not None
        alarms = {about: refusal.why for about, refusal in self.refused.items()}
        if self.registry.away:
            alarms["registry"] = self.registry.away
        if self.published.missing:
            alarms["data"] = missing_text(self.published.missing)
        return alarms

    def _new_version(self) -> Version | None:
        """What the URI names now, where it differs from what is published."""
        assert self.published is not None
        version = self.registry.version()
        if version == (self.published.label, self.published.run, self.published.left_out):
            self.refused.pop("model", None)
            return None
        return version

    def _new_data(self) -> Stamp | None:
        """The stamp of DATA where it differs from the one published and is the same in two looks."""
        if self.held is None:
            return None
        if self.held.database and time.monotonic() < self._asked_again:
            return None
        self._asked_again = time.monotonic() + DATABASE_EVERY
        seen, before = self.held.now(), self._last_seen
        self._last_seen = seen
        if seen == self.held:
            self.refused.pop("features", None)
            return None
        return seen if seen == before else None

    def _begin(self, version: Version | None, seen: Stamp | None) -> None:
        """Start the most urgent trial."""
        assert self.published is not None
        old = self.published
        if self.batch is None and not self._refused("batch", old.serial):
            self._try("batch", old.serial, lambda: self._restore(old))
        elif seen is not None and not self._refused("features", seen):
            self._try("features", seen, lambda: self._prepare(None, old, fresh=True))
        elif version is not None and not self._refused("model", version):
            self._try("model", version, lambda: self._prepare(f"models:/{version.label}", old))

    def _refused(self, about: str, what: Any) -> bool:
        return about in self.refused and self.refused[about].holds(what)

    def _try(self, about: str, what: Any, work: Callable[[], Prepared]) -> None:
        self.job = Job(about, what, time.monotonic(), self._tries.submit(work))

    def _restore(self, old: Publication) -> Prepared:
        """What is published, with another batch process; made anew where its files cannot be used any more."""
        try:
            return self._prepare(None, old)
        except TrialError as error:
            log.error("what is published cannot be opened", extra={"facts": {"why": error.shown()}})
            return self._prepare(self.uri, old, fresh=True)

    def _prepare(self, uri: str | None, old: Publication | None, fresh: bool = False) -> Prepared:
        """Have a publication made and checked. uri: of a new model, None for the one that is published. fresh: whether
        DATA is read anew. Raises TrialError, or OSError where a process cannot be started now.
        """
        made = old or Publication(0, "", "", "", {}, CATALOGUE_TEXTS)
        if uri is not None:
            folder = _name("model")
            made = replace(made, model=folder, **self._fetch(uri, folder))
        if old is None or fresh:
            made = replace(made, data=_name("data"))
        if old is None or fresh or made.key != old.key:
            made = replace(made, features=_name("features"))
        if old is None or (made.model, made.features) != (old.model, old.features):
            made = replace(made, serial=made.serial + 1, socket=_name("batch"))
        task = Task(made.model, made.data, made.features, made.socket, self.data, made.kept_out_by)
        batch = Child("service.publish.batch_process", "read the data", self.folder, task.text())
        try:
            notes = batch.reply()["notes"]
            names = names_in(self.folder / made.data)
        except BaseException:
            batch.end()
            raise
        made = replace(made, known=sorted({*made.known, *names}), missing=sorted({*made.known} - {*names}), alarms={})
        if old is None or made.missing != old.missing:
            notes += [missing_text(made.missing)] if made.missing else []
        for note in notes:
            log.warning("a note on the data", extra={"facts": {"note": note}})
        return Prepared(made, batch)

    def _fetch(self, uri: str, folder: str) -> dict[str, Any]:
        """What `model_trial` says of a model that was brought into `folder` and loads. Raises TrialError."""
        trial = Child("service.publish.model_trial", "loaded the model", self.folder, uri, folder)
        try:
            return trial.reply()
        finally:
            trial.end()

    def _finish(self) -> None:
        """Publish what was tried, or refuse it."""
        if self.job is None or not self.job.result.done():
            return
        job, self.job = self.job, None
        try:
            self._publish(job.result.result())
        except Exception as error:  # whatever it is, the old publication stays, and the alarm shows why
            self._refuse(job, error if isinstance(error, TrialError) else TrialError(type(error).__name__, str(error)))
        else:
            self.refused.pop(job.about, None)
            self.refused.pop("batch", None)
        self._clear()

    def _refuse(self, job: Job, error: TrialError) -> None:
        why, took = error.shown(), time.monotonic() - job.began
        refusal = self.refused[job.about] = Refusal.of(job.what, why, took, self.refused.get(job.about))
        facts = {"about": job.about, "why": why, "tried_again_in_s": round(refusal.wait)}
        log.error("refused", extra={"facts": facts})

    def _publish(self, prepared: Prepared) -> None:
        """Let workers take it up. Raises OSError where it cannot be written; then nothing has changed."""
        made, old = prepared.publication, self.published
        try:
            held = stamp_of(self.folder / made.data, self.data)
            made.write(self.folder)
        except OSError:
            prepared.batch.end()
            raise
        if self.batch is not None and old is not None:
            self.retired.append((time.monotonic() + SECONDS, self.batch, old))
        if held != self.held:
            self._last_seen = None
        self.published, self.batch, self.held = made, prepared.batch, held
        done = "published" if old is None or made.serial > old.serial else "the batch process is back"
        log.info(done, extra={"facts": {"model": made.label, "serial": made.serial}})

    def _reap(self) -> None:
        """Notice a batch process that died, and end those whose time has come."""
        if self.batch is not None and (status := self.batch.status()) is not None:
            log.error("the batch process died", extra={"facts": {"why": self.batch.ended(status)}})
            self.batch.end()
            self.batch = None
        for one in [one for one in self.retired if time.monotonic() > one[0]]:
            one[1].end()
            self.retired.remove(one)
            self._clear()

    def _clear(self) -> None:
        """Remove what no publication needs; what workers still map stays theirs."""
        assert self.published is not None
        if self.job is not None:
            return
        kept = [self.published, *(old for *_, old in self.retired)]
        used = {name for one in kept for name in (one.model, one.features, one.data, one.socket)}
        used |= {child.scratch.name for child in Child.running}
        for kind in ("model", "features", "data", "batch", "scratch"):
            for path in self.folder.glob(f"{kind}-*"):
                name = path.name.removesuffix(KNOWLEDGE)
                if name not in used and path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                elif name not in used:
                    path.unlink(missing_ok=True)


def _name(kind: str) -> str:
    return f"{kind}-{secrets.token_hex(4)}"


def main(arguments: list[str]) -> int:
    """Publish, then look again and again for as long as the server lives."""
    folder, data, uri = Path(arguments[0]), arguments[1], arguments[2]
    logs.set_up()
    # a registry that is away must not hold up everything else for minutes
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    publisher = Publisher(folder, data, uri)

    ending = threading.Event()

    def leave(regular: bool) -> None:
        ending.set()
        if not regular:  # the server was killed, and its workers finish what they have in hand, with the batch process
            state.remove_unheld(folder, 2 * lifeline.FINISH_SECONDS)
        for child in list(Child.running):
            child.end()

    lifeline.hold(leave)
    if publisher.published is None:
        try:
            publisher.first()
        except (TrialError, OSError) as error:
            if ending.is_set():  # that is why its process ended; `lifeline` is about to end this one
                threading.Event().wait()
            at_fault = isinstance(error, TrialError) and error.at_fault
            kind = error.kind if isinstance(error, TrialError) else type(error).__name__
            print(error if at_fault else f"{kind}: {error}", file=sys.stderr)
            return AT_FAULT if at_fault else FAILED
    while not ending.is_set():
        try:
            publisher.look()
        except Exception:  # what is served stays, and the next look may go well
            log.exception("a look failed")
        ending.wait(EVERY)
    threading.Event().wait()  # `lifeline` ends this process
    return 0


if __name__ == "__main__":
    status = main(sys.argv[1:])
    logs.WRITER.flush()
    os._exit(status)  # libraries complain when they are taken down beside a thread that waits
