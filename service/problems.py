"""What goes wrong, as RFC 9457 problems: a type, a title, a status, a detail, and where it is one of the request's own
fields, its row and its name. They show nothing of the internals.
"""

from __future__ import annotations

from typing import Any

import msgspec

MOST_ERRORS = 50
TYPE = "urn:creator-yield:problem:"
TITLES = {
    400: "The request cannot be read",
    401: "A valid key is needed",
    404: "There is nothing here",
    405: "This cannot be done here",
    408: "The request took too long to arrive",
    409: "Not possible with the data in memory",
    413: "The request is too large",
    415: "The request must be JSON",
    421: "This host is not served here",
    422: "The request cannot be answered",
    429: "Too much at once",
    500: "Something went wrong here",
    503: "Not ready yet",
}


class FieldError(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that is wrong with a field. row: position of the item, from 0. pointer: RFC 6901, into the body."""

    detail: str
    field: str | None = None
    row: int | None = None
    pointer: str | None = None
    table: str | None = None


class Problem(Exception):  # noqa: N818 - RFC 9457 calls it so
    """A request that is answered with a problem."""

    def __init__(
        self, status: int, code: str, detail: str, errors: list[FieldError] | None = None, **headers: str
    ) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail, self.errors = status, code, detail, errors or []
        self.headers = [(name.replace("_", "-").lower(), value) for name, value in headers.items()]

    def body(self, request_id: str) -> dict[str, Any]:
        """As JSON; of very many errors, the first ones."""
        body: dict[str, Any] = {
            "type": TYPE + self.code,
            "title": TITLES[self.status],
            "status": self.status,
            "detail": self.detail,
            "request_id": request_id,
        }
        if self.errors:
            body["errors"] = self.errors[:MOST_ERRORS]
            body["error_count"] = len(self.errors)
        return body
