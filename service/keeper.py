"""Keeps what the workers serve up to date: a process of its own that polls the registry and DATA, builds and checks
aside, and publishes. What cannot be used is refused with an alarm, and the old goes on.

python -m service.keeper STATE DATA MODEL
"""

from __future__ import annotations

import logging
import os
import shutil
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pandas as pd

from features.catalogue import CATALOGUE
from features.faults import InputError
from features.matrix import FeatureBuilder
from features.source import open_history
from models import tracking
from models.console import AT_FAULT, FAILED
from models.scorer import ModelError, Scorer
from service import inline, lane, logs
from service.checking import CheckError, check
from service.probing import probe
from service.publication import Publication
from service.snapshot import Snapshot

EVERY = 1.0  # seconds between two looks
KEPT = 2  # publications whose folders stay
log = logging.getLogger("creator_yield")


class Features:
    """The features of one state of DATA, and the builder that they came from, open for the slow lane."""

    def __init__(self, name: str, folder: Path, data: str, scorer: Scorer) -> None:
        """Build and save. Raises InputError for data that is at fault."""
        self.name = name
        self.key = _key(scorer)
        self.turn = threading.Lock()
        with ExitStack() as stack:
            history = stack.enter_context(open_history(data))
            self.builder = stack.enter_context(FeatureBuilder(history, scorer.settings, scorer.classifier))
            made = probe(self.builder)
            aside = folder / f".{name}"
            shutil.rmtree(aside, ignore_errors=True)
            made.save(aside)
            aside.replace(folder / name)
            self.snapshot = Snapshot.load(folder / name)
            self._stack = stack.pop_all()

    def build(self, spine: pd.DataFrame) -> pd.DataFrame:
        """The matrix of a spine."""
        with self.turn:
            return self.builder.build(spine)

    def check(self, scorer: Scorer) -> None:
        """Raises CheckError for a model that does not answer with these features as the batch does."""
        with self.turn:
            check(self.snapshot, scorer, self.builder)

    def close(self) -> None:
        """Let go of the data."""
        with self.turn:
            self._stack.close()


def _key(scorer: Scorer) -> tuple[Any, ...]:
    """What decides the features beside the data."""
    return scorer.settings, scorer.classifier.fingerprint


