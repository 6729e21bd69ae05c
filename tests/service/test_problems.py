"""Problems as RFC 9457 has them."""

from __future__ import annotations

import msgspec
import pytest

from service.problems import MOST_ERRORS, TITLES, TYPE, FieldError, Problem


@pytest.mark.parametrize("status", TITLES)
def test_every_status_has_a_title(status: int) -> None:
    body = Problem(status, "code", "Why.").body("request-1")
    assert body["type"] == f"{TYPE}code"
    assert (body["status"], body["title"], body["detail"]) == (status, TITLES[status], "Why.")
    assert "errors" not in body


def test_of_very_many_errors_the_first_are_listed_and_all_are_counted() -> None:
    errors = [FieldError("too small", "spend", row) for row in range(MOST_ERRORS + 7)]
    body = Problem(422, "invalid-items", "x", errors).body("r")
    assert (len(body["errors"]), body["error_count"]) == (MOST_ERRORS, MOST_ERRORS + 7)
    assert msgspec.to_builtins(errors[0]) == {"detail": "too small", "field": "spend", "row": 0}


def test_headers_are_named_as_http_names_them() -> None:
    assert Problem(429, "busy", "x", retry_after="1").headers == [("retry-after", "1")]
