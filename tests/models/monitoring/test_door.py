"""What the door lets through, and when there is nothing to train on behind it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pandas as pd
import pytest

from models.monitoring import door
from models.monitoring.door import reason_to_stop, screen, select
from models.monitoring.findings import Intake
from models.registry.registry import NotRegisteredError
from models.scorer import ModelError

PRINTS = {"collaborations": "of all"}


class Table:
    """A history of these results. Its training set is a text that names them, and so is its fingerprint."""

    def __init__(self, *ids: str) -> None:
        self.ids = ids

    def without(self, out: tuple[str, ...]) -> Table:
        return Table(*(one for one in self.ids if one not in out))


def intake(*kept_out: str, closed: bool = False) -> Intake:
    return Intake(
        3, {}, kept_out=pd.DataFrame({"collaboration_id": kept_out, "reason": ""}), closed=closed, reason="why"
    )


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(door, "fingerprint", lambda history: {"collaborations": "".join(history.ids)})
    notes: list[str] = []

    def training_set(history: Table, kept_out: tuple[str, ...] = ()) -> str:
        assert sorted((*history.ids, *kept_out)) == ["a", "b", "c"]
        return "".join(history.ids)

    return SimpleNamespace(
        name="m", history=Table("a", "b", "c"), seed=3, training_set=training_set,
        fingerprint=lambda prints: f"mark of {prints['collaborations']}", note=notes.extend, notes=notes,
    )  # fmt: skip


def through(source: Any, found: Intake, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(door, "examine", lambda *given, **settings: found)
    return screen(source, None)


def test_the_rest_is_a_history_and_a_training_set_of_its_own(source: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    found = through(source, intake("b"), monkeypatch)
    assert (found.training, found.history.ids, found.whole) == ("ac", ("a", "c"), "abc")
    chosen: Any = select(source, found, PRINTS, force=False)
    assert (chosen.training, chosen.history.ids, chosen.kept_out) == ("ac", ("a", "c"), ("b",))
    assert chosen.prints == {"collaborations": "ac"}


def test_what_is_forced_in_is_everything(source: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen: Any = select(source, through(source, intake("b"), monkeypatch), PRINTS, force=True)
    assert (chosen.training, chosen.history.ids, chosen.kept_out, chosen.prints) == ("abc", ("a", "b", "c"), (), PRINTS)


@pytest.mark.parametrize("found", [intake(), intake("a", "b", closed=True)], ids=["all is well", "closed"])
def test_nothing_is_made_a_second_time(source: Any, found: Intake, monkeypatch: pytest.MonkeyPatch) -> None:
    passed = through(source, found, monkeypatch)
    chosen: Any = select(source, passed, PRINTS, force=False)
    assert (passed.training, passed.history) == ("abc", source.history)
    assert (chosen.prints, chosen.kept_out) == (PRINTS, tuple(found.kept_out.collaboration_id))


@pytest.mark.parametrize(
    ("found", "known", "reason"),
    [
        (intake(), "mark of abc", None),
        (intake("a", "b", closed=True), "", "why"),
        (intake("b"), "", None),
        (intake("b"), "mark of ac", "without the results that are kept out, nothing is new since models:/m/7"),
    ],
    ids=["all is well", "closed", "the rest is new", "the rest is known"],
)
def test_reasons_to_stop(
    source: Any, found: Intake, known: str, reason: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def earlier(client: Any, name: str, mark: str) -> Any:
        return SimpleNamespace(version="7") if (name, mark) == ("m", known) else None

    monkeypatch.setattr(door.unchanged, "earlier_training", earlier)
    chosen: Any = select(source, through(source, found, monkeypatch), PRINTS, force=False)
    assert reason_to_stop(MagicMock(), source, found, chosen) == reason


@pytest.mark.parametrize(
    ("champion", "used", "noted"),
    [
        (SimpleNamespace(encoding=MagicMock()), True, 0),
        (SimpleNamespace(encoding=MagicMock(**{"require.side_effect": ValueError("no column spend")})), False, 1),
        (ModelError("cut off"), False, 1),
        (NotRegisteredError([]), False, 0),
    ],
    ids=["fits", "of other columns", "damaged", "none"],
)
def test_the_champion_that_results_are_held_against(
    source: Any, champion: Any, used: bool, noted: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = MagicMock(side_effect=[champion if isinstance(champion, Exception) else SimpleNamespace(scorer=champion)])
    examine = MagicMock(return_value=intake())
    source.training_set = lambda history: SimpleNamespace(matrix="its features")
    monkeypatch.setattr(door, "load", load)
    monkeypatch.setattr(door, "examine", examine)
    monkeypatch.setattr(door.training_rows, "newest", lambda *given: "rows of the last training")
    client = MagicMock()
    found = screen(source, client)
    load.assert_called_once_with(client, "models:/m@champion")
    assert found.champion is (champion if used else None)
    examine.assert_called_once_with(found.whole, "rows of the last training", found.champion, seed=3)
    if not isinstance(champion, Exception):
        champion.encoding.require.assert_called_once_with("its features")
    assert len(source.notes) == noted
