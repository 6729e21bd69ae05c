"""A client of the service in plain Python: typed answers, one connection kept open, patience where it is asked for.

    from service.client import Client, Deal

    with Client("http://127.0.0.1:8000", key="…") as client:
        deal = Deal("acme", "beauty", "2026-05-01T12:00:00Z", promotion_hours=48, spend=300)
        for score in client.rank(deal, limit=10, interval=True).scores:
            print(score.creator_id, score.conversions_per_dollar, score.conversions_per_dollar_low)

One client is for one thread.
"""

from __future__ import annotations

import http.client
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote, urlsplit

import msgspec

TRIES, LONGEST_WAIT = 4, 10.0
T = TypeVar("T")


class Deal(msgspec.Struct, omit_defaults=True):
    """Terms that might be offered. starts_at: ISO 8601. spend: the quote in all, US dollars."""

    brand: str
    product_niche: str
    starts_at: str
    promotion_hours: float
    spend: float
    product_country: str | None = None
    objective: str | None = None
    deliverables: int | None = None


class Item(Deal, omit_defaults=True, kw_only=True):
    """A deal with a creator."""

    creator_id: str
    candidate_id: str | None = None


class Reason(msgspec.Struct):
    """What moved a score: factors multiply."""

    feature: str
    value: str | float | None
    factor: float


class Score(msgspec.Struct):
    """A row of scores; what was not asked for, or is not known, is None."""

    conversions_per_dollar: float
    conversions: float
    cost_per_conversion: float
    rank: int
    warnings: list[str]
    model_version: str
    candidate_id: str | None = None
    creator_id: str | None = None
    conversions_per_dollar_low: float | None = None
    conversions_per_dollar_high: float | None = None
    probability_within_target: float | None = None
    walk_away_price: float | None = None
    reasons: list[Reason] | None = None
    platform: str | None = None
    niche: str | None = None
    tier: str | None = None


class Notice(msgspec.Struct):
    """Something in the request that had no effect. row: position of the item, from 0. pointer: RFC 6901."""

    detail: str
    field: str | None = None
    row: int | None = None
    pointer: str | None = None
    table: str | None = None


class Scores(msgspec.Struct):
    """Scores in the order of the items."""

    model_version: str
    scores: list[Score]
    notices: list[Notice] = []


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


class ModelCard(msgspec.Struct):
    """The model that answers: skill is a sentence, figures are those of its backtest."""

    model_version: str
    skill: str | None
    figures: dict[str, float]
    trained_on: dict[str, Any]
    creators: int
    scores_from: str


class ServiceError(Exception):
    """An answer that is a problem; `problem` is the whole of it as RFC 9457 has it."""

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        super().__init__(f"{status}: {problem.get('detail', 'no detail')}")
        self.status, self.problem = status, problem


class Client:
    """Asks one service. Raises ServiceError for a request that is refused, OSError where nobody answers."""

    def __init__(self, url: str, key: str | None = None, timeout: float = 60.0) -> None:
        told = urlsplit(url)
        kind = http.client.HTTPSConnection if told.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(told.hostname or "127.0.0.1", told.port, timeout=timeout)
        self._prefix = told.path.rstrip("/")
        self._headers = {"Content-Type": "application/json"} | ({"X-API-Key": key} if key else {})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()

    def score(
        self,
        items: Sequence[Item],
        *,
        interval: bool = False,
        reasons: bool = False,
        creator: bool = False,
        level: float | None = None,
        target_cost: float | None = None,
        confidence: float | None = None,
        history: dict[str, list[dict[str, Any]]] | None = None,
    ) -> Scores:
        """Scores of at most 10,000 items, in their order.

        creator: with platform, niche and tier. level: of the interval, 0.8 unless told. target_cost: the most dollars
        that a conversion may cost; confidence: how sure the walk-away price must be of it, 0.5 unless told. history:
        rows of the contract's tables, by table, of creators among the items that the service does not know.
        """
        parts = _parts(interval, reasons, creator)
        body: dict[str, Any] = {"items": list(items)} | ({"history": history} if history else {})
        return self._ask("POST", f"/v1/score{_query(parts, level, target_cost, confidence)}", body, Scores)

    def rank(
        self,
        deal: Deal,
        creator_ids: Sequence[str] | None = None,
        *,
        filters: dict[str, Any] | None = None,
        limit: int = 100,
        interval: bool = False,
        reasons: bool = False,
        creator: bool = False,
        target_cost: float | None = None,
        confidence: float | None = None,
    ) -> Ranking:
        """The best creators for a deal: of those named, else of all that the filters leave. The rest as for `score`."""
        parts = _parts(interval, reasons, creator)
        body: dict[str, Any] = {"deal": deal, "limit": limit, "filters": filters or {}}
        if creator_ids is not None:
            body["creator_ids"] = list(creator_ids)
        return self._ask("POST", f"/v1/rank{_query(parts, None, target_cost, confidence)}", body, Ranking)

    def creator(self, creator_id: str) -> Creator:
        """What is known of a creator."""
        return self._ask("GET", f"/v1/creators/{quote(creator_id, safe='')}", None, Creator)

    def model(self) -> ModelCard:
        """What answers."""
        return self._ask("GET", "/v1/model", None, ModelCard)

    def _ask(self, method: str, path: str, body: Any, kind: type[T]) -> T:
        raw = None if body is None else msgspec.json.encode(body)
        for tried in range(1, TRIES + 1):
            try:
                self._connection.request(method, self._prefix + path, raw, self._headers)
                reply = self._connection.getresponse()
                told = reply.read()
            except (http.client.HTTPException, ConnectionError):
                # scoring changes nothing, so what was lost on the way may be asked again
                self._connection.close()
                if tried == TRIES:
                    raise
                continue
            if reply.status == 200:
                return msgspec.json.decode(told, type=kind)
            wait = reply.headers.get("Retry-After")
            if reply.status not in (429, 503) or wait is None or tried == TRIES:
                break
            time.sleep(min(float(wait), LONGEST_WAIT))
        raise ServiceError(reply.status, _problem(told))


def _parts(interval: bool, reasons: bool, creator: bool) -> list[str]:
    wanted = {"interval": interval, "reasons": reasons, "creator": creator}
    return [name for name, asked in wanted.items() if asked]


def _query(parts: list[str], level: float | None, target_cost: float | None, confidence: float | None) -> str:
    numbers = {"level": level, "target_cost": target_cost, "confidence": confidence}
    told = [f"include={','.join(parts)}"] if parts else []
    told += [f"{name}={value!r}" for name, value in numbers.items() if value is not None]
    return f"?{'&'.join(told)}" if told else ""


def _problem(body: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError:
        return {}
