"""What schemathesis checks for `service_fuzz` beside its own; loaded by its command alone, for it takes seconds."""

from __future__ import annotations

from typing import Any

import schemathesis
from schemathesis.checks import positive_data_acceptance

from service.api.request_types import LISTS
from service.problems import TYPE


@schemathesis.check
def accepts_what_the_schema_allows(
    ctx: schemathesis.CheckContext, response: schemathesis.Response, case: schemathesis.Case
) -> bool | None:
    """`positive_data_acceptance`, but for what is beyond the schemas.

    These are rows of a history that do not fit one another or DATA, candidate_ids that repeat, filters by values that
    no creator has, a confidence without its target, and a level without its interval. Only the problem that says so
    is let pass, and only where it is so; all other checks look at these answers too.
    """
    query, body = case.query or {}, case.body if isinstance(case.body, dict) else {}
    filters = body.get("filters")
    so = {
        "invalid-history": body.get("history") is not None,
        "invalid-items": _repeats(body.get("items")),
        "invalid-filter": isinstance(filters, dict) and any(filters.get(name) for name in LISTS),
        "invalid-parameter": ("confidence" in query and "target_cost" not in query)
        or ("level" in query and "interval" not in query.get("include", [])),
    }
    if response.status_code == 422 and so.get(response.json()["type"].removeprefix(TYPE), False):
        return None
    return positive_data_acceptance(ctx, response, case)


def _repeats(items: Any) -> bool:
    """Whether two items have the same candidate_id."""
    ids = [item.get("candidate_id") for item in items if isinstance(item, dict)] if isinstance(items, list) else []
    texts = [str(int(one) if isinstance(one, float) else one) for one in ids if one not in (None, "")]
    return len(set(texts)) < len(texts)
