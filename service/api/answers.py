"""What the service answers, as types: the OpenAPI document and the client's module are made from them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from features.history.score_columns import SCORE_COLUMNS

OF_CREATOR = {"platform": "platform", "niche": "creator_niche", "tier": "tier"}  # with `include=creator`: its feature


class Reason(msgspec.Struct):
    """What moved a score: factors multiply."""

    feature: str
    value: str | float | None
    factor: float


_VALUES: dict[str, Any] = {"number": float, "count": int, "text": str, "codes": list[str], "reasons": list[Reason]}


def _score_fields() -> list[Any]:
    """The fields of a row: columns that are always there, the row's keys, then what must be requested."""
    always = [(one.name, _VALUES[one.values]) for one in SCORE_COLUMNS if one.given == "always"]
    keys = [(name, str | None, None) for name in ("candidate_id", "creator_id")]
    requested = [(one.name, _VALUES[one.values] | None, None) for one in SCORE_COLUMNS if one.given != "always"]
    return always + keys + requested + [(name, str | None, None) for name in OF_CREATOR]


if TYPE_CHECKING:

    class Score(msgspec.Struct):
        """A row of scores."""
else:
    _MEANING = "A row of scores; what was not requested, or is not known, is None."
    Score = msgspec.defstruct("Score", _score_fields(), namespace={"__doc__": _MEANING, "__module__": __name__})


class Notice(msgspec.Struct):
    """Something in the request that had no effect. row: position of the item, from 0. pointer: RFC 6901."""

    detail: str
    field: str | None = None
    row: int | None = None
    pointer: str | None = None
    table: str | None = None


class Scores(msgspec.Struct):
    """Scores in the order of the items; sealed: the ledger's head, where they were to be sealed: keep it."""

    model_version: str
    scores: list[Score]
    notices: list[Notice] = []
    sealed: str | None = None


class Ranking(msgspec.Struct):
    """The best creators for a deal, best first; considered: among how many."""

    model_version: str
    considered: int
    scores: list[Score]
    notices: list[Notice] = []


class Known(msgspec.Struct):
    """A feature of a creator with the catalogue's words."""

    feature: str
    value: str | float | None
    label: str
    unit: str
    formula: str
    family: str
    entity: str
    as_of: str


class Creator(msgspec.Struct):
    """What is known of a creator."""

    creator_id: str
    as_of: str
    features: list[Known]


class LeftOut(msgspec.Struct):
    """How many results the features go without, because the training of this run kept them out."""

    run: str
    results: int


class ModelCard(msgspec.Struct):
    """The model that answers: skill is a sentence, figures are those of its backtest. left_out: by a training that is
    not the model's own."""

    model_version: str
    skill: str | None
    figures: dict[str, float]
    trained_on: dict[str, Any]
    creators: int
    scores_from: str
    left_out: LeftOut | None = None
