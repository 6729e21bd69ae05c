"""A client of the service in plain Python: typed answers, one connection kept open, requests turned away repeated."""

from __future__ import annotations

import http.client
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote, urlsplit

import msgspec

from creator_yield_client.types import Creator, Deal, Filters, History, Item, ModelCard, Ranking, Scores

TRIES, LONGEST_WAIT = 4, 10.0
T = TypeVar("T")


class ServiceError(Exception):
    """An answer that is no result; `problem` is the whole of it as RFC 9457 has it, empty where a proxy answered."""

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        super().__init__(f"{status}: {problem.get('detail', 'no detail')}")
        self.status, self.problem = status, problem


class Client:
    """Sends requests to one service, on one connection: use one client per thread.

    Every method raises ServiceError for a request that is refused, OSError where nobody answers.
    """

    def __init__(self, url: str, key: str | None = None, timeout: float = 60.0) -> None:
        """url: such as http://127.0.0.1:8000. timeout: seconds. Raises ValueError for what is no such URL."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"a URL such as http://127.0.0.1:8000 is needed, received {url!r}")
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(parts.hostname, parts.port, timeout=timeout)
        self._prefix = parts.path.rstrip("/")
        self._headers = {"Content-Type": "application/json"} | ({"X-API-Key": key} if key else {})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; the next request opens one again."""
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
        history: History | dict[str, Any] | None = None,
        seal: bool = False,
    ) -> Scores:
        """Scores of at most 10,000 items, in their order.

        creator: adds platform, niche and tier. level: of the interval, 0.8 by default. target_cost: the most dollars
        that a conversion may cost; confidence: how sure the walk-away price must be of it, 0.5 by default. history:
        rows of creators among the items that the service does not know. seal: puts the scores into the service's
        ledger, which needs the interval; the answer's `sealed` is the ledger's head then. A request that was lost on
        the way is sent again, and may be sealed twice: the newer promise counts.
        """
        query = _query(interval, reasons, creator, level, target_cost, confidence, seal)
        body: dict[str, Any] = {"items": list(items)} | ({"history": history} if history else {})
        return self._request("POST", f"/v1/score{query}", body, Scores)

    def rank(
        self,
        deal: Deal,
        creator_ids: Sequence[str | int] | None = None,
        *,
        filters: Filters | dict[str, Any] | None = None,
        limit: int = 100,
        interval: bool = False,
        reasons: bool = False,
        creator: bool = False,
        level: float | None = None,
        target_cost: float | None = None,
        confidence: float | None = None,
    ) -> Ranking:
        """The best creators for a deal: of those named, else of all that the filters leave. The rest as for `score`."""
        query = _query(interval, reasons, creator, level, target_cost, confidence)
        body: dict[str, Any] = {"deal": deal, "limit": limit, "filters": filters or {}}
        if creator_ids is not None:
            body["creator_ids"] = list(creator_ids)
        return self._request("POST", f"/v1/rank{query}", body, Ranking)

    def creator(self, creator_id: str) -> Creator:
        """What is known of a creator."""
        return self._request("GET", f"/v1/creators/{quote(creator_id, safe='')}", None, Creator)

    def model(self) -> ModelCard:
        """The model that answers, with its backtest figures."""
        return self._request("GET", "/v1/model", None, ModelCard)

    def _request(self, method: str, path: str, body: Any, kind: type[T]) -> T:
        raw = None if body is None else msgspec.json.encode(body)
        for attempt in range(1, TRIES + 1):
            try:
                self._connection.request(method, self._prefix + path, raw, self._headers)
                reply = self._connection.getresponse()
                answer = reply.read()
            except TimeoutError:
                self._connection.close()  # a late answer must not be taken for the next request's
                raise
            except (http.client.HTTPException, ConnectionError) as error:
                self._connection.close()
                if attempt < TRIES:  # scoring changes nothing, so what was lost on the way may be sent again
                    continue
                raise ConnectionError(f"the answer broke off: {error!r}") from error
            if reply.status == 200:
                return _decoded(answer, kind)
            wait = reply.headers.get("Retry-After", "")
            if reply.status not in (429, 503) or not wait.isdecimal() or attempt == TRIES:
                break
            time.sleep(min(float(wait), LONGEST_WAIT))
        raise ServiceError(reply.status, _problem(answer))


def _query(
    interval: bool,
    reasons: bool,
    creator: bool,
    level: float | None,
    target_cost: float | None,
    confidence: float | None,
    seal: bool = False,
) -> str:
    included = [
        name for name, wanted in {"interval": interval, "reasons": reasons, "creator": creator}.items() if wanted
    ]
    numbers = {"level": level, "target_cost": target_cost, "confidence": confidence}
    parameters = [f"include={','.join(included)}"] if included else []
    parameters += [f"{name}={float(value)!r}" for name, value in numbers.items() if value is not None]
    parameters += ["seal=true"] if seal else []
    return f"?{'&'.join(parameters)}" if parameters else ""


def _decoded(answer: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(answer, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        detail = f"not an answer of the service, or of one of another version: {error}"
        raise ServiceError(200, {"detail": detail}) from None


def _problem(answer: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(answer, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}
