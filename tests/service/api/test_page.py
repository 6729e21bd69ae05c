"""The page as people use it, in a browser with a real service behind it: rankings, lists, downloads."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from service.api.page import PAGE_POLICY, PARTS
from tests.support.page_use import (
    HEADER,
    ROW,
    START,
    answered,
    candidates,
    choose,
    download,
    fill_deal,
    focused,
    rank,
    rows,
)
from tests.support.workspace import Server


def test_it_ranks_creators_for_a_deal(server: Server, page: Any) -> None:
    fill_deal(page)
    rank(page)
    page.get_by_text("5 of 60 creators, by conversions-per-dollar/1: somebody, from 2026-06-01 12:00 UTC.").wait_for()
    deal = {"brand": "somebody", "product_niche": "beauty", "starts_at": START, "promotion_hours": 48, "spend": 300}
    reply = server.request("POST", "/v1/rank?include=creator,reasons", {"deal": deal, "limit": 5})
    expected = reply.json["scores"]
    assert rows(page).locator("b").all_inner_texts() == [row["creator_id"] for row in expected]
    assert rows(page).nth(0).locator("svg[role=img]").get_attribute("aria-label").count(" to ") == 1
    why = rows(page).nth(0).get_by_role("button", name=f"Why this score, {expected[0]['creator_id']}")
    assert why.get_attribute("aria-expanded") == "false"
    why.click()
    reasons = page.locator("tr.why li").all_inner_texts()
    assert len(reasons) == len(expected[0]["reasons"])
    for reason in reasons:
        assert re.search(r"^[A-Z][^_]+: .+\n*×\d[\d.]*$", reason, re.S), reason
        assert not re.search(r"\d\.\d{4}", reason), "numbers are rounded"
    why.click()
    assert page.locator("tr.why").count() == 0
    assert "Backtest: rank" in page.locator("#model").inner_text()
    assert not page.locator("th.target").first.is_visible()
    costs = sorted(row["cost_per_conversion"] for row in expected)
    page.get_by_label("Highest cost per conversion").fill(str((costs[1] + costs[2]) / 2))
    assert rows(page).count() == 2
    page.get_by_role("button", name="$ per conversion").click()
    page.get_by_label("Highest cost per conversion").fill("0.0001")
    assert page.get_by_text("No creator matches these filters.").is_visible()
    assert page.get_by_role("button", name="Download CSV").is_disabled()


def test_it_scores_a_file_and_the_download_has_all_of_it(server: Server, page: Any) -> None:
    sent = candidates(30)
    page.get_by_label("Target cost per conversion, dollars").fill("25.5")
    choose(page, sent.to_csv(index=False))
    page.get_by_text("30 candidates in candidates.csv, with their own deals: the fields above are not used.").wait_for()
    assert page.get_by_label("Brand", exact=True).is_disabled()
    rank(page)
    page.get_by_text("30 candidates of candidates.csv, by conversions-per-dollar/1.").wait_for()
    saved = download(page)
    assert sorted(saved.candidate_id) == sorted(sent.candidate_id)
    assert saved["rank"].is_monotonic_increasing
    reply = server.request("POST", "/v1/score?include=creator&target_cost=25.5", {"items": sent.to_dict("records")})
    expected = pd.DataFrame(reply.json["scores"]).set_index("candidate_id").loc[saved.candidate_id]
    for name in ("probability_within_target", "walk_away_price", "tier", "niche", "platform", "model_version"):
        assert saved[name].tolist() == expected[name].tolist(), name
    for name in map(str, sent):
        assert (
            saved.set_index("candidate_id").loc[sent.candidate_id].reset_index()[name].tolist() == sent[name].tolist()
        )
    _filter_by_keyboard(page, expected.assign(spend=saved.set_index("candidate_id").spend))


def _filter_by_keyboard(page: Any, table: pd.DataFrame) -> None:
    """The table that is shown, whose rows are those of `table`, filtered step by step with keys alone."""
    left = page.locator("#left")
    assert page.get_by_role("columnheader", name="Chance of ≤ $25.5").is_visible()
    shown = rows(page).nth(0).locator("td").nth(7).inner_text()
    assert shown == f"{100 * table.probability_within_target.iloc[0]:.{int(shown.count('.'))}f} %"
    page.get_by_role("searchbox", name="Find").focus()
    page.keyboard.type("X29")
    assert left.inner_text() == "1 of 30 shown"
    page.keyboard.press("Control+A")
    page.keyboard.press("Delete")
    page.keyboard.press("Tab")
    for number, name in enumerate(("tier", "niche", "platform")):
        assert focused(page) == name
        common = table[name].mode()[0]
        page.keyboard.type(common)
        kept = table[table[name] == common]
        assert len(kept) < len(table)
        assert left.inner_text() == f"{len(kept)} of 30 shown"
        kinds = rows(page).locator("td.who small:nth-child(2)").all_inner_texts()
        assert [answer.split(" · ")[number] for answer in kinds] == [common] * len(kept)
        page.keyboard.press("Home")
        assert rows(page).count() == 30
        page.keyboard.press("Tab")
    assert focused(page) == "spend"
    page.keyboard.type(f"{table.spend.median():.2f}")
    assert left.inner_text() == "15 of 30 shown"
    assert len(download(page)) == 15


def test_a_sorted_table_is_downloaded_as_it_is_sorted(page: Any) -> None:
    choose(page, candidates(12).to_csv(index=False))
    rank(page)
    price = page.get_by_role("columnheader", name="Price")
    for word, order in (("ascending", True), ("descending", False)):
        price.get_by_role("button").click()
        assert price.get_attribute("aria-sort") == word
        assert page.locator("[aria-sort]").count() == 1
        spends = download(page).spend
        assert spends.is_monotonic_increasing is order
        assert spends.is_monotonic_decreasing is not order


def test_neither_place_nor_language_of_the_browser_changes_a_value(open_page: Callable[..., Any]) -> None:
    page = open_page(timezone_id="America/New_York", locale="de-DE")
    fill_deal(page, limit=1, **{"Spend, dollars": "1234.5", "Target cost per conversion, dollars": "2.5"})
    with page.expect_request("**/v1/rank*") as answer:
        rank(page)
    assert answer.value.post_data_json["deal"]["starts_at"] == "2026-06-01T16:00:00.000Z"
    assert answer.value.post_data_json["deal"]["spend"] == 1234.5
    page.get_by_text("from 2026-06-01 16:00 UTC").wait_for()
    assert rows(page).first.locator("td").nth(2).inner_text() == "$1,234.50"
    assert download(page).spend.tolist() == [1234.5]


def test_no_row_one_row_and_names_that_are_markup(page: Any) -> None:
    page.route("**/v1/rank*", answered(200, json.dumps({"model_version": "m/1", "considered": 0, "scores": []})))
    fill_deal(page)
    rank(page)
    page.get_by_text("No creator matches the filters, by m/1").wait_for()
    assert page.get_by_role("button", name="Download CSV").is_disabled()
    name = "<img src=x onerror=alert(1)><script>alert(1)</script>"
    choose(page, HEADER + ROW.replace("creator_000001", name).replace("acme", name))
    rank(page)
    page.get_by_text("1 candidate of candidates.csv").wait_for()
    assert rows(page).locator("b").inner_text() == name
    rows(page).get_by_role("button").click()
    assert page.locator("#results img, #results script").count() == 0
    assert "1 of these creators is not in the data" in page.locator("#said").inner_text()


@pytest.mark.long
def test_ten_thousand_rows_are_a_page_of_them_at_a_time(page: Any) -> None:
    n = 10_000
    choose(page, candidates(n).to_csv(index=False))
    page.get_by_text("10,000 candidates in candidates.csv").wait_for()
    rank(page)
    page.locator("#left").get_by_text("10,000 of 10,000 shown").wait_for()
    assert page.evaluate("document.querySelectorAll('*').length") < 5000
    assert rows(page).count() == 100
    pager = page.get_by_role("navigation", name="Pages of the table")
    pager.get_by_role("button", name="Next").click()
    assert pager.locator("span").inner_text() == "101 to 200 of 10,000"
    assert rows(page).nth(0).locator("td").first.inner_text() == "101"
    page.get_by_role("searchbox", name="Find").fill("x99")
    assert page.locator("#left").inner_text() == "111 of 10,000 shown"
    pager.get_by_role("button", name="Next").click()
    assert rows(page).count() == 11
    assert page.evaluate("document.activeElement.name") == "previous", "the keyboard's place is not lost"
    saved = download(page)
    assert len(saved) == 111
    page.get_by_role("searchbox", name="Find").fill("")
    assert len(download(page)) == n


def test_parts_are_sober(server: Server) -> None:
    for path, (kind, content) in PARTS.items():
        reply = server.request("GET", path, key=None)
        assert (reply.status, reply.body) == (200, content)
        assert reply.headers["content-type"] == kind
        assert reply.headers["content-security-policy"] == PAGE_POLICY
        text = content.decode()
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(|localStorage|sessionStorage", text
        )
        assert set(re.findall(r"https?://[^\s\"']*", text)) <= {"http://www.w3.org/2000/svg"}, (
            "nothing is from elsewhere"
        )
        assert not re.search(r"transition|animation|smooth", text), "nothing moves"
    html = PARTS["/"][1].decode()
    assert not re.search(r"\son\w+=|\sstyle=|<style|<script(?! type=\"module\" src=)", html)
    assert PAGE_POLICY.startswith("default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'")
    assert "unsafe" not in PAGE_POLICY
    imported = re.findall(r'from "\./([\w.]+)"', "".join(body.decode() for _, body in PARTS.values()))
    assert {f"/{name}" for name in imported} <= PARTS.keys()


def test_its_download_can_be_scored_again(page: Any) -> None:
    sent = candidates(3).assign(creator_id=["@handle", "=1+1", "creator_000001"])
    choose(page, sent.to_csv(index=False))
    rank(page)
    rows(page).first.wait_for()
    with page.expect_download() as answer:
        page.get_by_role("button", name="Download CSV").click()
    again = Path(answer.value.path()).read_bytes()
    assert again.startswith(b"\xef\xbb\xbf")
    frame = pd.read_csv(io.BytesIO(again))
    assert sorted(frame.creator_id) == ["'=1+1", "'@handle", "creator_000001"]
    choose(page, again.decode("utf-8-sig"))
    page.get_by_text("2 cells are read without the '").wait_for()
    rank(page)
    rows(page).first.wait_for()
    assert sorted(rows(page).locator("b").all_inner_texts()) == ["=1+1", "@handle", "creator_000001"]