class Keeper:
    """Looks, builds, checks, publishes."""

    def __init__(self, folder: Path, data: str, uri: str) -> None:
        self.folder, self.data, self.uri = folder, data, uri
        try:  # where this keeper takes another's place
            self.serial = Publication.read(folder).serial
        except FileNotFoundError:
            self.serial = 0
        self.published: Publication | None = None
        self.features: Features | None = None
        self.scorer: Scorer | None = None
        self.refused: dict[str, Any] = {}
        self.alarms: dict[str, str] = {}
        self.seen: Any = None  # the state of DATA that the features were made from
        self.client: Any = None

    def first(self) -> None:
        """The first publication. Raises what is wrong: nothing is served without it."""
        self.client = tracking.connect(create=False)
        model = tracking.load(self.client, self.uri)
        self.seen = stamp(self.data)
        self.features = Features(f"features-{self.serial + 1}", self.folder, self.data, model.scorer)
        self._take(model, self.features)
        lane.serve(self.folder, self._build)

    def _build(self, question: lane.Question, spine: pd.DataFrame) -> pd.DataFrame:
        held, scorer = self.features, self.scorer
        if held is None or scorer is None or held.name != question.features:
            raise KeyError(question.features)
        if not question.history:
            return held.build(spine)
        with held.turn:
            return inline.matrix(held.builder.history, scorer, question.history, spine)

    def look(self) -> None:
        """Take up a new version or fresh data; raise or clear alarms."""
        alarms: dict[str, str] = {}
        model = self._new_model(alarms)
        fresh = self._fresh_data(alarms)
        try:
            if model is not None or fresh is not None:
                self._renew(model, fresh)
        except (ModelError, CheckError, ValueError) as error:
            about = "model" if model is not None else "features"
            self._refuse(about, model.version if model is not None else fresh, error)
        except InputError as error:
            self._refuse("features", fresh, error)
        for about, (_, told) in self.refused.items():
            alarms[about] = told
        if alarms != self.alarms and self.published is not None:
            self.alarms = alarms
            self._publish(self.published)

    def _refuse(self, about: str, what: Any, error: Exception) -> None:
        told = _plain(error)
        log.error("refused", extra={"told": {"about": about, "why": told}})
        self.refused[about] = (what, told)

    def _new_model(self, alarms: dict[str, str]) -> tracking.Model | None:
        """The version that the URI names now, where it is neither served nor refused."""
        assert self.published is not None
        try:
            version = tracking.resolve(self.client, self.uri)
        except Exception as error:  # the registry may be away, in any of the ways that its store can be
            alarms["registry"] = f"it cannot be asked ({type(error).__name__}); the model stays as it is"
            return None
        name, number = version
        if f"{name}/{number}" == self.published.label:
            self.refused.pop("model", None)
            return None
        if self.refused.get("model", ("",))[0] == number:
            return None
        try:
            return tracking.load(self.client, f"models:/{name}/{number}")
        except (ModelError, InputError, OSError, ValueError, KeyError) as error:
            self._refuse("model", number, error)
            return None

    def _fresh_data(self, alarms: dict[str, str]) -> Any:
        """The state of DATA where it is another, the same in two looks, and not refused."""
        try:
            found = stamp(self.data)
        except OSError as error:
            alarms["features"] = f"the data cannot be read ({type(error).__name__}); the features stay as they are"
            return None
        steady = found == getattr(self, "_last_stamp", None)
        self._last_stamp = found
        if found == self.seen:
            self.refused.pop("features", None)
            return None
        if not steady or self.refused.get("features", (None,))[0] == found:
            return None
        return found

    def _renew(self, model: tracking.Model | None, fresh: Any) -> None:
        assert self.features is not None
        assert self.scorer is not None
        assert self.published is not None
        scorer = model.scorer if model is not None else self.scorer
        features = self.features
        if fresh is not None or features.key != _key(scorer):
            state = stamp(self.data)
            features = Features(f"features-{self.serial + 1}", self.folder, self.data, scorer)
            self.seen = state
        try:
            if model is not None:
                self._take(model, features)
            else:
                features.check(scorer)
                self._publish(self.published, features=features.name)
        except BaseException:
            if features is not self.features:
                features.close()
            raise
        if features is not self.features:
            old, self.features = self.features, features
            old.close()
        for about in ("model",) * (model is not None) + ("features",) * (fresh is not None):
            self.refused.pop(about, None)
        self._clear()

    def _take(self, model: tracking.Model, features: Features) -> None:
        """Publish a model. Raises ModelError, CheckError or ValueError for one that cannot be used."""
        require_signature(model)
        features.check(model.scorer)
        name = f"model-{model.version}-{self.serial + 1}"
        model.scorer.save(self.folder / name)
        card = tracking.card(self.client, model)
        catalogue = {
            f.name: {"label": f.label, "unit": f.unit, "formula": f.formula, "family": f.family, "entity": f.entity,
                     "as_of": f.as_of}
            for f in CATALOGUE
        }  # fmt: skip
        self.scorer = model.scorer
        self._publish(Publication(0, model.label, name, features.name, card, catalogue))

    def _publish(self, like: Publication, features: str | None = None) -> None:
        changed = self.published is None or like is not self.published or features is not None
        self.serial += changed
        self.published = Publication(
            self.serial, like.label, like.model, features or like.features, like.card, like.catalogue, self.alarms
        )
        self.published.write(self.folder)
        if changed:
            log.info("published", extra={"told": {"model": like.label, "serial": self.serial}})

    def _clear(self) -> None:
        """Remove folders that nothing needs; what workers still map stays theirs."""
        assert self.published is not None
        for kind, used in (("model-*", self.published.model), ("features-*", self.published.features)):
            folders = sorted(self.folder.glob(kind), key=lambda p: p.stat().st_mtime)
            for old in [p for p in folders if p.name != used][: -KEPT + 1 or None]:
                shutil.rmtree(old, ignore_errors=True)


def require_signature(model: tracking.Model) -> None:
    """Raise ModelError where the registered signature is not that of the model's own columns."""
    if model.inputs != {*model.scorer.encoding.columns, "creator_id", "spend"}:
        raise ModelError(f"{model.label}: its signature names other columns than the model has. Train anew")


def stamp(data: str) -> Any:
    """What changes when DATA does: names, sizes and times of its files; of a database only its own file's."""
    scheme, separator, rest = data.partition("://")
    if separator:
        files = [Path(rest)] if scheme == "duckdb" else []
    else:
        files = sorted(p for p in Path(data).rglob("*") if p.is_file())
        if not files:
            raise FileNotFoundError("no files")
    return [(str(p), p.stat().st_size, p.stat().st_mtime_ns) for p in files]


def _plain(error: Exception) -> str:
    """What is wrong, without paths of the machine."""
    text = " ".join(str(error).split())
    for word in text.split():
        if "/" in word and not word.startswith("models:/"):
            text = text.replace(word, "…")
    return f"{type(error).__name__}: {text[:500]}"


def main(arguments: list[str]) -> int:
    """Publish, then look again and again until the parent is gone."""
    folder, data, uri = Path(arguments[0]), arguments[1], arguments[2]
    logs.set_up()
    # a registry that is away must not hold up everything else for minutes
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    parent = os.getppid()
    keeper = Keeper(folder, data, uri)
    try:
        keeper.first()
    except (InputError, ModelError, CheckError) as error:
        print(error, file=sys.stderr)
        return AT_FAULT if isinstance(error, InputError) else FAILED
    while os.getppid() == parent:
        time.sleep(EVERY)
        try:
            keeper.look()
        except Exception:  # what is served stays, and the next look may go well
            log.exception("a look failed")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
