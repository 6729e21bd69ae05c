"""Which of the best of a list another model would choose, and why: what a brand notices first of a new champion.

The list is the newest deals, whose terms are known, as if they were candidates. Both models score all of them as they
stand, so this says how choices change, not which are better; that is what the gate compares.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from models.explanations.reason_words import factor, feature_words
from models.explanations.reasons import plain
from models.scorer import Scorer
from models.scoring import ranks

BEST, LIST = 50, 500  # places that count, newest deals that are ranked
REASONS, LEAST = 3, np.log(1.05)  # features named for a change, least change of a feature's factor
COLUMNS = ("collaboration_id", "creator_id", "brand", "spend", "rank_before", "rank", "rate_before", "rate", "why")
MEANING = (
    "The newest {deals:,} deals, ranked by both models as if they were candidates: {entered:,} of the best {best} by "
    "the new model were not among the best {best} by the champion. *Why*: the features that moved the two models' "
    "scores most differently, with their factors in the new model and in the champion."
)


def changed_ranks(
    challenger: Scorer, champion: Scorer, matrix: pd.DataFrame, spine: pd.DataFrame, best: int = BEST
) -> pd.DataFrame:
    """The deals that are among the `best` by one model and not by the other, COLUMNS, by their place in the new order.

    matrix, spine: the newest deals' features and terms, row by row; the latter with the identifiers of COLUMNS. why:
    words of at most REASONS features. attrs: `deals` (ranked) and `entered` (among the best now, and not before).
    Raises ValueError for a column that one of the models lacks.
    """
    creators, spend = spine.creator_id.to_numpy(object), spine.spend.to_numpy(float)
    now, before = (model.rates(matrix, creators) for model in (challenger, champion))
    place, place_before = ranks(now), ranks(before)
    changed = np.flatnonzero((place <= best) != (place_before <= best))
    changed = changed[np.argsort(place[changed], kind="stable")]
    rows, chosen = matrix.iloc[changed], creators[changed]
    table = pd.DataFrame(
        {
            "collaboration_id": spine.collaboration_id.to_numpy(object)[changed],
            "creator_id": chosen,
            "brand": spine.brand.to_numpy(object)[changed],
            "spend": spend[changed],
            "rank_before": place_before[changed],
            "rank": place[changed],
            "rate_before": before[changed],
            "rate": now[changed],
            "why": _reasons(_moved(challenger, rows, chosen), _moved(champion, rows, chosen), rows),
        },
        columns=COLUMNS,
    )
    entered = int(((table["rank"] <= best) & (table.rank_before > best)).sum())
    table.attrs = {"deals": len(spine), "entered": entered, "best": best}
    return table


def lines(table: pd.DataFrame) -> list[list[str]]:
    """The table as cells for a page, a header first."""
    header = ["now", "before", "deal", "creator", "brand", "spend", "rate now", "before", "why"]
    return [header] + [
        [
            str(row["rank"]), str(row["rank_before"]), str(row["collaboration_id"]), str(row["creator_id"]),
            str(row["brand"]), f"${row['spend']:,.0f}", f"{row['rate']:.3g}", f"{row['rate_before']:.3g}", row["why"],
        ]
        for row in table.to_dict("records")
    ]  # fmt: skip


def _moved(model: Scorer, matrix: pd.DataFrame, creators: np.ndarray) -> pd.DataFrame:
    """How much each feature moved the log rate of each row."""
    if not len(matrix):
        return pd.DataFrame(columns=list(model.encoding.columns), dtype=float)
    features = model.encoding.transform(matrix, creators)
    return pd.DataFrame(model.rate.contributions(features), columns=list(model.encoding.columns))


def _reasons(now: pd.DataFrame, before: pd.DataFrame, matrix: pd.DataFrame) -> list[str]:
    names = list(dict.fromkeys([*now, *before]))
    factors, factors_before = (
        np.exp(moved.reindex(columns=names).fillna(0.0).to_numpy(float)) for moved in (now, before)
    )
    change = np.abs(np.log(factors / factors_before))
    out = []
    for row, strongest in enumerate(np.argsort(-change, axis=1, kind="stable")[:, :REASONS]):
        words = []
        for at in (at for at in strongest.tolist() if change[row, at] >= LEAST):
            both = f"{factor(factors[row, at])} instead of {factor(factors_before[row, at])}"
            words.append(f"{feature_words(names[at], plain(matrix[names[at]].iat[row]))} {both}")
        out.append("; ".join(words))
    return out
