"""The interface as OpenAPI 3.1, made from the same types that requests are read with."""

from __future__ import annotations

from typing import Any

import msgspec

from models.uncertainty.target import MOST_DOLLARS, SURE
from service.api.answers import Creator, ModelCard, Ranking, Scores
from service.api.request_types import RankRequest, ScoreRequest
from service.api.responses import LEVEL as USUAL_LEVEL
from service.api.responses import PARTS
from service.problems import TITLES, FieldError

DEAL = {
    "brand": "acme",
    "product_niche": "beauty",
    "product_country": "US",
    "objective": "sales",
    "starts_at": "2026-05-01T12:00:00Z",
    "promotion_hours": 48,
    "deliverables": 2,
    "spend": 300,
}
ITEMS = {"items": [{"candidate_id": "a", "creator_id": "creator_000001", **DEAL}]}
SCORE = {
    "candidate_id": "a",
    "conversions_per_dollar": 0.12,
    "conversions_per_dollar_low": 0.03,
    "conversions_per_dollar_high": 0.26,
    "conversions": 36.0,
    "cost_per_conversion": 8.33,
    "probability_within_target": 0.83,
    "walk_away_price": 775.0,
    "rank": 1,
    "reasons": [{"feature": "creator_record", "value": 2.2, "factor": 1.4}],
    "warnings": ["unknown_category"],
    "model_version": "conversions-per-dollar/1",
}
ANSWER = {"model_version": "conversions-per-dollar/1", "scores": [SCORE]}
RANKED = {"model_version": "conversions-per-dollar/1", "considered": 812, "scores": [SCORE]}


