"""What a column of the feature matrix is: the record that the catalogue, the docs and the model card are made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

POSTS_90 = "posts before the start, from 90 days before the history's end on"
POSTS_365 = "posts before the start, from 365 days before the history's end on"
COMMENTS_365 = "comments before the start, from 365 days before the history's end on"
DEALS = "collaborations that started before the start"
RESULTS = "results known before the start (see: what may be known when)"
TERMS = "the deal's own terms, known when it is offered"
UNDATED = "as the creators table has it (undated)"


@dataclass(frozen=True, kw_only=True)
class Feature:
    """One column of the matrix.

    name: column name. family: one of the seven families. entity: whose property it is. label: in a person's words.
    unit, formula: in words. low, high: range of possible values (None: open). as_of: which rows may shape it.
    kind: "number" (float64, NaN = missing) or "category" (text, None = missing).
    """

    name: str
    family: str
    entity: str
    label: str
    unit: str
    formula: str
    low: float | None = None
    high: float | None = None
    as_of: str
    kind: Literal["number", "category"] = "number"
