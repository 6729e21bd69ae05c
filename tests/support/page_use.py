"""The page as tests use it: what they type, choose, press and read."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pandas as pd

DEAL = {"Brand": "somebody", "Product niche": "beauty", "Spend, dollars": "300"}


START = "2026-06-01T12:00:00Z"


HEADER = "candidate_id,creator_id,brand,product_niche,starts_at,promotion_hours,spend\n"


ROW = f"a,creator_000001,acme,beauty,{START},48,300\n"


WRONG_COST = f"b,creator_000002,acme,beauty,{START},48,-5\n"


EXPLAINED = "[aria-invalid=true] ~ .fault, label:has([aria-invalid=true]) ~ .fault"


def fill_deal(page: Any, limit: int = 5, **more: str) -> None:
    for label, value in (DEAL | more).items():
        page.get_by_label(label, exact=True).fill(value)
    page.get_by_label("Starts").fill("2026-06-01T12:00")
    page.get_by_label("At most").fill(str(limit))


def choose(page: Any, text: str, name: str = "candidates.csv") -> None:
    page.locator("input[type=file]").set_input_files({"name": name, "mimeType": "text/csv", "buffer": text.encode()})


def rank(page: Any) -> None:
    page.locator("#request").get_by_role("button", name="Rank", exact=True).click()


def rows(page: Any) -> Any:
    return page.locator("#scores tbody tr:not(.why)")


def download(page: Any) -> pd.DataFrame:
    with page.expect_download() as answer:
        page.get_by_role("button", name="Download CSV").click()
    return pd.read_csv(answer.value.path())


def focused(page: Any) -> str:
    return page.evaluate("document.activeElement.name")


def candidates(n: int) -> pd.DataFrame:
    frame = pd.DataFrame({"candidate_id": [f"x{i}" for i in range(n)]})
    return frame.assign(
        creator_id=[f"creator_{i % 60 + 1:06}" for i in range(n)], brand='a "quoted", brand', product_niche="beauty",
        starts_at=START, promotion_hours=48, spend=[100.0 + i for i in range(n)],
    )  # fmt: skip


def answered(status: int, body: str, headers: dict[str, str] | None = None) -> Callable[[Any], None]:
    """A route's handler that answers in the service's place."""
    return lambda route: route.fulfill(status=status, body=body, headers=headers or {})


def refusal(**more: Any) -> str:
    return json.dumps({"type": "urn:x", "title": "t", "status": 422, "detail": "one fault", "request_id": "r"} | more)