class ProblemDocument(msgspec.Struct):
    """What went wrong, as RFC 9457 has it."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str
    errors: list[FieldError] | msgspec.UnsetType = msgspec.UNSET
    error_count: int | msgspec.UnsetType = msgspec.UNSET


INCLUDE = {
    "name": "include",
    "in": "query",
    "description": "What to include besides, with commas between; creator: the creator's platform, niche and tier.",
    "schema": {"type": "array", "items": {"enum": list(PARTS)}},
    "style": "form",
    "explode": False,
}
LEVEL = {
    "name": "level",
    "in": "query",
    "description": f"Probability that the interval holds, which include=interval must request; else {USUAL_LEVEL}.",
    "schema": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
}
TARGET_COST = {
    "name": "target_cost",
    "in": "query",
    "description": "The most dollars that a conversion may cost: adds how likely that is, and the walk-away price.",
    "schema": {"type": "number", "exclusiveMinimum": 0, "maximum": MOST_DOLLARS},
    "example": 25,
}
CONFIDENCE = {
    "name": "confidence",
    "in": "query",
    "description": f"How sure the walk-away price must be of the target_cost, which is needed beside it; else {SURE}.",
    "schema": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
}
SEAL = {
    "name": "seal",
    "in": "query",
    "description": "Whether to seal the scores in the service's ledger; needs include=interval, and a ledger.",
    "schema": {"type": "boolean"},
}
OPTIONS = [INCLUDE, LEVEL, TARGET_COST, CONFIDENCE]


MORE_HEADERS = {401: ("WWW-Authenticate",), 429: ("Retry-After",), 503: ("Retry-After",)}
HEADERS = {
    "X-Request-Id": {
        "description": "Names the request, in the log too; the caller's own where it sent one.",
        "required": True,
        "schema": {"type": "string", "pattern": r"^[A-Za-z0-9_.:-]{1,64}$"},
    },
    "WWW-Authenticate": {"description": "ApiKey.", "required": True, "schema": {"const": "ApiKey"}},
    "Retry-After": {
        "description": "After how many seconds to come again.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    },
}


def _problems(*statuses: int) -> dict[str, Any]:
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}}
    return {
        str(status): {
            "description": TITLES[status],
            "headers": _headers(*MORE_HEADERS.get(status, ())),
            "content": content,
        }
        for status in statuses
    }


def _headers(*names: str) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in ("X-Request-Id", *names)}


def _answer(name: str, example: Any = None) -> dict[str, Any]:
    content: dict[str, Any] = {"schema": {"$ref": f"#/components/schemas/{name}"}}
    if example is not None:
        content["example"] = example
    return {"200": {"description": "The answer.", "headers": _headers(), "content": {"application/json": content}}}


def _text(description: str, kind: str = "text/plain") -> dict[str, Any]:
    content = {kind: {"schema": {"type": "string"}}}
    return {"200": {"description": description, "headers": _headers(), "content": content}}


def _body(name: str, example: Any) -> dict[str, Any]:
    content = {"schema": {"$ref": f"#/components/schemas/{name}"}, "example": example}
    return {"required": True, "content": {"application/json": content}}


def _refused(kind: type) -> dict[str, Any]:
    """The schema of a field that no request may have."""
    if kind is msgspec.UnsetType:
        return {"not": {}}
    raise NotImplementedError  # so msgspec knows that a hook has no schema for a type


def _optional(schema: Any) -> None:
    """Take the defaults out of a schema, in place.

    Some generators make a field with a default a required one, others send what is only a default.
    """
    for value in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        _optional(value)
    for one in schema.get("properties", {}).values() if isinstance(schema, dict) else ():
        one.pop("default", None)


def document() -> dict[str, Any]:
    """The whole of it."""
    types = [ScoreRequest, RankRequest, Scores, Ranking, Creator, ModelCard, ProblemDocument]
    _, schemas = msgspec.json.schema_components(types, schema_hook=_refused, ref_template="#/components/schemas/{name}")
    _optional(schemas)
    score_problems = _problems(400, 401, 408, 413, 415, 421, 422, 429, 503)
    keyed: list[dict[str, list[str]]] = [{"key": []}]
    ranked = {"deal": DEAL, "filters": {"tier": ["micro"], "platform": ["instagram"]}, "limit": 10}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "creator-yield",
            "version": "1",
            "description": "Conversions per dollar of deals with creators, how sure that is, and why.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": {
            "/v1/score": {
                "post": {
                    "operationId": "score",
                    "summary": "Score deals, in their order",
                    "parameters": [*OPTIONS, SEAL],
                    "requestBody": _body("ScoreRequest", ITEMS),
                    "responses": _answer("Scores", ANSWER) | score_problems,
                    "security": keyed,
                }
            },
            "/v1/rank": {
                "post": {
                    "operationId": "rank",
                    "summary": "The best creators for a deal",
                    "parameters": OPTIONS,
                    "requestBody": _body("RankRequest", ranked),
                    "responses": _answer("Ranking", RANKED) | score_problems | _problems(409),
                    "security": keyed,
                }
            },
            "/v1/creators/{creator_id}": {
                "get": {
                    "operationId": "creator",
                    "summary": "What is known of a creator",
                    "parameters": [
                        {
                            "name": "creator_id",
                            "in": "path",
                            "required": True,
                            "schema": {"type": "string", "minLength": 1},
                        }
                    ],
                    "responses": _answer("Creator") | _problems(401, 404, 421, 422, 429, 503),
                    "security": keyed,
                }
            },
            "/v1/model": {
                "get": {
                    "operationId": "model",
                    "summary": "The model that answers, and its figures",
                    "responses": _answer("ModelCard") | _problems(401, 421, 422, 429, 503),
                    "security": keyed,
                }
            },
            "/healthz": {
                "get": {"operationId": "healthz", "summary": "Alive", "responses": _text("Alive.") | _problems(421)}
            },
            "/readyz": {
                "get": {
                    "operationId": "readyz",
                    "summary": "Able to score; alarms beside it",
                    "responses": _text("Ready.") | _problems(421, 503),
                }
            },
            "/metrics": {
                "get": {
                    "operationId": "metrics",
                    "summary": "Counters for Prometheus",
                    "responses": _text("Counters.") | _problems(401, 421, 429),
                    "security": keyed,
                }
            },
        },
        "components": {
            "schemas": schemas,
            "headers": HEADERS,
            "securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "X-API-Key"}},
        },
    }


DOCUMENT = msgspec.json.encode(document())
