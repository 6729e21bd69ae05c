"""Answers as plain values for JSON: scores, rankings, what is known of a creator and of the model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qs

import msgspec
import numpy as np
import pandas as pd

from features.history.score_columns import score_columns
from features.settings import TIERS
from models.explanations.reasons import plain
from models.newest.assembler import Terms, cut
from models.newest.snapshot import FIRST, Snapshot
from models.scoring import Scores, ranks
from models.uncertainty.target import MOST_DOLLARS, SURE, Target
from service.api.answers import OF_CREATOR
from service.api.misspelt import closest
from service.api.request_types import LISTS, MOST_ITEMS, Deal, Filters, RankRequest
from service.api.request_values import as_text, shown
from service.api.requests import for_creators
from service.problems import MOST_ERRORS, FieldError, Problem
from service.publish.publication import Serving

PARTS = ("reasons", "interval", "creator")
NUMBERS = ("level", "target_cost", "confidence")
PARAMETERS = ("include", *NUMBERS, "seal")
LEVEL = 0.8
_NAMES = score_columns(target=True)
MOST_KNOWN = 20  # values that the fault of an unknown one lists


@dataclass(frozen=True)
class Options:
    """What a request wants beside the scores. level: of the interval. seal: whether they go into the ledger."""

    interval: bool = False
    reasons: bool = False
    level: float = LEVEL
    target: Target | None = None
    creator: bool = False
    seal: bool = False

    @classmethod
    @lru_cache(256)  # clients send the same again and again
    def read(cls, query: str) -> Options:
        """From a query string. Raises Problem for what is unknown."""
        if not query:
            return NO_OPTIONS
        given = parse_qs(query, keep_blank_values=True)
        if strange := sorted(set(given) - set(PARAMETERS)):
            there = f"{', '.join(PARAMETERS[:-1])} and {PARAMETERS[-1]}"
            raise _refused(strange[0], f"there is no parameter {strange[0][:40]!r}; there are {there}")
        if twice := [name for name in PARAMETERS[1:] if len(given.get(name, [])) > 1]:
            raise _refused(twice[0], "it is given more than once")
        parts = [part for value in given.get("include", []) for part in value.split(",") if part]
        if strange := sorted(set(parts) - set(PARTS)):
            raise _refused("include", f"{strange[0][:40]!r} cannot be included; {', '.join(PARTS)} can")
        level, cost, sure = (_number(given, name) for name in NUMBERS)
        if level is not None and not 0 < level < 1:
            raise _refused("level", "a number between 0 and 1 is needed, such as 0.8")
        if level is not None and "interval" not in parts:
            raise _refused("level", "it means nothing without include=interval")
        if cost is not None and not 0 < cost <= MOST_DOLLARS:
            raise _refused("target_cost", f"dollars above 0 and up to {MOST_DOLLARS:g} are needed, such as 25")
        if sure is not None and cost is None:
            raise _refused("confidence", "it means nothing without a target_cost")
        if sure is not None and not 0 < sure < 1:
            raise _refused("confidence", "a number between 0 and 1 is needed, such as 0.5")
        target = None if cost is None else Target(cost, SURE if sure is None else sure)
        width = LEVEL if level is None else level
        seal = given.get("seal", ["false"])[0]
        if seal not in ("true", "false"):
            raise _refused("seal", "true or false is needed")
        if seal == "true" and "interval" not in parts:
            raise _refused("seal", "what is promised has an interval, so it needs include=interval")
        return cls("interval" in parts, "reasons" in parts, width, target, "creator" in parts, seal == "true")


NO_OPTIONS = Options()


def require_no_parameters(query: str) -> None:
    """Raise Problem for a query string, where none is known."""
    if given := sorted(parse_qs(query, keep_blank_values=True)) if query else []:
        raise _refused(given[0], f"there is no parameter {given[0][:40]!r}; there are none here")


def require_unsealed(options: Options) -> None:
    """Raise Problem for what is to be sealed and is no list of deals to be made."""
    if options.seal:
        raise _refused("seal", "a ranking is no list of deals; score those that are meant with /v1/score")


def _number(given: dict[str, list[str]], name: str) -> float | None:
    """The last value of a parameter, NaN where it is no number, None where it is not there."""
    try:
        return float(given[name][-1]) if name in given else None
    except ValueError:
        return math.nan


def _refused(field: str, detail: str) -> Problem:
    return Problem(422, "invalid-parameter", f"{field}: {detail}.", [FieldError(detail, field)])


def scores(label: str, found: Scores, candidates: Sequence[str | None], kinds: dict[str, Sequence[Any]]) -> Any:
    """The contract's scores, in the items' order. kinds: what else is known of each."""
    return {"model_version": label, "scores": rows(label, found, {"candidate_id": candidates} | kinds)}


def noticed(answer: dict[str, Any], notices: Sequence[FieldError]) -> dict[str, Any]:
    """An answer with its notices, where there are any."""
    return answer | {"notices": notices[:MOST_ERRORS]} if notices else answer


def rows(
    label: str, found: Scores, keys: dict[str, Sequence[Any]], rank: np.ndarray | None = None
) -> list[dict[str, Any]]:
    """A row a score: keys that are known, then the contract's columns of scores. rank: among these rows by default."""
    n = len(found.rate)
    columns: dict[str, Sequence[Any]] = {name: v for name, v in keys.items() if v.count(None) < n}
    made = found.columns()
    if found.reasons is not None:
        made["reasons"] = [msgspec.Raw(text.encode()) for text in found.reasons]
    made["rank"] = ranks(found.rate) if rank is None else rank
    made["model_version"] = [label] * n
    for name in _NAMES:
        if (values := made.get(name)) is not None:
            columns[name] = values.tolist() if isinstance(values, np.ndarray) else values
    names = tuple(columns)
    return [dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def by_batch(
    serving: Serving, matrix: pd.DataFrame, terms: Terms, candidates: Sequence[str | None], options: Options
) -> dict[str, Any]:
    """Scores of a matrix that the batch code made, by the batch's own scorer."""
    scoring = serving.scorer.scorer.scoring
    coded = scoring.coding.transform(matrix, np.array(list(terms.creator_id), object))
    level, values = options.level if options.interval else None, matrix if options.reasons else None
    found = scoring.score(coded, terms.spend, starts=terms.starts_at, level=level, values=values, target=options.target)
    kinds: dict[str, Sequence[Any]] = {}
    if options.creator:
        kinds = {
            name: [v if isinstance(v, str) else None for v in matrix[column]] for name, column in OF_CREATOR.items()
        }
    return scores(serving.published.label, found, candidates, kinds)


def kinds_of(snapshot: Snapshot, rows: np.ndarray) -> dict[str, Sequence[Any]]:
    """What the creators of rows (n,) are, by the name of their filter; None where it is not known."""
    texts = snapshot.texts.take(rows, axis=0)
    found: dict[str, Sequence[Any]] = {}
    for name, column in OF_CREATOR.items():
        words = (*[None] * FIRST, *snapshot.vocabularies[column])
        found[name] = [words[place] for place in texts[:, snapshot.columns["texts"].index(column)].tolist()]
    return found


def too_early(snapshot: Snapshot) -> Problem:
    """The refusal of a ranking that starts before what is held in memory."""
    horizon = moment(snapshot.horizon)
    detail = f"a ranking is of deals to come, from {horizon} on; /v1/score answers for earlier ones"
    return Problem(
        409, "too-early", f"deal.starts_at: {detail}.", [FieldError(detail, "starts_at", None, "/deal/starts_at")]
    )


def moment(micros: int) -> str:
    """ISO 8601, UTC."""
    return f"{np.datetime64(micros, 'us')}Z"


def chosen(snapshot: Snapshot, deal: Deal, request: RankRequest) -> tuple[Terms, np.ndarray]:
    """The deal with each creator that is meant, and their rows. Raises Problem where there are too many."""
    if request.creator_ids is not None:
        creators = list(dict.fromkeys(str(one) for one in request.creator_ids))
        rows = snapshot.rows(creators) if creators else np.zeros(0, np.intp)
        kept = np.isin(rows, _filtered(snapshot, request.filters)) if request.filters != Filters() else None
        if kept is not None:
            creators, rows = [c for c, keep in zip(creators, kept.tolist(), strict=True) if keep], rows[kept]
    else:
        rows = _filtered(snapshot, request.filters)
        if len(rows) > MOST_ITEMS:
            detail = f"{len(rows):,} creators are meant, at most {MOST_ITEMS:,} can be ranked at once: filter more"
            raise Problem(422, "too-many", f"{detail}.", [FieldError(detail, "filters", None, "/filters")])
        creators = [snapshot.identifier(row) for row in rows.tolist()]
    return for_creators(deal, creators), rows


def _filtered(snapshot: Snapshot, filters: Filters) -> np.ndarray:
    """Rows of the known creators that the filters leave. Raises Problem for values that no creator has."""
    keep = np.ones(snapshot.unknown, bool)
    texts = snapshot.columns["texts"]
    faults: list[FieldError] = []
    for name in LISTS:
        column = OF_CREATOR.get(name, name)
        wanted = getattr(filters, name)
        if wanted is not None:
            place = snapshot.place[column]
            known = sorted({*place, *(TIERS if name == "tier" else ())})
            faults += [_no_such(name, one, at, known) for at, one in enumerate(wanted) if one not in known]
            places = [place[one] for one in wanted if one in place]
            keep &= np.isin(snapshot.texts[:-1, texts.index(column)], places)
    if faults:
        raise Problem(422, "invalid-filter", f"{faults[0].field}: {faults[0].detail}", faults)
    followers = snapshot.creators[:-1, snapshot.columns["creators"].index("followers")]
    if filters.followers_min is not None:
        keep &= followers >= filters.followers_min
    if filters.followers_max is not None:
        keep &= followers <= filters.followers_max
    return np.flatnonzero(keep)


def _no_such(name: str, value: str, at: int, known: Sequence[str]) -> FieldError:
    like = closest(value, known)
    detail = f"no creator has {shown(value)}{f', did you mean {like!r}' if like else ''}; there are "
    more = len(known) - MOST_KNOWN
    detail += ", ".join(known[:MOST_KNOWN]) + (f" and {more:,} more" if more > 0 else "") if known else "none"
    return FieldError(detail, name, pointer=f"/filters/{name}/{at}")


@dataclass(frozen=True)
class Best:
    """The best rows of a ranking, in order: their terms, their rows in the snapshot, their ranks among all."""

    terms: Terms
    rows: np.ndarray
    rank: np.ndarray


def best(found: Scores, limit: int, terms: Terms, at: np.ndarray) -> Best:
    """The best `limit` rows, equal ones in the order in which they came."""
    order = np.argsort(-found.rate, kind="stable")[:limit]
    return Best(take(terms, order), at[order], ranks(found.rate)[order])


def ranking(label: str, shown: Scores, found: Best, considered: int, kinds: dict[str, Sequence[Any]]) -> dict[str, Any]:
    """The best rows, ranked among all that were considered. kinds: what else is known of each."""
    ranked = rows(label, shown, {"creator_id": found.terms.creator_id} | kinds, found.rank)
    return {"model_version": label, "considered": considered, "scores": ranked}


def take(terms: Terms, order: np.ndarray) -> Terms:
    """Rows in another order."""
    if len(order) == len(terms) and (order == np.arange(len(order))).all():
        return cut(terms, slice(None))
    taken: dict[str, Any] = {}
    for name in Terms.__dataclass_fields__:
        values = getattr(terms, name)
        taken[name] = values[order] if isinstance(values, np.ndarray) else [values[i] for i in order.tolist()]
    return Terms(**taken)


def creator(serving: Serving, identifier: str) -> dict[str, Any]:
    """What is known of a creator, feature by feature with the catalogue's text. Raises Problem for an unknown one."""
    snapshot, identifier = serving.snapshot, as_text(identifier)
    row = snapshot.row(identifier)
    if row == snapshot.unknown:
        detail = f"the data has no creator {identifier[:60]!r}"
        raise Problem(404, "unknown-creator", f"{detail[0].upper()}{detail[1:]}.", [FieldError(detail, "creator_id")])
    values: dict[str, Any] = {}
    for i, name in enumerate(snapshot.columns["texts"]):
        place = int(snapshot.texts[row, i])
        values[name] = snapshot.vocabularies[name][place - FIRST] if place >= FIRST else None
    for i, name in enumerate(snapshot.columns["creators"]):
        values[name] = plain(float(snapshot.creators[row, i]))
    features = [
        {"feature": name, "value": values[name], **facts}
        for name, facts in serving.published.catalogue.items()
        if name in values and facts["entity"] in ("creator", "tier", "platform")
    ]
    return {"creator_id": identifier, "as_of": moment(snapshot.horizon), "features": features}


def model(serving: Serving) -> dict[str, Any]:
    """The version, its figures and its card."""
    return {
        "model_version": serving.published.label,
        **serving.published.card,
        "creators": serving.snapshot.unknown,
        "scores_from": moment(serving.snapshot.horizon),
    }
