"""The columns that come out, declared once: batch, service, OpenAPI document, client and page take them from here."""

from dataclasses import dataclass
from typing import Literal

Values = Literal["number", "count", "text", "codes", "reasons"]
Given = Literal["always", "interval", "target", "reasons"]


@dataclass(frozen=True)
class ScoreColumn:
    """A column of scores: what its values are, what it means, and what must be requested for it to be there."""

    name: str
    values: Values
    meaning: str
    unit: str = ""
    given: Given = "always"


SCORE_COLUMNS = (
    ScoreColumn(
        "conversions_per_dollar", "number", "expected final conversions per dollar of spend", "conversions per dollar"
    ),
    ScoreColumn(
        "conversions_per_dollar_low",
        "number",
        "lower end of the prediction interval of the realised rate",
        "conversions per dollar",
        given="interval",
    ),
    ScoreColumn(
        "conversions_per_dollar_high",
        "number",
        "upper end of the prediction interval of the realised rate",
        "conversions per dollar",
        given="interval",
    ),
    ScoreColumn("conversions", "number", "expected final conversions at this spend", "conversions"),
    ScoreColumn("cost_per_conversion", "number", "cost per conversion", "US dollars"),
    ScoreColumn(
        "probability_within_target",
        "number",
        "probability that the cost per conversion will be at most the target",
        "share",
        given="target",
    ),
    ScoreColumn(
        "walk_away_price",
        "number",
        "the highest spend at which that probability is still at least the confidence",
        "US dollars",
        given="target",
    ),
    ScoreColumn("rank", "count", "place among the rows scored together, 1 being the highest rate"),
    ScoreColumn("reasons", "reasons", "features that moved this score most; factors multiply", given="reasons"),
    ScoreColumn("warnings", "codes", "what the score does not know"),
    ScoreColumn("model_version", "text", "registry name and version that produced the row"),
)
OF_THE_LIST = ("rank", "model_version")  # no row has these by itself
TARGET_SCORES = tuple(one.name for one in SCORE_COLUMNS if one.given == "target")
SCORES = tuple(one.name for one in SCORE_COLUMNS if one.given != "target")


def score_columns(target: bool) -> tuple[str, ...]:
    """All names, in their order. target: with those of a target cost."""
    return tuple(one.name for one in SCORE_COLUMNS if target or one.given != "target")


def row_columns(target: bool) -> tuple[str, ...]:
    """The same without those that only a whole list of rows has."""
    return tuple(name for name in score_columns(target) if name not in OF_THE_LIST)
