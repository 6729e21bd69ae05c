"""Keeps what the workers serve up to date: a process of its own that polls the registry and DATA, lets others build and
check aside, and publishes. What cannot be used is refused with an alarm and tried again later, and the old goes on.

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

from mlflow import MlflowClient

from features.catalogue import CATALOGUE
from features.history.freshness import Stamp
from models.console import AT_FAULT, FAILED
from models.registry import registry, store
from service import logs
from service.publish import lifeline, state
from service.publish.batch_path import SECONDS
from service.publish.batch_process import Task
from service.publish.children import Child, TrialError
from service.publish.kept_history import gone, stamp_of
from service.publish.publication import Publication, beat

EVERY = 1.0  # seconds between two looks
FIRST_WAIT, LONGEST_WAIT = 5.0, 600.0  # before what was refused is tried again; each wait is twice the one before
SPARED = 10.0  # a trial's own time that passes before the next: what is refused may take minutes to build
CATALOGUE_TEXTS = {
    f.name: {"label": f.label, "unit": f.unit, "formula": f.formula, "family": f.family, "entity": f.entity,
             "as_of": f.as_of}
    for f in CATALOGUE
}  # fmt: skip
log = logging.getLogger("creator_yield")


@dataclass(frozen=True)
class Refusal:
    """What was refused, why, and when it is tried again (seconds of the monotonic clock)."""

    what: Any
    why: str
    wait: float
    again: float

    def holds(self, what: Any) -> bool:
        """Whether it is too early to try this."""
        return bool(self.what == what) and time.monotonic() < self.again


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
        """folder: the state's; what is published there already is taken up again."""
        self.folder, self.data, self.uri = folder, data, uri
        self.published: Publication | None = None
        self.held: Stamp | None = None  # of the files that the published features were made from
        self.batch: Child | None = None
        self.client: MlflowClient | None = None
        self.job: Job | None = None
        self.refused: dict[str, Refusal] = {}
        self.retired: list[tuple[float, Child, Publication]] = []
        self._last_seen: Stamp | None = None
        self._tries = ThreadPoolExecutor(1, "trial")
        try:
            self.published = Publication.read(folder)
            self.held = stamp_of(folder / self.published.data)
        except FileNotFoundError:
            pass  # nothing was published yet, or it is there no more: then it is made anew

    def first(self) -> None:
        """Publish for the first time. Raises TrialError: nothing is served without it."""
        prepared = self._prepare(self.uri, None)
        self._publish(prepared)

    def look(self) -> None:
        """Take up what was prepared, begin with what is new, raise or clear alarms."""
        assert self.published is not None
        alarms: dict[str, str] = {}
        self._finish()  # first, or what it publishes still looks new below
        version = self._version(alarms)
        seen = self._seen()
        self._reap()
        if self.job is None:
            self._begin(version, seen)
        alarms |= {about: refusal.why for about, refusal in self.refused.items()}
        if alarms != self.published.alarms:
            _log_registry(self.published.alarms.get("registry"), alarms.get("registry"))
            changed = replace(self.published, alarms=alarms)
            changed.write(self.folder)
            self.published = changed
        beat(self.folder)

    def _version(self, alarms: dict[str, str]) -> tuple[str, str | None] | None:
        """The version that the URI names now, as NAME/NUMBER, and its run; None where the registry does not say."""
        assert self.published is not None
        try:
            self.client = self.client or store.connect(create=False)
            name, number = registry.resolve(self.client, self.uri)
            version = f"{name}/{number}", self.client.get_model_version(name, number).run_id
        except Exception as error:  # the registry may be away, in any of the ways that its store can be
            why = TrialError(type(error).__name__, str(error)).shown()
            alarms["registry"] = f"it cannot be asked, and the model stays as it is: {why}"
            return None
        if version == (self.published.label, self.published.run):
            self.refused.pop("model", None)
            return None
        return version

    def _seen(self) -> Stamp | None:
        """DATA's files where they are others than those published and the same in two looks."""
        if self.held is None:
            return None
        seen, before = self.held.now(), self._last_seen
        self._last_seen = seen
        if seen == self.held:
            self.refused.pop("features", None)
            return None
        return seen if seen == before else None

    def _begin(self, version: tuple[str, str | None] | None, seen: Stamp | None) -> None:
        """Try what is to be tried first."""
        assert self.published is not None
        old = self.published
        if self.batch is None and not self._refused("batch", old.serial):
            self._try("batch", old.serial, lambda: self._restore(old))
        elif seen is not None and not self._refused("features", seen):
            self._try("features", seen, lambda: self._prepare(None, old, fresh=True))
        elif version is not None and not self._refused("model", version):
            self._try("model", version, lambda: self._prepare(f"models:/{version[0]}", old))

    def _refused(self, about: str, what: Any) -> bool:
        return about in self.refused and self.refused[about].holds(what)

    def _try(self, about: str, what: Any, work: Callable[[], Prepared]) -> None:
        self.job = Job(about, what, time.monotonic(), self._tries.submit(work))

    def _restore(self, old: Publication) -> Prepared:
        """What is published, with another batch process; made anew where its files cannot be used any more."""
        try:
            return self._prepare(None, old)
        except TrialError as error:
            log.error("what is published cannot be opened", extra={"told": {"why": error.shown()}})
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
        task = Task(made.model, made.data, made.features, made.socket, self.data)
        batch = Child("service.publish.batch_process", "read the data", self.folder, task.text())
        try:
            notes = batch.reply()["notes"]
        except BaseException:
            batch.end()
            raise
        if old is not None and made.data != old.data:
            notes += [f"DATA has no {one} any more" for one in gone(self.folder / old.data, self.folder / made.data)]
        for note in notes:
            log.warning("a note on the data", extra={"told": {"note": note}})
        return Prepared(replace(made, alarms={}), batch)

    def _fetch(self, uri: str, folder: str) -> dict[str, Any]:
        """Label, run, card and key of a model that was brought into `folder` and loads. Raises TrialError."""
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
        except Exception as error:  # whatever it is, what is served stays, and the alarm says why
            self._refuse(job, error if isinstance(error, TrialError) else TrialError(type(error).__name__, str(error)))
        else:
            self.refused.pop(job.about, None)
            self.refused.pop("batch", None)
        self._clear()

    def _refuse(self, job: Job, error: TrialError) -> None:
        before = self.refused.get(job.about)
        wait = min(before.wait * 2, LONGEST_WAIT) if before and before.what == job.what else FIRST_WAIT
        wait = max(wait, SPARED * (time.monotonic() - job.began))
        why = error.shown()
        self.refused[job.about] = Refusal(job.what, why, wait, time.monotonic() + wait)
        log.error("refused", extra={"told": {"about": job.about, "why": why, "tried_again_in_s": round(wait)}})

    def _publish(self, prepared: Prepared) -> None:
        """Let workers take it up. Raises OSError where it cannot be written; then nothing has changed."""
        made, old = prepared.publication, self.published
        try:
            held = stamp_of(self.folder / made.data)
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
        log.info(done, extra={"told": {"model": made.label, "serial": made.serial}})

    def _reap(self) -> None:
        """Notice a batch process that died, and end those whose time has come."""
        if self.batch is not None and (status := self.batch.status()) is not None:
            log.error("the batch process died", extra={"told": {"why": self.batch.ended(status)}})
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
                if path.name not in used and path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                elif path.name not in used:
                    path.unlink(missing_ok=True)


def _log_registry(before: str | None, now: str | None) -> None:
    """Log once when the registry can be asked no more, and once when it can again."""
    if now and not before:
        log.error("the registry", extra={"told": {"why": now}})
    elif before and not now:
        log.info("the registry", extra={"told": {"why": "it can be asked again"}})


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

    def leave(regular: bool) -> None:
        for child in list(Child.running):
            child.end()
        if not regular:  # the server was killed, and its workers finish what they have in hand
            state.remove_unheld(folder, 2 * lifeline.FINISH_SECONDS)

    lifeline.hold(leave)
    if publisher.published is None:
        try:
            publisher.first()
        except (TrialError, OSError) as error:
            print(error, file=sys.stderr)
            return AT_FAULT if isinstance(error, TrialError) and error.at_fault else FAILED
    while True:
        try:
            publisher.look()
        except Exception:  # what is served stays, and the next look may go well
            log.exception("a look failed")
        threading.Event().wait(EVERY)


if __name__ == "__main__":
    status = main(sys.argv[1:])
    logs.WRITER.flush()
    os._exit(status)  # libraries complain when they are taken down beside a thread that waits
