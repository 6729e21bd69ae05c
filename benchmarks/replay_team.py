"""A team that adds a batch, trains and seals its next list every week, and what other habits would have brought it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd

from benchmarks.replay_market import AFTER, Tables, Year, candidates
from benchmarks.replay_slips import COPY, delivered_again, in_cents, shuffled
from benchmarks.replay_truth import bought, drift_is_true, judge, level_moves, newest_total
from features.faults import ATTENTION, DONE
from features.history.append.add import Added, add_results
from features.history.source import History, open_candidates, open_history
from features.matrix import FeatureBuilder
from models.batch.score_file import score_file
from models.batch.sealing import Sealing
from models.estimators.outcomes import Outcomes
from models.monitoring import training_rows
from models.monitoring.promises import Settled, settle
from models.pipeline import Retrained, retrain
from models.registry import left_out
from models.registry.gate import CALIBRATION_MARGIN
from models.scorer import Scorer
from models.tracking import champion_version, connect, load

NAME, NO_DOOR = "conversions-per-dollar", "no-door"
SOURCES = ("intake", "gate", "drift", "ledger")
POLICIES = ("gate", "never", "always", "no_door", "own_record", "all_knowing")


@dataclass
class Deliveries:
    """The batches of a year, as they come in.

    spoilt: collaboration_id of what is wrong in DATA once the newest batch is added. copies: those of them that nothing
    delivered later puts right, so that they have to be deleted.
    """

    year: Year
    every: int
    seed: int
    spoilt: frozenset[str] = frozenset()
    copies: tuple[str, ...] = ()
    _again: np.ndarray = field(default_factory=lambda: np.zeros(0, int))
    _before: Tables = field(default_factory=dict)

    def slip(self, week: int) -> str:
        """What is wrong with the batch of a week; empty where nothing is."""
        calendar = self.year.calendar
        for name in ("cents", "duplicated", "shuffled"):
            if week - self.every < getattr(calendar, name) <= week and week > 0:
                return name
        return ""

    def next(self, week: int) -> Tables:
        """The batch of a week (0: all that is known when the year begins), corrections of the one before included."""
        year, day = self.year, self.year.day(week)
        since = year.day(week - self.every) if week else -np.inf
        batch = year.batch(since, day, self._again)
        fresh = year.started(since, day)
        self.spoilt, self.copies, self._again = frozenset(), (), np.zeros(0, int)
        slip, right = self.slip(week), batch
        if slip == "cents":
            batch = in_cents(batch)
            self._spoil(batch["collaborations"].collaboration_id.tolist())
        elif slip == "shuffled":
            batch = shuffled(batch, year.identifiers(fresh), np.random.default_rng([self.seed, week]))
            self._spoil(year.identifiers(fresh))
        elif slip == "duplicated":
            earlier = year.identifiers(year.started(year.day(week - 2 * self.every), since))
            batch = delivered_again(batch, self._before, earlier)
            self.copies = tuple(COPY + name for name in earlier)
            self.spoilt = frozenset(self.copies)
        self._before = right
        return batch

    def _spoil(self, rows: Sequence[str]) -> None:
        self.spoilt = frozenset(rows)
        self._again = np.flatnonzero(self.year.collaborations.collaboration_id.isin(rows))


class _Features:
    """Looks at all rows of a list; chunks: their features."""

    def __init__(self) -> None:
        self.chunks: list[pd.DataFrame] = []

    def due(self, rows: int) -> np.ndarray:
        return np.arange(rows)

    def add(self, matrix: pd.DataFrame, spine: pd.DataFrame, scores: pd.DataFrame) -> None:
        self.chunks.append(matrix)


class Team:
    """Works in a folder with DATA, a ledger and, by MLFLOW_TRACKING_URI, a store; all with the market's clock."""

    def __init__(self, year: Year, folder: Path, *, every: int = 1, seed: int = 0, search: int = 0) -> None:
        self.year, self.folder, self.every, self.seed, self.search = year, folder, every, seed, search
        self.database, self.ledger = folder / "results.duckdb", folder / "ledger.jsonl"
        self.deliveries = Deliveries(year, every, seed)
        self._scorers: dict[str, Scorer] = {}
        self._newest = {NAME: "", NO_DOOR: ""}  # by habit, the newest model that was trained
        self._first = ""

    @property
    def data(self) -> str:
        """DATA, as commands take it."""
        return f"duckdb://{self.database}"

    def week(self, week: int) -> dict[str, Any]:
        """Add, train, score the coming list; what came of it, as plain values."""
        began = time.perf_counter()
        champion = champion_version(connect(), NAME)
        added = self._add(week)
        done = self._retrain(NAME, week)
        self._remember(week, done)
        found = {"week": week, "day": f"{self.year.moment(week):%Y-%m-%d}", "slip": self.deliveries.slip(week)}
        found |= self._door(done, added) | self._scored(week, champion, done)
        return found | self._alarms(done, added, found) | {"seconds": time.perf_counter() - began}

    def settle(self) -> Settled:
        """What came of all promises, by results as they are when the market ends, eight weeks after the year."""
        spine = self.year.results(np.arange(len(self.year.deals)), 0.0)
        scorer = load(connect(), f"models:/{NAME}@champion").scorer
        results = Outcomes.from_tables(spine, None, scorer.settings.attribution_days)
        return settle(self.ledger, spine, results, scorer.maturity, self.year.moment(self.year.weeks + AFTER))

    def _add(self, week: int) -> Added:
        if self.deliveries.copies:
            delete(self.database, self.deliveries.copies)
        new = self.folder / f"batch-{week:03}"
        new.mkdir()
        for name, table in self.deliveries.next(week).items():
            table.to_parquet(new / f"{name}.parquet", index=False)
        return add_results(self.data, new, now=self.year.moment(week))

    def _retrain(self, name: str, week: int) -> Retrained:
        ours = name == NAME
        return retrain(
            self.data, name, began=self.year.moment(week).replace(tzinfo=UTC).timestamp(), seed=self.seed,
            search=self.search, force=not ours, promote="if-better" if ours else "always",
            ledger=self.ledger if ours and self.ledger.is_file() else None,
        )  # fmt: skip

    def _remember(self, week: int, done: Retrained) -> None:
        """Which models there are now. Without a door it is another one only where the door kept something out."""
        if done.report:
            self._newest[NAME] = f"{NAME}/{done.version}"
        if not done.report or (done.intake and len(done.intake.kept_out)):
            self._newest[NO_DOOR] = f"{NO_DOOR}/{self._retrain(NO_DOOR, week).version}"
        else:
            self._newest[NO_DOOR] = self._newest[NAME]
        self._first = self._first or self._newest[NAME]

    def _scorer(self, label: str) -> Scorer:
        if label not in self._scorers:
            self._scorers[label] = load(connect(), f"models:/{label}").scorer
        return self._scorers[label]

    def _door(self, done: Retrained, added: Added) -> dict[str, Any]:
        """How many rows were kept out, and of them those that are spoilt and those that are not; what was missed."""
        spoilt = self.deliveries.spoilt
        closed = bool(done.intake and done.intake.closed)
        out = frozenset(done.intake.kept_out.collaboration_id) if done.intake else frozenset()
        return {
            "new": added.counts["collaborations"].new, "corrected": added.counts["collaborations"].changed,
            "refused": added.refused, "spoilt": len(spoilt), "closed": closed, "kept_out": len(out),
            "rightly": len(out & spoilt), "wrongly": len(out - spoilt),
            "missed": 0 if closed else len(spoilt - out), "action": done.action,
        }  # fmt: skip

    def _scored(self, week: int, before: str | None, done: Retrained) -> dict[str, Any]:
        """Seal what is offered, and what each habit would have bought of the coming list; which model truly is better.

        before: the champion that the challenger was compared with.
        """
        offers = self.year.offered(week, week + AFTER)
        now = (offers.week < week + self.every).to_numpy() & (week < self.year.weeks)
        found: dict[str, Any] = {"promoted": bool(done.decision and done.decision.promoted), "offers": int(now.sum())}
        with open_history(self.data) as history:
            champion, kept_out, matrix, records = self._seal(history, week, offers)
            labels = {"gate": champion, "never": self._first, "always": self._newest[NAME]}
            labels |= {"no_door": self._newest[NO_DOOR]} | ({"before": f"{NAME}/{before}"} if before else {})
            rates = self._rates(history, labels, offers, kept_out, {kept_out: matrix})
        rates |= {"own_record": records, "all_knowing": (offers["mean"] / offers.spend).to_numpy()}
        if now.any():
            found |= {name: bought(rates[name][now], offers[now]) for name in POLICIES}
        found |= {"truth": None, "deviance": np.nan, "value": np.nan, "total": np.nan, "champion": champion}
        if done.decision and "before" in rates:
            judged = judge(rates["always"], rates["before"], offers, week)
            found |= {"truth": judged.truth} | {name: getattr(judged, name) for name in ("deviance", "value", "total")}
        return found

    def _seal(
        self, history: History, week: int, offers: pd.DataFrame
    ) -> tuple[str, tuple[str, ...], pd.DataFrame, np.ndarray]:
        """Score all that is offered into a file and the ledger as `predict.py --ledger` does.

        Returns the champion's label, what the newest training kept out, the offers' features without it, and the
        creators' own records.
        """
        listed, output = self.folder / "list.parquet", self.folder / "scores.parquet"
        candidates(offers).to_parquet(listed, index=False)
        opened, client, seen = open_candidates(history, listed), connect(), _Features()
        model = load(client, f"models:/{NAME}@champion")
        self._scorers[model.label] = model.scorer
        newest, when = left_out.announced(client, NAME), self.year.moment(week)
        model, unread = left_out.without_announced(client, model, newest)
        sealing = Sealing(
            self.ledger, client, model, history, level=0.8, clock=lambda: when,
            kept_out_by=left_out.followed(model, newest, unread),
        )  # fmt: skip
        score_file(history, opened, model.scorer, model.label, output, seal=sealing.seal, look=seen)
        sealing.anchor()
        records = np.array(sealing.knowledge.own_records(offers.creator_id.tolist()))
        return model.label, model.scorer.facts.kept_out, seen.chunks[0], records

    def _rates(
        self,
        history: History,
        labels: dict[str, str],
        offers: pd.DataFrame,
        kept_out: tuple[str, ...],
        matrices: dict[tuple[str, ...], pd.DataFrame],
    ) -> dict[str, np.ndarray]:
        """Conversions per dollar (rows,) of offers by each model, on features without what the newest training kept
        out, or without a door of the name.

        matrices: features of the offers by what is kept out; missing ones are made.
        """
        by_label: dict[str, np.ndarray] = {}
        creators = offers.creator_id.to_numpy(object)
        for label in labels.values():
            scorer = self._scorer(label)
            out = kept_out if label.startswith(f"{NAME}/") else scorer.facts.kept_out
            if out not in matrices:
                opened = open_candidates(history, self.folder / "list.parquet")
                spine = pd.concat([batch.to_pandas() for batch in opened.batches(len(offers))], ignore_index=True)
                with FeatureBuilder(history.without(out), scorer.settings, scorer.classifier) as builder:
                    matrices[out] = builder.build(spine)
            if label not in by_label:
                by_label[label] = scorer.rates(matrices[out], creators)
        return {name: by_label[label] for name, label in labels.items()}

    def _alarms(self, done: Retrained, added: Added, found: dict[str, Any]) -> dict[str, Any]:
        """Which sources raised an alarm, and which of them without a reason."""
        raised = {alarm.source for alarm in done.alarms} | ({"intake"} if added.refused else set())
        rows = training_rows.newest(connect(), NAME) if done.report else None
        mean = pd.Series(self.year.mean, self.year.collaborations.collaboration_id)
        moves = {} if rows is None else level_moves(rows, mean)
        drifted = [shift for shift in done.details.get("level_drift", []) if shift["drifted"]]
        total = newest_total(done.report.trained, mean) if done.report else 1.0
        due = {
            "intake": bool(self.deliveries.spoilt),
            "gate": abs(np.log(total)) > CALIBRATION_MARGIN or found["missed"] > 0,
            "drift": bool(drifted) and drift_is_true(drifted[0], moves),
        }
        out: dict[str, Any] = {"status": ATTENTION if raised else DONE}
        out |= {f"{source}_alarm": source in raised for source in SOURCES}
        out |= {f"{source}_false": source in raised and not reason for source, reason in due.items()}
        out |= {f"moved_{weeks}": moved for weeks, moved in moves.items()}
        return out | {"sentences": "; ".join(map(str, done.alarms)), "why": done.sentence}


def delete(database: Path, rows: Sequence[str]) -> None:
    """Delete collaborations (ids) and their conversions from a DuckDB file, as a person would by SQL."""
    with duckdb.connect(str(database)) as connection:
        for table in ("conversions", "collaborations"):
            connection.execute(f"DELETE FROM {table} WHERE list_contains(?, collaboration_id)", [list(rows)])
